//! What the agent does, by policy.

use rustix::process::Signal;
use sexton_lab::{Container, Leak, Program, Runtime, require, wait_until, zombies_of};

use crate::agent::Place;

/// A container whose first process has leaked `count` children and sleeps.
pub(crate) fn leaking(count: u32) -> Option<Container> {
    let runtime = require(Runtime::any())?;
    let program = Leak::new().count(count).then_sleep().program();
    let container = Container::builder(&runtime).start(&program);
    container.wait_for_line(0, |line| line == "done");
    wait_until("all children have ended", || {
        (zombies_of(container.pid()).len() == count as usize).then_some(())
    });
    Some(container)
}

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";

#[test]
fn without_a_policy_it_only_looks() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    let agent = place.agent();
    agent.looks(3);
    assert_eq!(zombies_of(container.pid()).len(), 5);
    assert!(place.records().is_empty());
    // The report is the one that `sexton scan` prints.
    let (status, body) = agent.get("/report");
    assert_eq!(status, 200);
    assert!(
        body.contains(&format!("\"pid\":{}", container.pid())),
        "{body}"
    );
}

#[test]
fn a_dry_run_records_and_touches_nothing() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers(
        "dry",
        &container,
        "  settle: 100ms\n  threshold: {minZombies: 5}\n",
    );
    let agent = place.agent();
    let outcome = wait_until("a dry run", || place.outcomes("dryRun").pop());
    assert!(
        outcome["detail"].as_str().unwrap().contains("5 zombies"),
        "{outcome}"
    );
    agent.looks(5);
    assert_eq!(zombies_of(container.pid()).len(), 5);
    // Not again on the same evidence.
    assert_eq!(place.records().len(), 2, "{:#?}", place.records());
    let intent = &place.records()[0];
    assert_eq!(intent["mode"], "dryRun");
    assert_eq!(intent["rung"], "reap");
    assert_eq!(intent["policy"], "dry");
}

#[test]
fn what_was_a_dry_run_before_a_restart_is_done_when_it_is_enforced_after_it() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("take", &container, "  settle: 100ms\n");
    let agent = place.agent();
    wait_until("a dry run", || place.outcomes("dryRun").pop());
    agent.end(Signal::TERM);

    place.covers("take", &container, ENFORCE);
    let _agent = place.agent();
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
}

#[test]
fn enforced_it_reaps_and_the_program_goes_on() {
    let (Some(container), Some(other)) = (leaking(40), leaking(7)) else {
        return;
    };
    let place = Place::new();
    let spec = format!("{ENFORCE}  threshold: {{minZombies: 40}}\n");
    place.covers("take", &container, &spec);
    let identity = container.identity();
    let agent = place.agent();
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    let outcome = wait_until("its outcome", || place.outcomes("succeeded").pop());
    assert_eq!(
        container.identity(),
        identity,
        "the holder is the same process"
    );
    assert_eq!(
        zombies_of(other.pid()).len(),
        7,
        "no policy covers the other"
    );
    assert_eq!(outcome["zombies"]["before"], 40);
    assert_eq!(outcome["zombies"]["left"], 0);
    assert_eq!(outcome["statuses"][0]["command"], "true");
    let records = place.records();
    assert_eq!(records[0]["entry"], "intent");
    assert_eq!(records[0]["id"], outcome["id"]);
    assert_eq!(records[0]["holder"]["pid"], container.pid());
    let text = agent.get("/metrics").1;
    assert!(text.contains("rung=\"reap\""), "{text}");
    let page = agent.get("/").1;
    assert!(page.contains("40 of 40"), "{page}");
}

#[test]
fn a_leak_is_handled_at_its_own_rate() {
    // One every 20 ms, for ever.
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let program = Leak::new().interval_ms(20).program();
    // The less room there is the sooner it is looked at again: with this, each second.
    let container = Container::builder(&runtime).pids_limit(300).start(&program);
    let place = Place::new();
    place.covers("rate", &container, ENFORCE);
    let _agent = place.agent();
    wait_until("four reaps", || {
        (place.outcomes("succeeded").len() >= 4).then_some(())
    });
    // What it forks in a second or two, and no more, is what stands.
    let standing = zombies_of(container.pid()).len();
    assert!(standing < 500, "{standing} stand");
}

#[test]
fn the_future_children_of_a_keep_alive_are_reaped_by_the_kernel() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let container = Container::builder(&runtime).start(&Program::system(["/bin/sleep", "1000"]));
    // As a probe does that is killed: its child is left to PID 1, and nobody waits.
    let orphan = || {
        container.exec(&["/bin/sh", "-c", "(sleep 0.3 &) ; exit 0"]);
    };
    orphan();
    wait_until("a zombie", || {
        (zombies_of(container.pid()).len() == 1).then_some(())
    });
    let place = Place::new();
    place.covers(
        "keep-alive",
        &container,
        "  mode: enforce\n  settle: 100ms\n  maxRung: autoreap\n",
    );
    let agent = place.agent();
    wait_until("it was taken", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    // The leak comes back, so reaping does not last.
    for _ in 0..3 {
        orphan();
    }
    wait_until("autoreap", || {
        let records = place.records();
        let done = records.iter().any(|line| line["rung"] == "autoreap");
        if !done {
            orphan();
        }
        done.then_some(())
    });
    wait_until("all is taken", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    for _ in 0..3 {
        orphan();
    }
    agent.looks(3);
    wait_until("none stays", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
}

#[test]
fn a_pause_switch_stops_all_actions() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    std::fs::create_dir(place.path().join("run")).unwrap();
    std::fs::write(place.path().join("run/pause"), "").unwrap();
    let agent = place.agent();
    agent.looks(4);
    assert_eq!(zombies_of(container.pid()).len(), 5);
    assert!(agent.get("/").1.contains("pause"));
    std::fs::remove_file(place.path().join("run/pause")).unwrap();
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
}

#[test]
fn policies_are_read_again_when_they_change_and_bad_ones_are_refused() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("take", &container, "  settle: 100ms\n  maxRung: observe\n");
    let agent = place.agent();
    agent.looks(3);
    assert!(place.records().is_empty());

    place.covers("take", &container, "  mode: enforce\n  settle: soon\n");
    let said = agent.says("soon").to_string();
    assert!(
        said.contains("take.yaml:") && said.contains("settle"),
        "{said}"
    );
    agent.looks(3);
    assert!(
        place.records().is_empty(),
        "the last good one stays in force"
    );
    assert!(agent.get("/").1.contains("soon"), "the page says so");

    place.covers("take", &container, ENFORCE);
    wait_until("the zombies are gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });

    // All gone: not one policy less, until somebody says so by an empty directory.
    std::fs::remove_dir_all(place.policies()).unwrap();
    agent.says("policies");
    let (status, took) = agent.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(took.as_secs() < 5);
}

#[test]
fn two_policies_that_cover_alike_are_an_error_that_names_both() {
    let Some(container) = leaking(5) else { return };
    let place = Place::new();
    place.covers("one", &container, ENFORCE);
    place.covers("two", &container, ENFORCE);
    let agent = place.agent();
    wait_until("it is said", || {
        (agent.has_said("one") && agent.has_said("two")).then_some(())
    });
    agent.looks(3);
    assert_eq!(zombies_of(container.pid()).len(), 5);
    assert!(place.records().is_empty());
}
