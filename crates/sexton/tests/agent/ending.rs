//! A container that cannot end, as the agent shows it.

use std::path::Path;
use std::process::Command;

use sexton_lab::{Running, Skip, live_children_of, require, require_root, wait_until};

use crate::agent::Place;

/// PID 1 of a namespace has ended, and its parent, which is stopped, does not take it.
#[test]
fn a_container_that_cannot_end_is_counted_and_shown_with_what_frees_it() {
    let unshare = Path::new("/usr/bin/unshare").exists().then_some(());
    let unshare = unshare.ok_or_else(|| Skip("no unshare".to_owned()));
    if require(require_root().and(unshare)).is_none() {
        return;
    }
    let place = Place::new();
    let agent = place.agent();
    let mut unshare = Command::new("/usr/bin/unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "/bin/sleep", "1000"]);
    let parent = Running::start(&mut unshare);
    let first = wait_until("PID 1", || live_children_of(parent.pid()).first().copied());
    let signal = |name: &str, pid: u32| {
        let status = Command::new("/bin/kill")
            .args([name, &pid.to_string()])
            .status();
        assert!(status.expect("kill").success());
    };
    agent.looks(1);
    assert!(
        agent
            .get("/metrics")
            .1
            .contains("\nsexton_containers_cannot_end 0\n")
    );

    signal("-STOP", parent.pid());
    signal("-KILL", first);

    // It must not have run for two seconds.
    wait_until("it is counted", || {
        let metrics = agent.get("/metrics").1;
        metrics
            .contains("\nsexton_containers_cannot_end 1\n")
            .then_some(())
    });
    let page = agent.get("/").1;
    assert!(page.contains("Containers that cannot end"), "{page}");
    assert!(
        page.contains(&format!("kill -CONT {}", parent.pid())),
        "{page}"
    );
    signal("-CONT", parent.pid());
    wait_until("it has ended", || {
        let metrics = agent.get("/metrics").1;
        metrics
            .contains("\nsexton_containers_cannot_end 0\n")
            .then_some(())
    });
}
