//! `sexton explain --trace`: the line that leaks is named, and no other is blamed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use sexton_lab::{Container, Program, require, wait_until, zombies_of};

use crate::sexton::{leak_of, sexton, validates};
use crate::situation::runtime;

/// Ends the program also when the test panics; its zombies go with it.
struct Started(Child);

impl Started {
    /// Runs a command until it has zombies.
    fn leaking(command: &mut Command) -> Self {
        let started = Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("it was built"),
        );
        let pid = started.0.id().to_string();
        for _ in 0..600 {
            let seen = sexton(["scan", "--pid", &pid, "-o", "name"]);
            if seen.status == 1 {
                return started;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("process {pid} has no zombies");
    }

    /// The places that a trace of the program finds.
    fn trace(&self, time: &str) -> Vec<Value> {
        let pid = self.0.id();
        let args = ["explain", &pid.to_string(), "--allow-host"].map(str::to_owned);
        let more = ["--sample", "0", "--trace", time, "-o", "json"].map(str::to_owned);
        let report = sexton(args.iter().chain(&more).map(String::as_str)).expect(0);
        let report = report.json();
        validates("report", &report);
        let leak = leak_of(&report, pid);
        let places = leak["origins"].as_array();
        places
            .unwrap_or_else(|| panic!("no places: {leak:#}"))
            .clone()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether perf is for us; says so where not.
fn may_trace() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: to watch forks, root's rights are needed");
    }
    root
}

/// The place at a line of a file, and how many children it started, and how many stand.
#[track_caller]
fn at(places: &[Value], file: &str, line: u64) -> (u64, u64) {
    let is = |place: &&Value| {
        let first = &place["calls"][0];
        let named = first["file"]
            .as_str()
            .is_some_and(|path| path.ends_with(file));
        place["known"] == true && named && first["line"] == line
    };
    let place = places.iter().find(is);
    let place = place.unwrap_or_else(|| panic!("no {file}:{line}: {places:#?}"));
    let count = |name: &str| place[name].as_u64().expect("a count");
    (count("started"), count("standing"))
}

const GO: &str = r#"package main

import (
	"os/exec"
	"time"
)

func behaves() {
	exec.Command("/bin/true").Run()
}

func leaks() {
	exec.Command("/bin/true").Start()
}

func main() {
	for {
		behaves()
		leaks()
		time.Sleep(100 * time.Millisecond)
	}
}
"#;

/// The program above without symbols; `None` where there is no Go.
fn go_program(dir: &Path) -> Option<Command> {
    std::fs::write(dir.join("go.mod"), "module example.test/leak\ngo 1.18\n").expect("written");
    std::fs::write(dir.join("leak.go"), GO).expect("written");
    let build = Command::new("go")
        .args(["build", "-p", "1", "-ldflags=-s -w", "-o", "leak"])
        .current_dir(dir)
        .env("CGO_ENABLED", "0")
        .status();
    let Ok(built) = build else {
        eprintln!("skipped: there is no Go here");
        return None;
    };
    assert!(built.success());
    Some(Command::new(dir.join("leak")))
}

#[test]
fn the_line_of_a_stripped_go_program_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(mut program) = go_program(dir.path()).filter(|_| may_trace()) else {
        return;
    };
    let started = Started::leaking(&mut program);
    let pid = started.0.id().to_string();

    let refused = sexton(["explain", &pid, "--trace", "1s"]).expect(2);
    assert!(refused.stderr.contains("--allow-host"), "{refused:?}");

    let places = started.trace("5s");
    let (leaked, standing) = at(&places, "leak.go", 13);
    assert!(leaked > 0 && standing > 0, "{places:#?}");
    let (behaved, standing) = at(&places, "leak.go", 9);
    assert!(behaved > 0 && standing == 0, "{places:#?}");
    assert_eq!(at(&places[..1], "leak.go", 13).0, leaked, "it is the first");

    let args = [
        "explain",
        &pid,
        "--sample",
        "0",
        "--trace",
        "3s",
        "--allow-host",
    ];
    let told = sexton(args).expect(0).stdout;
    assert!(told.contains("started at"), "{told}");
    assert!(told.contains("leak.go:13 in main.leaks"), "{told}");
}

#[test]
fn the_line_of_a_python_program_in_a_container_is_named() {
    let Some(runtime) = runtime().filter(|_| may_trace()) else {
        return;
    };
    let Some(program) = require(Program::python_story(0, 100)) else {
        return;
    };
    let container = Container::builder(&runtime)
        .pids_limit(5_000)
        .start(&program);
    container.wait_for_line(0, |line| line == "3 ok");
    let target = format!("container/{}", container.id());
    let args = ["explain", &target, "--sample", "0", "--trace", "6s"];

    let report = sexton(args.into_iter().chain(["-o", "json"])).expect(0);
    let report = report.json();
    validates("report", &report);
    let leak = leak_of(&report, container.pid());
    let places = leak["origins"].as_array().expect("places");
    let known: Vec<_> = places.iter().filter(|p| p["known"] == true).collect();
    let [place] = known.as_slice() else {
        panic!("one place starts them all: {places:#?}");
    };
    let first = &place["calls"][0];
    let file = first["file"].as_str().unwrap_or_default();
    assert!(file.ends_with("main.py"), "{place:#}");
    assert!(place["standing"].as_u64() > Some(0), "{place:#}");
    assert!(says(leak, "were started by it: Sexton watched"), "{leak:#}");
    assert!(!says(leak, "they were not among them"), "{leak:#}");
}

/// Of an interpreter nothing but its own calls is seen, and all children come from the same.
#[test]
fn an_interpreters_calls_are_no_place_in_the_program() {
    let ruby = Path::new("/usr/bin/ruby");
    if !ruby.exists() || !may_trace() {
        eprintln!("skipped: there is no {} here", ruby.display());
        return;
    }
    let script = "loop { spawn('/bin/true'); sleep 0.1 }";
    let started = Started::leaking(Command::new(ruby).args(["-e", script]));
    let places = started.trace("3s");
    let known = places.iter().filter(|place| place["known"] == true);
    assert_eq!(known.count(), 0, "{places:#?}");
}

/// Whether a fact of the best cause has these words.
fn says(leak: &Value, words: &str) -> bool {
    let facts = leak["causes"][0]["facts"].as_array().expect("facts");
    let mut facts = facts.iter().filter_map(Value::as_str);
    facts.any(|fact| fact.contains(words))
}

/// It waits for each child that it starts, and not for those that these leave behind.
const ADOPTS: &str = r#"import subprocess, time
while True:
    subprocess.run(["/bin/sh", "-c", "sleep 0.1 & exit 0"])
    time.sleep(0.05)
"#;

#[test]
fn who_adopts_orphans_is_not_blamed() {
    let Some(runtime) = runtime().filter(|_| may_trace()) else {
        return;
    };
    let Some(mut program) = require(Program::python_story(0, 100)) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let script = dir.path().join("adopts.py");
    std::fs::write(&script, ADOPTS).expect("written");
    program.binds = vec![dir.path().to_owned()];
    program.argv.truncate(1);
    program.argv.push(script.display().to_string());
    let container = Container::builder(&runtime)
        .pids_limit(5_000)
        .start(&program);
    wait_until("an orphan has ended", || {
        (!zombies_of(container.pid()).is_empty()).then_some(())
    });
    let target = format!("container/{}", container.id());
    let args = [
        "explain", &target, "--sample", "0", "--trace", "5s", "-o", "json",
    ];

    let report = sexton(args).expect(0).json();
    let leak = leak_of(&report, container.pid());
    let places = leak["origins"].as_array().expect("places");
    let started: u64 = places.iter().filter_map(|p| p["started"].as_u64()).sum();
    let standing: u64 = places.iter().filter_map(|p| p["standing"].as_u64()).sum();
    assert!(started > 0 && standing == 0, "{places:#?}");
    assert!(says(leak, "they were not among them"), "{leak:#}");
    assert!(!says(leak, "were started by it"), "{leak:#}");
}
