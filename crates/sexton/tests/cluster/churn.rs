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
    // By their own word: what the cluster is told may be five minutes behind after so many changes.
    at.eventually("the agents have forgotten them", || {
        let pods = at
            .cluster
            .try_get(&["pods", "--namespace", NAMESPACE])
            .ok()?;
        let forgotten = |pod: &serde_json::Value| {
            let name = pod["metadata"]["name"].as_str()?;
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:9713/proxy/report");
            let report = at.cluster.try_kubectl(&["get", "--raw", &path]).ok()?;
            (report.contains("\"zombies\"") && !report.contains("\"churn-")).then_some(())
        };
        pods["items"].as_array()?.iter().try_for_each(forgotten)
    });
    assert_eq!(agents(), before, "no agent was restarted");
    drop(at);
    alone.uninstall();
}
