//! A cluster as an agent finds it: nodes, the agent's account and its rights, pods.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use sexton_cluster::{Cluster, Settings};
use sexton_lab::{Skip, process::wait_until};

/// Namespace and account of the agents.
pub(crate) const NAMESPACE: &str = "sexton";
const ACCOUNT: &str = "sexton-agent";

/// Between two evictions.
pub(crate) const REST: Duration = Duration::from_secs(10);

/// A control plane with nodes `node1` and `node2`, and agents that have their rights.
pub(crate) struct World {
    pub(crate) lab: &'static sexton_lab::Cluster,
}

impl World {
    /// The one of this process.
    pub(crate) fn shared() -> Result<&'static Self, Skip> {
        static SHARED: std::sync::OnceLock<Result<World, String>> = std::sync::OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let lab = sexton_lab::Cluster::control_plane().map_err(|skip| skip.0)?;
            Ok(World::of(lab))
        });
        shared.as_ref().map_err(|reason| Skip(reason.clone()))
    }

    /// One of its own, for a test that stops things. It lives as long as the process, which is
    /// not long.
    pub(crate) fn own(flags: &[&str]) -> Result<Self, Skip> {
        let lab = sexton_lab::Cluster::control_plane_with(flags)?;
        Ok(Self::of(Box::leak(Box::new(lab))))
    }

    fn of(lab: &'static sexton_lab::Cluster) -> Self {
        lab.apply(include_str!("world.yaml"));
        let mut definitions = sexton_cluster::crd::all().into_iter();
        let report = definitions.find(|crd| crd.spec.names.plural == "zombiereports");
        lab.apply(&serde_json::to_string(&report).unwrap());
        let world = Self { lab };
        for node in ["node1", "node2"] {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": agent(node), "namespace": NAMESPACE},
                "spec": {
                    "nodeName": node, "serviceAccountName": ACCOUNT,
                    "containers": [{"name": "agent", "image": "x"}],
                },
            });
            world.apply(&pod);
        }
        let crd = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd/reappolicies.sexton.dev",
            "crd/zombiereports.sexton.dev",
        ];
        lab.kubectl(&crd);
        world
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.lab.apply(&object.to_string());
    }

    /// A namespace of the test's own.
    pub(crate) fn namespace(&self, name: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        self.apply(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        }));
    }

    /// A token as the kubelet gives it to the agent on `node`: it names the node.
    pub(crate) fn token(&self, node: &str) -> String {
        let pod = agent(node);
        let bound = ["--bound-object-kind", "Pod", "--bound-object-name", &pod];
        let mut all = vec!["create", "token", ACCOUNT, "--namespace", NAMESPACE];
        all.extend(bound);
        self.lab.kubectl(&all).trim().to_owned()
    }

    /// The configuration of a client that has this token.
    pub(crate) fn config(&self, token: String) -> kube::Config {
        let mut file = Kubeconfig::read_from(self.lab.kubeconfig()).unwrap();
        let user = file.auth_infos[0].auth_info.as_mut().unwrap();
        user.token = Some(token.into());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let options = KubeConfigOptions::default();
        runtime
            .block_on(kube::Config::from_custom_kubeconfig(file, &options))
            .unwrap()
    }

    /// An agent on `node`.
    pub(crate) fn agent(&self, node: &str) -> Cluster {
        let config = self.config(self.token(node));
        Cluster::start_with(settings(node), config, || {}).unwrap()
    }

    /// Writes what a kubelet would say of a pod.
    pub(crate) fn status(&self, namespace: &str, pod: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        self.lab.kubectl(&[
            "patch",
            "pod",
            pod,
            "--namespace",
            namespace,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &patch,
        ]);
    }
}

pub(crate) fn settings(node: &str) -> Settings {
    Settings {
        rest: REST,
        ..Settings::new(node, NAMESPACE, true)
    }
}

fn agent(node: &str) -> String {
    format!("agent-{node}")
}

/// An ordinary pod on `node`.
pub(crate) fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "lab/app:1"}]},
    })
}

/// The status of a pod whose container `app` runs under this id.
pub(crate) fn running(id: &str) -> Value {
    json!({"phase": "Running", "containerStatuses": [{
        "name": "app", "image": "x", "imageID": "x", "ready": true, "restartCount": 0,
        "containerID": format!("containerd://{id}"),
        "state": {"running": {"startedAt": "2026-11-24T16:00:00Z"}},
    }]})
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    wait_until(what, || so().then_some(()));
}
