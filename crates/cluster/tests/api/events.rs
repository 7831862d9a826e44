//! Events on pods, owners and the node.

use serde_json::{Value, json};
use sexton_cluster::{About, Event, Reason, Stage};
use sexton_core::{Owner, Pod};
use sexton_lab::require;

use crate::world::{World, pod, until};

fn events(world: &World, namespace: &str, about: &str) -> Vec<Value> {
    let selector = format!("--field-selector=involvedObject.name={about}");
    let list = world
        .lab
        .get(&["events", "--namespace", namespace, &selector]);
    list["items"].as_array().unwrap().clone()
}

/// How often it has happened, by the series.
fn count(event: &Value) -> i64 {
    event["series"]["count"].as_i64().unwrap_or(1)
}

fn of_pod(name: &str, uid: &str, reason: Reason, message: &str) -> Event {
    Event {
        about: About::Pod {
            pod: Pod {
                uid: Some(uid.to_owned()),
                name: Some(name.to_owned()),
                namespace: Some("told".to_owned()),
            },
            owner: Some(Owner {
                kind: "Deployment".to_owned(),
                name: "crawler".to_owned(),
                api_version: Some("apps/v1".to_owned()),
                uid: None,
            }),
        },
        reason,
        message: message.to_owned(),
    }
}

#[test]
fn events_are_told_on_the_pod_its_owner_and_the_node_and_counted() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    world.namespace("told");
    world.apply(&pod("told", "crawler-1", "node1"));
    let uid = world.lab.get(&["pod", "crawler-1", "--namespace=told"])["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap();
    let agent = world.agent("node1");
    for _ in 0..3 {
        let reason = Reason::Reap(Stage::Succeeded);
        agent.tell(&of_pod("crawler-1", uid, reason, "12 of 12 zombies taken"));
    }
    agent.tell(&of_pod(
        "crawler-1",
        uid,
        Reason::Evict(Stage::DryRun),
        "it would be evicted",
    ));
    agent.tell(&Event {
        about: About::Node,
        reason: Reason::PidsExhaustionForecast,
        message: "pid_max is reached within 2 hours".to_owned(),
    });

    until("all are told", || {
        events(world, "told", "crawler-1").len() == 2
            && events(world, "told", "crawler").len() == 2
            && events(world, "default", "node1").len() == 1
    });
    let on_pod = events(world, "told", "crawler-1");
    let reaped = on_pod
        .iter()
        .find(|event| event["reason"] == "ReapSucceeded")
        .unwrap();
    assert_eq!(reaped["type"], "Normal");
    assert_eq!(reaped["reportingComponent"], "sexton.dev/agent");
    assert_eq!(reaped["reportingInstance"], "node1");
    assert_eq!(reaped["involvedObject"]["uid"], json!(uid));
    let dry = on_pod
        .iter()
        .find(|event| event["reason"] == "EvictDryRun")
        .unwrap();
    assert_eq!(dry["message"], "Dry run: it would be evicted");
    let on_node = &events(world, "default", "node1")[0];
    assert_eq!(on_node["type"], "Warning");

    // Where people look for them.
    let described = world
        .lab
        .kubectl(&["describe", "pod", "crawler-1", "--namespace=told"]);
    assert!(described.contains("ReapSucceeded"), "{described}");
    let described = world.lab.kubectl(&["describe", "node", "node1"]);
    assert!(described.contains("PidsExhaustionForecast"), "{described}");
    let of_owner = world
        .lab
        .kubectl(&["events", "--for=deployment/crawler", "--namespace=told"]);
    assert!(of_owner.contains("Pod crawler-1: 12 of 12"), "{of_owner}");

    // Not three events but one, and what came later in its series; not before a minute is over,
    // unless the agent is told to stop.
    agent.stop(std::time::Duration::from_secs(60));
    let reaped = events(world, "told", "crawler-1");
    let reaped: Vec<&Value> = reaped
        .iter()
        .filter(|event| event["reason"] == "ReapSucceeded")
        .collect();
    assert_eq!(reaped.len(), 1);
    assert_eq!(count(reaped[0]), 3);
}

#[test]
fn a_namespace_that_is_gone_holds_nobody_up() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    let agent = world.agent("node2");
    let mut lost = of_pod("x", "u", Reason::Reap(Stage::Failed), "x");
    if let About::Pod { pod, .. } = &mut lost.about {
        pod.namespace = Some("never-was".to_owned());
    }
    agent.tell(&lost);
    agent.tell(&Event {
        about: About::Node,
        reason: Reason::PidsExhaustionForecast,
        message: "soon".to_owned(),
    });
    until("the other is told", || {
        events(world, "default", "node2").len() == 1
    });
    until("the loss is told", || {
        agent
            .notes()
            .iter()
            .any(|note| note.starts_with("2 events could not be told"))
    });
}
