//! Sexton as the chart installs it in the cluster of these tests.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use sexton_lab::{Cluster, Skip, patience};

use crate::image;
use crate::pod::Pod;

/// The namespace of the release, and of its agents.
pub(crate) const NAMESPACE: &str = "sexton";

/// Installed with all rungs and without a policy, for the tests that run beside each other.
pub(crate) struct Sexton {
    pub(crate) cluster: &'static Cluster,
    _turn: RwLockReadGuard<'static, ()>,
}

/// The cluster for one test alone.
pub(crate) struct Alone {
    pub(crate) cluster: &'static Cluster,
    _turn: RwLockWriteGuard<'static, ()>,
}

static TURN: RwLock<()> = RwLock::new(());
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// The values that most tests want: agents that look often, no policy but the test's own.
pub(crate) const ALL_RUNGS: &[&str] = &[
    "agent.interval=1s",
    "policy.create=false",
    "rungs.restart.enabled=true",
    "rungs.evict.enabled=true",
];

impl Sexton {
    pub(crate) fn installed() -> Result<Self, Skip> {
        let cluster = Cluster::shared()?;
        let turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            install(cluster, ALL_RUNGS);
            *installed = true;
        }
        let _turn = turn;
        Ok(Self { cluster, _turn })
    }

    /// The name of the agent's pod on this node.
    pub(crate) fn agent_on(&self, node: &str) -> String {
        let on_it = format!("--field-selector=spec.nodeName={node}");
        let agents = "--selector=app.kubernetes.io/name=sexton";
        let namespace = format!("--namespace={NAMESPACE}");
        let pods = self.cluster.get(&["pods", &namespace, agents, &on_it]);
        let name = pods["items"][0]["metadata"]["name"].as_str();
        name.expect("each node has an agent").to_owned()
    }
}

impl Alone {
    /// With nothing installed.
    pub(crate) fn without_sexton() -> Result<Self, Skip> {
        let alone = Self::take()?;
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if *installed {
            uninstall(alone.cluster);
            *installed = false;
        }
        drop(installed);
        Ok(alone)
    }

    /// With the agents that the others have.
    pub(crate) fn with_sexton() -> Result<Self, Skip> {
        let alone = Self::take()?;
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            install(alone.cluster, ALL_RUNGS);
            *installed = true;
        }
        drop(installed);
        Ok(alone)
    }

    /// Takes it away, so that the next test begins with agents that have nothing left to tell.
    pub(crate) fn uninstall(self) {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        uninstall(self.cluster);
        *installed = false;
    }

    fn take() -> Result<Self, Skip> {
        let cluster = Cluster::shared()?;
        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { cluster, _turn })
    }
}

/// `helm upgrade --install` with these values, and waits until every node's agent is ready.
pub(crate) fn install(cluster: &Cluster, values: &[&str]) {
    static IMAGE: OnceLock<Vec<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| image::import(cluster));
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/sexton");
    let chart = chart.to_string_lossy();
    let mut arguments = vec!["upgrade", "--install", "sexton", &chart];
    arguments.extend(["--namespace", NAMESPACE, "--create-namespace"]);
    for value in image
        .iter()
        .map(String::as_str)
        .chain(values.iter().copied())
    {
        arguments.extend(["--set", value]);
    }
    cluster.helm(&arguments);
    let ready = cluster.try_kubectl(&[
        "rollout",
        "status",
        "--namespace=sexton",
        "daemonset/sexton-agent",
        "--timeout=120s",
    ]);
    if let Err(error) = ready {
        panic!("{error}\n{}", said(cluster, NAMESPACE));
    }
}

/// As docs/kubernetes.md says: the agents go first, while they may still take their nodes'
/// conditions away.
pub(crate) fn uninstall(cluster: &Cluster) {
    cluster.kubectl(&[
        "delete",
        "--namespace",
        NAMESPACE,
        "daemonset/sexton-agent",
        "--cascade=foreground",
    ]);
    cluster.helm(&["uninstall", "sexton", "--namespace", NAMESPACE, "--wait"]);
    cluster.kubectl(&["delete", "namespace", NAMESPACE]);
}

/// Polls until `done` gives something; each look may cost a kubectl, so there are few.
///
/// # Panics
/// After [`patience()`], with what the agents, and the events of the namespace, say.
pub(crate) fn eventually<T>(
    cluster: &Cluster,
    namespace: &str,
    what: &str,
    mut done: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(
            start.elapsed() < patience(),
            "waited in vain: {what}\n{}",
            said(cluster, namespace)
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Why a test may have failed.
fn said(cluster: &Cluster, namespace: &str) -> String {
    let mut all = String::new();
    let mut tell = |arguments: &[&str]| {
        let printed = cluster.try_kubectl(arguments).unwrap_or_else(|error| error);
        let _ = writeln!(all, "--- kubectl {}\n{printed}", arguments.join(" "));
    };
    let agents = "--selector=app.kubernetes.io/name=sexton";
    tell(&["get", "pods", "--all-namespaces", "--output=wide"]);
    tell(&["get", "events", "--namespace", namespace]);
    tell(&["describe", "pods", "--namespace=sexton", agents]);
    tell(&[
        "logs",
        "--namespace=sexton",
        agents,
        "--tail=60",
        "--prefix",
    ]);
    tell(&["get", "zombiereports", "--output=yaml"]);
    all
}

/// A namespace of a test, with all that is in it; and the policies that are about it.
pub(crate) struct Namespace {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: &'static str,
}

impl Namespace {
    pub(crate) fn new(cluster: &'static Cluster, name: &'static str) -> Self {
        cluster.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"
        ));
        let namespace = Self { cluster, name };
        // No pod is admitted before.
        namespace.eventually("the default service account", || {
            let account = ["serviceaccount", "default", "--namespace", name];
            cluster.try_get(&account).ok()
        });
        namespace
    }

    /// A policy for this namespace alone.
    pub(crate) fn policy(&self, name: &str, spec: &str) {
        self.cluster.apply(&format!(
            "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\n\
             metadata: {{name: {name}, labels: {{test: {}}}}}\n\
             spec:\n  selector: {{namespaces: [{}]}}\n  settle: 1s\n{spec}",
            self.name, self.name
        ));
    }

    pub(crate) fn eventually<T>(&self, what: &str, done: impl FnMut() -> Option<T>) -> T {
        eventually(self.cluster, self.name, what, done)
    }

    /// The one pod with this label `app`, once it runs.
    pub(crate) fn pod(&self, app: &str) -> Pod {
        self.eventually(&format!("the pod of {app}"), || self.pod_now(app))
    }

    pub(crate) fn pod_now(&self, app: &str) -> Option<Pod> {
        let selector = format!("--selector=app={app}");
        let pods = self
            .cluster
            .try_get(&["pods", "--namespace", self.name, &selector]);
        let pods = pods.ok()?;
        let live = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        pods["items"]
            .as_array()?
            .iter()
            .filter(live)
            .find_map(Pod::read)
    }

    /// Events with this reason about this object, `Pod/NAME`.
    pub(crate) fn events(&self, reason: &str, object: &str) -> Vec<Value> {
        let (kind, name) = object.split_once('/').unwrap();
        let selector = format!(
            "--field-selector=reason={reason},involvedObject.kind={kind},involvedObject.name={name}"
        );
        let events = self
            .cluster
            .try_get(&["events", "--namespace", self.name, &selector]);
        let items = events.map(|mut events| events["items"].take());
        serde_json::from_value(items.unwrap_or_default()).unwrap_or_default()
    }

    pub(crate) fn wait_for_event(&self, reason: &str, object: &str) -> Value {
        self.eventually(&format!("{reason} on {object}"), || {
            self.events(reason, object).pop()
        })
    }

    /// The outcomes of steps of this rung about this pod's containers, from the audit log of its
    /// node.
    pub(crate) fn outcomes(&self, pod: &Pod, rung: &str) -> Vec<Value> {
        let node = pod.node.trim_start_matches("node").parse().unwrap();
        let log = self
            .cluster
            .on_node(node, &["cat", "/var/log/sexton/audit.jsonl"]);
        let lines: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let of_it = |line: &&Value| {
            line["rung"] == rung && line["container"]["pod"]["uid"] == pod.uid.as_str()
        };
        let ids: Vec<_> = lines.iter().filter(of_it).map(|line| &line["id"]).collect();
        lines
            .iter()
            .filter(|line| line["entry"] == "outcome" && ids.contains(&&line["id"]))
            .cloned()
            .collect()
    }

    /// What the node of this pod reports of it.
    pub(crate) fn leak(&self, pod: &Pod) -> Option<Value> {
        let report = self.cluster.try_get(&["zombiereport", &pod.node]).ok()?;
        let leaks = report["status"]["leaks"].as_array()?;
        leaks
            .iter()
            .find(|leak| leak["pod"] == pod.name.as_str())
            .cloned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let policies = format!("--selector=test={}", self.name);
        let _ = self
            .cluster
            .try_kubectl(&["delete", "reappolicies", &policies]);
        // Its pods take their time, and nobody waits for them.
        let _ = self
            .cluster
            .try_kubectl(&["delete", "namespace", self.name, "--wait=false"]);
    }
}

/// A Deployment of one pod: `spec` is its container's, in YAML flow style without the braces.
pub(crate) fn deployment(namespace: &str, app: &str, container: &Value, volumes: &Value) -> String {
    serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": app}},
            "template": {
                "metadata": {"labels": {"app": app}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    })
    .to_string()
}

/// A container of the lab's image.
pub(crate) fn container(command: &[&str]) -> Value {
    serde_json::json!({
        "name": "main",
        "image": sexton_lab::cluster::IMAGE,
        "imagePullPolicy": "Never",
        "command": command,
    })
}
