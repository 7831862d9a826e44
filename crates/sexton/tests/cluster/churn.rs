//! Pods that come and go faster than the agent looks.

use serde_json::json;
use sexton_lab::require;

use crate::sexton::{Alone, NAMESPACE, Namespace, container};

#[test]
fn two_hundred_pods_come_and_go_and_the_agent_stays() {
    let Some(alone) = require(Alone::with_sexton()) else {
        return;
    };
    let at = Namespace::new(alone.cluster, "churn");
    at.policy("churn", "  mode: enforce\n");
    let agents = || {
        let pods = at.cluster.get(&["pods", "--namespace", NAMESPACE]);
        let containers = pods["items"].as_array().unwrap().iter().map(|pod| {
            assert_eq!(
                pod["status"]["containerStatuses"][0]["ready"], true,
                "{pod}"
            );
            pod["status"]["containerStatuses"][0]["containerID"].clone()
        });
        containers.collect::<Vec<_>>()
    };
    let before = agents();
    // Each leaves a zombie with a shell that does not wait, for as long as it is there.
    let script = "(sleep 0.1 & exec sleep 1.5)";
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "churn", "namespace": "churn"},
        "spec": {
            "completions": 200, "parallelism": 20,
            "template": {"spec": {
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
                "containers": [container(&["sh", "-c", script])],
            }},
        },
    });
    at.cluster.apply(&job.to_string());
    // Longer than anything else waits: it is as many pods as a node's start in a minute.
    at.cluster.kubectl(&[
        "wait",
        "--namespace=churn",
        "--for=condition=Complete",
        "job/churn",
        "--timeout=400s",
    ]);
    at.eventually("the reports have forgotten them", || {
        let reports = at.cluster.try_get(&["zombiereports"]).ok()?;
        let text = reports.to_string();
        (!text.contains("\"churn-")).then_some(())
    });
    assert_eq!(agents(), before, "no agent was restarted");
    drop(at);
    // Events of hundreds of pods wait to be told.
    alone.uninstall();
}
