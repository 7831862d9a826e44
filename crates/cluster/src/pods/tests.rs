use super::*;
use serde_json::{Value, json};
use sexton_core::{RestartPolicy, Tenure};

use std::sync::Mutex;

fn pod(value: &Value) -> NodePod {
    serde_json::from_value(value.clone()).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// An ordinary pod with `change`.
fn with(change: &Value) -> Value {
    let mut whole = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "crawler-7d4b9c-x2x4z",
            "namespace": "shop",
            "uid": "u-1",
            "creationTimestamp": "2026-11-24T16:00:00Z",
            "labels": {"app": "crawler", "pod-template-hash": "7d4b9c"},
            "annotations": {
                "sexton.dev/reap": "disabled",
                "kubectl.kubernetes.io/last-applied-configuration": "{…}",
            },
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c-1"},
                {
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "crawler-7d4b9c",
                    "uid": "r-1", "controller": true,
                },
            ],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {
            "nodeName": "node1",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 45,
            "containers": [{"name": "app", "image": "lab/app:1"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [{
                "name": "app", "containerID": "containerd://c1", "restartCount": 3,
                "image": "sha256:…", "imageID": "", "ready": true,
                "state": {"running": {"startedAt": "2026-11-24T16:00:10Z"}},
            }],
        },
    });
    merge(&mut whole, change);
    whole
}

/// The tenure of an ordinary pod.
fn plain() -> Tenure {
    Tenure {
        // 2026-11-24T16:00:00Z
        created: Some(1_795_536_000),
        ..Tenure::default()
    }
}

fn only(change: &Value) -> Workload {
    let mut all = workloads(&pod(&with(change)));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_container_is_known_by_its_id_with_all_that_its_pod_says() {
    let found = only(&json!({}));
    assert_eq!(found.id, "c1");
    assert_eq!(found.name.as_deref(), Some("app"));
    assert_eq!(
        found.image.as_deref(),
        Some("lab/app:1"),
        "as it was asked for"
    );
    let pod = found.pod.as_ref().unwrap();
    assert_eq!(
        (
            pod.namespace.as_deref(),
            pod.name.as_deref(),
            pod.uid.as_deref()
        ),
        (Some("shop"), Some("crawler-7d4b9c-x2x4z"), Some("u-1"))
    );
    assert_eq!(found.labels["app"], "crawler");
    assert_eq!(found.annotations.len(), 1, "{:?}", found.annotations);
    assert_eq!(found.annotations["sexton.dev/reap"], "disabled");
    assert_eq!(found.grace_seconds, Some(45));
    assert_eq!(found.restart, RestartPolicy::Always);
    assert_eq!(found.restarts, Some(3));
    assert_eq!(found.stop_signal, None);
    assert!(!found.pre_stop);
    assert_eq!(found.tenure, Some(plain()));
}

#[test]
fn init_ephemeral_and_sidecar_containers_are_there_too_and_ended_ones_are_not() {
    let ended = json!({"terminated": {"exitCode": 0}});
    let change = json!({
        "spec": {
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always",
                 "lifecycle": {"stopSignal": "SIGUSR1", "preStop": {"exec": {"command": ["x"]}}}},
                {"name": "migrate"},
                {"name": "done"},
            ],
            "ephemeralContainers": [{"name": "debug"}],
        },
        "status": {
            "initContainerStatuses": [
                {"name": "proxy", "containerID": "cri-o://s1", "restartCount": 0},
                {"name": "migrate", "containerID": "cri-o://i1", "restartCount": 0},
                {"name": "done", "containerID": "cri-o://i2", "restartCount": 0, "state": ended},
                {"name": "waits", "restartCount": 0},
            ],
            "ephemeralContainerStatuses": [
                {"name": "debug", "containerID": "cri-o://e1", "restartCount": 0},
            ],
        },
    });
    let all = workloads(&pod(&with(&change)));
    let told: Vec<_> = all
        .iter()
        .map(|w| (w.id.as_str(), w.name.as_deref().unwrap(), w.restart))
        .collect();
    assert_eq!(
        told,
        [
            ("c1", "app", RestartPolicy::Always),
            ("s1", "proxy", RestartPolicy::Always),
            ("i1", "migrate", RestartPolicy::OnFailure),
            ("e1", "debug", RestartPolicy::Never),
        ]
    );
    assert_eq!(all[1].stop_signal.as_deref(), Some("SIGUSR1"));
    assert!(all[1].pre_stop && !all[0].pre_stop);
    // As the kubelet annotates it.
    let handler = all[1]
        .pre_stop_handler
        .as_deref()
        .map(serde_json::from_str::<Value>);
    assert!(handler.is_some_and(|handler| handler.is_ok_and(|handler| handler.is_object())));
    assert_eq!(all[0].pre_stop_handler, None);
}

#[test]
fn a_containers_own_restart_policy_and_rules_count() {
    let container = |rest: Value| {
        let mut container = json!({"name": "app"});
        merge(&mut container, &rest);
        only(&json!({"spec": {"containers": [container]}})).restart
    };
    assert_eq!(
        container(json!({"restartPolicy": "Never"})),
        RestartPolicy::Never
    );
    let rules = |action: &str| {
        json!({"restartPolicyRules": [
            {"action": action, "exitCodes": {"operator": "In", "values": [137]}},
        ]})
    };
    assert_eq!(container(rules("Restart")), RestartPolicy::Always);
    assert_eq!(
        container(rules("RestartAllContainers")),
        RestartPolicy::Unknown
    );
    let pod = |policy: &str| only(&json!({"spec": {"restartPolicy": policy}})).restart;
    assert_eq!(pod("OnFailure"), RestartPolicy::OnFailure);
    assert_eq!(pod("Sometimes"), RestartPolicy::Unknown);
}

#[test]
fn owners_are_found_without_a_look_up() {
    let owner = |kind: &str, name: &str, labels: Value| {
        let change = json!({"metadata": {"labels": labels, "ownerReferences": [
            {"apiVersion": "x/v1", "kind": kind, "name": name, "uid": "o-1", "controller": true},
        ]}});
        let owner = only(&change).owner.unwrap();
        (owner.to_string(), owner.uid.is_some())
    };
    let of = |text: &str, direct: bool| (text.to_owned(), direct);
    let hash = json!({"pod-template-hash": "7d4b9c"});
    assert_eq!(
        owner("ReplicaSet", "crawler-7d4b9c", hash.clone()),
        of("Deployment/crawler", false)
    );
    assert_eq!(
        owner("ReplicaSet", "by-hand", hash.clone()),
        of("ReplicaSet/by-hand", true)
    );
    assert_eq!(
        owner("ReplicaSet", "-7d4b9c", hash),
        of("ReplicaSet/-7d4b9c", true)
    );
    let argo = json!({"rollouts-pod-template-hash": "55"});
    assert_eq!(
        owner("ReplicaSet", "crawler-55", argo),
        of("Rollout/crawler", false)
    );
    assert_eq!(
        owner("StatefulSet", "db", json!({})),
        of("StatefulSet/db", true)
    );
    // 2026-11-24T16:00:00Z is minute 29,925,600.
    let due = "nightly-29925599";
    assert_eq!(owner("Job", due, json!({})), of("CronJob/nightly", false));
    assert_eq!(
        owner("Job", "nightly-29925600", json!({})),
        of("CronJob/nightly", false)
    );
    assert_eq!(
        owner("Job", "import-20261124", json!({})),
        of("Job/import-20261124", true)
    );
    assert_eq!(
        owner("Job", "nightly-29925699", json!({})),
        of("Job/nightly-29925699", true)
    );
    assert_eq!(owner("Job", "once", json!({})), of("Job/once", true));
}

#[test]
fn what_bears_on_evicting_is_told() {
    let tenure = |change: Value| only(&change).tenure.unwrap();
    let plain = plain();
    let bare = tenure(json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c-1"},
    ]}}));
    assert_eq!(
        bare,
        Tenure {
            bare: true,
            ..plain
        }
    );
    let daemon = tenure(json!({"metadata": {"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "d-1", "controller": true},
    ]}}));
    assert_eq!(
        daemon,
        Tenure {
            daemon_set: true,
            ..plain
        }
    );
    let critical = Tenure {
        critical: true,
        ..plain
    };
    assert_eq!(
        tenure(json!({"spec": {"priority": 2_000_001_000}})),
        critical
    );
    assert_eq!(
        tenure(json!({"spec": {"priorityClassName": "system-node-critical"}})),
        critical
    );
    assert_eq!(
        tenure(json!({"metadata": {"namespace": "kube-system"}})),
        critical
    );
    assert_eq!(tenure(json!({"spec": {"priority": 1_000_000_000}})), plain);
    let going = tenure(json!({"metadata": {"deletionTimestamp": "2026-11-24T17:00:00Z"}}));
    assert_eq!(
        going,
        Tenure {
            terminating: true,
            ..plain
        }
    );
    assert_eq!(
        tenure(json!({"status": {"phase": "Failed"}})),
        Tenure {
            ended: true,
            ..plain
        }
    );

    let mirror = json!({"metadata": {
        "annotations": {"kubernetes.io/config.mirror": "abc"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "node1", "uid": "n-1", "controller": true},
        ],
    }});
    let mirror = only(&mirror);
    assert_eq!(
        mirror.tenure,
        Some(Tenure {
            mirror: true,
            ..plain
        })
    );
    assert_eq!(mirror.owner, None);
}

#[test]
fn a_pod_with_nothing_in_it_is_no_trouble() {
    assert!(workloads(&pod(&json!({}))).is_empty());
    assert!(workloads(&pod(&json!({"metadata": {"uid": "u"}, "status": {"containerStatuses": [
        {"name": "a", "containerID": ""}, {"name": "b", "containerID": "x"}, {"name": "c", "containerID": "x://"},
    ]}}))).is_empty());
}

#[test]
fn the_board_follows_the_watch() {
    let board = Arc::new(Mutex::default());
    let told = Told::new(board, || {});
    let mut known = Known::default();
    let ids = |told: &Told| {
        let mut ids: Vec<String> = told.board().workloads.keys().cloned().collect();
        ids.sort();
        ids
    };
    let made = |uid: &str, id: &str| {
        pod(&with(&json!({
            "metadata": {"uid": uid},
            "status": {"containerStatuses": [{"name": "app", "containerID": format!("docker://{id}")}]},
        })))
    };
    assert!(!known.take(Event::Init, &told));
    assert!(known.take(Event::InitApply(made("a", "a1")), &told));
    assert!(known.take(Event::InitApply(made("b", "b1")), &told));
    assert!(!told.board().pods_known, "there may be more");
    assert!(known.take(Event::InitDone, &told), "all of them are known");
    assert!(told.board().pods_known);
    assert_eq!(ids(&told), ["a1", "b1"]);

    // What the agent has in its hands stays as it was.
    let held = told.board().workloads.clone();
    assert!(
        known.take(Event::Apply(made("a", "a2")), &told),
        "restarted"
    );
    assert_eq!(ids(&told), ["a2", "b1"]);
    assert!(held.contains_key("a1"));
    assert!(!known.take(Event::Apply(made("a", "a2")), &told), "no news");

    // A new list after an outage: b has gone meanwhile, and until it is whole nothing is missing.
    assert!(!known.take(Event::Init, &told));
    assert!(known.take(Event::InitApply(made("c", "c1")), &told));
    assert_eq!(ids(&told), ["a2", "b1", "c1"]);
    assert!(!known.take(Event::InitApply(made("a", "a2")), &told));
    assert!(known.take(Event::InitDone, &told));
    assert_eq!(ids(&told), ["a2", "c1"]);
    assert!(known.take(Event::Delete(made("c", "c1")), &told));
    assert_eq!(ids(&told), ["a2"]);
}
