//! What comes of a step.

use sexton_core::text;

use super::record::{BeforeAndAfter, Intent, Stamp, StepOutcome, StepVerdict};

/// What came of a step, without its place in the log.
pub struct Effect {
    /// In a word.
    pub verdict: StepVerdict,
    /// In a sentence.
    pub detail: String,
    /// The zombies that it was about.
    pub zombies: Option<BeforeAndAfter>,
    /// The container in the place of one that was restarted.
    pub new_container: Option<String>,
    /// Statuses that were taken.
    pub statuses: Vec<sexton_reap::Status>,
}

impl Effect {
    /// It was not done.
    pub fn refused(why: impl ToString) -> Self {
        Self::plain(StepVerdict::Refused, why)
    }

    /// It was tried and did not work.
    pub fn failed(why: impl ToString) -> Self {
        Self::plain(StepVerdict::Failed, why)
    }

    /// The hands gave it up.
    pub fn gave_up(error: &sexton_reap::Error) -> Self {
        match error {
            sexton_reap::Error::Refused(refusal) => Self::refused(refusal),
            error => Self::failed(error),
        }
    }

    /// It would have been done.
    pub fn dry(settled: u64) -> Self {
        Self {
            // As if it had worked: a dry run must not climb the ladder over its own idleness.
            zombies: Some(BeforeAndAfter {
                before: settled,
                left: 0,
            }),
            ..Self::plain(
                StepVerdict::DryRun,
                format!(
                    "would be done for {}",
                    text::plural(settled, "zombie", "zombies")
                ),
            )
        }
    }

    /// It goes on, and nobody will see its end.
    pub fn interrupted(why: impl ToString) -> Self {
        Self::plain(StepVerdict::Interrupted, why)
    }

    fn plain(verdict: StepVerdict, detail: impl ToString) -> Self {
        Self {
            verdict,
            detail: detail.to_string(),
            zombies: None,
            new_container: None,
            statuses: vec![],
        }
    }

    /// It was done, and this is what a look afterwards shows.
    pub fn measured(before: u64, left: u64, detail: String) -> Self {
        Self {
            verdict: if left == 0 {
                StepVerdict::Succeeded
            } else {
                StepVerdict::Failed
            },
            zombies: Some(BeforeAndAfter { before, left }),
            ..Self::plain(StepVerdict::Succeeded, detail)
        }
    }

    /// For the log.
    pub fn outcome(self, intent: &Intent, now: Stamp) -> StepOutcome {
        let Self {
            verdict,
            detail,
            zombies,
            new_container,
            statuses,
        } = self;
        StepOutcome {
            id: intent.id.clone(),
            time: now.time,
            uptime_millis: now.uptime_millis,
            verdict,
            detail,
            zombies,
            new_container,
            statuses,
        }
    }
}
