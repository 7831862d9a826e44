//! What was done, as far as the next decision needs it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Evidence, Fingerprint, Rung};
use crate::ProcessId;
use crate::policy::Rate;

/// Steps that are kept of one holder. More than the greatest count of a rate limit, so that none
/// is undercounted.
const OF_A_HOLDER: usize = 256;
/// Steps that are kept in all; about 1 MB.
const IN_ALL: usize = 4_096;
/// First back-off after a step that failed; doubled by each further failure of the same rung.
const FIRST_BACK_OFF: Duration = Duration::from_secs(15);
/// Longest back-off.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(3_600);
/// A step whose outcome is not known after this time has failed: whoever took it is gone.
pub(super) const OUTCOME_WITHIN: Duration = Duration::from_secs(300);

/// One step that was taken, or was to be taken in a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// When, since boot ([`super::Now::uptime`]).
    pub at: Duration,
    /// Which.
    pub rung: Rung,
    /// On whom.
    pub holder: ProcessId,
    /// In which container ([`Evidence::place`]).
    pub place: Option<String>,
    /// On what evidence.
    pub fingerprint: Fingerprint,
    /// What came of it; `None` until it was measured.
    pub outcome: Option<RungOutcome>,
}

impl Step {
    /// A step on this evidence, whose outcome is not known yet.
    #[must_use]
    pub fn new(rung: Rung, evidence: &Evidence, at: Duration) -> Self {
        Self {
            at,
            rung,
            holder: evidence.holder,
            place: evidence.place.clone(),
            fingerprint: evidence.fingerprint,
            outcome: None,
        }
    }

    /// It did what its rung is for.
    fn worked(&self) -> bool {
        let (before, left, new_container) = match &self.outcome {
            Some(RungOutcome::Measured {
                before,
                left,
                new_container,
            }) => (before, left, new_container),
            // Nothing speaks against it, and a rehearsal must not climb.
            Some(RungOutcome::DryRun) => return true,
            Some(RungOutcome::NotDone { .. }) | None => return false,
        };
        match self.rung {
            Rung::Observe => false,
            // A step that takes a few of many is no reason to stay on its rung.
            Rung::Nudge | Rung::Reap => left.saturating_mul(2) <= *before,
            Rung::Autoreap | Rung::Terminate | Rung::Evict => *left == 0,
            Rung::Restart => new_container.is_some(),
        }
    }

    /// It was in fact taken, as far as is known.
    fn was_taken(&self) -> bool {
        !matches!(self.outcome, Some(RungOutcome::NotDone { .. }))
    }

    /// Its outcome is still to come.
    fn is_pending(&self, now: Duration) -> bool {
        self.outcome.is_none() && now < self.at.saturating_add(OUTCOME_WITHIN)
    }
}

/// What came of a step, by a scan made after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RungOutcome {
    /// It was taken, and this was found.
    Measured {
        /// Zombies that the step was about.
        before: u64,
        /// Those of them that are still there. After `autoreap`: those that ended after it and
        /// are there all the same.
        left: u64,
        /// Id of the container that runs in place of the one that was stopped.
        new_container: Option<String>,
    },
    /// It was not taken: the policy is a dry run.
    DryRun,
    /// It was not taken after all: the target was another by then, or refused.
    NotDone {
        /// Why.
        why: String,
    },
}

/// The steps of one node, bounded. A noisy holder drops its own oldest steps, those that ended
/// something last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    by_holder: BTreeMap<ProcessId, VecDeque<Step>>,
    len: usize,
}

impl History {
    /// Adds a step. Steps are added in the order in which they are taken.
    pub fn push(&mut self, step: Step) {
        let steps = self
            .by_holder
            .entry(step.holder)
            // Most of many holders have one: room for four each would be three times as much.
            .or_insert_with(|| VecDeque::with_capacity(1));
        steps.push_back(step);
        self.len += 1;
        if steps.len() > OF_A_HOLDER {
            let oldest_gentle = steps.iter().position(|step| !step.rung.disrupts());
            steps.remove(oldest_gentle.unwrap_or(0));
            self.len -= 1;
        }
        if self.len > IN_ALL {
            // All steps of this holder are older than the last of every other.
            let quietest = self
                .by_holder
                .iter()
                .min_by_key(|(_, steps)| steps.back().map(|step| step.at))
                .map(|(holder, _)| *holder);
            if let Some(steps) = quietest.and_then(|holder| self.by_holder.remove(&holder)) {
                self.len -= steps.len();
            }
        }
    }

    /// Says what came of the last step on `holder`, if that is not known yet.
    pub fn measured(&mut self, holder: ProcessId, outcome: RungOutcome) {
        let last = self
            .by_holder
            .get_mut(&holder)
            .and_then(VecDeque::back_mut)
            .filter(|step| step.outcome.is_none());
        if let Some(step) = last {
            step.outcome = Some(outcome);
        }
    }

    /// Forgets what was not done because its policy was a dry run. A rehearsal holds only as long
    /// as the policies do: what it was about is still there, and the first step that is taken in
    /// earnest may well be the same.
    pub fn forget_rehearsals(&mut self) {
        self.by_holder.retain(|_, steps| {
            steps.retain(|step| step.outcome != Some(RungOutcome::DryRun));
            !steps.is_empty()
        });
        self.len = self.by_holder.values().map(VecDeque::len).sum();
    }

    /// All steps, of one holder after the other.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.by_holder.values().flatten()
    }

    /// How many steps it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing was done yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Steps on `holder`, latest first.
    pub(super) fn of_holder(&self, holder: ProcessId) -> impl Iterator<Item = &Step> {
        self.by_holder.get(&holder).into_iter().flatten().rev()
    }

    /// Steps of `rung` that count for this evidence, latest first: those on the holder; of the
    /// rungs that end a whole container, those in its place.
    fn of_rung(&self, evidence: &Evidence, rung: Rung) -> Vec<&Step> {
        let mut steps: Vec<&Step> = if rung >= Rung::Restart {
            self.in_place(evidence).filter(|s| s.rung == rung).collect()
        } else {
            self.of_holder(evidence.holder)
                .filter(|step| step.rung == rung)
                .collect()
        };
        steps.sort_by_key(|step| std::cmp::Reverse(step.at));
        steps
    }

    fn in_place(&self, evidence: &Evidence) -> impl Iterator<Item = &Step> {
        self.steps()
            .filter(|step| evidence.place.is_some() && step.place == evidence.place)
    }

    /// A step on this holder or its container whose outcome is still to come; when that is given
    /// up.
    pub(super) fn pending(&self, evidence: &Evidence, now: Duration) -> Option<(Rung, Duration)> {
        let on_container = self.in_place(evidence).filter(|s| s.rung >= Rung::Restart);
        self.of_holder(evidence.holder)
            .chain(on_container)
            .filter(|step| step.is_pending(now))
            .map(|step| (step.rung, step.at.saturating_add(OUTCOME_WITHIN)))
            .max()
    }

    /// How `rung` has fared with this holder.
    pub(super) fn standing(&self, evidence: &Evidence, rung: Rung) -> Standing {
        let steps = self.of_rung(evidence, rung);
        let failures = steps.iter().take_while(|step| !step.worked()).count();
        let Some(last) = steps.first() else {
            return Standing::Untried;
        };
        let tried = steps[..failures].iter().any(|step| step.was_taken());
        let same = steps
            .iter()
            .any(|step| step.was_taken() && step.fingerprint == evidence.fingerprint);
        match u32::try_from(failures).unwrap_or(u32::MAX) {
            0 => Standing::Worked { same },
            times => Standing::Failed {
                times,
                since: steps.get(failures - 1).map_or(last.at, |step| step.at),
                until: last.at.saturating_add(back_off(times)),
                tried,
                same,
            },
        }
    }

    /// When there is room again for one more step within `rate` among `steps`; `None` when there
    /// is now.
    fn room(rate: Rate, steps: impl Iterator<Item = Duration>, now: Duration) -> Option<Duration> {
        let mut recent: Vec<Duration> = steps
            .map(|at| at.saturating_add(rate.per.get()))
            .filter(|leaves| *leaves > now)
            .collect();
        let count = usize::try_from(rate.count).unwrap_or(usize::MAX);
        let over = recent.len().checked_sub(count)?;
        recent.sort_unstable();
        // A count of 0 never has room; it is no valid policy.
        Some(recent.get(over).copied().unwrap_or(Duration::MAX))
    }

    /// The rate limit of `limits` that has no room for longest, and until when.
    pub(super) fn over_rate(
        &self,
        limits: &crate::policy::RateLimits,
        evidence: &Evidence,
        counts: impl Fn(&Step) -> bool,
        now: Duration,
    ) -> Option<(Duration, &'static str, Rate)> {
        let counted = |step: &&Step| counts(step) && step.was_taken();
        let at = |step: &Step| step.at;
        let scopes = [
            ("holder", limits.per_holder, {
                let steps = self.of_holder(evidence.holder);
                steps.filter(counted).map(at).collect::<Vec<_>>()
            }),
            ("container", limits.per_container, {
                self.in_place(evidence).filter(counted).map(at).collect()
            }),
            ("node", limits.per_node, {
                self.steps().filter(counted).map(at).collect()
            }),
        ];
        scopes
            .into_iter()
            .filter_map(|(scope, rate, steps)| {
                let rate = rate?;
                Some((Self::room(rate, steps.into_iter(), now)?, scope, rate))
            })
            .max_by_key(|(until, ..)| *until)
    }
}

/// How a rung has fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Never tried.
    Untried,
    /// The last time it worked.
    Worked {
        /// It was taken on this very evidence.
        same: bool,
    },
    /// It failed the last so many times.
    Failed {
        times: u32,
        /// The first of these failures.
        since: Duration,
        /// Not to be tried again before.
        until: Duration,
        /// At least once it was in fact taken, and not refused at the last moment.
        tried: bool,
        /// It was taken on this very evidence.
        same: bool,
    },
}

/// How long a rung is left alone after so many failures in a row.
pub(super) fn back_off(failures: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    FIRST_BACK_OFF.saturating_mul(doubled).min(LONGEST_BACK_OFF)
}
