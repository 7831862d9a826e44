//! Killed, locked out, without a disk, with hanging neighbours.

use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::Signal;
use sexton_lab::{Container, Leak, Runtime, require, require_root, wait_until, zombies_of};

use crate::agent::{Agent, Place, SEXTON, request};
use crate::policies::leaking;

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";

fn entries(place: &Place, kind: &str) -> usize {
    let records = place.records();
    records.iter().filter(|line| line["entry"] == kind).count()
}

#[test]
fn killed_at_any_point_of_a_step_it_loses_no_record_and_does_nothing_twice() {
    for (point, left) in [
        ("after-intent", 12),
        ("after-action", 0),
        ("after-outcome", 0),
    ] {
        let Some(container) = leaking(12) else { return };
        let place = Place::new();
        // All twelve at once, when the last of them has been dead for long enough.
        let spec = format!("{ENFORCE}  threshold: {{minZombies: 12}}\n");
        place.covers("take", &container, &spec);
        let mut command = place.command();
        command.env("SEXTON_FAULT", point);
        let status = Agent::start(command).ends();
        assert!(!status.success(), "{point}: it was killed: {status}");
        assert_eq!(entries(&place, "intent"), 1, "{point}");
        assert_eq!(zombies_of(container.pid()).len(), left, "{point}");

        let agent = place.agent();
        agent.looks(3);
        // The step that was cut off is closed, as what it is, and counts: on the same evidence
        // it is not taken again, nor before its back-off.
        assert_eq!(entries(&place, "outcome"), 1, "{point}");
        assert_eq!(entries(&place, "intent"), 1, "{point}");
        let interrupted = place.outcomes("interrupted").len();
        assert_eq!(
            interrupted,
            usize::from(point != "after-outcome"),
            "{point}"
        );
    }
}

#[test]
fn told_to_stop_in_the_middle_of_a_reap_it_ends_within_a_second() {
    let Some(container) = leaking(900) else {
        return;
    };
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    let agent = place.agent();
    wait_until("it has begun", || {
        (entries(&place, "intent") > 0).then_some(())
    });
    let (status, _) = agent.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert_eq!(entries(&place, "outcome"), entries(&place, "intent"));
    assert!(container.identity().is_some(), "the holder lives");
}

#[test]
fn of_two_agents_the_second_only_looks_until_the_first_is_gone() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    // The first has no policy, the second would take all.
    let first = place.agent();
    first.looks(1);
    place.covers("take", &container, ENFORCE);
    let second = place.agent();
    second.says("another agent");
    assert_eq!(second.get("/readyz").0, 503);
    wait_until("the first has taken them", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    first.end(Signal::KILL);
    second.says("acting on this node");
    second.looks(2);
    assert_eq!(second.get("/readyz").0, 200);
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    if require(require_root()).is_none() {
        return;
    }
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    let disk = place.path().join("log");
    std::fs::create_dir(&disk).unwrap();
    let _mounted = Tmpfs::on(&disk, "size=64k,mode=0700");
    // The disk is full before the agent begins.
    let filler = disk.join("filler");
    let _ = std::fs::write(&filler, vec![0; 1 << 20]);
    let agent = place.agent();
    agent.says("no room for the record");
    agent.looks(3);
    assert_eq!(zombies_of(container.pid()).len(), 5, "nothing was done");
    assert_eq!(agent.get("/healthz").0, 200);
    // There is room again.
    std::fs::remove_file(&filler).unwrap();
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    wait_until("it is recorded", || place.outcomes("succeeded").pop());
}

/// A small disk that is unmounted on drop.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn on(path: &std::path::Path, options: &str) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "sexton-test"])
            .arg(path)
            .status()
            .unwrap();
        assert!(status.success());
        Self(path.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_runtime_that_hangs_costs_nothing_but_names() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    let socket = place.path().join("containerd.sock");
    // It accepts, and never says a word.
    let _deaf = UnixListener::bind(&socket).unwrap();
    let mut command = Command::new(SEXTON);
    place.arguments_with(&mut command, "127.0.0.1:0", &socket);
    let agent = Agent::start(command);
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    wait_until("the page tells", || {
        agent.get("/").1.contains("containerd").then_some(())
    });
}

#[test]
fn a_port_that_is_taken_is_said_and_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    let mut command = Command::new(SEXTON);
    place.arguments_with(&mut command, &address, std::path::Path::new("none"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address), "{said}");
}

#[test]
fn a_process_that_vanishes_in_the_middle_is_no_error() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let place = Place::new();
    let agent = place.agent();
    for _ in 0..3 {
        let program = Leak::new().count(50).then_sleep().program();
        let container = Container::builder(&runtime).start(&program);
        place.covers("take", &container, ENFORCE);
        container.wait_for_line(0, |line| line == "done");
        drop(container);
    }
    agent.looks(3);
    assert_eq!(agent.get("/healthz").0, 200);
    let (status, body) = request(
        &agent.address(),
        "POST /report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status, 405, "{body}");
}

#[test]
fn two_agents_never_write_one_log() {
    let Some(container) = leaking(5) else {
        return;
    };
    let (one, other) = (Place::new(), Place::new());
    let first = one.agent();
    first.looks(1);
    other.covers("take", &container, ENFORCE);
    // Another lock, and the first one's log.
    let mut command = Command::new(SEXTON);
    command
        .args(["agent", "--interval", "300ms", "--log-format", "json"])
        .args(["--listen", "127.0.0.1:0", "--runtime", "none", "--policy"])
        .arg(other.policies())
        .arg("--state-dir")
        .arg(other.path().join("run"))
        .arg("--audit-log")
        .arg(one.audit_log());
    let second = Agent::start(command);
    second.says("another agent writes this log");
    second.looks(2);
    assert_eq!(zombies_of(container.pid()).len(), 5);
    first.end(Signal::TERM);
    wait_until("the second takes over", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
}
