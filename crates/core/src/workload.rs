//! What a container runtime or the API server knows of a container, beyond what the kernel does.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Pod;

/// A container as whoever started it describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The runtime's id, whole.
    pub id: String,
    /// Its name: `metadata.name` of the container in its pod, or Docker's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// Labels of the pod; of the container itself where there is no pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its PID 1, in the numbering of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The signal that a stop begins with: `SIGTERM`, `SIGRTMIN+3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
    /// It has a `preStop` hook. Only the kubelet runs it: who stops the container through its
    /// runtime goes past it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pre_stop: bool,
    /// That hook, as the kubelet annotates it: the JSON of a `LifecycleHandler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop_handler: Option<String>,
    /// Whether it is started again after it ended.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How often it has been started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// What its pod belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What bears on evicting its pod; only the API server tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure: Option<Tenure>,
}

/// What a pod belongs to, as far as its own object tells: `Deployment/crawler`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// `Deployment`, `CronJob`, `StatefulSet`…
    pub kind: String,
    /// Its name, in the namespace of the pod.
    pub name: String,
    /// `apiVersion` of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Its uid: only of what owns the pod itself. A pod does not tell that of its owner's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// How a pod is bound to its node and to the cluster: what bears on evicting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenure {
    /// When the pod was made, in seconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// The kubelet made it from a file (`kubernetes.io/config.mirror`): what the API server has
    /// is only its image in a mirror.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirror: bool,
    /// No controller would make another in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare: bool,
    /// It is of a DaemonSet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub daemon_set: bool,
    /// The node or the cluster needs it: a priority of the system, or namespace `kube-system`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// It is being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminating: bool,
    /// It has run to its end (`Succeeded`, `Failed`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// What stays the same when a container is restarted under a new id: its pod and its name in it.
/// Where that is not known, its id.
#[must_use]
pub fn place(pod_uid: Option<&str>, name: Option<&str>, id: &str) -> String {
    match (pod_uid, name) {
        (Some(uid), Some(name)) => format!("{uid}/{name}"),
        _ => id.to_owned(),
    }
}

impl Workload {
    /// Its [`place`].
    #[must_use]
    pub fn place(&self) -> String {
        let uid = self.pod.as_ref().and_then(|pod| pod.uid.as_deref());
        place(uid, self.name.as_deref(), &self.id)
    }
}

/// Whether a container that ended is started again. Named as in `spec.restartPolicy` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    /// Whatever its exit status was.
    Always,
    /// When its exit status was not 0.
    OnFailure,
    /// Never.
    Never,
    /// Nobody on this node says.
    #[default]
    Unknown,
}
