//! What may be done to whom: the `ReapPolicy` document.
//!
//! A file on a single machine and the custom resource of a cluster are the same document, so
//! its schema is structural: no untagged alternatives, and a span of time is a string. The doc
//! comments of its fields are the descriptions that `kubectl explain` shows.

mod choose;
mod rate;
mod selector;
mod span;
mod specificity;
mod validate;
mod window;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use choose::{Coverage, Subject, Tie, choose, verdicts};
pub use rate::{MOST_COUNTED, Rate, RateLimits};
pub use selector::{
    Glob, LONGEST_CGROUP, LONGEST_LABEL_KEY, LONGEST_LABEL_VALUE, LONGEST_PATTERN, MOST_ENTRIES,
    MOST_EXPRESSIONS, Operator, PodSelector, Requirement, Selector,
};
pub use span::{BadSpan, Span};
pub use specificity::{Miss, Specificity};
pub use validate::{
    Clash, LEAST_SETTLE, LEAST_SPAN, LONGEST_SPAN, NO_CLASS, Problem, validate, validate_all,
};
pub use window::{BadTime, Day, MOST_WINDOWS, TimeOfDay, UtcOffset, Window, next_open};

use crate::ladder::Rung;

/// Version of the policy's schema.
pub const API_VERSION: &str = "sexton.dev/v1alpha1";
/// Kind of the document.
pub const KIND: &str = "ReapPolicy";
/// Annotation (or label) of a pod by which it opts out (`disabled`) or in (`enabled`).
pub const ANNOTATION: &str = "sexton.dev/reap";

/// A policy: which zombies may be dealt with, how far, how often and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Always `sexton.dev/v1alpha1`.
    pub api_version: String,
    /// Always `ReapPolicy`.
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    #[serde(default)]
    pub spec: PolicySpec,
}

impl Policy {
    /// A policy of this name.
    #[must_use]
    pub fn new(name: &str, spec: PolicySpec) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: Metadata {
                name: name.to_owned(),
                ..Metadata::default()
            },
            spec,
        }
    }

    /// Its name, by which it is spoken of.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }
}

/// The part of Kubernetes' object metadata that a policy file may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Lower-case letters, digits, `-` and `.`; unique among the policies of a node.
    pub name: String,
    /// For whoever keeps the files; Sexton does not read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For whoever keeps the files; Sexton does not read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a policy says. Every field has a safe default: an empty spec covers all containers, and
/// only tells what reaping would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PolicySpec {
    /// Whom it covers. Without it: every container, and no process of the host.
    pub selector: Selector,
    /// `dryRun` decides and records as `enforce` does, and touches nothing.
    pub mode: Mode,
    /// The highest rung of the ladder that may be taken.
    pub max_rung: Rung,
    /// Do nothing for now; the policy goes on covering what it covers.
    pub paused: bool,
    /// Act only on pods that carry `sexton.dev/reap: enabled` as annotation or label. A pod with
    /// `sexton.dev/reap: disabled` is left alone in any case.
    pub require_opt_in: bool,
    /// How long a zombie must have been dead before it counts: its parent may yet wait for it.
    pub settle: Span,
    /// How bad it must be before anything is done. Without it: one settled zombie.
    pub threshold: Threshold,
    /// Whose future children the kernel may be told to reap by itself.
    pub autoreap: Autoreap,
    /// How often steps may be taken. Without it: as often as the leak asks for.
    pub rate_limits: RateLimits,
    /// When steps may be taken. Without it: always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_WINDOWS))]
    pub windows: Vec<Window>,
    /// What holds, beyond all that, for the rungs that end something: `terminate`, `restart`
    /// and `evict`.
    pub disruption: Disruption,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self {
            selector: Selector::default(),
            mode: Mode::default(),
            max_rung: Rung::Reap,
            paused: false,
            require_opt_in: false,
            settle: Span::from_secs(60),
            threshold: Threshold::ONE,
            autoreap: Autoreap::default(),
            rate_limits: RateLimits::default(),
            windows: Vec::new(),
            disruption: Disruption::default(),
        }
    }
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Decide, record and tell, marked as a dry run; touch nothing.
    #[default]
    DryRun,
    /// Decide and do it.
    Enforce,
}

/// How bad it must be. It is met when one of those given is, and always at the limit itself,
/// where nobody can fork any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Threshold {
    /// So many settled zombies of one holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_zombies: Option<u32>,
    /// So many percent used of the limit that the holder reaches first (pids cgroup, pid_max,
    /// threads-max, RLIMIT_NPROC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub limit_used_percent: Option<u8>,
}

impl Threshold {
    /// One settled zombie is enough.
    pub const ONE: Self = Self {
        min_zombies: Some(1),
        limit_used_percent: None,
    };

    /// Whether so many settled zombies, at such a use of the first limit, are enough.
    #[must_use]
    pub fn is_met(&self, settled: u64, limit_used_percent: Option<u8>) -> bool {
        let Self {
            min_zombies,
            limit_used_percent: share,
        } = *self;
        let used = limit_used_percent.unwrap_or(0);
        used >= 100
            || min_zombies.is_some_and(|least| settled >= u64::from(least))
            || share.is_some_and(|least| used >= least)
    }
}

/// Whose future children may be reaped by the kernel itself (SIGCHLD set to be ignored). Those
/// that ended before are not touched by it. A program that does wait would no longer see how
/// its children ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Autoreap {
    /// Nobody's.
    Never,
    /// Of commands that only keep a container open and never wait: `sleep`, `tail -f`, `cat`.
    #[default]
    KeepAlive,
    /// Of every holder covered. Only for programs that are known never to wait.
    Any,
}

/// What holds for the rungs that end something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Disruption {
    /// How bad it must be before a process, a container or a pod is ended. Without it: 80% of
    /// the limit used.
    pub threshold: Threshold,
    /// Least time since a gentler rung first failed.
    pub escalate_after: Span,
    /// Time between SIGTERM and SIGKILL when a holder is terminated. A container is stopped with
    /// its own grace period.
    pub grace_period: Span,
    /// How often something may be ended. What is not given is `perContainer` 1 per 10m and
    /// `perNode` 5 per 1h.
    pub rate_limits: RateLimits,
    /// When something may be ended, beside the windows of the policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_WINDOWS))]
    pub windows: Vec<Window>,
    /// Which pods may be evicted.
    #[serde(skip_serializing_if = "Eviction::is_default")]
    pub evict: Eviction,
}

/// Which pods may be evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Eviction {
    /// Pods that are spared unless they are named here: those without a controller (`bare`),
    /// those of a DaemonSet (`daemonSet`), those with a priority of the system or in
    /// `kube-system` (`critical`). Static pods are never evicted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 3))]
    pub allow: Vec<Spared>,
}

impl Eviction {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Pods that are not evicted unless a policy names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Spared {
    /// Without a controller: nothing makes another in its place.
    Bare,
    /// Of a DaemonSet: the same comes back on the same node.
    DaemonSet,
    /// With a priority of the system (`system-cluster-critical`, `system-node-critical`), or in
    /// the namespace `kube-system`.
    Critical,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            threshold: Threshold {
                min_zombies: None,
                limit_used_percent: Some(80),
            },
            escalate_after: Span::from_secs(60),
            grace_period: Span::from_secs(30),
            rate_limits: RateLimits::default(),
            windows: Vec::new(),
            evict: Eviction::default(),
        }
    }
}

impl Disruption {
    /// Its rate limits, with the defaults for those that it does not give.
    #[must_use]
    pub fn rates(&self) -> RateLimits {
        const PER_CONTAINER: Rate = Rate::new(1, Span::from_secs(600));
        const PER_NODE: Rate = Rate::new(5, Span::from_secs(3_600));
        let RateLimits {
            per_holder,
            per_container,
            per_node,
        } = self.rate_limits;
        RateLimits {
            per_holder,
            per_container: per_container.or(Some(PER_CONTAINER)),
            per_node: per_node.or(Some(PER_NODE)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
