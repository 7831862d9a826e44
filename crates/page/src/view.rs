//! What a page is drawn from. The agent fills it.
//!
//! All moments are seconds since 1970, UTC.

use std::collections::BTreeMap;

use sexton_core::limit::first_of;
use sexton_core::{Limit, ProcessId, Report};

/// Everything that the page of one node shows.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// When the page is made.
    pub now: u64,
    /// The last scan, with causes and forecasts where they are known.
    pub report: &'a Report,
    /// The limits that bind each holder, as `sexton_scan::limits::of_process` gives them; a
    /// holder may be missing.
    pub limits: &'a BTreeMap<ProcessId, Vec<Limit>>,
    /// How the agent does.
    pub agent: &'a AgentState,
    /// Oldest first; see [`crate::Timeline`].
    pub history: &'a [Sample],
    /// Newest first; a few dozen.
    pub actions: &'a [Action],
    /// Seconds after which the browser loads the page anew; `None` holds it still. The page
    /// links to `?hold` to ask for that.
    pub refresh: Option<u32>,
}

/// How the agent does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentState {
    /// Its version.
    pub version: String,
    /// The most that its policies allow it.
    pub mode: Mode,
    /// When the last scan began.
    pub scanned: u64,
    /// Seconds from one scan to the next.
    pub interval_seconds: u64,
    /// The policies that were found, good and bad.
    pub policies: Vec<PolicyState>,
    /// Acting is switched off, and by what.
    pub paused: Option<String>,
    /// It does not act, and why: another agent runs on the node, the audit log cannot be written.
    pub read_only: Option<String>,
    /// What went wrong, newest first.
    pub problems: Vec<Problem>,
}

/// What the agent may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No policy asks for more than a look.
    #[default]
    Observe,
    /// It says what it would do.
    DryRun,
    /// It acts.
    Enforce,
}

/// A policy that the agent follows, or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// `metadata.name`, or the file's name where it has none.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// What it allows.
    pub mode: Mode,
    /// Why it is not followed.
    pub refused: Option<String>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// When.
    pub at: u64,
    /// What, with the place and the cause.
    pub what: String,
}

/// What was counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: u64,
    /// All zombies of the node.
    pub zombies: u64,
    /// How many more tasks fit below the node's tightest limit.
    pub headroom: Option<u64>,
    /// The largest leaks.
    pub leaks: Vec<(ProcessId, u64)>,
}

impl Sample {
    /// How many leaks are kept of each moment.
    pub const LEAKS: usize = 8;

    /// Of a report that was made at `at`.
    #[must_use]
    pub fn of(report: &Report, at: u64) -> Self {
        let leaks = report.leaks.iter().take(Self::LEAKS);
        Self {
            at,
            zombies: report.zombies,
            headroom: first_of(&report.limits).and_then(Limit::headroom),
            leaks: leaks.map(|leak| (leak.holder.id, leak.zombies)).collect(),
        }
    }
}

/// Something that was done, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When it began.
    pub at: u64,
    /// The rung of the ladder: `nudge`, `reap`, `terminate`…
    pub rung: String,
    /// The holder: `python3 (pid 48213)`.
    pub whom: String,
    /// Where it runs: `shop/crawler-5d9c app`, `host`.
    pub place: String,
    /// The policy that asked for it.
    pub policy: Option<String>,
    /// It was done for real.
    pub enforced: bool,
    /// What came of it.
    pub outcome: ActionOutcome,
    /// The same in a few words: `1,200 of 1,200 taken`.
    pub detail: String,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It goes on.
    Running,
    /// It did what it was meant to.
    Done,
    /// It did a part.
    Partly,
    /// It was tried in vain.
    Failed,
    /// It was not begun: the target is protected, has changed, cannot be borrowed.
    Refused,
    /// It would have been begun, were this not a dry run.
    Planned,
}

impl ActionOutcome {
    /// In one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Planned => "planned",
        }
    }
}
