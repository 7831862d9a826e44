//! The agent goes on while nobody can be asked.

use serde_json::json;
use sexton_lab::require;

use crate::sexton::{Alone, NAMESPACE, Namespace, container, deployment};

#[test]
fn without_an_api_server_it_acts_by_the_last_policies_and_tells_later() {
    let Some(alone) = require(Alone::with_sexton()) else {
        return;
    };
    let cluster = alone.cluster;
    let at = Namespace::new(cluster, "outage");
    at.policy("outage", "  mode: enforce\n");
    // Leaks for ever, five a second.
    let leak = container(&["/story/leak", "0", "200"]);
    cluster.apply(&deployment("outage", "app", &leak, &json!([])));
    let pod = at.pod("app");
    at.wait_for_event("ReapSucceeded", &format!("Pod/{}", pod.name));
    let agents = || {
        let pods = cluster.get(&["pods", "--namespace", NAMESPACE]);
        let restarts = pods["items"].as_array().unwrap().iter().map(|pod| {
            let container = &pod["status"]["containerStatuses"][0];
            (
                container["containerID"].clone(),
                container["restartCount"].clone(),
            )
        });
        restarts.collect::<Vec<_>>()
    };
    let before = agents();
    let node = pod.node.trim_start_matches("node").parse().unwrap();
    let records = || {
        let log = cluster.on_node(node, &["cat", "/var/log/sexton/audit.jsonl"]);
        log.lines()
            .filter(|line| line.contains("\"succeeded\""))
            .count()
    };

    cluster.stop("kube-apiserver", 1);
    // Whatever fails below, the others want it back.
    let back = GoesOn(&alone);
    assert!(cluster.try_kubectl(&["get", "nodes"]).is_err());
    let told = records();
    at.eventually("it is reaped again and again, by the last policies", || {
        (records() >= told + 2).then_some(())
    });
    at.eventually("few are left", || {
        (pod.zombies_by_node(cluster) <= 10).then_some(())
    });
    drop(back);

    at.eventually("the API server is back", || {
        cluster.try_kubectl(&["get", "--raw", "/readyz"]).ok()
    });
    assert_eq!(agents(), before, "no agent was restarted");
    assert_eq!(at.pod("app"), pod);
    // It hears again: a policy that is new now.
    at.policy("outage", "  mode: enforce\n  paused: true\n");
    at.eventually("the new policy is followed", || {
        let report = cluster.try_get(&["zombiereport", &pod.node]).ok()?;
        let generation = cluster.try_get(&["reappolicy", "outage"]).ok()?;
        let generation = &generation["metadata"]["generation"];
        let policies = report["status"]["policies"].as_array()?;
        let mut policies = policies.iter();
        policies
            .any(|policy| policy["name"] == "outage" && policy["observedGeneration"] == *generation)
            .then_some(())
    });
}

struct GoesOn<'a>(&'a Alone);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.cluster.go_on("kube-apiserver", 1);
    }
}
