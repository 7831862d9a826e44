//! Zombies go, the program that leaks them stays.

use std::time::Duration;

use sexton_lab::{Containerd, Program, require, wait_until, zombies_of};

use crate::agent::{Agent, Place};
use crate::bystanders::Bystanders;
use crate::{agent_beside, policy};

/// What the report says of the leak that `pid` holds.
fn leak(agent: &Agent, pid: u32) -> Option<serde_json::Value> {
    let (_, answer) = agent.get("/report");
    let body = answer.split("\r\n\r\n").nth(1)?;
    let report: serde_json::Value = serde_json::from_str(body).ok()?;
    report["leaks"]
        .as_array()?
        .iter()
        .find(|leak| leak["holder"]["pid"] == pid)
        .cloned()
}

#[test]
fn a_go_program_that_never_waits_goes_on_and_is_healed() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(program) = require(Program::go_story(0, 10)) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd
        .pod("crawler-5d9c")
        .namespace("story")
        .label("app", "crawler")
        .start();
    pod.set_pids_max(500);
    let container = pod.container("crawler").start(&program);
    let identity = container.identity();
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);

    // Named: pod, container and cause.
    let seen = wait_until("it is named and explained", || {
        let leak = leak(&agent, container.pid())?;
        (leak["container"]["pod"]["name"] == "crawler-5d9c"
            && leak["causes"][0]["id"] == "go-start-without-wait")
            .then_some(leak)
    });
    assert_eq!(seen["container"]["name"], "crawler", "{seen}");
    assert_eq!(seen["container"]["pod"]["namespace"], "story");
    wait_until("a hundred", || {
        (zombies_of(container.pid()).len() > 100).then_some(())
    });

    policy(&place, "story", "");
    wait_until("three reaps", || {
        (place.outcomes("succeeded").len() >= 3).then_some(())
    });
    let said = container.output().len();
    container.wait_for_line(said, |line| line.ends_with("ok"));
    assert_eq!(container.identity(), identity, "the same process");
    assert!(container.is_running());
    let metrics = agent.get("/metrics").1;
    assert!(
        metrics.contains("namespace=\"story\",pod=\"crawler-5d9c\",container=\"crawler\""),
        "{metrics}"
    );
    bystanders.are_untouched();
}

#[test]
fn a_crawler_with_real_browsers_goes_on_crawling() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(program) = require(Program::crawler(2)) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd.pod("selenium-0").namespace("story").start();
    pod.set_pids_max(1_500);
    let container = pod.container("crawler").start(&program);
    let identity = container.identity();
    let pages = || {
        let output = container.output();
        output
            .lines()
            .filter(|line| line.starts_with("page "))
            .count()
    };
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);
    // Before: it crawls, and each page leaves a dozen.
    wait_until("it crawls and leaks", || {
        (pages() >= 3 && zombies_of(container.pid()).len() >= 20).then_some(())
    });
    let before = pages();

    policy(&place, "story", "");
    // During: reaped again and again, while it crawls on.
    wait_until("it was reaped", || {
        (place.outcomes("succeeded").len() >= 3).then_some(())
    });
    wait_until("more pages", || (pages() >= before + 4).then_some(()));
    let during = pages();
    // After: the agent is gone, the crawler is not.
    drop(agent);
    wait_until("still more pages", || (pages() >= during + 2).then_some(()));
    assert_eq!(container.identity(), identity);
    let taken: u64 = place
        .outcomes("succeeded")
        .iter()
        .filter_map(|outcome| {
            let zombies = &outcome["zombies"];
            Some(zombies["before"].as_u64()? - zombies["left"].as_u64()?)
        })
        .sum();
    assert!(taken >= 20, "{taken} taken");
    bystanders.are_untouched();
}

#[test]
fn what_a_killed_probe_leaves_with_a_keep_alive_is_the_kernels_from_then_on() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd.pod("keep-alive").namespace("story").start();
    let container = pod
        .container("app")
        .start(&Program::system(["/bin/sleep", "3000"]));
    // A probe whose shell is killed by its timeout; what it started ends later, an orphan.
    let probe = || {
        let script = "sleep 1.3 >/dev/null 2>&1 & sleep 30 >/dev/null 2>&1";
        let killed = container.try_exec(&["/bin/sh", "-c", script], Duration::from_secs(1));
        assert!(killed.is_err(), "the probe ran into its timeout");
    };
    probe();
    wait_until("an orphan of a probe", || {
        (!zombies_of(container.pid()).is_empty()).then_some(())
    });
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);
    policy(&place, "story", "  maxRung: autoreap\n");
    let mut probes = 0;
    wait_until("autoreap is done", || {
        let records = place.records();
        let of_autoreap: Vec<_> = records
            .iter()
            .filter(|line| line["rung"] == "autoreap")
            .map(|line| line["id"].clone())
            .collect();
        let done = records
            .iter()
            .any(|line| line["verdict"] == "succeeded" && of_autoreap.contains(&line["id"]));
        if !done && of_autoreap.is_empty() && probes < 20 {
            probe();
            probes += 1;
        }
        done.then_some(())
    });
    wait_until("all gone", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
    let records = place.records().len();
    probe();
    agent.looks(5);
    assert!(
        zombies_of(container.pid()).is_empty(),
        "the kernel reaps by itself"
    );
    assert_eq!(place.records().len(), records, "and there is nothing to do");
    bystanders.are_untouched();
}

#[test]
fn in_a_shared_pid_namespace_the_holder_is_reaped_and_pause_is_left_alone() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(program) = require(Program::go_story(0, 20)) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd
        .pod("shared")
        .namespace("story")
        .share_process_namespace()
        .start();
    pod.set_pids_max(400);
    let container = pod.container("crawler").start(&program);
    let identity = container.identity();
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);
    policy(&place, "story", "");
    wait_until("two reaps", || {
        (place.outcomes("succeeded").len() >= 2).then_some(())
    });
    assert_eq!(container.identity(), identity);
    let records = place.records();
    assert!(
        records
            .iter()
            .all(|line| line["entry"] == "outcome" || line["holder"]["pid"] == container.pid())
    );
    agent.looks(1);
    bystanders.are_untouched();
}

#[test]
fn a_pod_at_its_pids_limit_can_fork_again() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(program) = require(Program::go_story(0, 2)) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd.pod("burst").namespace("story").start();
    pod.set_pids_max(80);
    let container = pod.container("crawler").start(&program);
    container.wait_for_line(0, |line| line.ends_with("EAGAIN"));
    wait_until("it is full for good", || {
        let output = container.output();
        let mut last = output.lines().rev().take(5);
        last.all(|line| line.ends_with("EAGAIN")).then_some(())
    });
    let place = Place::new();
    policy(&place, "story", "");
    let agent = agent_beside(&containerd, &place);
    let said = container.output().len();
    container.wait_for_line(said, |line| line.ends_with("ok"));
    agent.looks(1);
    bystanders.are_untouched();
}
