//! Holders that do not cooperate, and looks that cost much: nobody else waits for them.

use rustix::process::Signal;
use sexton_lab::{
    Container, Leak, Program, Runtime, live_children_of, require, wait_until, zombies_of,
};

use crate::agent::{Agent, Place, SEXTON, metric};

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";
const LOOKS: &str = "sexton_scan_duration_seconds_count";

/// A container in which so many processes hold `zombies` each and cannot be borrowed.
fn blocked(runtime: &Runtime, holders: u32, zombies: u32) -> Container {
    let leak = Leak::new().count(zombies).then_block().program();
    let mut argv: Vec<String> = ["/bin/sh", "-c", SPAWN, "sh", &holders.to_string()]
        .map(str::to_owned)
        .to_vec();
    argv.extend(leak.argv);
    let program = Program { argv, ..leak };
    let container = Container::builder(runtime).start(&program);
    wait_until("all hold zombies", || {
        let full = |pid: &u32| zombies_of(*pid).len() == zombies as usize;
        let all = live_children_of(container.pid());
        (all.iter().filter(|pid| full(pid)).count() == holders as usize).then_some(())
    });
    container
}

/// Starts `$1` times the rest, and waits for them.
const SPAWN: &str = r#"n=$1; shift; while [ "$n" -gt 0 ]; do "$@" & n=$((n - 1)); done; wait"#;

#[test]
fn a_hundred_that_cannot_be_borrowed_cost_a_neighbour_no_more_than_a_look() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let _storm = sexton_lab::storm_lock();
    let crowd = blocked(&runtime, 100, 3);
    // With fewer zombies than any of them, so that it comes last.
    let program = Leak::new().count(2).then_sleep().program();
    let neighbour = Container::builder(&runtime).start(&program);
    neighbour.wait_for_line(0, |line| line == "done");
    let place = Place::new();
    place.covers("crowd", &crowd, ENFORCE);
    place.covers("neighbour", &neighbour, ENFORCE);
    wait_until("they have settled", || {
        (zombies_of(neighbour.pid()).len() == 2).then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(300));

    let agent = place.agent();
    wait_until("the neighbour is served", || {
        zombies_of(neighbour.pid()).is_empty().then_some(())
    });
    let metrics = agent.get("/metrics").1;
    let looks = metric(&metrics, LOOKS);
    assert!(looks <= 2.0, "{looks} looks were needed");
    assert_eq!(agent.get("/healthz").0, 200);
    assert_eq!(agent.get("/report").0, 200);
    // That they are busy is no failure yet, for which anything worse would be done.
    wait_until("they are tried", || place.outcomes("refused").pop());
    assert!(place.outcomes("failed").is_empty());
}

#[test]
fn told_to_stop_while_it_waits_for_a_holder_it_ends_and_has_recorded_it() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let crowd = blocked(&runtime, 1, 3);
    let place = Place::new();
    place.covers("crowd", &crowd, ENFORCE);
    let agent = place.agent();
    let kinds = |kind| {
        let records = place.records();
        records.iter().filter(|line| line["entry"] == kind).count()
    };
    wait_until("it has begun", || (kinds("intent") > 0).then_some(()));
    let (status, took) = agent.end(Signal::TERM);
    println!("it ended within {took:.0?}");
    assert_eq!(status.code(), Some(0));
    assert_eq!(kinds("outcome"), kinds("intent"));
}

/// An agent each look of which takes a fifth of a second of processor time.
fn costly(place: &Place) -> Agent {
    let mut command = std::process::Command::new(SEXTON);
    place.arguments(&mut command);
    command
        .env_remove("SEXTON_UNBRAKED")
        .env("SEXTON_FAULT", "burn-look");
    Agent::start(command)
}

#[test]
fn looks_that_cost_much_are_made_less_often() {
    if require(crate::faults()).is_none() {
        return;
    }
    let place = Place::new();
    let agent = costly(&place);
    let interval = wait_until("the brake is on", || {
        let interval = metric(&agent.get("/metrics").1, "sexton_interval_seconds");
        (interval > 1.0).then_some(interval)
    });
    println!("a look every {interval:.1} s instead of 0.3 s");
    assert!(agent.get("/").1.contains("looks cost much here"));
    let (before, began) = (processor_seconds(agent.pid()), std::time::Instant::now());
    // Asked rarely: each answer takes processor time of the agent, too, most of all on an emulated
    // processor, and for that it rests as well.
    let looks = || metric(&agent.get("/metrics").1, LOOKS);
    let enough = looks() + 4.0;
    while looks() < enough {
        let patience = 4 * sexton_lab::patience();
        assert!(began.elapsed() < patience, "it looks no more");
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    let share = (processor_seconds(agent.pid()) - before) / began.elapsed().as_secs_f64();
    println!("{:.1}% of a core", share * 100.0);
    // On a busy machine it is less. What is over a tenth is the look at the end, not yet rested for.
    assert!(share < 0.15, "{share}");
    assert_eq!(agent.get("/healthz").0, 200);
}

#[test]
fn told_to_stop_while_it_rests_it_ends() {
    if require(crate::faults()).is_none() {
        return;
    }
    let place = Place::new();
    let agent = costly(&place);
    agent.looks(2);
    let (status, took) = agent.end(Signal::TERM);
    println!("it ended within {took:.0?}");
    assert_eq!(status.code(), Some(0));
}

/// Processor time of all threads of a process so far.
fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    let ticks: u64 = [12, 13]
        .iter()
        .map(|n| fields[*n].parse::<u64>().unwrap())
        .sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}
