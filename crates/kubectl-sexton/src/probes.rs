//! `kubectl sexton audit --probes`: exec probes and preStop hooks that do not fit into their time,
//! by workload, from the specs of the pods. A probe that is a script lies in the container: the agent
//! of one of the workload's pods is asked about it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Lifecycle, Pod, Probe as Declared};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use serde::{Deserialize, Serialize};
use sexton_core::audit::{Probe, ProbeFinding, pre_stop_finding, script_of};
use sexton_core::text;

use crate::connect::Connected;
use crate::error::{Error, Right};
use crate::named::Named;
use crate::pod;
use crate::table::Table;
use crate::{remote, seen};

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
    what: String,
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
        .map_err(Right::new("list", "", "pods").failed(&at.server))?;
    let mut found = of(&pods);
    ask_agents(at, &pods, &mut found).await;
    found.sort_by(|a, b| {
        let key = |found: &Found| (found.namespace.clone(), found.workload.clone());
        key(a).cmp(&key(b))
    });
    Ok(found)
}

/// A container of all pods of a workload: namespace, workload, container.
type Place = [String; 3];

/// Adds what the agents tell of scripts.
async fn ask_agents(at: &Connected, pods: &[Pod], found: &mut Vec<Found>) {
    /// Each is a connection to a node.
    const MOST: usize = 32;
    let scripts = with_scripts(pods);
    let (mut unasked, mut why) = (scripts.len().saturating_sub(MOST), None);
    for (place, asked) in scripts.into_iter().take(MOST) {
        match ask(at, &place, &asked).await {
            Ok(findings) => {
                for ProbeFinding { probe, finding } in findings {
                    add(found, &place, probe, finding, asked.pods);
                }
            }
            Err(error) => {
                unasked = unasked.saturating_add(1);
                why.get_or_insert(error);
            }
        }
    }
    if unasked > 0 {
        let unasked = text::plural(unasked as u64, "probe script was", "probe scripts were");
        let why = why.map_or_else(|| format!("at most {MOST} are"), |why| why.to_string());
        eprintln!(
            "{}",
            text::safe(&format!("Note: {unasked} not read: {why}"))
        );
    }
}

/// Probes of one place that are scripts.
struct Asked {
    /// The first pod of it that runs.
    pod: String,
    probes: Vec<Probe>,
    pods: usize,
}

fn with_scripts(pods: &[Pod]) -> BTreeMap<Place, Asked> {
    let mut scripts: BTreeMap<Place, Asked> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| runs(pod)) {
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let probes: Vec<Probe> = probes(container)
                .filter(|probe| script_of(&probe.command).is_some())
                .collect();
            if probes.is_empty() {
                continue;
            }
            let entry = scripts.entry(place(pod, container)).or_insert(Asked {
                pod: pod.metadata.name.clone().unwrap_or_default(),
                probes,
                pods: 0,
            });
            entry.pods = entry.pods.saturating_add(1);
        }
    }
    scripts
}

fn runs(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Running")
}

/// The agent of the pod's node reads the scripts.
async fn ask(at: &Connected, place: &Place, asked: &Asked) -> Result<Vec<ProbeFinding>, Error> {
    let [namespace, _, container] = place;
    let named = Named {
        namespace: Some(namespace.clone()),
        name: asked.pod.clone(),
    };
    let placed = pod::find(at, &named, Some(container)).await?;
    let agent = remote::agent(at, &placed.node).await?;
    let probes = serde_json::to_string(&asked.probes)?;
    let command = ["audit", &placed.target, "--probes", &probes, "-o", "json"];
    let command = command.map(str::to_owned);
    let (_, json) = agent.output(at, &command).await?;
    let report: Told = serde_json::from_slice(&json)?;
    let told = report.exit_signals.into_iter();
    Ok(told.flat_map(|told| told.probes).collect())
}

/// What is read of an agent's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    exit_signals: Vec<ToldOf>,
}

#[derive(Deserialize)]
struct ToldOf {
    #[serde(default)]
    probes: Vec<ProbeFinding>,
}

/// Adds a finding that is not there yet: the spec tells some of them as well.
fn add(found: &mut Vec<Found>, place: &Place, what: String, finding: String, pods: usize) {
    let [namespace, workload, container] = place.clone();
    let new = Found {
        namespace,
        workload,
        container,
        what,
        finding,
        pods,
    };
    let same = |old: &Found| {
        (
            &old.namespace,
            &old.workload,
            &old.container,
            &old.what,
            &old.finding,
        ) == (
            &new.namespace,
            &new.workload,
            &new.container,
            &new.what,
            &new.finding,
        )
    };
    match found.iter_mut().find(|old| same(old)) {
        Some(old) => old.pods = old.pods.max(pods),
        None => found.push(new),
    }
}

fn of(pods: &[Pod]) -> Vec<Found> {
    let mut counted: BTreeMap<(Place, String, String), usize> = BTreeMap::new();
    for pod in pods {
        let Some(spec) = &pod.spec else { continue };
        let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
        for container in &spec.containers {
            for (what, finding) in findings(container, u64::try_from(grace).unwrap_or(0)) {
                let count = counted
                    .entry((place(pod, container), what, finding))
                    .or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    let mut found = Vec::new();
    for ((place, what, finding), pods) in counted {
        add(&mut found, &place, what, finding, pods);
    }
    found
}

fn place(pod: &Pod, container: &Container) -> Place {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    [namespace, workload(&pod.metadata), container.name.clone()]
}

fn findings(container: &Container, grace: u64) -> Vec<(String, String)> {
    let of_probes = probes(container).flat_map(|probe| probe.findings());
    let of_probes = of_probes.map(|found| (found.probe, found.finding));
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|hooks| hook(hooks, grace));
    of_probes
        .chain(hook.map(|finding| ("preStop".to_owned(), finding)))
        .collect()
}

/// The exec probes of a container.
pub fn probes(container: &Container) -> impl Iterator<Item = Probe> {
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    probes
        .into_iter()
        .filter_map(|(name, declared)| probe(name, declared.as_ref()?))
}

fn probe(name: &str, declared: &Declared) -> Option<Probe> {
    let command = declared.exec.as_ref()?.command.clone()?;
    let timeout = declared.timeout_seconds.unwrap_or(TIMEOUT);
    Some(Probe {
        name: name.to_owned(),
        container: String::new(),
        command,
        timeout_seconds: u64::try_from(timeout).unwrap_or(1),
        script: None,
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
pub fn workload(pod: &ObjectMeta) -> String {
    let name = pod.name.clone().unwrap_or_default();
    let owners = pod.owner_references.iter().flatten();
    let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return format!("Pod/{name}");
    };
    let labels = pod.labels.as_ref();
    let hash = labels.and_then(|labels| labels.get("pod-template-hash"));
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
            found.what.clone(),
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
            .map(|f| (f.workload.as_str(), f.what.as_str(), f.pods))
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

    #[test]
    fn one_pod_that_runs_is_asked_about_a_script() {
        let pod = |name: &str, phase: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "name": name,
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db",
                        "uid": "u", "controller": true}]},
                "spec": {"containers": [{"name": "app",
                    "livenessProbe": {"exec": {"command": ["/health.sh"]}},
                    "readinessProbe": {"exec": {"command": ["true"]}}}]},
                "status": {"phase": phase},
            }))
            .unwrap()
        };
        let pods = [
            pod("db-0", "Pending"),
            pod("db-1", "Running"),
            pod("db-2", "Running"),
        ];
        let asked = with_scripts(&pods);
        let place = ["shop", "StatefulSet/db", "app"].map(str::to_owned);
        let asked = &asked[&place];
        assert_eq!(
            (asked.pod.as_str(), asked.pods, asked.probes.len()),
            ("db-1", 2, 1)
        );
        assert_eq!(asked.probes[0].name, "livenessProbe");
        // Told once, whoever tells it.
        let mut found = of(&pods);
        add(&mut found, &place, "x".to_owned(), "y".to_owned(), 2);
        add(&mut found, &place, "x".to_owned(), "y".to_owned(), 2);
        assert_eq!(found.len(), 1);
    }
}
