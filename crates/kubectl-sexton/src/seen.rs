//! What the cluster says: the reports, the nodes, the agents; read once, joined by node.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, ObjectMeta};
use serde::de::DeserializeOwned;
use sexton_cluster::crd::ZombieReport;
use sexton_cluster::report::Status;
use sexton_core::text::safe;

use crate::connect::Connected;
use crate::error::{Error, GROUP, Right};

/// As kubectl does: a list of 5,000 comes in parts.
const PAGE: u32 = 500;
/// The label by which the agents' pods are found.
pub const AGENTS: &str = "app.kubernetes.io/name=sexton";

const LIST_REPORTS: Right = Right::new("list", GROUP, "zombiereports");
const LIST_NODES: Right = Right::new("list", "", "nodes");

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Nodes in the order of their names.
    pub nodes: Vec<SeenNode>,
    /// What could not be seen, one sentence each.
    pub gaps: Vec<String>,
}

impl Seen {
    /// What could not be seen, on standard error, where it spoils no table.
    pub fn tell_gaps(&self) {
        for gap in &self.gaps {
            eprintln!("Note: {}", safe(gap));
        }
    }
}

/// A node, and what its agent says.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenNode {
    /// Its name.
    pub name: String,
    /// How its agent does.
    pub state: State,
    /// What the agent said last.
    pub status: Option<Status>,
}

/// How a node's agent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It looks, and can do what its policies ask for.
    Ready,
    /// It says that it cannot.
    NotReady(String),
    /// Its pod does not run: the report may be old.
    AgentDown(String),
    /// It has never said anything.
    NoReport(String),
}

impl State {
    /// In one word, as kubectl has it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::NotReady(_) => "NotReady",
            Self::AgentDown(_) => "AgentDown",
            Self::NoReport(_) => "NoReport",
        }
    }

    /// Why; nothing where all is well.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::NotReady(why) | Self::AgentDown(why) | Self::NoReport(why) => Some(why),
        }
    }
}

/// Reads all of it. Only the reports must be readable: what else cannot be had is a gap.
///
/// # Errors
/// The reports cannot be read; the nodes cannot, though `selector` asks for some of them.
pub async fn look(at: &Connected, selector: Option<&str>) -> Result<Seen, Error> {
    let reports = reports(at).await?;
    let mut gaps = Vec::new();
    let nodes = match nodes(at, selector).await {
        Ok(nodes) => Some(nodes),
        Err(error) if selector.is_some() => return Err(error),
        Err(_) => {
            gaps.push(
                "Nodes cannot be listed: those without a report are not shown here.".to_owned(),
            );
            None
        }
    };
    let agents = match agents(at).await {
        Ok(agents) => agents,
        Err(_) => {
            gaps.push(format!(
                "The agents cannot be seen (pods and daemonsets in namespace {}): reports may be old.",
                at.agent_namespace
            ));
            Agents::Unseen
        }
    };
    Ok(Seen {
        nodes: join(reports, nodes, &agents),
        gaps,
    })
}

/// The reports, by node. One that this version cannot read is told and left out.
///
/// # Errors
/// They cannot be read.
pub async fn reports(at: &Connected) -> Result<BTreeMap<String, Status>, Error> {
    Ok(statuses(&report_objects(at).await?))
}

/// The reports as the server has them.
///
/// # Errors
/// They cannot be read.
pub async fn report_objects(at: &Connected) -> Result<Vec<DynamicObject>, Error> {
    all(&report_api(at), &ListParams::default())
        .await
        .map_err(LIST_REPORTS.failed(&at.server))
}

/// What they say, by node; as [`reports`].
pub fn statuses(reports: &[DynamicObject]) -> BTreeMap<String, Status> {
    let named = reports.iter().filter_map(|report| {
        let name = report.metadata.name.clone()?;
        Some((name, status_of(report)?))
    });
    named.collect()
}

/// The report of one node.
///
/// # Errors
/// It cannot be read.
pub async fn report(at: &Connected, node: &str) -> Result<Option<Status>, Error> {
    let found = report_api(at)
        .get_opt(node)
        .await
        .map_err(Right::new("get", GROUP, "zombiereports").failed(&at.server))?;
    Ok(found.as_ref().and_then(status_of))
}

/// Not of [`ZombieReport`] itself: one that is of another version would spoil the whole list.
fn report_api(at: &Connected) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<ZombieReport>(&());
    Api::all_with(at.client.clone(), &resource)
}

fn status_of(report: &DynamicObject) -> Option<Status> {
    let status = report.data.get("status")?;
    match serde_json::from_value(status.clone()) {
        Ok(status) => Some(status),
        Err(error) => {
            let name = report.metadata.name.as_deref().unwrap_or_default();
            eprintln!(
                "Note: the report of {} cannot be read by this version of kubectl sexton: {}",
                safe(name),
                safe(&error.to_string())
            );
            None
        }
    }
}

async fn nodes(at: &Connected, selector: Option<&str>) -> Result<BTreeSet<String>, Error> {
    let api: Api<Node> = Api::all(at.client.clone());
    let params = ListParams {
        label_selector: selector.map(str::to_owned),
        ..ListParams::default()
    };
    // Of a node only its name is of interest, and a whole one is large.
    let found = metadata(&api, &params)
        .await
        .map_err(LIST_NODES.failed(&at.server))?;
    Ok(found.into_iter().filter_map(|meta| meta.name).collect())
}

/// Where agents run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Agents {
    /// Nobody may say.
    Unseen,
    /// On every node that ought to have one.
    All,
    /// By node: why it is not ready; `None` where it is.
    By(BTreeMap<String, Option<String>>),
}

/// The DaemonSet alone where it says that all is well: 5,000 pods are a long list.
async fn agents(at: &Connected) -> Result<Agents, Error> {
    let sets: Api<DaemonSet> = Api::namespaced(at.client.clone(), &at.agent_namespace);
    let params = ListParams::default().labels(AGENTS);
    if let Ok(found) = all(&sets, &params).await {
        let whole = found.iter().filter_map(|set| set.status.as_ref());
        let whole = whole.filter(|s| s.number_ready >= s.desired_number_scheduled);
        if !found.is_empty() && whole.count() == found.len() {
            return Ok(Agents::All);
        }
    }
    let pods: Api<Pod> = Api::namespaced(at.client.clone(), &at.agent_namespace);
    let pods = all(&pods, &params)
        .await
        .map_err(Right::with_agents("list", "pods").failed(&at.server))?;
    Ok(Agents::By(pods.iter().filter_map(agent).collect()))
}

/// The node of an agent's pod, and why it is not ready.
fn agent(pod: &Pod) -> Option<(String, Option<String>)> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    Some((node, not_ready(pod)))
}

/// Why an agent's pod is not ready; nothing where it is.
pub fn not_ready(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref();
    let ready = status
        .and_then(|status| status.conditions.as_ref())
        .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    (!ready).then(|| {
        let name = pod.metadata.name.as_deref().unwrap_or("the agent's pod");
        format!("{name} is {}", waits_for(pod))
    })
}

/// What `kubectl get pods` has under STATUS.
pub fn waits_for(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let waiting = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone())
        .next();
    let phase = || status.and_then(|status| status.phase.clone());
    match waiting.or_else(phase) {
        Some(word) if word == "Running" => "not ready".to_owned(),
        Some(word) => word,
        None => "not ready".to_owned(),
    }
}

/// Every node that somebody knows of. `nodes` are those of the API; without them, those of the
/// reports.
fn join(
    mut reports: BTreeMap<String, Status>,
    nodes: Option<BTreeSet<String>>,
    agents: &Agents,
) -> Vec<SeenNode> {
    let nodes = nodes.unwrap_or_else(|| reports.keys().cloned().collect());
    nodes
        .into_iter()
        .map(|name| {
            let status = reports.remove(&name);
            let state = state(status.as_ref(), &name, agents);
            SeenNode {
                name,
                state,
                status,
            }
        })
        .collect()
}

fn state(status: Option<&Status>, node: &str, agents: &Agents) -> State {
    let down = match agents {
        Agents::Unseen | Agents::All => None,
        Agents::By(agents) => match agents.get(node) {
            None => Some("no pod of the agent is on it".to_owned()),
            Some(why) => why.clone(),
        },
    };
    let Some(status) = status else {
        let why = down.unwrap_or_else(|| "the agent has not reported".to_owned());
        return State::NoReport(why);
    };
    if let Some(why) = down {
        return State::AgentDown(why);
    }
    told(status)
}

/// What the agent says of itself.
pub fn told(status: &Status) -> State {
    match condition(status, "Ready") {
        Some(ready) if ready.status != "True" => {
            let Condition {
                reason, message, ..
            } = ready;
            let why = if message.is_empty() { reason } else { message };
            State::NotReady(why.clone())
        }
        _ => State::Ready,
    }
}

/// A condition of the report.
pub fn condition<'a>(status: &'a Status, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|c| c.type_ == kind)
}

/// A whole list, part by part.
pub async fn all<K>(api: &Api<K>, params: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut params = params.clone().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let part = api.list(&params).await?;
        found.extend(part.items);
        match next(part.metadata.continue_) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// The metadata of a whole list.
pub async fn metadata<K>(api: &Api<K>, params: &ListParams) -> Result<Vec<ObjectMeta>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut params = params.clone().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let part = api.list_metadata(&params).await?;
        found.extend(part.items.into_iter().map(|item| item.metadata));
        match next(part.metadata.continue_) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn next(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn status(ready: &str, message: &str) -> Status {
        Status {
            conditions: vec![Condition {
                type_: "Ready".to_owned(),
                status: ready.to_owned(),
                reason: "Paused".to_owned(),
                message: message.to_owned(),
                last_transition_time: Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH),
                observed_generation: None,
            }],
            ..Status::default()
        }
    }

    fn by(agents: &[(&str, Option<&str>)]) -> Agents {
        let owned = |why: &Option<&str>| why.map(str::to_owned);
        Agents::By(
            agents
                .iter()
                .map(|(n, why)| ((*n).to_owned(), owned(why)))
                .collect(),
        )
    }

    #[test]
    fn how_an_agent_does() {
        let ready = status("True", "");
        let paused = status("False", "a pause file");
        let running = by(&[("n", None)]);
        let crashing = by(&[("n", Some("it is CrashLoopBackOff"))]);
        let nowhere = by(&[]);
        for (status, agents, expected) in [
            (Some(&ready), &Agents::All, State::Ready),
            (Some(&ready), &Agents::Unseen, State::Ready),
            (Some(&ready), &running, State::Ready),
            (
                Some(&paused),
                &running,
                State::NotReady("a pause file".into()),
            ),
            (
                Some(&self::status("Unknown", "")),
                &running,
                State::NotReady("Paused".into()),
            ),
            (
                Some(&ready),
                &crashing,
                State::AgentDown("it is CrashLoopBackOff".into()),
            ),
            (
                Some(&ready),
                &nowhere,
                State::AgentDown("no pod of the agent is on it".into()),
            ),
            (
                None,
                &nowhere,
                State::NoReport("no pod of the agent is on it".into()),
            ),
            (
                None,
                &running,
                State::NoReport("the agent has not reported".into()),
            ),
            // Without the condition of a version that did not have it.
            (Some(&Status::default()), &running, State::Ready),
        ] {
            assert_eq!(
                state(status, "n", agents),
                expected,
                "{status:?} {agents:?}"
            );
        }
    }

    #[test]
    fn every_node_is_there_once_and_reports_of_nodes_that_are_gone_are_not() {
        let reports = || {
            ["a", "gone"]
                .map(|n| (n.to_owned(), Status::default()))
                .into()
        };
        let names =
            |nodes: Vec<SeenNode>| -> Vec<String> { nodes.into_iter().map(|n| n.name).collect() };
        let nodes = ["a", "b"].map(str::to_owned).into();
        assert_eq!(
            names(join(reports(), Some(nodes), &Agents::All)),
            ["a", "b"]
        );
        // Where nodes may not be listed, the reports are all that is known.
        assert_eq!(names(join(reports(), None, &Agents::All)), ["a", "gone"]);
    }
}
