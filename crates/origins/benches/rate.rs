//! What a program loses while it is watched: `cargo bench -p sexton-origins`.
//!
//! The same program that the torture has, 200 forks a second and as many as it can, without a
//! watch and with one, in turn.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say where"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sexton_origins::Watch;
use sexton_scan::proc::Proc;

const TIME: Duration = Duration::from_secs(5);
const TURNS: u32 = 3;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("forker");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/forker.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-pthread", "-o"])
        .args([&program, &source]);
    if !gcc.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no gcc here");
        return;
    }
    // Two threads: each waits 10 ms, which makes about 200 forks a second.
    for (name, pace) in [
        ("200 forks a second", "10000"),
        ("as many forks as it can", "0"),
    ] {
        let (mut without, mut with) = (0, 0);
        for _ in 0..TURNS {
            without += forks(&program, pace, false);
            with += forks(&program, pace, true);
        }
        let seconds = u64::from(TURNS) * TIME.as_secs();
        println!(
            "{name}: {} a second without a watch, {} with one: {} %",
            without / seconds,
            with / seconds,
            with * 100 / without.max(1)
        );
    }
}

/// How many children the program has in [`TIME`].
fn forks(program: &Path, pace: &str, watched: bool) -> u64 {
    let mut command = Command::new(program);
    let child = command.arg(pace).stdout(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + TIME;
    let proc = Proc::open(Path::new("/proc")).unwrap();
    if watched {
        std::thread::sleep(Duration::from_millis(20));
        let process = proc.process(child.id()).unwrap().unwrap();
        let mut watch = Watch::start(&process).unwrap();
        while Instant::now() < end {
            watch.wait(Duration::from_millis(50));
            watch.births(&process);
        }
    } else {
        std::thread::sleep(TIME);
    }
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap()
}
