//! A pod, as far as it is read.
//!
//! The whole `Pod` of the API has hundreds of fields that would be parsed into the heap and thrown
//! away at each change of each pod. Fields that newer servers know than the generated types do
//! (`restartPolicyRules`) are read too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Set by the kubelet on the mirror of a static pod.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
/// The annotations that are Sexton's.
const OUR_ANNOTATIONS: &str = "sexton.dev/";

/// A pod, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NodePod {
    #[serde(default, deserialize_with = "lean")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub restart_policy: Option<String>,
    pub termination_grace_period_seconds: Option<i64>,
    pub priority: Option<i32>,
    pub priority_class_name: Option<String>,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub ephemeral_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub name: String,
    pub image: Option<String>,
    /// Of init containers, which makes them sidecars (1.29), and of all (1.34).
    pub restart_policy: Option<String>,
    /// From 1.34 on.
    pub restart_policy_rules: Vec<RestartRule>,
    pub lifecycle: Option<Lifecycle>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RestartRule {
    /// `Restart`, or from 1.35 on `RestartAllContainers`.
    pub action: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Lifecycle {
    /// A `LifecycleHandler`; the kubelet hands the same to the runtime as an annotation.
    pub pre_stop: Option<serde_json::Value>,
    pub stop_signal: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub phase: Option<String>,
    pub container_statuses: Vec<ContainerStatus>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub name: String,
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub restart_count: u32,
    pub state: ContainerState,
    /// What the runtime uses (1.33).
    pub stop_signal: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerState {
    pub terminated: Option<Present>,
}

/// The metadata without what is large and not read: `managedFields`, and annotations of others.
fn lean<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Meta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        labels,
        annotations,
        owner_references,
    } = Meta::deserialize(deserializer)?;
    let read = |key: &String| key == MIRROR || key.starts_with(OUR_ANNOTATIONS);
    let annotations = annotations.into_iter().flatten();
    Ok(ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        labels,
        annotations: Some(annotations.filter(|(key, _)| read(key)).collect()),
        owner_references,
        ..ObjectMeta::default()
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// That something is there; what it says is not read.
#[derive(Clone, Debug)]
pub(crate) struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl NodePod {
    pub(crate) fn uid(&self) -> Option<&str> {
        self.metadata.uid.as_deref()
    }

    /// What it is controlled by.
    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        self.metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
    }

    pub(crate) fn created(&self) -> Option<&Time> {
        self.metadata.creation_timestamp.as_ref()
    }

    pub(crate) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.labels.as_ref()
    }
}

impl kube::Resource for NodePod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
