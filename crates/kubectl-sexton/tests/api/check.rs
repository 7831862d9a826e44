//! `check`, with the chart as helm installs it; nodes and agents are as a kubelet would show them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sexton_lab::{Cluster, require, wait_until};

use crate::world::{Ran, binary};

struct Checked(Cluster);

impl Checked {
    fn ran(&self, more: &[&str]) -> Ran {
        let mut command = Command::new(binary());
        command.arg("check").args(more);
        command.env("KUBECONFIG", self.0.kubeconfig());
        command.env_remove("SEXTON_NAMESPACE");
        Ran::of(command.output().unwrap())
    }

    /// The document, whose status is that of its worst check and of the command.
    #[track_caller]
    fn document(&self, more: &[&str]) -> Value {
        let ran = self.ran(&[&["-o", "json"], more].concat());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["kind"], "ClusterCheck");
        let checks = document["checks"].as_array().unwrap();
        let has = |status: &str| checks.iter().any(|check| check["status"] == status);
        let (status, word) = match (has("failed"), has("warning")) {
            (true, _) => (2, "failed"),
            (false, true) => (1, "warning"),
            (false, false) => (0, "ok"),
        };
        assert_eq!((ran.status, &document["status"]), (status, &json!(word)));
        for check in checks {
            assert_eq!(
                check["advice"].is_null(),
                check["status"] == "ok",
                "{check}"
            );
        }
        document
    }

    fn install(&self, more: &[&str]) {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/sexton");
        let chart = chart.to_string_lossy();
        let mut arguments = vec!["upgrade", "--install", "sexton", &chart];
        arguments.extend(["--namespace", "sexton", "--create-namespace"]);
        arguments.extend(["--set", "image.repository=lab.invalid/sexton"]);
        for value in more {
            arguments.extend(["--set", value]);
        }
        self.0.helm(&arguments);
    }

    fn node(&self, name: &str, arch: &str, taints: &Value) {
        self.0.apply(
            &json!({"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels":
                    {"kubernetes.io/os": "linux", "kubernetes.io/arch": arch}},
                "spec": {"taints": taints}})
            .to_string(),
        );
    }

    /// The agent's pod there; ready, or waiting for this reason.
    fn agent(&self, node: &str, waits: Option<&str>) {
        let name = format!("sexton-agent-{node}");
        self.0.apply(
            &json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "sexton", "name": name,
                "labels": {"app.kubernetes.io/name": "sexton"}},
            "spec": {"nodeName": node, "serviceAccountName": "sexton-agent",
                "automountServiceAccountToken": false,
                "containers": [{"name": "agent", "image": "lab.invalid/sexton:1"}]}})
            .to_string(),
        );
        let state = waits.map_or(
            json!({"running": {}}),
            |reason| json!({"waiting": {"reason": reason}}),
        );
        let word = if waits.is_none() { "True" } else { "False" };
        let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": word}],
            "containerStatuses": [{"name": "agent", "image": "lab.invalid/sexton:1", "imageID": "",
                "ready": waits.is_none(), "restartCount": 0, "state": state}]});
        self.patch(&["pod", &name, "-n", "sexton"], &status);
    }

    /// What the agent there reports; as the node, the node owns it.
    fn report(&self, node: &str, owned: bool, status: &Value) {
        let uid = self.0.get(&["node", node])["metadata"]["uid"].clone();
        let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}]);
        let owners = if owned { owner } else { json!([]) };
        self.0.apply(
            &json!({"apiVersion": "sexton.dev/v1alpha1", "kind": "ZombieReport",
                "metadata": {"name": node, "ownerReferences": owners}})
            .to_string(),
        );
        self.patch(&["zombiereport", node], status);
    }

    fn patch(&self, what: &[&str], status: &Value) {
        let patch = json!({"status": status}).to_string();
        let how = ["--subresource=status", "--type=merge", "-p", &patch];
        self.0.kubectl(&[&["patch"], what, &how].concat());
    }
}

fn quiet(policy: &str) -> Value {
    json!({"agentVersion": env!("CARGO_PKG_VERSION"), "kernel": "6.8.0", "zombies": 0,
        "leakCount": 0, "pidsUsedPercent": 10,
        "conditions": [{"type": "Ready", "status": "True", "reason": "Looking", "message": "",
            "lastTransitionTime": "2026-12-01T10:00:00Z"}],
        "policies": [{"name": "default", "observedGeneration": 1, "mode": "dryRun",
            "state": policy, "message": (policy == "Refused").then_some("it clashes")}]})
}

/// What the checks of that name found, with their status.
fn of(document: &Value, name: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap();
    let named = checks.iter().filter(|check| check["name"] == name);
    let pair = |check: &Value| (text(&check["status"]), text(&check["found"]));
    named.map(pair).collect()
}

#[track_caller]
fn says(document: &Value, name: &str, status: &str, words: &str) {
    let found = of(document, name);
    let is_it = |(was, found): &(String, String)| was == status && found.contains(words);
    assert!(
        found.iter().any(is_it),
        "{name} {status} {words}: {found:#?}"
    );
}

#[test]
fn a_cluster_is_checked_from_nothing_to_all_is_well_and_each_thing_that_breaks_is_named() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let cluster = Checked(cluster);
    let nothing = cluster.document(&[]);
    says(
        &nothing,
        "custom resources",
        "failed",
        "reappolicies.sexton.dev is not in",
    );
    says(&nothing, "agents", "failed", "no DaemonSet");

    cluster.install(&["tolerations[0].key=mine", "tolerations[0].operator=Exists"]);
    for (name, arch, taints) in [
        (
            "n1",
            "amd64",
            json!([{"key": "mine", "effect": "NoSchedule"}]),
        ),
        ("n2", "arm64", json!([])),
        (
            "n3",
            "amd64",
            json!([{"key": "gpu", "effect": "NoSchedule"}]),
        ),
        ("n4", "amd64", json!([])),
        ("n5", "amd64", json!([])),
    ] {
        cluster.node(name, arch, &taints);
    }
    cluster.agent("n1", None);
    cluster.agent("n4", Some("ImagePullBackOff"));
    cluster.report("n1", true, &quiet("Following"));
    let poor = wait_until("the rights count", || {
        let document = cluster.document(&[]);
        (of(&document, "impersonation")[0].0 == "ok").then_some(document)
    });
    says(&poor, "custom resources", "ok", "both are of version");
    says(&poor, "agents", "ok", "ready on 1 node (n1)");
    says(
        &poor,
        "agents",
        "warning",
        "1 node (n2): their architecture arm64 is not covered",
    );
    says(
        &poor,
        "agents",
        "warning",
        "1 node (n3): the DaemonSet does not tolerate their taint gpu",
    );
    says(&poor, "agents", "failed", "1 node (n4): ImagePullBackOff");
    says(
        &poor,
        "agents",
        "failed",
        "1 node (n5): the DaemonSet covers them",
    );
    says(
        &poor,
        "image",
        "failed",
        "lab.invalid/sexton:1 cannot be pulled on 1 node (n4)",
    );
    says(
        &poor,
        "admission policy",
        "ok",
        "system:serviceaccount:sexton:sexton-agent",
    );
    says(&poor, "policies", "ok", "followed by all");

    cluster
        .0
        .kubectl(&["delete", "node", "n2", "n3", "n4", "n5"]);
    cluster.0.kubectl(&[
        "delete",
        "pod",
        "sexton-agent-n4",
        "-n",
        "sexton",
        "--force",
    ]);
    let well = cluster.ran(&[]);
    assert_eq!(well.status, 0, "{well:?}");
    assert!(
        well.stdout.ends_with("\nSexton works in this cluster.\n"),
        "{well:?}"
    );

    // Each thing that breaks.
    let other = "sexton.dev/version=0.0.1";
    cluster.0.kubectl(&[
        "annotate",
        "--overwrite",
        "crd/zombiereports.sexton.dev",
        other,
    ]);
    let deny = r#"{"spec": {"validationActions": ["Warn"]}}"#;
    let binding = "validatingadmissionpolicybinding/sexton-own-report";
    cluster
        .0
        .kubectl(&["patch", binding, "--type=merge", "-p", deny]);
    let mut status = quiet("Refused");
    status["agentVersion"] = json!("0.0.2");
    cluster.report("n1", false, &status);
    let broken = cluster.document(&[]);
    says(&broken, "custom resources", "warning", "is of 0.0.1");
    says(
        &broken,
        "admission policy",
        "failed",
        "each agent may write all",
    );
    says(&broken, "impersonation", "failed", "1 node (n1)");
    says(&broken, "versions", "warning", "1 node (n1) is 0.0.2");
    says(
        &broken,
        "policies",
        "failed",
        "default is refused by 1 node (n1): it clashes",
    );

    // Without rights nothing is claimed.
    let blind = cluster.document(&["--as", "nobody"]);
    says(
        &blind,
        "rights",
        "warning",
        "you may not list zombiereports",
    );
    says(&blind, "agents", "warning", "cannot be seen");
    assert!(
        !of(&blind, "agents")
            .iter()
            .any(|(status, _)| status == "ok")
    );
}

#[test]
fn runbooks_are_asked_for_without_the_clusters_credentials() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let cluster = Checked(cluster);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, asked) = std::sync::mpsc::channel();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap();
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = if request.contains("/there") {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            told.send(request).unwrap();
        }
    });
    cluster.0.apply(
        &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "prometheusrules.monitoring.coreos.com"},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced",
                "names": {"kind": "PrometheusRule", "plural": "prometheusrules"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema":
                    {"openAPIV3Schema": {"type": "object",
                        "x-kubernetes-preserve-unknown-fields": true}}}]}})
        .to_string(),
    );
    cluster.0.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=60s",
    ]);
    cluster.0.kubectl(&["create", "namespace", "sexton"]);
    let rules = |links: &[&str]| {
        let rules: Vec<Value> = links
            .iter()
            .map(|link| json!({"annotations": {"runbook_url": link}}))
            .collect();
        cluster.0.apply(
            &json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
                "metadata": {"namespace": "sexton", "name": "sexton",
                    "labels": {"app.kubernetes.io/name": "sexton"}},
                "spec": {"groups": [{"name": "sexton", "rules": rules}]}})
            .to_string(),
        );
        cluster.document(&[])
    };
    let there = format!("http://127.0.0.1:{port}/there");
    says(&rules(&[&there]), "runbooks", "ok", "1 can be read");
    let request = asked.recv().unwrap();
    assert!(request.starts_with("HEAD /there "), "{request}");
    assert!(
        !request.to_lowercase().contains("authorization"),
        "{request}"
    );
    let gone = format!("http://127.0.0.1:{port}/gone");
    says(
        &rules(&[&there, &gone]),
        "runbooks",
        "warning",
        "/gone: the answer is 404",
    );
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    says(
        &rules(&[&format!("http://{closed}/x")]),
        "runbooks",
        "warning",
        "/x: ",
    );
    says(
        &rules(&["docs/runbooks/A.md"]),
        "runbooks",
        "warning",
        "no address",
    );
}
