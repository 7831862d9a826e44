//! Policies that are no files, or that are bombs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sexton_lab::wait_until;

use crate::agent::{Place, SEXTON};

const GOOD: &str = "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {name: good}\n\
                    spec: {selector: {namespaces: [no-such]}}\n";

fn check(path: &Path) -> Output {
    let mut command = Command::new(SEXTON);
    command.args(["policy", "check"]).arg(path);
    command.output().unwrap()
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 9].join(", "));
    }
    text
}

#[test]
fn what_is_no_regular_file_is_said_to_be_none() {
    let place = Place::new();
    let fifo = place.path().join("fifo.yaml");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let socket = place.path().join("socket.yaml");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [
        &fifo,
        &socket,
        Path::new("/dev/zero"),
        Path::new("/dev/tty"),
    ] {
        let output = check(path);
        assert_eq!(output.status.code(), Some(2), "{}", path.display());
        let said = String::from_utf8_lossy(&output.stdout);
        // A test run may have no terminal.
        assert!(
            said.contains("not a regular file") || path.ends_with("tty"),
            "{said}"
        );
    }
}

#[test]
fn bombs_are_told_in_one_line() {
    let place = Place::new();
    for (name, text) in [
        ("bomb", bomb()),
        ("deep", format!("a: {}", "[".repeat(500_000))),
        ("wide", "- a\n".repeat(200_000)),
        ("many", "a: 1\n---\n".repeat(100_000)),
        (
            "long",
            format!("a: &a {}\nb: [{}]", "x".repeat(900_000), "*a, ".repeat(90)),
        ),
    ] {
        let file = place.path().join("p.yaml");
        fs::write(&file, text).unwrap();
        let output = check(&file);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.len() < 4_000, "{name}: {said}");
        assert!(said.contains("p.yaml:"), "{name}: {said}");
    }
}

#[test]
fn a_good_policy_stays_in_force_while_its_folder_turns_hostile() {
    let place = Place::new();
    place.policy("good", GOOD);
    let agent = place.agent();
    agent.says("following");
    place.policy("bomb", &bomb());
    agent.says("those before stay in force");
    let folder = place.policies();
    fs::remove_file(folder.join("bomb.yaml")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(folder.join("f.yaml"))
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink(&folder, folder.join("loop.yaml")).unwrap();
    agent.looks(2);
    wait_until("the good one is shown", || {
        agent.get("/").1.contains("good.yaml").then_some(())
    });
}
