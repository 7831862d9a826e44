//! `ZombieReport`: what a node's agent tells the cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{ObjectMeta, TypeMeta};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::schema::{at, object, of};
use super::{Definition, column, resource};
use crate::report::{MOST_EXIT_SIGNALS, MOST_LEAKS, Status};

/// The report of one node, by whose name it goes. It has no spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZombieReport {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Name, owner and the like.
    pub metadata: ObjectMeta,
    /// What is known about the node; absent until the agent has looked, and where it was written
    /// by an agent of another version in words that this one does not know.
    #[serde(
        default,
        deserialize_with = "if_known",
        skip_serializing_if = "Option::is_none"
    )]
    pub status: Option<Status>,
}

/// One report that cannot be read is no reason to read none of a list, nor never to write it anew.
fn if_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    let status = Option::<Value>::deserialize(deserializer)?;
    Ok(status.and_then(|status| serde_json::from_value(status).ok()))
}

resource!(ZombieReport, "zombiereports");

impl ZombieReport {
    /// The report of this node.
    #[must_use]
    pub fn new(node: &str, status: Option<Status>) -> Self {
        Self {
            types: TypeMeta::resource::<Self>(),
            metadata: ObjectMeta {
                name: Some(node.to_owned()),
                ..ObjectMeta::default()
            },
            status,
        }
    }
}

pub(super) fn definition() -> CustomResourceDefinition {
    let condition =
        |of: &str, what: &str| format!(".status.conditions[?(@.type==\"{of}\")].{what}");
    let columns = vec![
        column(
            "Ready",
            "string",
            &condition("Ready", "status"),
            0,
            "The agent looks and can do what its policies ask for.",
        ),
        column(
            "Zombies",
            "integer",
            ".status.zombies",
            0,
            "Zombies on the node, rounded down.",
        ),
        column(
            "Leaks",
            "integer",
            ".status.leakCount",
            0,
            "Processes that hold them.",
        ),
        column(
            "Pids%",
            "integer",
            ".status.pidsUsedPercent",
            0,
            "Use of the node's own limits on processes.",
        ),
        column(
            "Full In",
            "string",
            ".status.forecast.within",
            0,
            "Time until the first limit on this node is reached.",
        ),
        column(
            "Since",
            "date",
            &condition("ZombieLeak", "lastTransitionTime"),
            0,
            "How long it has or has not been leaking.",
        ),
        column(
            "Worst",
            "string",
            ".status.worst",
            0,
            "Whose the largest leak is.",
        ),
        column(
            "Cause",
            "string",
            ".status.leaks[0].cause",
            1,
            "Why the zombies of the largest leak stay.",
        ),
        column(
            "Unstoppable",
            "integer",
            ".status.exitSignalCount",
            1,
            "Containers that will not end on their stop signal.",
        ),
        column(
            "Reason",
            "string",
            &condition("Ready", "reason"),
            1,
            "Why the agent is ready or not.",
        ),
        column(
            "Agent",
            "string",
            ".status.agentVersion",
            1,
            "Version of the agent.",
        ),
        column(
            "Kernel",
            "string",
            ".status.kernel",
            1,
            "Kernel of the node.",
        ),
    ];
    let mut status = of::<Status>();
    // One agent writes all of it, so who owns which field need not be kept: 600 bytes of each.
    status["x-kubernetes-map-type"] = json!("atomic");
    at(&mut status, "leaks")["maxItems"] = json!(MOST_LEAKS);
    at(&mut status, "exitSignals")["maxItems"] = json!(MOST_EXIT_SIGNALS);
    let conditions = at(&mut status, "conditions");
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    Definition {
        kind: "ZombieReport",
        plural: "zombiereports",
        short: "zr",
        columns,
        status: true,
        schema: object(
            "What the agent of the node of this name knows: zombies, who holds them, why, and when \
             PIDs run out. Written by the agent alone.",
            json!({"status": status}),
        ),
    }
    .build()
}
