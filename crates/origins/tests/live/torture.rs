//! kill -9 of the watcher at random moments, over a program that forks all the time in threads
//! while signals rain, and checks what comes of it. Its child processes execute programs, too.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sexton_origins::Watch;
use sexton_scan::proc::Proc;

/// What to watch, for the process that is killed.
const WATCHED: &str = "SEXTON_TEST_WATCHED";

/// No test: watches until it is killed.
#[test]
#[ignore = "a part of the torture, which starts it"]
fn watcher() {
    let Ok(pid) = std::env::var(WATCHED) else {
        return;
    };
    let proc = Proc::open(Path::new("/proc")).unwrap();
    let process = proc.process(pid.parse().unwrap()).unwrap().unwrap();
    let mut watch = Watch::start(&process).unwrap();
    let mut births = 0;
    loop {
        watch.wait(Duration::from_millis(50));
        births += watch.births(&process).len();
        if births > 3 {
            eprintln!("watched");
        }
    }
}

fn rounds(rounds: u64) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: to watch forks, root's rights are needed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/forker.c");
    let program = dir.path().join("forker");
    if crate::c::build("gcc", &["-O2", "-pthread"], &source, &program).is_none() {
        return;
    }
    let mut forker = Command::new(program);
    forker.args(["500", "signals"]).stdout(Stdio::piped());
    let forker = Ended(forker.spawn().unwrap());
    let pid = forker.0.id();
    std::thread::sleep(Duration::from_millis(200));
    let proc = Proc::open(Path::new("/proc")).unwrap();
    let process = proc.process(pid).unwrap().unwrap();
    let log = dir.path().join("log");
    let mut watched = 0;
    for round in 0..rounds {
        let output = std::fs::File::create(&log).unwrap();
        let mut watcher = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "torture::watcher"])
            .env(WATCHED, pid.to_string())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        // From before the first event is opened until well after some children.
        std::thread::sleep(Duration::from_micros(round * 7_919 % 61_000));
        watcher.kill().unwrap();
        watcher.wait().unwrap();
        watched += u64::from(std::fs::metadata(&log).unwrap().len() > 0);
        let status = process.read("status").unwrap().unwrap();
        let status = String::from_utf8_lossy(&status);
        assert!(status.contains("TracerPid:\t0\n"), "{status}");
    }
    println!("{rounds} rounds, {watched} of them with children seen");
    assert!(watched > 0, "the watcher was always killed too early");
    let id = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let mut forker = forker;
    let status = forker.0.wait().unwrap();
    assert!(status.success(), "the program was harmed: {status}");
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_watcher_does_no_harm() {
    rounds(40);
}

#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn a_thousand_killed_watchers_do_no_harm() {
    rounds(1_000);
}
