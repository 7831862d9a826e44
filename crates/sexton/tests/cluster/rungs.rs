//! Where reaping is not possible: the container is restarted, or the pod evicted.

use serde_json::{Value, json};
use sexton_lab::cluster::container as system_container;
use sexton_lab::{Program, Skip, require};

use crate::pod::Pod;
use crate::sexton::{Namespace, Sexton, deployment};

/// Nothing makes a program of 32 bits wait; as PID 1 it is not to be ended either.
fn unreapable() -> Result<(Value, Value), Skip> {
    Ok(system_container("main", &Program::leak_of_32_bits()?))
}

#[test]
fn a_container_that_cannot_be_reaped_is_restarted_by_its_kubelet() {
    let Some((container, volumes)) = require(unreapable()) else {
        return;
    };
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "restart");
    at.cluster
        .apply(&deployment("restart", "app", &container, &volumes));
    let pod = at.pod("app");
    at.eventually("it has leaked", || {
        (pod.zombies(at.cluster)? >= 10).then_some(())
    });
    at.policy(
        "restart",
        "  mode: enforce\n  maxRung: restart\n\
         \x20 disruption: {threshold: {minZombies: 1}, escalateAfter: 1s}\n",
    );
    let again = at.eventually("another container runs in the same pod", || {
        let now = at.pod_now("app")?;
        (now.container != pod.container).then_some(now)
    });
    assert_eq!(again.uid, pod.uid, "the pod stays");
    assert_eq!(again.restarts, 1);
    at.wait_for_event("RestartSucceeded", &format!("Pod/{}", pod.name));
    at.wait_for_event("RestartSucceeded", "Deployment/app");
}

#[test]
fn a_pod_that_cannot_be_helped_is_evicted_when_its_budget_allows() {
    let Some((container, volumes)) = require(unreapable()) else {
        return;
    };
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "evict");
    // A Job makes another pod, and its containers are not restarted.
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "app", "namespace": "evict"},
        "spec": {
            "backoffLimit": 10,
            "template": {
                "metadata": {"labels": {"app": "app"}},
                "spec": {
                    "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                    "containers": [container], "volumes": volumes,
                },
            },
        },
    });
    at.cluster.apply(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: app, namespace: evict}, \
         spec: {minAvailable: 1, selector: {matchLabels: {app: app}}}}",
    );
    at.cluster.apply(&job.to_string());
    let pod = at.pod("app");
    at.eventually("it has leaked", || {
        (pod.zombies(at.cluster)? >= 10).then_some(())
    });
    at.policy(
        "evict",
        "  mode: enforce\n  maxRung: evict\n\
         \x20 disruption: {threshold: {minZombies: 1}, escalateAfter: 1s, \
         rateLimits: {perContainer: {count: 1, per: 2s}}}\n",
    );
    let name = format!("Pod/{}", pod.name);
    at.wait_for_event("EvictionBlocked", &name);
    assert_eq!(at.pod("app"), pod, "the budget forbids");

    at.cluster
        .kubectl(&["delete", "--namespace=evict", "pdb", "app"]);
    let again = at.eventually("another pod is there", || {
        at.pod_now("app").filter(|now: &Pod| now.uid != pod.uid)
    });
    assert_ne!(again.name, pod.name);
    at.wait_for_event("EvictSucceeded", &name);
}
