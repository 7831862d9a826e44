//! Whether an agent does its work on every node, and why not where it does not.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ContainerStateWaiting, Node, Pod};
use kube::api::{Api, ListParams};
use sexton_cluster::report::Status as Report;
use sexton_core::check::{Check, Status};

use super::placement::{keeps_out, meant_for};
use super::{names, unread};
use crate::connect::Connected;
use crate::seen::{self, AGENTS, State};

const NAME: &str = "agents";
/// Why a container waits for its image, as the kubelet says it.
const NO_IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
];

/// The agents of all nodes, and their images.
pub(super) async fn checks(
    at: &Connected,
    sets: &[DaemonSet],
    reports: &BTreeMap<String, Report>,
) -> Vec<Check> {
    let pods: Api<Pod> = Api::namespaced(at.client.clone(), &at.agent_namespace);
    let pods = match seen::all(&pods, &ListParams::default().labels(AGENTS)).await {
        Ok(pods) => pods,
        Err(error) => return vec![unread(NAME, &error)],
    };
    let nodes: Api<Node> = Api::all(at.client.clone());
    let mut checks = match seen::all(&nodes, &ListParams::default()).await {
        Ok(nodes) => on_nodes(&nodes, sets, &pods, reports),
        Err(error) => vec![unread(NAME, &error)],
    };
    checks.extend(images(&pods));
    checks
}

/// What is the same on several nodes is said once.
fn on_nodes(
    nodes: &[Node],
    sets: &[DaemonSet],
    pods: &[Pod],
    reports: &BTreeMap<String, Report>,
) -> Vec<Check> {
    let mut by_node: BTreeMap<&str, &Pod> = BTreeMap::new();
    // While an upgrade runs there may be two: the ready one counts.
    for pod in pods {
        let Some(node) = node_of(pod) else { continue };
        let kept = by_node.entry(node).or_insert(pod);
        if seen::not_ready(kept).is_some() {
            *kept = pod;
        }
    }
    let mut fine = Vec::new();
    let mut troubled: BTreeMap<Trouble, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let Some(name) = node.metadata.name.as_deref() else {
            continue;
        };
        match trouble(node, sets, by_node.get(name).copied(), reports.get(name)) {
            None => fine.push(name),
            Some(trouble) => troubled.entry(trouble).or_default().push(name),
        }
    }
    let mut checks = Vec::new();
    if troubled.is_empty() || !fine.is_empty() {
        checks.push(Check::ok(NAME, format!("ready on {}", names(&fine))));
    }
    let told = troubled.into_iter().rev().map(|(trouble, nodes)| Check {
        name: NAME.to_owned(),
        status: trouble.status,
        found: format!("{} {}: {}", trouble.what, names(&nodes), trouble.why),
        advice: Some(trouble.advice),
    });
    checks.extend(told);
    checks
}

/// The same on several nodes is one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Trouble {
    status: Status,
    what: &'static str,
    why: String,
    advice: String,
}

fn trouble(
    node: &Node,
    sets: &[DaemonSet],
    pod: Option<&Pod>,
    report: Option<&Report>,
) -> Option<Trouble> {
    let failed = |what, why: String, advice: &str| {
        Some(Trouble {
            status: Status::Failed,
            what,
            why,
            advice: advice.to_owned(),
        })
    };
    let Some(pod) = pod else {
        // Left out by what the installation says is a choice; anything else is not.
        return match keeps_out(sets, node) {
            Some(why) => Some(Trouble {
                status: Status::Warning,
                what: "there is none on",
                why,
                advice: "If there should be one, change nodeSelector, affinity or tolerations of \
                         the chart. The agent's image is for amd64 alone."
                    .to_owned(),
            }),
            None => failed(
                "there is none on",
                "the DaemonSet covers them, and has no pod there".to_owned(),
                "See the events of the DaemonSet (a quota, an admission policy): kubectl describe \
                 daemonset -n NAMESPACE -l app.kubernetes.io/name=sexton",
            ),
        };
    };
    if seen::not_ready(pod).is_some() {
        let why = unscheduled(pod).unwrap_or_else(|| seen::waits_for(pod));
        return failed(
            "the agent's pod is not ready on",
            why,
            "See its log and its events: kubectl logs, kubectl describe pod.",
        );
    }
    let Some(report) = report else {
        return failed(
            "there is no report from",
            "the agent's pod is ready, and has not reported".to_owned(),
            "Wait a minute. If it stays so, its log says why: kubectl logs.",
        );
    };
    match seen::told(report) {
        State::NotReady(why) => failed(
            "the agent says that it cannot do its work on",
            why,
            "Do what it says; all that it lacks: kubectl exec AGENT -- /sexton doctor",
        ),
        _ => None,
    }
}

/// The node of an agent's pod, be it that it only waits for room there.
fn node_of(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    let name = spec.node_name.as_ref().or_else(|| meant_for(spec))?;
    Some(name)
}

/// In the scheduler's words.
fn unscheduled(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let condition = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    condition.message.clone()
}

/// Which images cannot be had, and where.
fn images(pods: &[Pod]) -> Vec<Check> {
    const NAME: &str = "image";
    let mut missing: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for pod in pods {
        let Some(node) = node_of(pod) else { continue };
        for (image, waiting) in waiting(pod) {
            let reason = waiting.reason.clone().unwrap_or_default();
            if NO_IMAGE.contains(&reason.as_str()) {
                let nodes = missing.entry((image.to_owned(), reason)).or_default();
                nodes.push(node);
            }
        }
    }
    if missing.is_empty() {
        // Of pods that wait for something else it is not known.
        let ready = pods.iter().filter(|pod| seen::not_ready(pod).is_none());
        return match ready.count() {
            0 => vec![],
            _ => vec![Check::ok(NAME, "no pod of the agents waits for it")],
        };
    }
    let check = |((image, reason), nodes): ((String, String), Vec<&str>)| {
        let found = format!("{image} cannot be pulled on {}: {reason}", names(&nodes));
        let advice = "Push it where the nodes find it, and check image.repository, image.tag and \
                      image.pullSecrets of the chart: kubectl describe pod tells the registry's \
                      answer.";
        Check::failed(NAME, found, advice)
    };
    missing.into_iter().map(check).collect()
}

fn waiting(pod: &Pod) -> impl Iterator<Item = (&str, &ContainerStateWaiting)> {
    let containers = pod
        .status
        .iter()
        .flat_map(|s| &s.container_statuses)
        .flatten();
    containers.filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        Some((container.image.as_str(), waiting))
    })
}
