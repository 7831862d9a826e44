//! The report of a node, by the agent's own token.

use serde_json::Value;
use sexton_cluster::report::Status;
use sexton_lab::require;

use crate::world::{World, until};

fn status(zombies: u64) -> Status {
    Status {
        zombies,
        ..Status::default()
    }
}

#[test]
fn the_latest_report_is_told_and_goes_with_its_node() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    let report = || world.lab.try_get(&["zombiereport", "node1"]).ok();
    let agent = world.agent("node1");
    for zombies in [1, 2, 5] {
        agent.publish(status(zombies));
    }
    until("it is there", || {
        report().is_some_and(|report| report["status"]["zombies"] == 5)
    });
    let report = report().unwrap();
    let owner = &report["metadata"]["ownerReferences"][0];
    let node = world.lab.get(&["node", "node1"]);
    assert_eq!(owner["kind"], "Node");
    assert_eq!(owner["uid"], node["metadata"]["uid"]);
    assert_eq!(owner.get("blockOwnerDeletion"), None::<&Value>);
    assert!(agent.notes().is_empty(), "{:?}", agent.notes());
}
