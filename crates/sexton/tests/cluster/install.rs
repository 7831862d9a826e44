//! The chart: a dry run that becomes an enforcement by an upgrade, and nothing that is left.

use std::collections::BTreeSet;

use serde_json::json;
use sexton_lab::{Cluster, require};

use crate::sexton::{
    Alone, NAMESPACE, Namespace, container, deployment, eventually, install, uninstall,
};

#[test]
fn it_begins_with_a_dry_run_enforces_after_an_upgrade_and_leaves_nothing() {
    let Some(alone) = require(Alone::without_sexton()) else {
        return;
    };
    let cluster = alone.cluster;
    let before = objects(cluster);
    {
        let at = Namespace::new(cluster, "upgrade");
        let leak = container(&["/story/leak", "30", "10"]);
        cluster.apply(&deployment("upgrade", "app", &leak, &json!([])));
        let pod = at.pod("app");

        // As anybody would install it, but for the time it takes.
        let quick = ["agent.interval=1s", "policy.spec.settle=1s"];
        install(cluster, &quick);
        at.eventually("every node reports", || {
            let reports = cluster.try_get(&["zombiereports"]).ok()?;
            (reports["items"].as_array()?.len() == 2).then_some(())
        });
        let policy = cluster.get(&["reappolicy", "default"]);
        assert_eq!(policy["spec"]["mode"], "dryRun");
        at.wait_for_event("ReapDryRun", &format!("Pod/{}", pod.name));
        at.eventually("nothing was touched", || {
            (pod.zombies(cluster)? >= 30).then_some(())
        });

        install(cluster, &[quick[0], quick[1], "policy.mode=enforce"]);
        at.wait_for_event("ReapSucceeded", &format!("Pod/{}", pod.name));
        at.eventually("the zombies are gone", || {
            (pod.zombies(cluster)? <= 1).then_some(())
        });
        assert_eq!(at.pod("app"), pod, "the same container");
        assert_eq!(pod.restarts, 0);
    }
    uninstall(cluster);
    cluster.kubectl(&["delete", "namespace", "upgrade", "--ignore-not-found"]);
    eventually(cluster, NAMESPACE, "nothing is left", || {
        let after = objects(cluster);
        let mut left = after.difference(&before).peekable();
        left.peek().is_none().then_some(())
    });
    let nodes = cluster.get(&["nodes"]).to_string();
    assert!(!nodes.contains("ZombieLeak"), "{nodes}");
}

/// All objects of the cluster, but for what others make all the time.
fn objects(cluster: &Cluster) -> BTreeSet<String> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "--output=name"]);
    let passing = [
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
    ];
    let kinds: Vec<_> = kinds
        .lines()
        .filter(|kind| !passing.contains(kind))
        .collect();
    let format = "--output=custom-columns=KIND:.kind,NS:.metadata.namespace,NAME:.metadata.name";
    let arguments = [
        "get",
        &kinds.join(","),
        "--all-namespaces",
        "--no-headers",
        format,
    ];
    cluster
        .kubectl(&arguments)
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}
