//! A cluster of four nodes with three reports, made once for all tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use sexton_lab::{Cluster, require};

/// The world, or nothing where there can be no API server.
pub(crate) fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD
        .get_or_init(|| Some(World::new(require(Cluster::control_plane())?)))
        .as_ref()
}

pub(crate) struct World {
    pub(crate) cluster: &'static Cluster,
    kubeconfig: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its standard output, where it went well.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.fine()).unwrap()
    }
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kubectl-sexton"))
}

impl World {
    fn new(cluster: &'static Cluster) -> Self {
        let definitions = sexton_cluster::crd::all();
        let mut documents = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sexton"}}),
        ];
        // Without a controller-manager nobody makes them.
        for namespace in ["shop", "sexton"] {
            documents.push(json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"namespace": namespace, "name": "default"}}));
        }
        for (node, pool) in [("n1", "a"), ("n2", "b"), ("n3", "b"), ("n4", "b")] {
            documents.push(json!({"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": node, "labels": {"pool": pool}}}));
        }
        documents.push(pod("shop", "crawler-0", "n1", json!({"app": "crawler"})));
        documents.push(pod("shop", "web-1", "n2", json!({"app": "web"})));
        cluster.apply(&list(definitions.iter().map(|d| json!(d)).collect()));
        cluster.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ]);
        cluster.apply(&list(documents));
        for node in ["n1", "n2", "n3"] {
            agent(cluster, node, node != "n3");
        }
        for (name, spec) in [
            (
                "browsers",
                json!({"mode": "enforce",
                "selector": {"namespaces": ["shop"], "podSelector": {"matchLabels": {"app": "crawler"}}}}),
            ),
            ("default", json!({})),
        ] {
            cluster.apply(
                &json!({"apiVersion": "sexton.dev/v1alpha1", "kind": "ReapPolicy",
                "metadata": {"name": name}, "spec": spec})
                .to_string(),
            );
        }
        for (node, status) in [("n1", leaking()), ("n2", stuck()), ("n3", quiet())] {
            cluster.apply(
                &json!({"apiVersion": "sexton.dev/v1alpha1", "kind": "ZombieReport",
                "metadata": {"name": node}})
                .to_string(),
            );
            let patch = json!({"status": status}).to_string();
            cluster.kubectl(&[
                "patch",
                "zombiereport",
                node,
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ]);
        }
        Self {
            cluster,
            kubeconfig: cluster.kubeconfig(),
        }
    }

    /// The plugin as administrator of the cluster.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("SEXTON_NAMESPACE");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

fn list(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn pod(namespace: &str, name: &str, node: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": node, "automountServiceAccountToken": false,
            "containers": [{"name": "app", "image": "none"}]}})
}

/// The agent's pod on a node, as a kubelet would show it.
fn agent(cluster: &Cluster, node: &str, ready: bool) {
    let name = format!("sexton-agent-{node}");
    let labels = json!({"app.kubernetes.io/name": "sexton"});
    cluster.apply(&pod("sexton", &name, node, labels).to_string());
    let word = if ready { "True" } else { "False" };
    let state = if ready {
        json!({"running": {}})
    } else {
        json!({"waiting": {"reason": "CrashLoopBackOff"}})
    };
    let status = json!({"status": {"phase": "Running",
        "conditions": [{"type": "Ready", "status": word}],
        "containerStatuses": [{"name": "app", "image": "none", "imageID": "", "ready": ready,
            "restartCount": 0, "state": state}]}});
    cluster.kubectl(&[
        "patch",
        "pod",
        &name,
        "-n",
        "sexton",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
}

fn ready() -> Value {
    json!([{"type": "Ready", "status": "True", "reason": "Looking", "message": "",
        "lastTransitionTime": "2026-11-24T10:00:00Z"}])
}

fn following(name: &str, generation: u32, mode: &str) -> Value {
    json!({"name": name, "observedGeneration": generation, "mode": mode, "state": "Following"})
}

fn leaking() -> Value {
    json!({"agentVersion": "0.1.0", "kernel": "6.8.0", "zombies": 5200, "leakCount": 2,
        "pidsUsedPercent": 35, "conditions": ready(),
        "forecast": {"limit": "cgroupPids", "within": "1h"},
        "leaks": [
            {"namespace": "shop", "pod": "crawler-0", "container": "app", "owner": "StatefulSet/crawler",
             "holder": "python3", "pid": 4711, "zombies": 5000, "command": "chrome",
             "cause": "selenium-python", "policy": "browsers",
             "forecast": {"limit": "cgroupPids", "within": "1h"},
             "step": {"rung": "reap", "outcome": "dryRun"}},
            {"holder": "cron", "pid": 99, "zombies": 200, "protected": true},
        ],
        "policies": [following("browsers", 1, "enforce"), following("default", 1, "dryRun")]})
}

fn stuck() -> Value {
    json!({"agentVersion": "0.1.0", "kernel": "6.8.0", "zombies": 0, "leakCount": 0,
        "pidsUsedPercent": 5, "conditions": ready(), "exitSignalCount": 1,
        "exitSignals": [{"namespace": "shop", "pod": "web-1", "container": "app",
            "owner": "Deployment/web", "process": "sh", "signal": "SIGTERM", "verdict": "killed"}],
        "policies": [
            {"name": "browsers", "observedGeneration": 1, "mode": "enforce", "state": "Refused",
             "message": "the audit log cannot be written"},
            following("default", 1, "dryRun")]})
}

fn quiet() -> Value {
    json!({"agentVersion": "0.1.0", "kernel": "6.8.0", "zombies": 0, "leakCount": 0,
        "pidsUsedPercent": 10, "conditions": ready(),
        "policies": [following("default", 1, "dryRun")]})
}
