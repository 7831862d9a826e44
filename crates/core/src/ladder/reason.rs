//! The reasons of a decision, each a sentence.

use serde::Serialize;

use super::{Refusal, Rung};
use crate::RestartPolicy;
use crate::policy::{ANNOTATION, Rate, Span, Threshold};
use crate::text::{count, plural};

/// Why a step is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "because"
)]
pub enum ActBecause {
    /// It is the first to try.
    #[error("{}", plural(*.settled, "zombie has been dead for the settle time", "zombies have been dead for the settle time"))]
    First {
        /// How many.
        settled: u64,
    },
    /// The rung below is not possible.
    #[error("{below} cannot be done: {cannot}")]
    BelowCannot {
        /// Which.
        below: Rung,
        /// Why.
        cannot: Cannot,
    },
    /// The rung below failed.
    #[error("{below} did not help{}", how_often(*.times))]
    BelowFailed {
        /// Which.
        below: Rung,
        /// How often in a row.
        times: u32,
    },
    /// It helped the last time.
    #[error("it helped the last time, and the leak is back")]
    CameBack,
    /// It failed, and its back-off is over.
    #[error("it did not help{}, the back-off is over and there are other zombies now", how_often(*.times))]
    Again {
        /// How often in a row.
        times: u32,
    },
    /// The rung below works and the leak goes on.
    #[error("{below} helps and does not last: the leak is back")]
    DoesNotLast {
        /// Which.
        below: Rung,
    },
}

/// Why a rung cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "cannot"
)]
pub enum Cannot {
    /// Of nudge.
    #[error("the process has no SIGCHLD handler")]
    NoHandler,
    /// Of reap, autoreap, evict.
    #[error("{}", .0.why)]
    Refused(Refusal),
    /// Of autoreap.
    #[error("the policy says autoreap: never")]
    AutoreapOff,
    /// Of autoreap.
    #[error(
        "it may wait for its children itself: it is not a command that only keeps a container \
         open (autoreap: any allows it)"
    )]
    MayWait,
    /// Of autoreap.
    #[error("the kernel reaps its children already")]
    AutoreapsAlready,
    /// Of terminate and above.
    #[error("it is a process of the host")]
    HostProcess,
    /// Of terminate and above.
    #[error("cannot read whether its pod opted out")]
    OptOutUnreadable,
    /// Of terminate.
    #[error("it is the first process of its container")]
    ContainerInit,
    /// Of terminate.
    #[error("no ancestor is known to reap its children after it ends")]
    NobodyReaps,
    /// Of restart.
    #[error("its restart policy is {restart:?}: only Always brings a container back")]
    NotBroughtBack {
        /// What it is.
        restart: RestartPolicy,
    },
    /// It was tried.
    #[error("it did not help{}", how_often(*.times))]
    Failed {
        /// How often in a row.
        times: u32,
    },
}

impl Cannot {
    /// It will be possible again by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.passing)
    }
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "because"
)]
pub enum WaitBecause {
    /// No zombie has been dead for long enough.
    #[error("no zombie has been dead for {settle} yet (settle)")]
    NotSettled {
        /// The settle time.
        settle: Span,
    },
    /// It is not bad enough.
    #[error("{} (threshold)", below(threshold, *.settled, *.limit_used_percent))]
    BelowThreshold {
        /// What is asked for.
        threshold: Threshold,
        /// How many there are.
        settled: u64,
        /// How much of the first limit is used.
        limit_used_percent: Option<u8>,
    },
    /// All windows are closed.
    #[error("outside the policy's windows")]
    Window,
    /// What the last step did is not known yet.
    #[error("the outcome of the last {rung} is not measured yet")]
    Outcome {
        /// Which step.
        rung: Rung,
    },
    /// All that can be done has failed lately.
    #[error("{rung} did not help{}: back-off", how_often(*.times))]
    BackOff {
        /// Which is tried again first.
        rung: Rung,
        /// How often it failed in a row.
        times: u32,
    },
    /// The next rung is hindered for the moment.
    #[error("{rung} has to wait: {cannot}")]
    Hindered {
        /// Which.
        rung: Rung,
        /// By what.
        cannot: Cannot,
    },
    /// A rate limit has no room.
    #[error("{rung} has to wait: no more than {rate} for one {scope} (rateLimits)")]
    Rate {
        /// Which rung.
        rung: Rung,
        /// `holder`, `container` or `node`.
        scope: &'static str,
        /// The limit.
        rate: Rate,
    },
    /// Not bad enough to end something.
    #[error("{rung} has to wait: {} (disruption.threshold)", below(threshold, *.settled, *.limit_used_percent))]
    DisruptionThreshold {
        /// Which rung.
        rung: Rung,
        /// What is asked for.
        threshold: Threshold,
        /// How many there are.
        settled: u64,
        /// How much of the first limit is used.
        limit_used_percent: Option<u8>,
    },
    /// A gentler rung failed a moment ago.
    #[error("{rung} has to wait: a gentler rung failed only lately (disruption.escalateAfter)")]
    Escalation {
        /// Which rung.
        rung: Rung,
    },
    /// It may have come from an eviction itself.
    #[error(
        "evict has to wait: the pod is younger than {age}, and may have come from an eviction \
         itself (disruption.rateLimits.perContainer)"
    )]
    YoungPod {
        /// The age that it has to reach.
        age: Span,
    },
    /// The windows for ending something are closed.
    #[error("{rung} has to wait: outside the windows of disruption")]
    DisruptionWindow {
        /// Which rung.
        rung: Rung,
    },
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "because"
)]
pub enum NothingBecause {
    /// Rule 1 of `docs/design.md`.
    #[error("it is never touched: {what}")]
    Protected {
        /// What it is.
        what: String,
    },
    /// Not on an allow list.
    #[error("it is a process of the host, and hostProcesses does not name it")]
    HostProcess,
    /// By its pod's own word.
    #[error("its pod says {ANNOTATION}: disabled")]
    OptedOut,
    /// The policy asks for consent.
    #[error("the policy asks for {ANNOTATION}: enabled on the pod, and it is not there")]
    NotOptedIn,
    /// The policy is paused.
    #[error("the policy is paused")]
    Paused,
    /// The policy only watches.
    #[error("the policy only observes (maxRung)")]
    ObserveOnly,
    /// There is nothing to do.
    #[error("there are no zombies")]
    NoZombies,
    /// The same zombies are not dealt with twice in the same way.
    #[error("{rung} was done on these very zombies, and nothing has changed since")]
    AlreadyDone {
        /// Which rung.
        rung: Rung,
    },
    /// Nothing up to the highest rung allowed can be done or helps.
    #[error("nothing up to {max_rung} can be done: {}", listed(.obstacles))]
    Exhausted {
        /// The highest that is allowed.
        max_rung: Rung,
        /// What each meets.
        obstacles: Vec<(Rung, Cannot)>,
    },
}

fn how_often(times: u32) -> String {
    match times {
        0 | 1 => String::new(),
        times => format!(" ({times} times)"),
    }
}

fn below(threshold: &Threshold, settled: u64, used: Option<u8>) -> String {
    let zombies = threshold.min_zombies.map(|least| {
        format!(
            "{} of the {} asked for",
            count(settled),
            plural(least.into(), "zombie", "zombies")
        )
    });
    let share = threshold.limit_used_percent.map(|least| {
        let used = used.map_or("unknown".to_owned(), |used| format!("{used}%"));
        format!("{used} of the {least}% of its limit asked for")
    });
    let parts: Vec<String> = zombies.into_iter().chain(share).collect();
    if parts.is_empty() {
        return "not at the limit".to_owned();
    }
    parts.join(", ")
}

fn listed(obstacles: &[(Rung, Cannot)]) -> String {
    let sentences: Vec<String> = obstacles
        .iter()
        .map(|(rung, cannot)| format!("{rung}: {cannot}"))
        .collect();
    sentences.join("; ")
}
