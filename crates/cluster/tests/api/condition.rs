//! The condition of the node, beside those of its kubelet.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};
use sexton_cluster::report::Status;
use sexton_lab::require;

use crate::world::{World, until};

fn leaking(leaks: bool, message: &str) -> Status {
    let status = if leaks { "True" } else { "False" };
    Status {
        conditions: vec![Condition {
            type_: "ZombieLeak".to_owned(),
            status: status.to_owned(),
            reason: "ManyZombies".to_owned(),
            message: message.to_owned(),
            last_transition_time: Time(jiff::Timestamp::now()),
            observed_generation: None,
        }],
        ..Status::default()
    }
}

fn conditions(world: &World, node: &str) -> Vec<Value> {
    let node = world.lab.get(&["node", node]);
    node["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn ours(world: &World, node: &str) -> Option<Value> {
    let all = conditions(world, node);
    all.into_iter()
        .find(|condition| condition["type"] == "ZombieLeak")
}

#[test]
fn the_condition_stands_beside_the_kubelets_and_goes_with_the_agent() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    let kubelet = json!({"status": {"conditions": [
        {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "x"},
    ]}});
    let patch = kubelet.to_string();
    world.lab.kubectl(&[
        "patch",
        "node",
        "node2",
        "--subresource=status",
        "--patch",
        &patch,
    ]);
    let agent = world.agent("node2");
    agent.publish(leaking(true, "500 zombies"));
    until("it is set", || {
        ours(world, "node2").is_some_and(|found| found["status"] == "True")
    });
    let set = ours(world, "node2").unwrap();
    assert_eq!(set["message"], "500 zombies");
    assert!(
        conditions(world, "node2")
            .iter()
            .any(|found| found["type"] == "Ready")
    );

    // Other words alone wait; that it is over is told.
    agent.publish(leaking(true, "501 zombies"));
    agent.publish(leaking(false, "no zombies"));
    until("it is over", || {
        ours(world, "node2").is_some_and(|found| found["status"] == "False")
    });

    // An agent that comes after one that was killed goes on where that left off.
    let before = ours(world, "node2").unwrap();
    let next = world.agent("node2");
    next.publish(leaking(false, "none any more"));
    until("the next agent sets it", || {
        ours(world, "node2").is_some_and(|found| found["message"] == "none any more")
    });
    let now = ours(world, "node2").unwrap();
    assert_eq!(now["lastTransitionTime"], before["lastTransitionTime"]);

    next.stop(Duration::from_secs(60));
    assert_eq!(ours(world, "node2"), None);
    assert!(
        conditions(world, "node2")
            .iter()
            .any(|found| found["type"] == "Ready")
    );
    assert!(agent.notes().is_empty(), "{:?}", agent.notes());
}
