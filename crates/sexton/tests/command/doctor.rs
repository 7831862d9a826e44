//! `sexton doctor`, with and without what it asks for.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sexton_lab::{Container, Layout, Program, Runtime, Skip, program::find, require};

use crate::sexton::{Answer, SEXTON, answer, sexton, validates};
use crate::unprivileged::Nobody;

const CAPABILITIES: [&str; 4] = [
    "CAP_SYS_PTRACE",
    "CAP_DAC_OVERRIDE",
    "CAP_KILL",
    "CAP_IPC_LOCK",
];

/// The check of that name.
#[track_caller]
fn check<'a>(document: &'a Value, name: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("checks is a list");
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no check {name}: {document:#}"))
}

/// The document, which must be as promised and agree with the exit status.
#[track_caller]
fn document(answer: &Answer) -> Value {
    let document = answer.json();
    validates("doctor", &document);
    let checks = document["checks"].as_array().expect("checks is a list");
    let has = |status: &str| checks.iter().any(|check| check["status"] == status);
    let status = match (has("failed"), has("warning")) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    assert_eq!(answer.status, status, "{document:#}");
    for check in checks {
        let advised = check["advice"].is_string();
        assert_eq!(advised, check["status"] != "ok", "{check:#}");
    }
    document
}

#[test]
fn a_real_reap_is_the_last_line() {
    let document = document(&sexton(["doctor", "-o", "json"]));
    let last = document["checks"].as_array().and_then(|all| all.last());
    let last = last.expect("there are checks");
    assert_eq!(last["name"], "real reap");
    if rustix::process::geteuid().is_root() {
        assert_eq!(last["status"], "ok", "{document:#}");
    }
    let text = sexton(["doctor"]).stdout;
    assert!(text.contains("real reap: 3 zombies"), "{text}");
}

#[test]
fn without_rights_each_missing_capability_is_named_with_its_purpose() {
    let Some(nobody) = Nobody::new() else { return };
    let document = document(&nobody.runs(["doctor", "-o", "json"]));
    for name in CAPABILITIES {
        let check = check(&document, name);
        assert_eq!(check["status"], "warning", "{check:#}");
        assert!(check["found"].as_str().is_some_and(|it| it.contains("to ")));
    }
    assert_eq!(check(&document, "audit log")["status"], "warning");
}

#[test]
fn one_missing_capability_is_the_only_one_named() {
    if !rustix::process::geteuid().is_root() {
        require::<()>(Err(Skip("only root has a capability to drop".to_owned())));
        return;
    }
    let setpriv = find("setpriv").ok_or_else(|| Skip("there is no setpriv(1)".to_owned()));
    let Some(setpriv) = require(setpriv) else {
        return;
    };
    let mut command = Command::new(setpriv);
    command.args(["--inh-caps=-kill", "--bounding-set=-kill", "--", SEXTON]);
    let document = document(&answer(command.args(["doctor", "-o", "json"])));
    for name in CAPABILITIES {
        let missing = name == "CAP_KILL";
        let status = if missing { "warning" } else { "ok" };
        assert_eq!(check(&document, name)["status"], status, "{name}");
    }
}

#[test]
fn a_proc_that_hides_what_is_no_process_fails() {
    if !rustix::process::geteuid().is_root() {
        require::<()>(Err(Skip("only root may mount a /proc".to_owned())));
        return;
    }
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    let script = format!(
        "mount -t proc -o subset=pid proc {0} && exec {SEXTON} --path-procfs {0} doctor -o json",
        dir.path().display()
    );
    // The mount is gone with the namespace.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-c", &script]);
    let answer = answer(&mut command).expect(2);
    let document = document(&answer);
    assert_eq!(check(&document, "/proc")["status"], "failed");
}

#[test]
fn in_a_container_without_the_nodes_pids_it_says_so() {
    let directory = Path::new(SEXTON).parent().expect("it is in a directory");
    for runtime in Runtime::all() {
        let container = Container::builder(&runtime)
            .layout(Layout::Crio)
            .privileged()
            .bind(directory)
            .start(&Program::system(["/bin/sleep", "1000"]));
        let output = container.exec(&[SEXTON, "doctor", "-o", "json"]);
        let answer = Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        let document = document(&answer);
        let namespace = check(&document, "PID namespace");
        assert_eq!(namespace["status"], "warning", "{}", runtime.name());
    }
}
