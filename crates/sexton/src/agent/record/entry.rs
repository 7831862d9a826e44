//! The lines of the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::ProcessId;
use sexton_core::ladder::{self, Fingerprint, Rung, Step};
use sexton_core::policy::Mode;
use sexton_core::report::Container;
use sexton_reap::Status;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "entry")]
pub enum Entry {
    /// Before.
    Intent(Before),
    /// After.
    Outcome(After),
}

/// An intent, in full or in a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Before {
    /// In full.
    Full(Box<Intent>),
    /// As another that stands in the same file.
    Again(Again),
}

/// An outcome, in full or in a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum After {
    /// In full.
    Full(StepOutcome),
    /// As that of another intent that stands in the same file.
    Again(Likewise),
}

/// What is about to be done, where all else is as in an earlier intent on the same holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Again {
    /// Joins it with its outcome. Its first part is the time since boot in milliseconds, in
    /// hexadecimal.
    pub id: String,
    /// The intent that says the rest: the last part of its id.
    pub of: String,
    /// The zombies of the holder.
    pub zombies: u64,
    /// A digest of the evidence.
    #[schemars(with = "String")]
    pub fingerprint: Fingerprint,
}

/// What came of it, where all else is as in the outcome of an earlier intent: no zombie left, the
/// same program and exit status for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Likewise {
    /// That of the intent.
    pub id: String,
    /// The intent whose outcome says the rest: the last part of its id.
    pub of: String,
    /// In a word: the same.
    pub verdict: StepVerdict,
    /// Milliseconds since its intent.
    pub millis: u64,
    /// The zombies that it was about.
    pub count: u64,
}

/// What is about to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Joins it with its outcome.
    pub id: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// Milliseconds since boot.
    pub uptime_millis: u64,
    /// `boot_id` of the machine: pids mean nothing across boots.
    pub boot: String,
    /// Host name.
    pub node: String,
    /// The policy that allows it.
    pub policy: String,
    /// Whether it is done or only told.
    pub mode: Mode,
    /// What is done.
    pub rung: Rung,
    /// Why this rung, now.
    pub reason: String,
    /// The holder.
    pub holder: ProcessId,
    /// Its name.
    pub name: String,
    /// Its command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command_line: Vec<String>,
    /// Its container; absent for a process of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Its zombies before.
    pub zombies: u64,
    /// The container's place, which outlives its id: pod and container name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// A digest of the evidence: the same step is not taken twice on the same.
    #[schemars(with = "String")]
    pub fingerprint: Fingerprint,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepOutcome {
    /// That of the intent.
    pub id: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// Milliseconds since boot.
    pub uptime_millis: u64,
    /// In a word.
    pub verdict: StepVerdict,
    /// In a sentence.
    pub detail: String,
    /// The zombies that it was about, by a look before and one after; absent where it was not
    /// done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zombies: Option<BeforeAndAfter>,
    /// Id of the container that runs in place of the one that was restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_container: Option<String>,
    /// Exit statuses that were taken from the program, which will not see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<Status>,
}

/// Two counts of the same zombies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BeforeAndAfter {
    /// Before the step.
    pub before: u64,
    /// Those of them that are still there.
    pub left: u64,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StepVerdict {
    /// It did what it is for.
    Succeeded,
    /// It was done, and some or all zombies stay.
    Failed,
    /// Things had changed: a rule forbade it at the last moment.
    Refused,
    /// A dry run: it would have been done.
    DryRun,
    /// The agent ended in the middle.
    Interrupted,
}

impl StepVerdict {
    /// As in the metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::DryRun => "dryRun",
            Self::Interrupted => "interrupted",
        }
    }
}

impl StepOutcome {
    /// As the ladder takes it.
    pub fn measured(&self) -> ladder::RungOutcome {
        match self.verdict {
            StepVerdict::Refused => ladder::RungOutcome::NotDone {
                why: self.detail.clone(),
            },
            // What was interrupted may well have been done: it counts, and as failed.
            StepVerdict::Interrupted => ladder::RungOutcome::Measured {
                before: 1,
                left: 1,
                new_container: None,
            },
            StepVerdict::DryRun => ladder::RungOutcome::DryRun,
            StepVerdict::Succeeded | StepVerdict::Failed => {
                let zombies = self
                    .zombies
                    .unwrap_or(BeforeAndAfter { before: 1, left: 1 });
                ladder::RungOutcome::Measured {
                    before: zombies.before,
                    left: zombies.left,
                    new_container: self.new_container.clone(),
                }
            }
        }
    }
}

/// An intent with its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Before.
    pub intent: Intent,
    /// After; `None` while it goes on.
    pub outcome: Option<StepOutcome>,
}

impl Action {
    /// As the ladder remembers it.
    pub fn step(&self) -> Step {
        let Intent {
            uptime_millis,
            rung,
            holder,
            place,
            fingerprint,
            ..
        } = &self.intent;
        Step {
            at: std::time::Duration::from_millis(*uptime_millis),
            rung: *rung,
            holder: *holder,
            place: place.clone(),
            fingerprint: *fingerprint,
            outcome: self.outcome.as_ref().map(StepOutcome::measured),
        }
    }
}
