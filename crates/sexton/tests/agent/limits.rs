//! At the very limit, where nobody can fork, the agent goes on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use sexton_lab::{
    Cgroup, Container, Leak, Running, Runtime, live_children_of, require, require_root, wait_until,
    zombies_of,
};

use crate::agent::{Agent, Place, SEXTON};
use crate::policies::leaking;

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";

#[test]
fn with_its_own_cgroup_full_it_looks_and_acts() {
    let Some(container) = leaking(30) else { return };
    let Some(cgroup) = require(Cgroup::new("agent-full")) else {
        return;
    };
    let place = Place::new();
    let mut command = cgroup.command(SEXTON);
    place.arguments(&mut command);
    let agent = Agent::start(command);
    agent.looks(1);
    // Not one task more.
    cgroup.set_pids_max(cgroup.pids_current());
    place.covers("take", &container, ENFORCE);
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    assert_eq!(agent.get("/").0, 200, "the page is served, too");
    assert_eq!(agent.get("/metrics").0, 200);
    assert!(!agent.has_said("ERROR"));
}

#[test]
fn a_container_at_its_limit_can_fork_again() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    // It leaks until nothing more can be started, and goes on trying.
    let program = Leak::new().interval_ms(5).program();
    let container = Container::builder(&runtime).pids_limit(40).start(&program);
    // For good: the first EAGAIN may be one child that had not ended yet.
    wait_until("it is full", || {
        let output = container.output();
        let mut last = output.lines().rev().take(5);
        (output.lines().count() > 5 && last.all(|line| line.ends_with("EAGAIN"))).then_some(())
    });
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    let said = container.output().len();
    let _agent = place.agent();
    container.wait_for_line(said, |line| line.ends_with("ok"));
    assert!(!place.records().is_empty());
}

#[test]
fn with_every_pid_of_its_namespace_taken_it_looks_and_acts() {
    if require(require_root()).is_none() {
        return;
    }
    if !has_pid_max_of_namespaces() {
        println!("SKIP: pid_max is the whole machine's before Linux 6.14");
        return;
    }
    let place = Place::new();
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(["sh", "-c"])
        // The least that the kernel takes.
        .arg(r#"echo 400 > /proc/sys/kernel/pid_max; exec "$0" "$@""#)
        .arg(SEXTON);
    place.arguments(&mut command);
    let agent = Agent::start(command);
    agent.looks(1);
    let inside = live_children_of(agent.pid())[0];
    let program = Leak::new().interval_ms(1).program();
    let mut leak = Running::start(
        Command::new("nsenter")
            .args(["-t", &inside.to_string(), "-p", "-m", "--"])
            .args(&program.argv)
            .stdout(Stdio::piped()),
    );
    let mut lines = BufReader::new(leak.child().stdout.take().unwrap()).lines();
    let mut refused = 0;
    while refused < 5 {
        let line = lines.next().unwrap().unwrap();
        refused = if line.ends_with("EAGAIN") {
            refused + 1
        } else {
            0
        };
    }
    let full = Instant::now();
    // Seen from inside it is in no container, but next to the agent.
    place.policy(
        "take",
        "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {name: take}\nspec:\n  \
         selector: {hostProcesses: [sexton-test-leak]}\n  mode: enforce\n  settle: 100ms\n",
    );
    while !lines.next().unwrap().unwrap().ends_with("ok") {}
    println!(
        "it can fork again {:.0?} after the policy came",
        full.elapsed()
    );
    assert_eq!(agent.get("/").0, 200);
    // The leak is in the agent's namespace, and goes with it.
    drop(agent);
    drop(lines);
}

fn has_pid_max_of_namespaces() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(6), Some(14))
}
