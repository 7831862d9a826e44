//! The node's pods, and in whose name they are asked for.

use serde_json::json;
use sexton_core::RestartPolicy;
use sexton_lab::require;

use crate::world::{World, pod, running, until};

#[test]
fn an_agent_sees_the_pods_of_its_own_node_alone() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    world.namespace("seen");
    let mut mine = pod("seen", "crawler-7d4b9c-x2x4z", "node1");
    mine["metadata"]["labels"] = json!({"pod-template-hash": "7d4b9c"});
    mine["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "crawler-7d4b9c",
        "uid": "00000000-0000-0000-0000-000000000001", "controller": true,
    }]);
    world.apply(&mine);
    world.apply(&pod("seen", "other", "node2"));
    world.status("seen", "crawler-7d4b9c-x2x4z", &running("seen-1"));
    world.status("seen", "other", &running("seen-2"));

    let one = world.agent("node1");
    let two = world.agent("node2");
    until("node1 knows its own", || {
        one.workloads().contains_key("seen-1")
    });
    until("node2 knows its own", || {
        two.workloads().contains_key("seen-2")
    });
    assert!(!one.workloads().contains_key("seen-2"));
    assert!(!two.workloads().contains_key("seen-1"));
    assert_eq!(one.notes(), Vec::<String>::new());

    let found = one.workloads()["seen-1"].clone();
    assert_eq!(found.owner.unwrap().to_string(), "Deployment/crawler");
    assert_eq!(found.restart, RestartPolicy::Always, "the default");
    assert_eq!(found.grace_seconds, Some(30));
    assert_eq!(found.pod.unwrap().namespace.as_deref(), Some("seen"));

    world.status("seen", "crawler-7d4b9c-x2x4z", &running("seen-3"));
    until("the container in its place", || {
        one.workloads().contains_key("seen-3")
    });
    assert!(!one.workloads().contains_key("seen-1"));
    let opted_out = [
        "label",
        "pod",
        "crawler-7d4b9c-x2x4z",
        "--namespace=seen",
        "sexton.dev/reap=disabled",
    ];
    world.lab.kubectl(&opted_out);
    until("the opt-out", || {
        one.workloads()["seen-3"]
            .labels
            .contains_key("sexton.dev/reap")
    });
    let gone = [
        "delete",
        "pod",
        "crawler-7d4b9c-x2x4z",
        "--namespace=seen",
        "--force",
    ];
    world.lab.kubectl(&gone);
    until("the pod is gone", || {
        !one.workloads().contains_key("seen-3")
    });
}

/// What the server itself says to an agent's token: the restriction is there, whatever the agent
/// asks for.
#[test]
fn the_agents_token_reaches_no_further_than_its_node() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    world.namespace("reach");
    world.apply(&pod("reach", "mine", "node1"));
    world.apply(&pod("reach", "other", "node2"));
    let token = world.token("node1");
    let as_node = |node: &str, arguments: &[&str]| {
        let user = format!("--as=system:node:{node}");
        let bearer = format!("--token={token}");
        let mut all = vec![bearer.as_str(), &user];
        all.extend(arguments);
        // Without the administrator's token that the kubeconfig holds.
        world.lab.try_kubectl(&all)
    };
    let pods = |node: &str, of: &str| {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName={of}");
        as_node(node, &["get", "--raw", &path])
    };
    assert!(pods("node1", "node1").is_ok_and(|text| text.contains("\"mine\"")));
    assert!(pods("node1", "node2").is_err());
    let refused = pods("node2", "node2").unwrap_err();
    assert!(
        refused.contains("impersonate-on:arbitrary-node:list"),
        "{refused}"
    );
    assert!(as_node("node1", &["get", "--raw", "/api/v1/pods"]).is_err());
    assert!(as_node("node1", &["get", "--raw", "/api/v1/nodes/node2"]).is_err());
    for (verb, what) in [
        ("delete", "pod/mine"),
        ("get", "pod/mine"),
        ("get", "secrets"),
    ] {
        let refused = as_node("node1", &[verb, what, "--namespace=reach"]).unwrap_err();
        assert!(
            refused.contains("cannot impersonate"),
            "{verb} {what}: {refused}"
        );
    }
    // And without the node's name it may not even ask.
    let bearer = format!("--token={token}");
    let alone = world
        .lab
        .try_kubectl(&[&bearer, "get", "--raw", "/api/v1/pods"]);
    assert!(alone.is_err());
}

#[test]
fn without_constrained_impersonation_it_reads_as_itself_and_says_what_is_off() {
    let flags = ["--feature-gates=ConstrainedImpersonation=false"];
    let Some(world) = require(World::own(&flags)) else {
        return;
    };
    world.namespace("old");
    world.apply(&pod("old", "mine", "node1"));
    world.apply(&pod("old", "other", "node2"));
    world.status("old", "mine", &running("old-1"));
    world.status("old", "other", &running("old-2"));

    let denied = world.agent("node1");
    until("it says so", || denied.notes().len() == 2);
    let notes = denied.notes().join("\n");
    for word in [
        "constrained impersonation",
        "names, owners and opt-outs",
        "eviction",
        "ZombieLeak",
        "cannot be watched",
    ] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert!(denied.policies().synced, "which need no node's name");

    let role = [
        "create",
        "clusterrole",
        "reads",
        "--verb=list,watch",
        "--resource=pods",
    ];
    world.lab.kubectl(&role);
    let binding = [
        "create",
        "clusterrolebinding",
        "reads",
        "--clusterrole=reads",
        "--serviceaccount=sexton:sexton-agent",
    ];
    world.lab.kubectl(&binding);
    let reading = world.agent("node1");
    until("it reads", || reading.workloads().contains_key("old-1"));
    assert!(!reading.workloads().contains_key("old-2"));
    let notes = reading.notes().join("\n");
    assert!(notes.contains("eviction (create pods/eviction)"), "{notes}");
    assert!(!notes.contains("names, owners"), "{notes}");
    until("the one that was denied reads on", || {
        denied.workloads().contains_key("old-1")
    });
}
