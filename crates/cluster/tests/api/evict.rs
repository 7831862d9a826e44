//! Evictions: disruption budgets, other nodes' pods, and whose turn it is.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sexton_cluster::{Cluster, End, Evicted, Eviction};
use sexton_core::Pod;
use sexton_lab::require;

use crate::policies::policy;
use crate::world::{REST, World, pod, running, until};

/// A pod on `node` whose container runs, and what it takes to evict it.
fn running_pod(world: &World, namespace: &str, name: &str, node: &str) -> Eviction {
    let mut object = pod(namespace, name, node);
    // Nobody is there to confirm its end.
    object["spec"]["terminationGracePeriodSeconds"] = json!(0);
    world.apply(&object);
    world.status(namespace, name, &running(&format!("{namespace}-{name}")));
    let found = world.lab.get(&["pod", name, "--namespace", namespace]);
    Eviction {
        pod: Pod {
            uid: found["metadata"]["uid"].as_str().map(ToOwned::to_owned),
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
        },
        owner: None,
        policy: "evicts".to_owned(),
    }
}

fn is_there(world: &World, order: &Eviction) -> bool {
    let (name, namespace) = (order.pod.name.as_deref(), order.pod.namespace.as_deref());
    let arguments = ["pod", name.unwrap(), "--namespace", namespace.unwrap()];
    world.lab.try_get(&arguments).is_ok()
}

fn ended(agent: &Cluster) -> Evicted {
    let mut found = None;
    until("an answer", || {
        found = agent.ended();
        found.is_some()
    });
    found.unwrap()
}

fn free(world: &World) {
    let lease = ["lease", "sexton-evictions", "--namespace=sexton"];
    until("the turn is free", || {
        world.lab.try_get(&lease).map_or(true, |lease| {
            lease["spec"]["holderIdentity"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        })
    });
}

#[test]
fn evictions_keep_budgets_nodes_and_turns() {
    // One after the other: the turn is the whole cluster's.
    let Some(world) = require(World::shared()) else {
        return;
    };
    world.namespace("evict");
    let one = world.agent("node1");
    let two = world.agent("node2");
    until("it may", || {
        one.eviction_refusal().is_none() && two.eviction_refusal().is_none()
    });

    a_holder_that_is_dead(world, &one);
    free(world);
    of_another_node(world, &one);
    free(world);
    of_another_pod_with_the_same_name(world, &one);
    free(world);
    a_budget_that_first_forbids(world, &one);
    free(world);
    a_policy_that_changes_its_mind(world, &one);
    free(world);
    world.lab.kubectl(&["delete", "reappolicy", "evicts"]);
    until("it is forgotten", || {
        [&one, &two].into_iter().all(|agent| {
            !agent
                .policies()
                .in_force
                .iter()
                .any(|p| p.name() == "evicts")
        })
    });
    two_nodes_at_once(world, one, two);
}

fn a_holder_that_is_dead(world: &World, one: &Cluster) {
    // A node that died in the middle, by a clock that is years ahead.
    world.apply(&json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "sexton-evictions", "namespace": "sexton"},
        "spec": {
            "holderIdentity": "node9", "leaseDurationSeconds": 5, "leaseTransitions": 7,
            "renewTime": "2031-01-01T00:00:00.000000Z",
        },
    }));
    let mine = running_pod(world, "evict", "late", "node1");
    until("it is known", || one.workloads().contains_key("evict-late"));
    assert!(one.evict(mine));
    assert_eq!(ended(one).end, End::Gone);
    let lease = world
        .lab
        .get(&["lease", "sexton-evictions", "--namespace=sexton"]);
    assert_eq!(lease["spec"]["leaseTransitions"], 8);
}

fn of_another_node(world: &World, one: &Cluster) {
    let other = running_pod(world, "evict", "other", "node2");
    assert!(one.evict(other.clone()));
    let answer = ended(one);
    let End::Refused(why) = &answer.end else {
        panic!("{answer:?}");
    };
    assert!(
        why.contains("can only evict pods with spec.nodeName set to itself"),
        "{why}"
    );
    assert!(is_there(world, &other));
}

fn of_another_pod_with_the_same_name(world: &World, one: &Cluster) {
    let mut anew = running_pod(world, "evict", "anew", "node1");
    anew.pod.uid = Some("00000000-0000-0000-0000-00000000000a".to_owned());
    assert!(one.evict(anew.clone()));
    assert_eq!(ended(one).end, End::Gone, "the one that was meant");
    assert!(is_there(world, &anew), "the one that is there");
}

fn a_budget_that_first_forbids(world: &World, one: &Cluster) {
    let mine = running_pod(world, "evict", "mine", "node1");
    world.apply(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "keeps", "namespace": "evict"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "mine"}}},
    }));
    until("it is known", || one.workloads().contains_key("evict-mine"));
    assert!(one.evict(mine.clone()));
    until("it is told that the budget forbids it", || {
        let events = world.lab.get(&["events", "--namespace=evict"]);
        let events = events["items"].as_array().unwrap();
        events
            .iter()
            .any(|event| event["reason"] == "EvictionBlocked")
    });
    assert!(is_there(world, &mine));
    free(world);
    // As the disruption controller would once it is allowed.
    world
        .lab
        .kubectl(&["delete", "pdb", "keeps", "--namespace=evict"]);
    assert_eq!(ended(one).end, End::Gone);
    assert!(!is_there(world, &mine));
}

fn a_policy_that_changes_its_mind(world: &World, one: &Cluster) {
    let spec = json!({"mode": "enforce", "maxRung": "evict"});
    world.apply(&policy("evicts", &spec));
    let followed = |one: &Cluster| {
        let policies = one.policies();
        let mut in_force = policies.in_force.iter();
        in_force.find(|policy| policy.name() == "evicts").cloned()
    };
    until("it is followed", || followed(one).is_some());
    let mine = running_pod(world, "evict", "spared", "node1");
    world.apply(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "spares", "namespace": "evict"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "spared"}}},
    }));
    assert!(one.evict(mine.clone()));
    until("it is blocked", || {
        let events = [
            "events",
            "--namespace=evict",
            "--field-selector=involvedObject.name=spared",
        ];
        world.lab.get(&events)["items"]
            .as_array()
            .is_some_and(|events| !events.is_empty())
    });
    let paused = json!({"mode": "enforce", "maxRung": "evict", "paused": true});
    world.apply(&policy("evicts", &paused));
    until("it is paused", || {
        followed(one).is_some_and(|policy| policy.spec.paused)
    });
    world
        .lab
        .kubectl(&["delete", "pdb", "spares", "--namespace=evict"]);
    let End::Refused(why) = ended(one).end else {
        panic!("it was evicted");
    };
    assert!(why.contains("policy evicts"), "{why}");
    assert!(is_there(world, &mine));
}

/// Both evict a pod of theirs. At any time at most one of them holds the turn and acts.
fn two_nodes_at_once(world: &World, one: Cluster, two: Cluster) {
    let mut orders = vec![];
    for (agent, node) in [(&one, "node1"), (&two, "node2")] {
        let name = format!("both-{node}");
        let order = running_pod(world, "evict", &name, node);
        until("it is known", || {
            agent.workloads().contains_key(&format!("evict-{name}"))
        });
        orders.push(order);
    }
    let began = Instant::now();
    let waits: Vec<_> = [one, two]
        .into_iter()
        .zip(orders)
        .map(|(agent, order)| {
            thread::spawn(move || {
                assert!(agent.evict(order));
                assert_eq!(ended(&agent).end, End::Gone);
                began.elapsed()
            })
        })
        .collect();
    let mut times: Vec<Duration> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
    times.sort();
    // The first keeps its turn for a while after its pod is gone.
    let between = times[1] - times[0];
    assert!(between >= REST / 2, "{times:?}");
    let lease = world
        .lab
        .get(&["lease", "sexton-evictions", "--namespace=sexton"]);
    assert!(lease["spec"]["leaseTransitions"].as_i64() >= Some(2));
}
