//! The condition `ZombieLeak` of the node, beside those of the kubelet.
//!
//! Everybody who watches nodes hears of each write, so it is written when it changes, and else
//! once an hour: 5,000 nodes are 1.4 writes a second then, where their kubelets write 17. So
//! `lastHeartbeatTime` says that somebody looked within the last hour; whether an agent is there
//! at all is its DaemonSet's to tell.
//!
//! An agent that is told to stop takes the condition away. `False` would be a lie from then on,
//! `True` would stay for ever where Sexton is removed, and one that is not there says just what is
//! the case: nobody looks. A node whose agent was killed keeps the last word until the next agent
//! comes.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Error;
use crate::client::{Clients, PATIENCE, within};
use crate::pause::{Pause, jitter};
use crate::report::Status;
use crate::told::Told;

/// Type of the condition, in the report as on the node.
const ZOMBIE_LEAK: &str = "ZombieLeak";
const SUBJECT: &str = "node condition";
/// Least time between two writes where `True` became `False` or the other way.
const BETWEEN_TURNS: Duration = Duration::from_secs(10);
/// Least time between two writes where only the words are others.
const BETWEEN_WORDS: Duration = Duration::from_secs(300);
/// It is written so often if it does not change.
const HEARTBEAT: Duration = Duration::from_secs(3_600);

/// Keeps the condition like the one of this name in the report, for ever.
pub(crate) async fn keep(
    clients: &Clients,
    node: &str,
    mut statuses: watch::Receiver<Option<Status>>,
    told: &Told,
) {
    let mut written: Option<Written> = None;
    let mut pause = Pause::default();
    let mut forbidden = Pause::for_rights();
    loop {
        let wanted = wanted(&statuses.borrow_and_update());
        let Some(wanted) = wanted else {
            if statuses.changed().await.is_err() {
                return;
            }
            continue;
        };
        let now = Instant::now();
        let due = written.as_ref().map_or(now, |last| last.due(&wanted));
        if due > now {
            // What comes meanwhile may be due earlier.
            if let Ok(Err(_)) = tokio::time::timeout_at(due, statuses.changed()).await {
                return;
            }
            continue;
        }
        match write(clients, node, &wanted, written.as_ref()).await {
            Ok(since) => {
                told.note(SUBJECT, None);
                pause.reset();
                forbidden.reset();
                written = Some(Written {
                    at: Instant::now(),
                    heartbeat: HEARTBEAT - jitter(HEARTBEAT / 10),
                    since,
                    wanted,
                });
            }
            Err(error) => {
                let note =
                    format!("the condition {ZOMBIE_LEAK} of the node cannot be set: {error}");
                told.note(SUBJECT, Some(note));
                let wait = if error.passes() {
                    pause.next()
                } else {
                    forbidden.next()
                };
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Takes the condition away.
///
/// # Errors
/// The server does not answer, or does not let it.
pub(crate) async fn remove(clients: &Clients, node: &str) -> Result<(), Error> {
    patch(
        clients,
        node,
        &json!({"$patch": "delete", "type": ZOMBIE_LEAK}),
    )
    .await
}

/// What is to be said: all but the times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    status: String,
    reason: String,
    message: String,
}

fn wanted(status: &Option<Status>) -> Option<Wanted> {
    let conditions = &status.as_ref()?.conditions;
    let ours = |condition: &&Condition| condition.type_ == ZOMBIE_LEAK;
    conditions.iter().find(ours).map(|condition| Wanted {
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    })
}

/// What was written last.
struct Written {
    wanted: Wanted,
    at: Instant,
    heartbeat: Duration,
    /// `lastTransitionTime`.
    since: Timestamp,
}

impl Written {
    /// When `wanted` is to be written.
    fn due(&self, wanted: &Wanted) -> Instant {
        let rest = if self.wanted.status != wanted.status {
            BETWEEN_TURNS
        } else if self.wanted == *wanted {
            self.heartbeat
        } else {
            BETWEEN_WORDS
        };
        self.at + rest
    }
}

/// Returns since when it has been so.
async fn write(
    clients: &Clients,
    node: &str,
    wanted: &Wanted,
    before: Option<&Written>,
) -> Result<Timestamp, Error> {
    let now = Timestamp::now();
    let known = match before {
        Some(before) => Some((before.wanted.status.clone(), before.since)),
        // That of the agent before this one, if it was killed.
        None => read(clients, node).await?,
    };
    let since = known
        .filter(|(status, _)| *status == wanted.status)
        .map_or(now, |(_, since)| since);
    let Wanted {
        status,
        reason,
        message,
    } = wanted;
    let condition = json!({
        "type": ZOMBIE_LEAK, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": Time(since), "lastHeartbeatTime": Time(now),
    });
    patch(clients, node, &condition).await?;
    Ok(since)
}

/// By the type of the condition, which is the key of the list: the others stay as they are.
async fn patch(clients: &Clients, node: &str, condition: &Value) -> Result<(), Error> {
    let nodes: Api<NodeStatus> = Api::all(clients.node());
    let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
    let parameters = PatchParams::default();
    within(PATIENCE, nodes.patch_status(node, &parameters, &patch))
        .await
        .map(drop)
}

async fn read(clients: &Clients, node: &str) -> Result<Option<(String, Timestamp)>, Error> {
    let nodes: Api<NodeStatus> = Api::all(clients.node());
    let found = within(PATIENCE, nodes.get(node)).await?;
    let mut conditions = found.status.conditions.into_iter();
    let ours = conditions.find(|condition| condition.type_ == ZOMBIE_LEAK);
    Ok(ours.and_then(|ours| Some((ours.status, ours.last_transition_time?.0))))
}

/// A node, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Conditions,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    conditions: Vec<Present>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Present {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    last_transition_time: Option<Time>,
}

impl kube::Resource for NodeStatus {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Node".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "nodes".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str, message: &str) -> Wanted {
        Wanted {
            status: status.to_owned(),
            reason: "R".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn it_is_written_at_once_when_it_turns_and_seldom_else() {
        let at = Instant::now();
        let last = Written {
            wanted: said("False", "none"),
            at,
            heartbeat: HEARTBEAT,
            since: Timestamp::now(),
        };
        let after = |wanted: &Wanted| last.due(wanted) - at;
        assert_eq!(after(&said("True", "2 leaks")), BETWEEN_TURNS);
        assert_eq!(after(&said("False", "a few")), BETWEEN_WORDS);
        assert_eq!(after(&said("False", "none")), HEARTBEAT);
    }

    #[test]
    fn it_says_what_the_report_says() {
        assert_eq!(wanted(&None), None);
        assert_eq!(wanted(&Some(Status::default())), None);
        let condition = |type_: &str| Condition {
            type_: type_.to_owned(),
            status: "True".to_owned(),
            reason: "Many".to_owned(),
            message: "500 zombies".to_owned(),
            last_transition_time: Time(Timestamp::now()),
            observed_generation: None,
        };
        let status = Status {
            conditions: vec![condition("Ready"), condition(ZOMBIE_LEAK)],
            ..Status::default()
        };
        let wanted = wanted(&Some(status)).unwrap();
        assert_eq!(
            (wanted.status.as_str(), wanted.reason.as_str()),
            ("True", "Many")
        );
    }
}
