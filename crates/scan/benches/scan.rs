//! What a scan costs, each time beside what it is measured against: `cargo bench -p sexton-scan`.
//!
//! Makes up to 25,000 processes, so it holds the lab's storm lock. Ratios are of medians of
//! runs that alternate, so that both sides meet the same machine.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
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
    let herds = |containers: usize, processes: usize| -> Option<Vec<(Running, Cgroup)>> {
        let each = processes / containers - 1;
        (0..containers)
            .map(|_| {
                let cgroup = require(Cgroup::new("bench"))?;
                Some((herd(&cgroup, &tools.path("herd"), each), cgroup))
            })
            .collect()
    };
    let time = |containers, processes| {
        let _herds = herds(containers, processes)?;
        quiet_against_ps(&format!(
            "{containers} containers, {processes} live processes"
        ))
    };
    let Some(many) = time(CONTAINERS, LIVE) else {
        return;
    };
    // What does the time follow: containers or processes?
    if let Some(thin) = time(CONTAINERS, LIVE / 10) {
        println!(
            "  as many containers, a tenth of the processes: {:.2}x the time",
            ratio(thin, many)
        );
    }
    if let Some(few) = time(CONTAINERS / 10, LIVE) {
        println!(
            "  a tenth of the containers, as many processes: {:.2}x the time",
            ratio(few, many)
        );
    }
}

/// Median of quiet scans; `None` if the machine never was quiet.
fn quiet_against_ps(what: &str) -> Option<Duration> {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    // Those that the former herd left behind are waited for by this machine's PID 1.
    for _ in 0..300 {
        if scanner.scan(&Options::default()).unwrap().scan.method == Method::Quiet {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (mut quiet, mut disturbed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (time, report) = timed(|| scanner.scan(&Options::default()).unwrap());
        // Whoever else works on this machine forks, and leaves a zombie for a moment.
        if report.scan.method == Method::Quiet {
            quiet.push(time);
        } else {
            disturbed.push(time);
        }
        others.push(timed(|| run(PS)).0);
    }
    let ps = median(&mut others).unwrap();
    if let Some(time) = median(&mut disturbed) {
        println!(
            "  {} of {ROUNDS} scans were disturbed by forks or zombies of others: {time:.2?}, \
             {:.0}x faster",
            disturbed.len(),
            ratio(ps, time),
        );
    }
    let Some(time) = median(&mut quiet) else {
        println!("SKIP: quiet scan, {what}: this machine is never quiet");
        return None;
    };
    println!(
        "quiet scan, {what}: {time:.2?} against `{PS}` {ps:.1?}: {:.0}x faster (aim 50x)",
        ratio(ps, time),
    );
    Some(time)
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
    let (mut scans, mut disturbed, mut fulls) = (vec![], vec![], vec![]);
    let (mut loops, mut others) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let (time, report) = timed(|| scanner.scan(&Options::default()).unwrap());
        check(&report, &container);
        if report.scan.method == Method::Census {
            scans.push(time);
        } else {
            disturbed.push(time);
        }
        loops.push(tools.bare_loop());
        others.push(timed(|| run(PS)).0);
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
    let (bare, ps) = (median(&mut loops).unwrap(), median(&mut others).unwrap());
    println!(
        "{ZOMBIES} zombies in one container, attributed and grouped; getdents + open + read + \
         close in C {bare:.1?}, `{PS}` {ps:.1?}"
    );
    for (what, times) in [
        ("census (aims: 0.5x the loop, 0.1x ps)", &mut scans),
        (
            "census disturbed by others, so walked as well",
            &mut disturbed,
        ),
        ("--full, every zombie read in full", &mut fulls),
    ] {
        let count = times.len();
        if let Some(time) = median(times) {
            println!(
                "  {what}: {time:.1?}, {:.2}x the loop, {:.3}x ps ({count} scans)",
                ratio(time, bare),
                ratio(time, ps),
            );
        }
    }
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

fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
