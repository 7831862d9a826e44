//! What a node's agent tells the cluster: the `status` of its `ZombieReport`.
//!
//! Five thousand of these are listed and watched, so it is small, and it stays the same while
//! nothing of note happens: counts are rounded down to 1, 2, 5, 10, 20, 50…, times left to a few
//! steps, and nothing in it is a time stamp but the transitions of its conditions. Exact figures
//! are on the node's own page and in `sexton scan` there.

mod condense;
mod condition;
mod fit;
mod round;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::ladder::Rung;
use sexton_core::policy::Mode;
use sexton_core::{LimitKind, audit::Mark};

pub use condense::{Dealing, Hindrance, Seen, condense, hindered};
pub use condition::{READY, ZOMBIE_LEAK};
pub use fit::LARGEST;

/// Leaks that are told one by one.
pub const MOST_LEAKS: usize = 32;
/// Findings of the exit-signal audit that are told one by one.
pub const MOST_EXIT_SIGNALS: usize = 16;
/// Policies that are told one by one.
pub const MOST_POLICIES: usize = 32;

/// What is known about one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the agent.
    pub agent_version: String,
    /// Kernel release of the node.
    pub kernel: String,
    /// Zombies on the node that stay, rounded down to 1, 2, 5, 10, 20, 50…; fewer are told when
    /// they are half of that.
    pub zombies: u64,
    /// Holders of zombies that stay; above 32 rounded down like `zombies`, to 33 at least.
    pub leak_count: u64,
    /// Whose the largest leak is: `shop/Deployment/crawler`, or `host/cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<String>,
    /// What the first of the node's own limits (pid_max, threads-max) has used, in percent,
    /// rounded down to 5.
    pub pids_used_percent: u8,
    /// The limit that is reached first on this node, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Exhaustion>,
    /// The worst, at most 32: first those that are next to a limit, then the largest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<LeakLine>,
    /// Containers that will not end on their stop signal, those of one owner once; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_signals: Vec<ExitSignalLine>,
    /// How many containers will not end on their stop signal, rounded down like `zombies`.
    #[serde(default)]
    pub exit_signal_count: u64,
    /// The policies, and whether this node follows them; at most 32, those that are refused first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyState>,
    /// `Ready` (the agent looks and can do what its policies ask for) and `ZombieLeak`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// All zombies of one holder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeakLine {
    /// Namespace of the pod; absent for a process of the host or a container of no pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container in its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What the pod belongs to, `Deployment/crawler`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of the program that ought to wait.
    pub holder: String,
    /// Its pid on the node.
    pub pid: u32,
    /// How many, rounded down to 1, 2, 5, 10, 20, 50…
    pub zombies: u64,
    /// The ended command that is most frequent among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Why they stay: id of the likeliest cause, under which the runbooks have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The limit that is reached first by this leak, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Exhaustion>,
    /// It is never touched, whatever a policy says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The policy that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The last step that was taken, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// A step of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which.
    pub rung: Rung,
    /// `succeeded`, `failed`, `refused`, `interrupted` or `dryRun`, as in the audit log.
    pub outcome: String,
}

/// A limit that will be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exhaustion {
    /// Which.
    pub limit: LimitKind,
    /// Within this time: `reached`, `10m`, `1h`, `6h`, `1d` or `7d`; what is further is not told.
    /// `held`: not while the policies are in force, since what grows is taken as it comes.
    pub within: String,
}

/// A container that will not end on its stop signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExitSignalLine {
    /// Namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pod, where it belongs to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container.
    pub container: String,
    /// What the pod belongs to, `Deployment/crawler`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of its main process.
    pub process: String,
    /// The signal that a stop begins with.
    pub signal: String,
    /// What it will do: `killed`, `endsUnheard` (the container ends, and processes in it are killed
    /// that never heard of the signal) or `unknown`.
    pub verdict: Mark,
}

/// A policy as this node takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyState {
    /// Its name.
    pub name: String,
    /// `metadata.generation` of what is followed or refused; absent for a policy from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The generation that is followed instead of one that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed_generation: Option<i64>,
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it is followed.
    pub state: Adherence,
    /// Why not, or as far as what the policy asks for is not possible on this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a node follows a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adherence {
    /// It does.
    Following,
    /// It does not: the policy is wrong, or clashes with another.
    Refused,
}

#[cfg(test)]
mod tests;
