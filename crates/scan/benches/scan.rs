//! What a scan costs, each time beside what it is measured against: `cargo bench -p sexton-scan`.
//!
//! Makes up to 25,000 processes, so it holds the lab's storm lock. Ratios are of medians of
//! runs that alternate, so that both sides meet the same machine.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say where"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sexton_core::Report;
use sexton_core::report::Method;
use sexton_lab::{Cgroup, Container, Program, Running, Runtime, Skip, require};
use sexton_scan::{Options, Roots, Scanner};

const CONTAINERS: usize = 100;
const LIVE: usize = 5_000;
const ZOMBIES: u64 = 25_000;
const ROUNDS: usize = 15;
const PS: &str = "ps -eo pid,ppid,stat,comm";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--memory") => return memory_of_one_scan(false),
        Some("--memory-full") => return memory_of_one_scan(true),
        // For a profiler.
        Some("--repeat") => {
            let mut scanner = Scanner::new(Roots::default()).unwrap();
            for _ in 0..500 {
                let _ = scanner.scan(&Options::default()).unwrap();
            }
            return;
        }
        _ => {}
    }
    let Some(tools) = require(Tools::build()) else {
        return;
    };
    let _alone = sexton_lab::storm_lock();
    quiet(&tools);
    census(&tools);
}

/// Two small C programs.
struct Tools {
    dir: tempfile::TempDir,
}

impl Tools {
    fn build() -> Result<Self, Skip> {
        let dir = tempfile::tempdir().unwrap();
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        for name in ["herd", "loop"] {
            let built = Command::new("gcc")
                .args(["-O2", "-o"])
                .arg(dir.path().join(format!("sexton-test-{name}")))
                .arg(benches.join(format!("{name}.c")))
                .status();
            if !built.is_ok_and(|status| status.success()) {
                return Err(Skip("no gcc to build what is measured against".to_owned()));
            }
        }
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("sexton-test-{name}"))
    }

    /// The bare loop's own time.
    fn bare_loop(&self) -> Duration {
        let output = Command::new(self.path("loop")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Duration::from_micros(text.split(' ').next().unwrap().parse().unwrap())
    }
}

fn quiet(tools: &Tools) {
    let mut herds = Vec::new();
    for _ in 0..CONTAINERS {
        let Some(cgroup) = require(Cgroup::new("bench")) else {
            return;
        };
        let herd = herd(&cgroup, &tools.path("herd"), LIVE / CONTAINERS - 1);
        herds.push((herd, cgroup));
    }
    let many = quiet_against_ps(&format!("{CONTAINERS} containers, {LIVE} live processes"));
    // Half of the containers, then half of the processes: what does the time follow?
    herds.truncate(CONTAINERS / 2);
    let half = quiet_against_ps(&format!("{} containers, {} live", CONTAINERS / 2, LIVE / 2));
    drop(herds);
    let mut herds = Vec::new();
    for _ in 0..CONTAINERS {
        let cgroup = Cgroup::new("bench").unwrap();
        herds.push((herd(&cgroup, &tools.path("herd"), 4), cgroup));
    }
    let thin = quiet_against_ps(&format!("{CONTAINERS} containers, {} live", CONTAINERS * 5));
    println!(
        "  a tenth of the processes in as many containers: {:.2}x the time; half of both: {:.2}x",
        ratio(thin, many),
        ratio(half, many),
    );
}

fn quiet_against_ps(what: &str) -> Duration {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let (mut scans, mut others) = (Vec::new(), Vec::new());
    let mut loud = 0;
    for _ in 0..ROUNDS {
        let (time, report) = timed(|| scanner.scan(&Options::default()).unwrap());
        // Others on the machine may leave a zombie for a moment: that scan was not quiet.
        if report.scan.method == Method::Quiet {
            scans.push(time);
        } else {
            loud += 1;
        }
        others.push(timed(|| run(PS)).0);
    }
    if scans.is_empty() {
        println!("quiet scan, {what}: there were zombies on this machine throughout");
        return Duration::ZERO;
    }
    let (scan, ps) = (median(scans), median(others));
    println!(
        "quiet scan, {what}: {scan:.2?} against `{PS}` {ps:.2?}: {:.0}x faster (aim 50x){}",
        ratio(ps, scan),
        if loud == 0 {
            String::new()
        } else {
            format!("; {loud} of {ROUNDS} scans met a zombie and were left out")
        },
    );
    scan
}

fn census(tools: &Tools) {
    let Some(runc) = require(Runtime::find("runc")) else {
        return;
    };
    let herd = tools.path("herd");
    let container = Container::builder(&runc).start(&Program {
        argv: vec![
            herd.to_str().unwrap().to_owned(),
            "zombies".to_owned(),
            ZOMBIES.to_string(),
        ],
        binds: vec![tools.dir.path().to_owned()],
    });
    container.wait_for_line(0, |line| line == "done");
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let (mut scans, mut fulls, mut loops, mut ps) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let (time, report) = timed(|| scanner.scan(&Options::default()).unwrap());
        check(&report, &container);
        assert_eq!(report.scan.method, Method::Census);
        scans.push(time);
        loops.push(tools.bare_loop());
        ps.push(timed(|| run(PS)).0);
        if fulls.len() < 3 {
            let full = Options {
                full: true,
                ..Options::default()
            };
            let (time, report) = timed(|| scanner.scan(&full).unwrap());
            check(&report, &container);
            fulls.push(time);
        }
    }
    let (scan, full, bare, ps) = (median(scans), median(fulls), median(loops), median(ps));
    println!(
        "census of {ZOMBIES} zombies in one container, attributed and grouped: {scan:.1?}\n  \
         against getdents + open + read + close in C {bare:.1?}: {:.2}x (aim 0.5x)\n  \
         against `{PS}` {ps:.1?}: {:.3}x (aim 0.1x)\n  \
         with --full, every zombie read: {full:.1?}, {:.2}x the loop",
        ratio(scan, bare),
        ratio(scan, ps),
        ratio(full, bare),
    );
    for flag in ["--memory", "--memory-full"] {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this).arg(flag).output().unwrap();
        print!("{}", String::from_utf8(output.stdout).unwrap());
    }
}

fn check(report: &Report, container: &Container) {
    let leak = &report.leaks[0];
    assert_eq!(leak.zombies, ZOMBIES);
    assert_eq!(leak.holder.id.pid, container.pid());
    assert_eq!(leak.container.as_ref().unwrap().id, container.id());
    let named: u64 = leak.commands.iter().map(|command| command.count).sum();
    assert_eq!(named, ZOMBIES);
}

/// Run in a process of its own, whose peak is then that of one scan.
fn memory_of_one_scan(full: bool) {
    let options = Options {
        full,
        ..Options::default()
    };
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let report = scanner.scan(&options).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let processes = scanner.proc().pids().unwrap().len();
    println!(
        "memory of a scan of {processes} processes, {} zombies{}: peak RSS {} (aim 12 MB at 30,000)",
        report.zombies,
        if full { ", --full" } else { "" },
        peak.trim(),
    );
}

/// `count` children that sleep, and their parent, in a cgroup.
fn herd(cgroup: &Cgroup, program: &Path, count: usize) -> Running {
    let mut herd = Running::start(
        cgroup
            .command(program)
            .args(["live", &count.to_string()])
            .stdout(Stdio::piped()),
    );
    let mut line = String::new();
    let stdout = herd.child().stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "done\n");
    herd
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    assert!(output.unwrap().status.success());
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let result = work();
    (begin.elapsed(), result)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
