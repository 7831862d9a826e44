//! From a pod to what is known of its containers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sexton_core::{Owner, Pod, RestartPolicy, Tenure, Workload};

use super::object::{Container, ContainerStatus, MIRROR, NodePod};

/// `scheduling.SystemCriticalPriority`: from here on priorities are the system's.
const SYSTEM_CRITICAL: i32 = 2_000_000_000;
const SYSTEM_CLASSES: [&str; 2] = ["system-cluster-critical", "system-node-critical"];
/// Pods of a CronJob's Job may be made so many minutes after it was due, retries included.
const LATEST: i64 = 7 * 24 * 60;

/// The containers of `pod` that run, or are about to, each under its id.
pub(super) fn workloads(pod: &NodePod) -> Vec<Workload> {
    let (spec, status) = (&pod.spec, &pod.status);
    let kinds = [
        (Kind::Ordinary, &spec.containers, &status.container_statuses),
        (
            Kind::Init,
            &spec.init_containers,
            &status.init_container_statuses,
        ),
        (
            Kind::Ephemeral,
            &spec.ephemeral_containers,
            &status.ephemeral_container_statuses,
        ),
    ];
    let mut all = Vec::new();
    let common = Common::of(pod);
    for (kind, specs, statuses) in kinds {
        for status in statuses {
            let Some(id) = id(status) else { continue };
            let spec = specs.iter().find(|spec| spec.name == status.name);
            all.push(common.workload(pod, kind, id, status, spec));
        }
    }
    all
}

/// `containerd://0123…` without what is before the id; none of a container that has ended, whose
/// processes are gone.
fn id(status: &ContainerStatus) -> Option<&str> {
    let whole = status.container_id.as_deref()?;
    let (_, id) = whole.split_once("://")?;
    (!id.is_empty() && status.state.terminated.is_none()).then_some(id)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Init,
    Ephemeral,
}

/// What all containers of a pod have in common.
struct Common {
    pod: Pod,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    owner: Option<Owner>,
    tenure: Tenure,
}

impl Common {
    fn of(pod: &NodePod) -> Self {
        let meta = &pod.metadata;
        Self {
            pod: Pod {
                uid: meta.uid.clone(),
                name: meta.name.clone(),
                namespace: meta.namespace.clone(),
            },
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: meta.annotations.clone().unwrap_or_default(),
            owner: owner(pod),
            tenure: tenure(pod),
        }
    }

    fn workload(
        &self,
        pod: &NodePod,
        kind: Kind,
        id: &str,
        status: &ContainerStatus,
        spec: Option<&Container>,
    ) -> Workload {
        let lifecycle = spec.and_then(|spec| spec.lifecycle.as_ref());
        Workload {
            id: id.to_owned(),
            name: Some(status.name.clone()),
            image: spec.and_then(|spec| spec.image.clone()),
            pod: Some(self.pod.clone()),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            pid: None,
            stop_signal: lifecycle
                .and_then(|lifecycle| lifecycle.stop_signal.clone())
                .or_else(|| status.stop_signal.clone()),
            grace_seconds: pod
                .spec
                .termination_grace_period_seconds
                .and_then(|seconds| u64::try_from(seconds).ok()),
            pre_stop: lifecycle.is_some_and(|lifecycle| lifecycle.pre_stop.is_some()),
            pre_stop_handler: lifecycle
                .and_then(|lifecycle| lifecycle.pre_stop.as_ref())
                .map(ToString::to_string),
            restart: restart(kind, pod.spec.restart_policy.as_deref(), spec),
            restarts: Some(status.restart_count),
            owner: self.owner.clone(),
            tenure: Some(self.tenure),
        }
    }
}

/// What becomes of a container that is ended from outside.
fn restart(kind: Kind, pod: Option<&str>, spec: Option<&Container>) -> RestartPolicy {
    let named = |word: &str| match word {
        "Always" => RestartPolicy::Always,
        "OnFailure" => RestartPolicy::OnFailure,
        "Never" => RestartPolicy::Never,
        _ => RestartPolicy::Unknown,
    };
    if kind == Kind::Ephemeral {
        return RestartPolicy::Never;
    }
    let Some(spec) = spec else {
        return RestartPolicy::Unknown;
    };
    // A rule may restart the whole pod on the exit code that the end leaves.
    let rules = &spec.restart_policy_rules;
    if rules.iter().any(|rule| rule.action != "Restart") {
        return RestartPolicy::Unknown;
    }
    let own = spec.restart_policy.as_deref().map(named);
    own.unwrap_or_else(|| {
        match pod.map_or(RestartPolicy::Unknown, named) {
            // An init container that ended well is not run again.
            RestartPolicy::Always if kind == Kind::Init => RestartPolicy::OnFailure,
            pod => pod,
        }
    })
}

/// What the pod belongs to, without a look-up: the names of what stands in between are made by
/// rules.
fn owner(pod: &NodePod) -> Option<Owner> {
    if is_mirror(pod) {
        return None;
    }
    let direct = pod.controller()?;
    let above = match direct.kind.as_str() {
        "ReplicaSet" => deployment(pod, &direct.name),
        "Job" => cron_job(pod, direct),
        _ => None,
    };
    Some(above.unwrap_or_else(|| Owner {
        kind: direct.kind.clone(),
        name: direct.name.clone(),
        api_version: Some(direct.api_version.clone()),
        uid: Some(direct.uid.clone()),
    }))
}

/// `NAME-HASH`, where the hash is on the pod as a label too.
fn deployment(pod: &NodePod, replica_set: &str) -> Option<Owner> {
    let kinds = [
        ("pod-template-hash", "Deployment", "apps/v1"),
        (
            "rollouts-pod-template-hash",
            "Rollout",
            "argoproj.io/v1alpha1",
        ),
    ];
    kinds.into_iter().find_map(|(label, kind, api_version)| {
        let hash = pod.labels()?.get(label)?;
        let name = replica_set.strip_suffix(hash.as_str())?.strip_suffix('-')?;
        (!name.is_empty()).then(|| above(kind, api_version, name))
    })
}

/// `NAME-MINUTES`: the minute since 1970 for which the run was due, a little before the pod was
/// made. A Job that somebody has named so himself is not due then.
fn cron_job(pod: &NodePod, job: &OwnerReference) -> Option<Owner> {
    let (name, minutes) = job.name.rsplit_once('-')?;
    if name.is_empty() || minutes.starts_with(['+', '-']) {
        return None;
    }
    let due: i64 = minutes.parse().ok()?;
    let made = pod.created()?.0.as_second() / 60;
    (due <= made + 1 && made - due <= LATEST).then(|| above("CronJob", "batch/v1", name))
}

fn above(kind: &str, api_version: &str, name: &str) -> Owner {
    Owner {
        kind: kind.to_owned(),
        name: name.to_owned(),
        api_version: Some(api_version.to_owned()),
        uid: None,
    }
}

fn is_mirror(pod: &NodePod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.is_some_and(|annotations| annotations.contains_key(MIRROR))
}

fn tenure(pod: &NodePod) -> Tenure {
    let spec = &pod.spec;
    let controller = pod.controller();
    let class = spec.priority_class_name.as_deref().unwrap_or_default();
    Tenure {
        created: pod.created().map(|time| time.0.as_second()),
        mirror: is_mirror(pod),
        bare: controller.is_none(),
        daemon_set: controller.is_some_and(|owner| owner.kind == "DaemonSet"),
        critical: spec.priority >= Some(SYSTEM_CRITICAL)
            || SYSTEM_CLASSES.contains(&class)
            || pod.metadata.namespace.as_deref() == Some("kube-system"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        ended: matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")),
    }
}
