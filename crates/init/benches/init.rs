//! Size, memory, wake-ups, start, signals and reaping, beside tini, dumb-init and catatonit in
//! the same minute. `cargo bench --profile init -p sexton-init`; needs root, or user namespaces.
//!
//! Debian's packages are measured where they are installed. Builds with musl are what the
//! aims are set by: `benches/musl-rivals.sh DIRECTORY` makes them, and
//! SEXTON_INIT_MUSL_RIVALS=DIRECTORY has them measured.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on has failed"
)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// So many of the columns are ours.
const OURS: usize = 2;
const SPAWNS: usize = 400;
const SIGNALS: usize = 2_000;
const ORPHANS: usize = 20_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("answer-signals") => answer_signals(),
        Some("make-orphans") => make_orphans(args[2].parse().unwrap()),
        _ if args.iter().any(|arg| arg == "--bench") => bench(),
        _ => println!("SKIP: this is a benchmark: cargo bench --profile init -p sexton-init"),
    }
}

struct Init {
    name: &'static str,
    path: PathBuf,
}

fn inits() -> Vec<Init> {
    let ours = Path::new(env!("CARGO_BIN_EXE_sexton-init"));
    // Like for like: what dumb-init does not do costs nothing under its name.
    let link = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dumb-init");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(ours, &link).unwrap();
    let mut all = vec![
        Init {
            name: "sexton-init",
            path: ours.to_owned(),
        },
        Init {
            name: "as dumb-init",
            path: link,
        },
    ];
    for name in ["tini", "tini-static", "dumb-init", "catatonit"] {
        all.push(Init {
            name,
            path: Path::new("/usr/bin").join(name),
        });
    }
    match std::env::var_os("SEXTON_INIT_MUSL_RIVALS") {
        Some(directory) => {
            for name in ["tini-musl", "dumb-init-musl"] {
                all.push(Init {
                    name,
                    path: Path::new(&directory).join(name),
                });
            }
        }
        None => println!("SKIP: builds with musl (see benches/musl-rivals.sh)"),
    }
    all.retain(|init| {
        let there = init.path.exists();
        if !there {
            println!("SKIP: {} is not installed", init.name);
        }
        there
    });
    all
}

/// One figure of every init; less is better.
struct Row {
    what: &'static str,
    unit: &'static str,
    figures: Vec<f64>,
}

fn bench() {
    let inits = inits();
    let rows = [
        row("file", "bytes", &inits, |init| {
            f64::from(u32::try_from(std::fs::metadata(&init.path).unwrap().len()).unwrap())
        }),
        row("memory as PID 1", "kB", &inits, |init| {
            let job = Job::start(init, &["sleep", "60"]);
            std::thread::sleep(Duration::from_millis(300));
            status(job.pid, "VmRSS")
                .trim_end_matches(" kB")
                .parse()
                .unwrap()
        }),
        wake_ups(&inits),
        spawn(&inits),
        signals(&inits),
        drain(&inits),
    ];
    println!(
        "\n{:24}{}",
        "",
        inits
            .iter()
            .map(|init| format!("{:>16}", init.name))
            .collect::<String>()
    );
    for row in rows {
        let best = row.figures[OURS..].iter().copied().reduce(f64::min);
        let figures: String = row
            .figures
            .iter()
            .map(|figure| format!("{:>16}", short(*figure)))
            .collect();
        let ratio = best
            .filter(|best| *best > 0.0)
            .map(|best| row.figures[0] / best);
        let ratio = ratio.map_or(String::new(), |ratio| {
            format!("   {ratio:.2} × the best rival")
        });
        println!(
            "{:24}{figures}{ratio}",
            format!("{}, {}", row.what, row.unit)
        );
    }
}

fn short(figure: f64) -> String {
    if figure < 100.0 && figure.fract() != 0.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.0}")
    }
}

fn row(
    what: &'static str,
    unit: &'static str,
    inits: &[Init],
    measure: impl Fn(&Init) -> f64,
) -> Row {
    Row {
        what,
        unit,
        figures: inits.iter().map(measure).collect(),
    }
}

/// Voluntary context switches of ten seconds, all inits in the same ten.
fn wake_ups(inits: &[Init]) -> Row {
    let jobs: Vec<Job> = inits
        .iter()
        .map(|init| Job::start(init, &["sleep", "60"]))
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let count = |job: &Job| -> f64 { status(job.pid, "voluntary_ctxt_switches").parse().unwrap() };
    let before: Vec<f64> = jobs.iter().map(count).collect();
    std::thread::sleep(Duration::from_secs(10));
    let figures = jobs
        .iter()
        .zip(before)
        .map(|(job, before)| count(job) - before)
        .collect();
    Row {
        what: "wake-ups at rest",
        unit: "in 10 s",
        figures,
    }
}

/// From fork to the end of `init true`, each init in turn.
fn spawn(inits: &[Init]) -> Row {
    let mut times = vec![Vec::new(); inits.len()];
    for _ in 0..SPAWNS {
        for (init, times) in inits.iter().zip(&mut times) {
            let mut command = Command::new(&init.path);
            command
                .args(["--", "/bin/true"])
                .stderr(Stdio::null())
                .env("TINI_SUBREAPER", "");
            let start = Instant::now();
            assert!(command.status().unwrap().success());
            times.push(start.elapsed());
        }
    }
    let figures = times.into_iter().map(median).collect();
    Row {
        what: "start and end, p50",
        unit: "µs",
        figures,
    }
}

/// From kill(2) to the answer of the main process, each init in turn, all on one processor,
/// so that none is lucky with its neighbours.
fn signals(inits: &[Init]) -> Row {
    pin(true);
    let itself = std::env::current_exe().unwrap();
    let mut jobs: Vec<Job> = inits
        .iter()
        .map(|init| Job::start(init, &[itself.to_str().unwrap(), "answer-signals"]))
        .collect();
    let mut times = vec![Vec::new(); jobs.len()];
    let mut byte = [0];
    jobs.iter_mut()
        .for_each(|job| job.out.read_exact(&mut byte).unwrap());
    for _ in 0..SIGNALS {
        for (job, times) in jobs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            send(job.pid, libc::SIGUSR1);
            job.out.read_exact(&mut byte).unwrap();
            times.push(start.elapsed());
        }
    }
    pin(false);
    let figures = times.into_iter().map(median).collect();
    Row {
        what: "signal and answer, p50",
        unit: "µs",
        figures,
    }
}

fn answer_signals() {
    // SAFETY: plain libc calls on local values.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let mut signal = 0;
        while libc::write(1, c"x".as_ptr().cast(), 1) == 1 {
            libc::sigwait(&raw const set, &raw mut signal);
        }
    }
}

/// Stops init, lets all its orphans die, and takes the processor time that it then needs to
/// reap them: the machine has other work. Each init in turn, the best of five.
fn drain(inits: &[Init]) -> Row {
    // Twenty thousand is most of what a machine may have: one storm at a time.
    let lock = std::fs::File::create(std::env::temp_dir().join("sexton-storm.lock")).unwrap();
    lock.lock().unwrap();
    let mut figures = vec![f64::MAX; inits.len()];
    for _ in 0..5 {
        for (init, best) in inits.iter().zip(&mut figures) {
            *best = f64::min(*best, drain_once(init));
        }
    }
    Row {
        what: "reaping 20,000 orphans",
        unit: "ms",
        figures,
    }
}

fn drain_once(init: &Init) -> f64 {
    let itself = std::env::current_exe().unwrap();
    let mut job = Job::start(
        init,
        &[
            itself.to_str().unwrap(),
            "make-orphans",
            &ORPHANS.to_string(),
        ],
    );
    job.out.read_exact(&mut [0]).unwrap();
    wait_for(|| children(job.pid).len() == ORPHANS + 1);
    send(job.pid, libc::SIGSTOP);
    wait_for(|| state(job.pid) == Some('T'));
    job.input.write_all(b"x").unwrap();
    let orphans = children(job.pid)[1..].to_vec();
    wait_for(|| orphans.iter().all(|orphan| state(*orphan) == Some('Z')));
    let before = processor_time(job.pid);
    send(job.pid, libc::SIGCONT);
    wait_for(|| children(job.pid).len() == 1);
    processor_time(job.pid) - before
}

/// Milliseconds on a processor (/proc/PID/schedstat, its first figure, in nanoseconds).
fn processor_time(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e6
}

/// Forks them in a process that dies, so that init gets them, alive; they die when told.
fn make_orphans(count: usize) {
    // SAFETY: this process has no threads; only async-signal-safe calls follow the forks.
    unsafe {
        let mut gate = [0; 2];
        libc::pipe(gate.as_mut_ptr());
        if libc::fork() == 0 {
            for _ in 0..count {
                if libc::fork() == 0 {
                    libc::close(gate[1]);
                    libc::read(gate[0], [0u8; 1].as_mut_ptr().cast(), 1);
                    libc::_exit(0);
                }
            }
            libc::_exit(0);
        }
        libc::wait(std::ptr::null_mut());
        libc::write(1, c"x".as_ptr().cast(), 1);
        libc::read(0, [0u8; 1].as_mut_ptr().cast(), 1);
        libc::close(gate[1]);
        libc::sleep(600);
    }
}

/// An init as PID 1 of its namespace; killed with it when dropped.
struct Job {
    child: Child,
    pid: u32,
    input: ChildStdin,
    out: ChildStdout,
}

impl Job {
    fn start(init: &Init, args: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        // SAFETY: takes nothing and cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg(&init.path).arg("--").args(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        wait_for(|| !children(child.id()).is_empty());
        let pid = children(child.id())[0];
        wait_for(|| !children(pid).is_empty());
        Self {
            child,
            pid,
            input,
            out,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        send(self.pid, libc::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn send(pid: u32, signal: i32) {
    // SAFETY: the pid is that of a process below this one that has not been waited for.
    unsafe { libc::kill(i32::try_from(pid).unwrap(), signal) };
}

/// Keeps this process and what it starts on one processor, or lets them go.
fn pin(one: bool) {
    // SAFETY: plain libc calls on a local value.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        (0..if one { 1 } else { 1024 }).for_each(|cpu| libc::CPU_SET(cpu, &mut set));
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    text.unwrap_or_default()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

fn status(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}
