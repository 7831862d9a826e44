//! Programs that do real work and check it while their zombies are taken, and while the reaper
//! is killed. `SEXTON_TORTURE_ROUNDS` sets the number of rounds a language (60).
//!
//! Long, so ignored; `make torture` runs it with the other.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

mod actors;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use actors::{Actor, Dice, example};

#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn python() {
    let Some(python) = find(&["python3"]) else {
        return;
    };
    torture("Python", Command::new(python).arg(source("leak.py")), false);
}

#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn go() {
    let Some(go) = find(&["go", "/usr/local/go/bin/go"]) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("leak");
    let built = Command::new(go)
        .args(["build", "-o"])
        .arg(&program)
        .arg(source("leak.go"))
        .env("GO111MODULE", "off")
        .status()
        .expect("go starts");
    assert!(built.success());
    torture("Go", &mut Command::new(program), false);
}

#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn node() {
    let Some(node) = find(&["node"]) else {
        return;
    };
    torture("Node", as_pid_1(&node).arg(source("leak.js")), true);
}

#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn java() {
    let Some(java) = find(&["java"]) else {
        return;
    };
    torture("Java", as_pid_1(&java).arg(source("Leak.java")), true);
}

fn torture(language: &str, command: &mut Command, is_pid_1: bool) {
    // SAFETY: always succeeds.
    if is_pid_1 && unsafe { libc::geteuid() } != 0 {
        println!("SKIP: {language} as PID 1 needs root");
        return;
    }
    let rounds = std::env::var("SEXTON_TORTURE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(60);
    let mut holder = Actor::start_command(command);
    if is_pid_1 {
        holder.pid = only_child(holder.process_id());
    }
    let mut dice = Dice::new(7);
    let (mut taken, mut killed) = (0, 0);
    for round in 0..rounds {
        holder.await_zombies(10);
        let before = holder.zombies();
        let mut reaper = Command::new(example("reaper"))
            .arg(holder.pid.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the reaper starts");
        if round % 3 != 0 {
            thread::sleep(Duration::from_micros(dice.below(15_000)));
            killed += u32::from(matches!(reaper.try_wait(), Ok(None)));
            let _ = reaper.kill();
        }
        let _ = reaper.wait();
        let after = holder.zombies();
        taken += before.iter().filter(|pid| !after.contains(pid)).count();
        assert!(holder.is_well(), "{language}: ended in round {round}");
    }
    let said = holder.end().expect("every language is there by now");
    println!("{language}: {rounds} rounds, {killed} reapers killed, {taken} taken; {said}");
    assert!(taken > 0);
}

fn as_pid_1(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child"])
        .arg(program);
    command
}

fn only_child(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children
        .ok()
        .and_then(|children| children.split_whitespace().next()?.parse().ok())
        .expect("unshare has one child")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/holders")
        .join(name)
}

/// The first of `names` that runs here.
fn find(names: &[&str]) -> Option<PathBuf> {
    let found = names.iter().find(|name| {
        let argument = if name.ends_with("go") {
            "version"
        } else {
            "--version"
        };
        Command::new(name).arg(argument).output().is_ok()
    });
    if found.is_none() {
        println!("SKIP: no {} on this machine", names[0]);
    }
    found.map(PathBuf::from)
}
