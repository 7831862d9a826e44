//! Zombies go; the container stays the very same.

use serde_json::{Value, json};
use sexton_lab::cluster::container as system_container;
use sexton_lab::{Program, require};

use crate::sexton::{NAMESPACE, Namespace, Sexton, container, deployment};

/// Leaks 200, then waits for what it starts.
const LEAK: &[&str] = &["/story/leak", "200", "10"];

#[test]
fn a_go_program_is_told_of_in_a_dry_run_and_healed_when_enforced() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "go");
    at.policy("go", "  mode: dryRun\n");
    at.cluster
        .apply(&deployment("go", "crawler", &container(LEAK), &json!([])));
    let pod = at.pod("crawler");

    let told = at.wait_for_event("ReapDryRun", &format!("Pod/{}", pod.name));
    assert_eq!(told["type"], "Normal", "{told}");
    let leak = at.eventually("the report names it", || {
        let leak = at.leak(&pod)?;
        (leak["cause"] == "go-start-without-wait").then_some(leak)
    });
    assert_eq!(leak["owner"], "Deployment/crawler", "{leak}");
    assert_eq!(leak["policy"], "go", "{leak}");
    at.eventually("all are leaked, and none was touched", || {
        (pod.zombies(at.cluster)? >= 200).then_some(())
    });
    at.eventually("the node's condition", || {
        let node = at.cluster.try_get(&["node", &pod.node]).ok()?;
        let mut conditions = node["status"]["conditions"].as_array()?.iter();
        conditions
            .any(|it| it["type"] == "ZombieLeak" && it["status"] == "True")
            .then_some(())
    });

    // Whoever is on call asks in the agent's pod, and types no path.
    let agent = sexton.agent_on(&pod.node);
    let leaking = format!("pod/go/{}", pod.name);
    let asked = ["/sexton", "explain", &leaking, "-o", "json"];
    let mut command = vec!["exec", "--namespace", NAMESPACE, &agent, "--"];
    command.extend(asked);
    let explained: Value = serde_json::from_str(&at.cluster.kubectl(&command)).unwrap();
    assert_eq!(explained["node"]["name"], pod.node.as_str());
    let leak = &explained["leaks"][0];
    assert!(leak["causes"][0]["id"].is_string(), "{leak}");
    assert_eq!(leak["container"]["id"], pod.container.as_str(), "{leak}");

    at.policy("go", "  mode: enforce\n");
    at.wait_for_event("ReapSucceeded", &format!("Pod/{}", pod.name));
    at.wait_for_event("ReapSucceeded", "Deployment/crawler");
    at.eventually("the zombies are gone", || {
        (pod.zombies(at.cluster)? <= 1).then_some(())
    });
    at.eventually("the report says so", || {
        let leak = at.leak(&pod);
        leak.is_none_or(|leak| leak["step"]["outcome"] == "succeeded" && leak["zombies"] == 1)
            .then_some(())
    });
    let lines = pod.logs(at.cluster).lines().count();
    at.eventually("it goes on", || {
        (pod.logs(at.cluster).lines().count() > lines).then_some(())
    });
    assert_eq!(at.pod("crawler"), pod, "the same container");
    assert_eq!(pod.restarts, 0);
}

#[test]
fn a_crawler_with_real_browsers_goes_on_crawling() {
    let Some(program) = require(Program::crawler(1)) else {
        return;
    };
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "selenium");
    let (container, volumes) = system_container("main", &program);
    at.cluster
        .apply(&deployment("selenium", "crawler", &container, &volumes));
    let pod = at.pod("crawler");
    let pages = || {
        let logs = pod.logs(at.cluster);
        logs.lines()
            .filter(|line| line.starts_with("page "))
            .count()
    };
    at.eventually("it crawls and leaks", || {
        (pages() >= 2 && pod.zombies(at.cluster)? >= 10).then_some(())
    });
    at.policy("selenium", "  mode: enforce\n");
    at.wait_for_event("ReapSucceeded", &format!("Pod/{}", pod.name));
    let before = pages();
    at.eventually("more pages", || (pages() >= before + 2).then_some(()));
    assert_eq!(at.pod("crawler"), pod, "the same container");
    assert_eq!(pod.restarts, 0);
}

#[test]
fn what_a_probe_leaves_that_times_out_is_the_kernels_from_then_on() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "probes");
    // The shell of the probe is killed by its timeout; what it had started ends later, an
    // orphan of a PID 1 that waits for nothing.
    let mut keep_alive = container(&["sleep", "3000"]);
    keep_alive["readinessProbe"] = json!({
        "exec": {"command": ["sh", "-c", "sleep 1.3 & sleep 30"]},
        "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 1000,
    });
    at.cluster
        .apply(&deployment("probes", "app", &keep_alive, &json!([])));
    let pod = at.pod("app");
    at.eventually("an orphan of a probe", || {
        (pod.zombies(at.cluster)? >= 2).then_some(())
    });
    at.policy("probes", "  mode: enforce\n  maxRung: autoreap\n");
    at.eventually("it has the kernel reap", || {
        // What ended in that very moment may have it take its own word back; what counts is
        // below.
        (!at.outcomes(&pod, "autoreap").is_empty()).then_some(())
    });
    at.eventually("the last one is gone", || {
        (pod.zombies(at.cluster)? == 0).then_some(())
    });
    let probed = || {
        let events = at.events("Unhealthy", &format!("Pod/{}", pod.name));
        events
            .iter()
            .filter_map(|event| event["count"].as_u64())
            .sum::<u64>()
    };
    let before = probed();
    at.eventually("it was probed on", || {
        (probed() >= before + 3).then_some(())
    });
    assert_eq!(pod.zombies(at.cluster), Some(0), "none is left by a probe");
    assert_eq!(at.pod("app"), pod, "the same container");
    assert_eq!(pod.restarts, 0);
}
