//! `kubectl sexton audit --probes`: exec probes and preStop hooks that do not fit into their time,
//! by workload, from the specs of the pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Lifecycle, Pod, Probe as Declared};
use kube::api::{Api, ListParams};
use serde::Serialize;
use sexton_core::audit::{Probe, pre_stop_finding};

use crate::connect::Connected;
use crate::error::{Error, Right};
use crate::seen;
use crate::table::Table;

/// `terminationGracePeriodSeconds` and `timeoutSeconds` where nothing is said.
const GRACE: i64 = 30;
const TIMEOUT: i32 = 1;

/// One finding of all pods of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    namespace: String,
    /// `Deployment/web`; `Pod/web` of one that belongs to nothing.
    workload: String,
    container: String,
    /// `livenessProbe`, `readinessProbe`, `startupProbe`, `preStop`
    what: &'static str,
    /// What is wrong, and what to change.
    finding: String,
    /// Pods of it.
    pods: usize,
}

/// All findings in a namespace, or in the cluster.
///
/// # Errors
/// Pods cannot be listed.
pub async fn find(
    at: &Connected,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Found>, Error> {
    let api: Api<Pod> = match namespace {
        Some(namespace) => Api::namespaced(at.client.clone(), namespace),
        None => Api::all(at.client.clone()),
    };
    let mut params = ListParams::default();
    if let Some(selector) = selector {
        params = params.labels(selector);
    }
    let pods = seen::all(&api, &params)
        .await
        .map_err(Right::new("list", "", "pods").failed(at))?;
    Ok(of(&pods))
}

fn of(pods: &[Pod]) -> Vec<Found> {
    let mut found: BTreeMap<[String; 4], Found> = BTreeMap::new();
    for pod in pods {
        let Some(spec) = &pod.spec else { continue };
        let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
        for container in &spec.containers {
            for (what, finding) in findings(container, u64::try_from(grace).unwrap_or(0)) {
                let namespace = pod.metadata.namespace.clone().unwrap_or_default();
                let workload = workload(pod);
                let key = [
                    namespace.clone(),
                    workload.clone(),
                    container.name.clone(),
                    format!("{what} {finding}"),
                ];
                let entry = found.entry(key).or_insert(Found {
                    namespace,
                    workload,
                    container: container.name.clone(),
                    what,
                    finding,
                    pods: 0,
                });
                entry.pods += 1;
            }
        }
    }
    found.into_values().collect()
}

fn findings(container: &Container, grace: u64) -> Vec<(&'static str, String)> {
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let of_probes = probes.into_iter().flat_map(|(what, declared)| {
        let findings = declared
            .as_ref()
            .and_then(probe)
            .map(|probe| probe.findings());
        findings
            .into_iter()
            .flatten()
            .map(move |finding| (what, finding))
    });
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|hooks| hook(hooks, grace));
    of_probes
        .chain(hook.map(|finding| ("preStop", finding)))
        .collect()
}

fn probe(declared: &Declared) -> Option<Probe> {
    let command = declared.exec.as_ref()?.command.clone()?;
    let timeout = declared.timeout_seconds.unwrap_or(TIMEOUT);
    Some(Probe {
        command,
        timeout_seconds: u64::try_from(timeout).unwrap_or(1),
    })
}

fn hook(hooks: &Lifecycle, grace: u64) -> Option<String> {
    let hook = hooks.pre_stop.as_ref()?;
    let command = hook.exec.as_ref().and_then(|exec| exec.command.clone());
    let sleep = hook
        .sleep
        .as_ref()
        .map(|sleep| u64::try_from(sleep.seconds).unwrap_or(0));
    pre_stop_finding(&command.unwrap_or_default(), sleep, grace)
}

/// What a pod belongs to. A ReplicaSet of a Deployment bears its hash, as the pod does.
fn workload(pod: &Pod) -> String {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let owners = pod.metadata.owner_references.iter().flatten();
    let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return format!("Pod/{name}");
    };
    let hash = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("pod-template-hash"));
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    match deployment {
        Some(deployment) if owner.kind == "ReplicaSet" => format!("Deployment/{deployment}"),
        _ => format!("{}/{}", owner.kind, owner.name),
    }
}

/// The findings as a table.
pub fn table(found: &[Found], namespaces: bool) -> Table {
    let mut headers = Vec::new();
    if namespaces {
        headers.push("NAMESPACE");
    }
    headers.extend(["WORKLOAD", "CONTAINER", "PODS", "WHAT", "FINDING"]);
    let mut table = Table::new(&headers);
    for found in found {
        let mut row = Vec::new();
        if namespaces {
            row.push(found.namespace.clone());
        }
        row.extend([
            found.workload.clone(),
            found.container.clone(),
            found.pods.to_string(),
            found.what.to_owned(),
            found.finding.clone(),
        ]);
        table.row(row);
    }
    table
}

/// `shop/Deployment/web`
pub fn name(found: &Found) -> String {
    format!("{}/{}", found.namespace, found.workload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_of_a_workload_are_one_finding() {
        let pod = |name: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "name": name, "labels": {"pod-template-hash": "7d4b9c"},
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c",
                        "uid": "u", "controller": true}]},
                "spec": {"terminationGracePeriodSeconds": 10, "containers": [{"name": "app",
                    "livenessProbe": {"exec": {"command": ["timeout", "5", "check"]}, "timeoutSeconds": 5},
                    "readinessProbe": {"httpGet": {"port": 80}},
                    "lifecycle": {"preStop": {"sleep": {"seconds": 10}}}}]}
            }))
            .unwrap()
        };
        let found = of(&[pod("web-7d4b9c-a"), pod("web-7d4b9c-b")]);
        let told: Vec<_> = found
            .iter()
            .map(|f| (f.workload.as_str(), f.what, f.pods))
            .collect();
        assert_eq!(
            told,
            [
                ("Deployment/web", "livenessProbe", 2),
                ("Deployment/web", "preStop", 2)
            ]
        );
        assert_eq!(name(&found[0]), "shop/Deployment/web");
    }
}
