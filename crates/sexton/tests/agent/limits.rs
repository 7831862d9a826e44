//! At the very limit, where nobody can fork, the agent goes on.

use sexton_lab::{Cgroup, Container, Leak, Runtime, require, wait_until, zombies_of};

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
