//! The API server goes away and comes back.

use serde_json::json;
use sexton_cluster::{About, Event, Reason};
use sexton_lab::require;

use crate::policies::policy;
use crate::world::{World, pod, running, until};

#[test]
fn what_was_known_stays_through_an_outage_and_is_made_good_after_it() {
    let Some(world) = require(World::own(&[])) else {
        return;
    };
    world.namespace("out");
    world.apply(&policy("stays", &json!({"settle": "20s"})));
    world.apply(&pod("out", "stays", "node1"));
    world.status("out", "stays", &running("out-1"));
    let agent = world.agent("node1");
    until("all is known", || {
        agent.policies().in_force.len() == 1 && agent.workloads().contains_key("out-1")
    });

    world.lab.stop("kube-apiserver", 1);
    until("it says that nobody answers", || agent.notes().len() >= 2);
    assert_eq!(agent.policies().in_force.len(), 1);
    assert!(agent.policies().synced);
    assert!(agent.workloads().contains_key("out-1"));

    // What is to be told waits, and is not told twice.
    for _ in 0..3 {
        agent.tell(&Event {
            about: About::Node,
            reason: Reason::PidsExhaustionForecast,
            message: "pid_max is reached within 2 hours".to_owned(),
        });
    }
    let before = jiff::Timestamp::now();
    until("it says that events wait", || {
        agent
            .notes()
            .iter()
            .any(|note| note.starts_with("events wait"))
    });

    // An agent that starts now knows nothing, and says so.
    let config = world.config("x".to_owned());
    let late = sexton_cluster::Cluster::start_with(crate::world::settings("node1"), config, || {})
        .unwrap();
    until("it says so", || !late.notes().is_empty());
    assert!(!late.policies().synced && late.policies().in_force.is_empty());

    world.lab.go_on("kube-apiserver", 1);
    until("the server is back", || {
        world.lab.try_kubectl(&["get", "--raw", "/readyz"]).is_ok()
    });
    world.lab.kubectl(&["delete", "reappolicy", "stays"]);
    world
        .lab
        .kubectl(&["delete", "pod", "stays", "--namespace=out", "--force"]);
    until("what has changed is known", || {
        agent.policies().in_force.is_empty() && !agent.workloads().contains_key("out-1")
    });
    until("nothing is wrong any more", || agent.notes().is_empty());
    let events = world
        .lab
        .get(&["events", "--field-selector=involvedObject.kind=Node"]);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    let time: jiff::Timestamp = events[0]["eventTime"].as_str().unwrap().parse().unwrap();
    assert!(
        time <= before,
        "when it happened, not when it could be told"
    );
}
