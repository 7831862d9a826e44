//! At the very limit, where nobody can start a process or a thread any more, one that runs
//! already scans, plans, autoreaps and reaps (rule 7 of `docs/design.md`).

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that panics fails the test"
)]

mod actors;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use actors::{Actor, example, zombies_of};
use sexton_lab::{Cgroup, live_children_of, require, require_root, wait_until};

/// `at_limit`, started while there was room.
struct Ready {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Ready {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it did not start");
        Self { child, out }
    }

    fn go(mut self) -> serde_json::Value {
        writeln!(self.child.stdin.take().unwrap(), "go").unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success(), "{line}");
        serde_json::from_str(&line).unwrap()
    }
}

fn is_as_it_should(said: &serde_json::Value, zombies: u64) {
    assert_eq!(said["fork"], libc::EAGAIN, "{said:#}");
    assert_eq!(said["thread"], libc::EAGAIN, "{said:#}");
    assert_eq!(said["zombies"], zombies, "{said:#}");
    assert_eq!(said["set"]["waiter"], "kernel", "{said:#}");
    assert_eq!(said["reaped"]["taken"], zombies, "{said:#}");
}

#[test]
fn in_a_cgroup_that_is_full() {
    let Some(cgroup) = require(Cgroup::new("at-limit")) else {
        return;
    };
    let mut holder = Actor::holder();
    cgroup.add(holder.pid);
    holder.tell("zombies 20");
    let mut command = cgroup.command(example("at_limit"));
    let ready = Ready::start(command.arg(holder.pid.to_string()));
    // Below what is there, so that it stays full when the zombies have gone.
    cgroup.set_pids_max(1);
    let events = || {
        let text = fs::read_to_string(cgroup.dir().join("pids.events")).unwrap();
        let max = text.lines().find_map(|line| line.strip_prefix("max "));
        max.unwrap().parse::<u64>().unwrap()
    };
    let before = events();

    let said = ready.go();

    is_as_it_should(&said, 20);
    // The kernel counts what it refuses: the two that were tried for the purpose, and no more.
    assert_eq!(events() - before, 2);
    assert_eq!(cgroup.pids_current(), 1, "only the holder is left");
    assert_eq!(holder.tell("left"), "0");
}

/// `pid_max` of a PID namespace, since Linux 6.14.
#[test]
fn in_a_pid_namespace_that_is_full() {
    if require(require_root()).is_none() {
        return;
    }
    let machines = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(["sh", "-c"])
        // The least that the kernel takes.
        .arg(r#"echo 400 > /proc/sys/kernel/pid_max; exec "$0""#)
        .arg(example("holder"));
    if !has_pid_max_of_namespaces() {
        println!("SKIP: pid_max is the whole machine's before Linux 6.14");
        return;
    }
    let mut holder = Actor::start_command(&mut command);
    holder.pid = live_children_of(holder.process_id())[0];
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/pid_max").unwrap(),
        machines
    );
    let mut command = Command::new("nsenter");
    command
        .args(["-t", &holder.pid.to_string(), "-p", "-m"])
        .arg(example("at_limit"))
        .arg("1");
    let ready = Ready::start(&mut command);
    let zombies: u64 = holder.tell("fill").parse().unwrap();
    assert!((50..400).contains(&zombies), "{zombies}");
    wait_until("all have ended", || {
        (zombies_of(holder.pid).len() as u64 == zombies).then_some(())
    });

    let said = ready.go();

    is_as_it_should(&said, zombies);
    assert_eq!(said["started"], false, "{said:#}");
    // It can fork again, and the kernel waits.
    holder.tell("zombies 3");
    assert_eq!(holder.tell("left"), "0");
}

fn has_pid_max_of_namespaces() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(6), Some(14))
}
