//! What the agent's own token may do, and what it may not.

use serde_json::json;
use sexton_lab::{Cluster, require};

use crate::sexton::{NAMESPACE, Namespace, Sexton, container};

/// The token of node1's agent, and what it is used for.
struct Agent<'a> {
    cluster: &'a Cluster,
    token: String,
    pod: String,
}

impl<'a> Agent<'a> {
    /// Read where the kubelet has put it for the pod.
    fn of_node1(cluster: &'a Cluster) -> Self {
        let pods = cluster.get(&[
            "pods",
            "--namespace",
            NAMESPACE,
            "--field-selector=spec.nodeName=node1",
        ]);
        let metadata = &pods["items"][0]["metadata"];
        let files = format!(
            "cat /var/lib/kubelet/pods/{}/volumes/kubernetes.io~projected/*/token",
            metadata["uid"].as_str().unwrap()
        );
        Self {
            cluster,
            token: cluster.on_node(1, &["/bin/sh", "-c", &files]),
            pod: metadata["name"].as_str().unwrap().to_owned(),
        }
    }

    fn kubectl(&self, node: Option<&str>, arguments: &[&str], input: Option<&str>) -> Answer {
        let token = format!("--token={}", self.token.trim());
        let user = node.map(|node| format!("--as=system:node:{node}"));
        let mut all = vec![token.as_str()];
        all.extend(user.as_deref());
        all.extend(arguments);
        Answer(self.cluster.try_kubectl_with(&all, input))
    }

    /// By its own rights.
    fn itself(&self, arguments: &[&str]) -> Answer {
        self.kubectl(None, arguments, None)
    }

    /// As its own node, by constrained impersonation.
    fn as_node(&self, arguments: &[&str]) -> Answer {
        self.kubectl(Some("node1"), arguments, None)
    }

    /// A PATCH as its node. kubectl would read the object first, which is another right.
    fn patches(&self, path: &str, patch: &str) -> Answer {
        let header = |name: &str, value: &str| format!("-H{name}: {value}");
        let printed = self.cluster.on_node(
            1,
            &[
                "curl",
                "--silent",
                "--show-error",
                "--insecure",
                "--request",
                "PATCH",
                &header("Authorization", &format!("Bearer {}", self.token.trim())),
                &header("Impersonate-User", "system:node:node1"),
                &header("Content-Type", "application/strategic-merge-patch+json"),
                "--data",
                patch,
                "-w",
                "\n%{http_code}",
                &format!("https://10.96.0.1{path}"),
            ],
        );
        match printed.lines().last() {
            Some("200") => Answer(Ok(printed)),
            _ => Answer(Err(printed)),
        }
    }

    fn evicts(&self, pod: &str) -> Answer {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": pod, "namespace": "rights"},
        });
        let path = format!("/api/v1/namespaces/rights/pods/{pod}/eviction");
        let arguments = ["create", "--raw", &path, "--filename=-"];
        self.kubectl(Some("node1"), &arguments, Some(&eviction.to_string()))
    }
}

struct Answer(Result<String, String>);

impl Answer {
    #[track_caller]
    fn allowed(self) -> String {
        self.0.unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// By the API server, and not for another reason.
    #[track_caller]
    fn forbidden(self) {
        match self.0 {
            Err(error) if error.contains("orbidden") => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_has_no_right_of_its_own_over_pods_nodes_events_or_secrets() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let agent = Agent::of_node1(sexton.cluster);
    agent
        .itself(&["get", "pods", "--all-namespaces"])
        .forbidden();
    agent
        .itself(&["get", "pods", "-A", "--field-selector=spec.nodeName=node1"])
        .forbidden();
    agent.itself(&["get", "nodes"]).forbidden();
    agent.itself(&["get", "node", "node1"]).forbidden();
    agent.itself(&["get", "events", "-A"]).forbidden();
    for namespace in [NAMESPACE, "default", "kube-system"] {
        let namespace = format!("--namespace={namespace}");
        agent.itself(&["get", "secrets", &namespace]).forbidden();
        agent.itself(&["get", "configmaps", &namespace]).forbidden();
        agent
            .itself(&["create", "configmap", "x", &namespace])
            .forbidden();
        agent
            .itself(&["delete", "pod", &agent.pod, &namespace])
            .forbidden();
    }
    agent
        .itself(&["label", "node", "node1", "x=y", "--overwrite"])
        .forbidden();
    agent
        .itself(&[
            "create",
            "clusterrolebinding",
            "x",
            "--clusterrole=cluster-admin",
            "--user=x",
        ])
        .forbidden();
    // What it may: read policies, of which it writes none.
    agent.itself(&["get", "reappolicies"]).allowed();
    agent.itself(&["delete", "reappolicy", "any"]).forbidden();
}

#[test]
fn as_its_node_it_sees_and_touches_that_node_alone() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let at = Namespace::new(sexton.cluster, "rights");
    let pod = |name: &str, node: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "rights", "labels": {"app": name}},
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 0,
                "containers": [container(&["sleep", "3000"])],
            },
        })
        .to_string()
    };
    at.cluster.apply(&pod("near", "node1"));
    at.cluster.apply(&pod("far", "node2"));
    at.pod("near");
    at.pod("far");
    let agent = Agent::of_node1(sexton.cluster);

    // Pods: those of its node, by the field selector that says so.
    let list = |node: &str| format!("--field-selector=spec.nodeName={node}");
    let seen = agent
        .as_node(&[
            "get",
            "pods",
            "--all-namespaces",
            &list("node1"),
            "--output=name",
        ])
        .allowed();
    assert!(
        seen.contains("pod/near") && !seen.contains("pod/far"),
        "{seen}"
    );
    agent
        .as_node(&["get", "pods", "--all-namespaces", &list("node2")])
        .forbidden();
    agent
        .as_node(&["get", "pods", "--all-namespaces"])
        .forbidden();

    // As another node, or as anybody else: not at all.
    let other = |node| {
        let selector = format!("--field-selector=spec.nodeName={node}");
        agent.kubectl(
            Some(node),
            &["get", "pods", "--all-namespaces", &selector],
            None,
        )
    };
    other("node2").forbidden();
    other("node9").forbidden();
    for user in ["admin", "system:serviceaccount:kube-system:default"] {
        let user = format!("--as={user}");
        agent.itself(&["get", "pods", &user]).forbidden();
    }
    agent
        .itself(&[
            "get",
            "secrets",
            "-A",
            "--as=admin",
            "--as-group=system:masters",
        ])
        .forbidden();

    // What a node may, but an agent has no use for.
    agent
        .as_node(&["get", "secrets", "--all-namespaces"])
        .forbidden();
    agent
        .as_node(&["delete", "pod", "near", "--namespace=rights"])
        .forbidden();
    agent
        .as_node(&["label", "node", "node1", "x=y", "--overwrite"])
        .forbidden();
    agent.as_node(&["delete", "node", "node1"]).forbidden();
    agent
        .as_node(&["create", "token", "default", "--namespace=rights"])
        .forbidden();

    // The condition of its own node, and of no other.
    let condition = |status: &str| {
        json!({"status": {"conditions": [{
            "type": "SextonTest", "status": status, "reason": "Test", "message": "test",
        }]}})
        .to_string()
    };
    let status = |node: &str| format!("/api/v1/nodes/{node}/status");
    agent
        .patches(&status("node1"), &condition("True"))
        .allowed();
    agent
        .patches(&status("node2"), &condition("True"))
        .forbidden();
    // Nor anything else of its node: neither its labels nor its taints.
    let taint = "{\"spec\":{\"taints\":[{\"key\":\"x\",\"effect\":\"NoSchedule\"}]}}";
    agent.patches("/api/v1/nodes/node1", taint).forbidden();

    // Events.
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "test", "namespace": "rights"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
        "reason": "Test", "action": "Test",
        "reportingController": "sexton.dev/agent", "reportingInstance": "node1",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "near", "namespace": "rights"},
    })
    .to_string();
    // kubectl would read the schema first, which is another right.
    let create = ["create", "--validate=false", "--filename=-"];
    agent.kubectl(None, &create, Some(&event)).forbidden();
    agent
        .kubectl(Some("node1"), &create, Some(&event))
        .allowed();

    // Eviction: a pod of its own node, and of no other.
    agent.evicts("far").forbidden();
    agent.evicts("near").allowed();
    at.eventually("it is gone", || at.pod_now("near").is_none().then_some(()));
    assert!(at.pod_now("far").is_some());
    // Made an instant before: no cache that has not seen it yet lets it through.
    for n in 0..10 {
        let name = format!("new-{n}");
        at.cluster.apply(&pod(&name, "node2"));
        agent.evicts(&name).forbidden();
    }
}

#[test]
fn it_writes_the_report_of_its_own_node_alone() {
    let Some(sexton) = require(Sexton::installed()) else {
        return;
    };
    let agent = Agent::of_node1(sexton.cluster);
    let annotate = |node: &str, token: &Agent| {
        token.itself(&["annotate", "zombiereport", node, "test=x", "--overwrite"])
    };
    let report = |name: &str| {
        format!(
            "{{apiVersion: sexton.dev/v1alpha1, kind: ZombieReport, metadata: {{name: {name}}}}}"
        )
    };
    // kubectl would read the schema first, which is another right.
    let create = ["create", "--validate=false", "--filename=-"];
    crate::sexton::eventually(sexton.cluster, NAMESPACE, "both report", || {
        let reports = sexton.cluster.try_get(&["zombiereports"]).ok()?;
        (reports["items"].as_array()?.len() == 2).then_some(())
    });
    annotate("node1", &agent).allowed();
    annotate("node2", &agent).forbidden();
    agent
        .kubectl(None, &create, Some(&report("node9")))
        .forbidden();
    let status = "--patch={\"status\":{\"kernel\":\"x\"}}";
    agent
        .itself(&[
            "patch",
            "zombiereport",
            "node2",
            "--subresource=status",
            "--type=merge",
            status,
        ])
        .forbidden();
    agent
        .itself(&["delete", "zombiereport", "node2"])
        .forbidden();

    // A token that is bound to no pod names no node.
    let unbound = Agent {
        cluster: sexton.cluster,
        token: sexton
            .cluster
            .kubectl(&["create", "token", "sexton-agent", "--namespace=sexton"]),
        pod: String::new(),
    };
    annotate("node1", &unbound).forbidden();
    unbound
        .kubectl(
            Some("node1"),
            &["get", "pods", "-A", "--field-selector=spec.nodeName=node1"],
            None,
        )
        .forbidden();
}
