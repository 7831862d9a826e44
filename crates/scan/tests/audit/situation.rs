//! Containers, what is judged of them, and what their stop signal does.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sexton_core::{Confidence, ExitSignal, Verdict, signal};
use sexton_lab::{
    Container, Layout, Program, Running, Runtime, Skip, identity, live_children_of, require,
};
use sexton_scan::{Roots, Scanner, audit};
use tempfile::TempDir;

use crate::table;

/// How long a signal that does nothing is given to do something. Only those that are judged
/// to stay are waited for so long.
const STAYS: Duration = Duration::from_millis(1500);

/// How long one that is to get ready, or to end, may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Servers serve some time after they were started; what is younger is not judged as surely.
const SETTLES: Duration = Duration::from_secs(3);

/// A container to judge, and what is expected.
pub(crate) struct Case {
    name: Cow<'static, str>,
    program: Program,
    stop_signal: &'static str,
    ready: Ready,
    verdict: Verdict,
    /// What then really happens; that of the verdict if it is not `Unknown`.
    ends: bool,
    unheard: usize,
    /// Words of the summary or a fact.
    says: Vec<&'static str>,
    shared: bool,
    network: bool,
    without: Option<&'static str>,
    /// Not to be sure where the program's own code decides.
    never_high: bool,
    cured_by: Vec<&'static str>,
}

/// When a container can be judged.
enum Ready {
    /// It has printed `ready`.
    Line,
    /// So many processes of this name are in it.
    Running(&'static str, usize),
}

impl Case {
    /// One that prints `ready` and ends on its signal.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, argv: &[&str]) -> Self {
        Self::of(
            name,
            Program {
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
                binds: Vec::new(),
            },
        )
    }

    pub(crate) fn of(name: impl Into<Cow<'static, str>>, program: Program) -> Self {
        Self {
            name: name.into(),
            program,
            stop_signal: "SIGTERM",
            ready: Ready::Line,
            verdict: Verdict::Ends,
            ends: true,
            unheard: 0,
            says: Vec::new(),
            shared: false,
            network: false,
            without: None,
            never_high: false,
            cured_by: Vec::new(),
        }
    }

    pub(crate) fn bind(mut self, dir: &Path) -> Self {
        self.program.binds.push(dir.to_owned());
        self
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name
    }

    /// It prints nothing; it is ready when this runs in it.
    pub(crate) fn runs(self, name: &'static str) -> Self {
        self.run(name, 1)
    }

    pub(crate) fn run(mut self, name: &'static str, count: usize) -> Self {
        self.ready = Ready::Running(name, count);
        self
    }

    pub(crate) fn stop_signal(mut self, name: &'static str) -> Self {
        self.stop_signal = name;
        self
    }

    pub(crate) fn killed(mut self) -> Self {
        (self.verdict, self.ends) = (Verdict::Killed, false);
        self
    }

    /// It cannot be judged; this is what happens.
    pub(crate) fn unknown(mut self, ends: bool) -> Self {
        (self.verdict, self.ends) = (Verdict::Unknown, ends);
        self
    }

    /// So many processes in it are never told.
    pub(crate) fn unheard(mut self, count: usize) -> Self {
        self.unheard = count;
        self
    }

    pub(crate) fn says(mut self, words: &'static str) -> Self {
        self.says.push(words);
        self
    }

    /// It has a network of its own: a server, which takes a port.
    pub(crate) fn serves(mut self) -> Self {
        self.never_high = true;
        self.own_network()
    }

    pub(crate) fn own_network(mut self) -> Self {
        self.network = true;
        self
    }

    /// The container lacks a capability.
    pub(crate) fn without(mut self, capability: &'static str) -> Self {
        self.without = Some(capability);
        self
    }

    /// It is judged to end, and something of its own keeps it.
    pub(crate) fn but_stays(mut self) -> Self {
        self.ends = false;
        self
    }

    /// The program's own code decides, so it must not be said for sure.
    pub(crate) fn never_high(mut self) -> Self {
        self.never_high = true;
        self
    }

    /// The lines of a cure have these words.
    pub(crate) fn cured_by(mut self, words: &'static str) -> Self {
        self.cured_by.push(words);
        self
    }

    /// It lives in the PID namespace of another container.
    pub(crate) fn shares_pid_namespace(mut self) -> Self {
        self.shared = true;
        self
    }
}

/// Makes every case a container by each runtime, judges them all, then sends each its stop
/// signal and compares. What happened by the first is a row of the table.
pub(crate) fn compare(cases: impl IntoIterator<Item = Option<Case>>) {
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    for (nth, runtime) in Runtime::all().iter().enumerate() {
        if nth == 0 {
            table::agrees(&compare_by(runtime, &cases, SETTLES));
        } else {
            compare_by(runtime, &cases, Duration::ZERO);
        }
    }
}

/// The same by the first runtime that works here, for what does not hang on the runtime.
pub(crate) fn compare_once(cases: impl IntoIterator<Item = Option<Case>>) {
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    if let Some(runtime) = require(Runtime::any()) {
        table::agrees(&compare_by(&runtime, &cases, SETTLES));
    }
}

/// What was judged of one, and what happened.
pub(crate) struct Happened {
    pub(crate) name: Cow<'static, str>,
    /// What it was started as.
    pub(crate) program: String,
    pub(crate) signal: &'static str,
    pub(crate) judged: ExitSignal,
    /// Seconds to its end; `None` if it stayed.
    pub(crate) seconds: Option<f64>,
}

fn compare_by(runtime: &Runtime, cases: &[Case], settles: Duration) -> Vec<Happened> {
    let host = tempfile::tempdir().unwrap();
    let pause = cases.iter().any(|case| case.shared).then(|| {
        let forever = Program::system(["/bin/sleep", "infinity"]);
        Container::builder(runtime).start(&forever)
    });
    let started: Vec<(&Case, Container)> = cases
        .iter()
        .map(|case| {
            let mut builder = Container::builder(runtime).layout(Layout::Docker);
            if let Some(pause) = pause.as_ref().filter(|_| case.shared) {
                builder = builder.in_pid_namespace_of(pause.pid());
            }
            if case.network {
                builder = builder.own_network();
            }
            if let Some(capability) = case.without {
                builder = builder.without(capability);
            }
            let container = builder.start(&case.program);
            docker_knows(&host, container.id(), case.stop_signal);
            (case, container)
        })
        .collect();
    for (case, container) in &started {
        let ready = || is_ready(case, container).then_some(());
        wait_for(container, &case.name, ready);
    }
    std::thread::sleep(settles);
    let judged = judge(&host);
    for (case, container) in &started {
        is_as_expected(case, find(&judged, container), runtime.name());
    }
    let sent = Instant::now();
    for (case, container) in &started {
        let number = signal::number(case.stop_signal).unwrap();
        let number = Signal::from_named_raw(i32::from(number)).unwrap();
        let pid = i32::try_from(container.pid()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), number).unwrap();
    }
    let ended = ends_of(&started, sent);
    started
        .iter()
        .zip(ended)
        .map(|((case, container), seconds)| {
            let judged = find(&judged, container).clone();
            assert_eq!(
                seconds.is_some(),
                case.ends,
                "{} by {}: {judged:#?} {}",
                case.name,
                runtime.name(),
                container.output()
            );
            Happened {
                name: case.name.clone(),
                program: case.program.argv[0].clone(),
                signal: case.stop_signal,
                judged,
                seconds,
            }
        })
        .collect()
}

/// When each ended. Those that are to end are waited for, the others as long as `STAYS`.
fn ends_of(started: &[(&Case, Container)], sent: Instant) -> Vec<Option<f64>> {
    let mut ended = vec![None; started.len()];
    loop {
        for ((_, container), ended) in started.iter().zip(&mut ended) {
            if ended.is_none() && has_ended(container) {
                *ended = Some(sent.elapsed().as_secs_f64());
            }
        }
        let missing = started
            .iter()
            .zip(&ended)
            .any(|((case, _), ended)| case.ends && ended.is_none());
        let waited = sent.elapsed();
        if waited > PATIENCE || (waited > STAYS && !missing) {
            return ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Until it is ready; tells what it printed where that never comes.
fn wait_for(container: &Container, what: &str, mut ready: impl FnMut() -> Option<()>) {
    let start = Instant::now();
    while ready().is_none() {
        assert!(
            start.elapsed() < PATIENCE,
            "{what} does not get ready; it printed: {}",
            container.output()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Docker's file about a container, as the audit reads it.
fn docker_knows(host: &TempDir, id: &str, stop_signal: &str) {
    let dir = host.path().join("var/lib/docker/containers").join(id);
    fs::create_dir_all(&dir).unwrap();
    let text = format!(
        r#"{{"Name":"/x","Config":{{"StopSignal":"{stop_signal}","StopTimeout":7,"Labels":null}}}}"#
    );
    fs::write(dir.join("config.v2.json"), text).unwrap();
}

fn is_ready(case: &Case, container: &Container) -> bool {
    match case.ready {
        Ready::Line => container.output().lines().any(|line| line == "ready"),
        Ready::Running(name, count) => {
            let running = below(container.pid())
                .into_iter()
                .filter(|pid| {
                    // In the midst of an exec it has the name and no arguments yet.
                    fs::read_to_string(format!("/proc/{pid}/comm"))
                        .is_ok_and(|comm| comm.trim_end() == name)
                        && fs::read(format!("/proc/{pid}/cmdline"))
                            .is_ok_and(|line| !line.is_empty())
                })
                .count();
            running >= count
        }
    }
}

/// A process and all that descends from it.
fn below(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    for child in live_children_of(pid) {
        all.extend(below(child));
    }
    all
}

/// A container by hand in the machine's PID namespace: nothing marks it but the file of its runtime.
/// The lab's have a cgroup that marks them, so a plain process stands in for one: in the file that
/// the runtime really wrote.
#[test]
fn one_that_nothing_marks_is_found() {
    for runtime in Runtime::all() {
        let forever = Program::system(["/bin/sleep", "1000"]);
        let container = Container::builder(&runtime).host_pid().start(&forever);
        let (file, pid_key, start_key) = match runtime.name() {
            "crun" => ("status", "pid", "process-start-time"),
            _ => ("state.json", "init_process_pid", "init_process_start"),
        };
        let kept = fs::read(container.kept_by_runtime().join(file)).unwrap();
        let mut kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        let (pid, start) = identity(container.pid()).unwrap();
        assert_eq!(
            (&kept[pid_key], &kept[start_key]),
            (&pid.into(), &start.into())
        );

        let process = Running::start(Command::new("/bin/sleep").arg("1000"));
        let (pid, start) = identity(process.pid()).unwrap();
        let host = tempfile::tempdir().unwrap();
        let find = || {
            let judged = judge(&host);
            judged.into_iter().find(|found| found.main.id.pid == pid)
        };
        assert!(find().is_none(), "{}", runtime.name());
        let dir = host.path().join("run").join(runtime.name()).join("by-hand");
        fs::create_dir_all(&dir).unwrap();
        let mut keep = |start: u64| {
            (kept[pid_key], kept[start_key]) = (pid.into(), start.into());
            fs::write(dir.join(file), kept.to_string()).unwrap();
        };
        keep(start);
        let found = find().unwrap_or_else(|| panic!("{} is not found", runtime.name()));
        assert_eq!(
            (found.container.id.as_str(), found.verdict),
            ("by-hand", Verdict::Ends)
        );
        // The pid of another.
        keep(start + 1);
        assert!(find().is_none(), "{}", runtime.name());
    }
}

fn judge(host: &TempDir) -> Vec<ExitSignal> {
    let mut scanner = Scanner::new(Roots {
        host: host.path().to_owned(),
        ..Roots::default()
    })
    .unwrap();
    let found = audit::containers(&mut scanner, &[], |_, _| true).unwrap();
    found.exit_signals
}

fn find<'a>(judged: &'a [ExitSignal], container: &Container) -> &'a ExitSignal {
    let found = judged.iter().find(|e| e.container.id == container.id());
    found.unwrap_or_else(|| panic!("{} is not judged: {judged:#?}", container.id()))
}

fn is_as_expected(case: &Case, found: &ExitSignal, runtime: &str) {
    let what = || format!("{} by {runtime}: {found:#?}", case.name);
    assert_eq!(found.verdict, case.verdict, "{}", what());
    assert_eq!(found.stop_signal.name, case.stop_signal, "{}", what());
    assert_eq!(found.grace.as_ref().unwrap().seconds, 7, "{}", what());
    assert_eq!(found.unheard.len(), case.unheard, "{}", what());
    assert_eq!(found.shared_pid_namespace, case.shared, "{}", what());
    if case.verdict != Verdict::Ends {
        assert!(!found.cures.is_empty(), "no cure for {}", what());
    }
    assert!(
        !case.never_high || found.confidence < Confidence::High,
        "too sure of {}",
        what()
    );
    for words in &case.cured_by {
        let lines = found.cures.iter().filter_map(|cure| cure.code.as_deref());
        let mut lines = lines.map(|line| line.contains(words));
        assert!(
            lines.any(|found| found),
            "no cure with '{words}': {}",
            what()
        );
    }
    for words in &case.says {
        let said = found.facts.iter().chain([&found.summary]);
        let mut said = said.map(|line| line.contains(words));
        assert!(said.any(|said| said), "not '{words}': {}", what());
    }
}

fn has_ended(container: &Container) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", container.pid()));
    let state = stat.ok().and_then(|stat| {
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.chars().next()
    });
    state.is_none_or(|state| matches!(state, 'Z' | 'X'))
}

/// A program of the system; a skip with its reason where it is not there.
pub(crate) fn program(path: &'static str) -> Option<&'static str> {
    require(if Path::new(path).exists() {
        Ok(path)
    } else {
        Err(Skip(format!("{path} is not there")))
    })
}

/// A file beside this test.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/audit/programs")
        .join(name)
}
