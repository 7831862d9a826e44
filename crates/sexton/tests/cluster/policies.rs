//! Who is covered, by which policy, and who is not.

use serde_json::json;
use sexton_lab::require;

use crate::sexton::{Namespace, Sexton, container, deployment};

const LEAK: &[&str] = &["/story/leak", "20", "10"];

#[test]
fn two_policies_that_fit_alike_are_told_and_none_acts() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "clash");
    at.policy("clash-one", "  mode: enforce\n");
    at.policy("clash-other", "  mode: enforce\n  maxRung: nudge\n");
    at.cluster
        .apply(&deployment("clash", "app", &container(LEAK), &json!([])));
    let pod = at.pod("app");
    let told = at.eventually("the node says that they clash", || {
        let report = at.cluster.try_get(&["zombiereport", &pod.node]).ok()?;
        let policies = report["status"]["policies"].as_array()?;
        let mut policies = policies.iter();
        policies
            .find(|policy| policy["name"] == "clash-one" && policy["message"].is_string())
            .cloned()
    });
    assert!(
        told["message"].as_str().unwrap().contains("clash-other"),
        "{told}"
    );
    at.eventually("all are leaked", || {
        (pod.zombies(at.cluster)? >= 20).then_some(())
    });

    at.cluster.kubectl(&["delete", "reappolicy", "clash-other"]);
    at.eventually("the one that is left acts", || {
        (pod.zombies(at.cluster)? <= 1).then_some(())
    });
    assert_eq!(at.pod("app"), pod);
}

#[test]
fn a_pod_that_opts_out_is_left_alone_beside_one_that_does_not() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "optout");
    let pod = |name: &str, annotations| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "optout", "labels": {"app": name},
                "annotations": annotations,
            },
            // On one node: what is left alone there is left alone by an agent that acts.
            "spec": {
                "nodeName": "node1", "terminationGracePeriodSeconds": 1,
                "containers": [container(LEAK)],
            },
        })
        .to_string()
    };
    at.cluster
        .apply(&pod("out", json!({"sexton.dev/reap": "disabled"})));
    let out = at.pod("out");
    at.eventually("all are leaked", || {
        (out.zombies(at.cluster)? >= 20).then_some(())
    });
    at.policy("optout", "  mode: enforce\n");
    at.cluster.apply(&pod("in", json!({})));
    let other = at.pod("in");
    at.eventually("the other is healed", || {
        (other.zombies(at.cluster)? <= 1).then_some(())
    });
    at.wait_for_event("ReapSucceeded", "Pod/in");
    assert!(out.zombies(at.cluster).unwrap() >= 20);
    assert!(at.events("ReapSucceeded", "Pod/out").is_empty());
    assert!(at.events("ReapStarting", "Pod/out").is_empty());
}

#[test]
fn what_policy_check_refuses_the_api_server_refuses() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let apply = |spec: &str| {
        sexton.cluster.try_apply(&format!(
            "{{apiVersion: sexton.dev/v1alpha1, kind: ReapPolicy, metadata: {{name: wrong}}, spec: {spec}}}"
        ))
    };
    for spec in [
        "{mode: sometimes}",
        "{maxRung: kill}",
        "{settle: soon}",
        "{unknown: 1}",
        "{selector: {namespaces: []}, threshold: {limitUsedPercent: 101}}",
    ] {
        assert!(apply(spec).is_err(), "{spec}");
    }
    sexton
        .cluster
        .try_apply(
            "{apiVersion: sexton.dev/v1alpha1, kind: ReapPolicy, metadata: {name: right}, \
             spec: {selector: {namespaces: [nowhere]}}}",
        )
        .unwrap();
    sexton.cluster.kubectl(&["delete", "reappolicy", "right"]);
}
