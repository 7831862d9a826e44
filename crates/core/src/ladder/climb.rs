//! The decision itself.

use std::time::Duration;

use super::evict;
use super::history::Standing;
use super::possible::possible;
use super::{
    ActBecause, Cannot, Decision, Evidence, History, NothingBecause, Now, Opted, Rung, WaitBecause,
};
use crate::policy::{PolicySpec, Span, next_open};

/// When to judge again where nothing says when it will be different.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Which step to take for the leak of `evidence` under `spec`, after what `history` tells.
///
/// `spec.mode` does not enter: a dry run decides as the policy would when it is enforced.
#[must_use]
pub fn decide(evidence: &Evidence, spec: &PolicySpec, history: &History, now: Now) -> Decision {
    if let Some(reason) = out_of_bounds(evidence, spec) {
        return Decision::Nothing { reason };
    }
    let until_or = |(until, reason)| Decision::Wait { until, reason };
    if let Some(wait) = not_yet(evidence, spec, history, now) {
        return until_or(wait);
    }
    let ceiling = ceiling(evidence, spec);
    let ladder = Ladder {
        evidence,
        spec,
        history,
        now: now.uptime,
    };
    match ladder.climb(ceiling) {
        Decision::Act { rung, reason } => match ladder.gate(rung, now) {
            Some((until, why)) => {
                // A gentler rung whose back-off ends earlier comes first.
                let earlier = ladder
                    .next_retry(rung)
                    .map_or(until, |retry| retry.min(until));
                until_or((earlier, why))
            }
            None => Decision::Act { rung, reason },
        },
        other => other,
    }
}

/// The highest rung for this holder.
fn ceiling(evidence: &Evidence, spec: &PolicySpec) -> Rung {
    if evidence.is_host_process() {
        spec.max_rung.min(Rung::Reap)
    } else {
        spec.max_rung
    }
}

/// Why nothing is done whatever happened before.
fn out_of_bounds(evidence: &Evidence, spec: &PolicySpec) -> Option<NothingBecause> {
    if let Some(what) = &evidence.protected {
        return Some(NothingBecause::Protected { what: what.clone() });
    }
    if evidence.is_host_process() && spec.selector.host_processes.is_empty() {
        return Some(NothingBecause::HostProcess);
    }
    match evidence.opted {
        Opted::Out => return Some(NothingBecause::OptedOut),
        Opted::Unsaid | Opted::Unreadable if spec.require_opt_in => {
            return Some(NothingBecause::NotOptedIn);
        }
        Opted::Unsaid | Opted::Unreadable | Opted::In => {}
    }
    if spec.paused {
        Some(NothingBecause::Paused)
    } else if spec.max_rung == Rung::Observe {
        Some(NothingBecause::ObserveOnly)
    } else if evidence.zombies == 0 {
        Some(NothingBecause::NoZombies)
    } else {
        None
    }
}

/// Why nothing is done yet, whichever rung it would be.
fn not_yet(
    evidence: &Evidence,
    spec: &PolicySpec,
    history: &History,
    now: Now,
) -> Option<(Duration, WaitBecause)> {
    let after = |wait: Duration| now.uptime.saturating_add(wait);
    if evidence.settled == 0 {
        let settle = spec.settle;
        return Some((after(settle.get()), WaitBecause::NotSettled { settle }));
    }
    let used = evidence.limit_used_percent;
    if !spec.threshold.is_met(evidence.settled, used) {
        let reason = WaitBecause::BelowThreshold {
            threshold: spec.threshold,
            settled: evidence.settled,
            limit_used_percent: used,
        };
        return Some((after(LOOK_AGAIN), reason));
    }
    if let Some((rung, until)) = history.pending(evidence, now.uptime) {
        return Some((until, WaitBecause::Outcome { rung }));
    }
    match next_open(&spec.windows, now.unix) {
        Some(0) => None,
        // Only windows that are none never open.
        seconds => Some((
            seconds.map_or(Duration::MAX, |s| after(Duration::from_secs(s))),
            WaitBecause::Window,
        )),
    }
}

struct Ladder<'a> {
    evidence: &'a Evidence,
    spec: &'a PolicySpec,
    history: &'a History,
    now: Duration,
}

impl Ladder<'_> {
    /// The lowest rung that can be taken and has not failed, as if nothing held it back.
    fn climb(&self, ceiling: Rung) -> Decision {
        let mut below = None;
        let mut obstacles = Vec::new();
        // What was refused at the last moment has neither failed nor is it impossible.
        let mut not_done = None;
        for rung in Rung::STEPS.into_iter().filter(|rung| *rung <= ceiling) {
            if let Some((below, times, until)) = not_done
                && rung.disrupts()
            {
                let reason = WaitBecause::BackOff { rung: below, times };
                return Decision::Wait { until, reason };
            }
            if let Err(cannot) = self.possible(rung) {
                if cannot.passes() {
                    let again = self.now.saturating_add(LOOK_AGAIN);
                    return Decision::Wait {
                        until: self
                            .next_retry(rung)
                            .map_or(again, |retry| retry.min(again)),
                        reason: WaitBecause::Hindered { rung, cannot },
                    };
                }
                // That it is no case for autoreap is no reason for what comes next.
                if rung != Rung::Autoreap || below.is_none() {
                    below = Some(ActBecause::BelowCannot {
                        below: rung,
                        cannot: cannot.clone(),
                    });
                }
                obstacles.push((rung, cannot));
                continue;
            }
            match self.history.standing(self.evidence, rung) {
                Standing::Untried => {
                    let reason = below.unwrap_or(ActBecause::First {
                        settled: self.evidence.settled,
                    });
                    return Decision::Act { rung, reason };
                }
                Standing::Worked { same: true } => {
                    let reason = NothingBecause::AlreadyDone { rung };
                    return Decision::Nothing { reason };
                }
                Standing::Worked { same: false } => {
                    if rung == Rung::Reap && self.autoreap_instead(ceiling) {
                        let reason = ActBecause::DoesNotLast { below: rung };
                        let rung = Rung::Autoreap;
                        return Decision::Act { rung, reason };
                    }
                    let reason = ActBecause::CameBack;
                    return Decision::Act { rung, reason };
                }
                Standing::Failed {
                    times,
                    until,
                    same,
                    tried,
                    since: _,
                } => {
                    if until <= self.now && !same {
                        let reason = ActBecause::Again { times };
                        return Decision::Act { rung, reason };
                    }
                    if !tried && !same {
                        not_done = not_done.or(Some((rung, times, until)));
                    }
                    below = Some(ActBecause::BelowFailed { below: rung, times });
                    obstacles.push((rung, Cannot::Failed { times }));
                }
            }
        }
        match self.next_retry_with_times(ceiling) {
            Some((until, rung, times)) => Decision::Wait {
                until,
                reason: WaitBecause::BackOff { rung, times },
            },
            None => Decision::Nothing {
                reason: NothingBecause::Exhausted {
                    max_rung: ceiling,
                    obstacles,
                },
            },
        }
    }

    /// Reaping works and does not last: have the kernel do it from now on. At the limit those
    /// that stand are taken first.
    fn autoreap_instead(&self, ceiling: Rung) -> bool {
        let rung = Rung::Autoreap;
        if rung > ceiling || self.evidence.at_the_limit() || self.possible(rung).is_err() {
            return false;
        }
        match self.history.standing(self.evidence, rung) {
            Standing::Untried => true,
            // The program has undone it: it would do so again.
            Standing::Worked { .. } => false,
            Standing::Failed { until, same, .. } => until <= self.now && !same,
        }
    }

    fn possible(&self, rung: Rung) -> Result<(), Cannot> {
        possible(rung, self.evidence, self.spec)
    }

    /// What holds `rung` back for now.
    fn gate(&self, rung: Rung, now: Now) -> Option<(Duration, WaitBecause)> {
        let over = |limits, disrupting: bool| {
            let counts = move |step: &super::Step| step.rung.disrupts() || !disrupting;
            self.history
                .over_rate(limits, self.evidence, counts, self.now)
                .map(|(until, scope, rate)| (until, WaitBecause::Rate { rung, scope, rate }))
        };
        if rung.disrupts()
            && let Some(wait) = self.too_gentle_for(rung, now)
        {
            return Some(wait);
        }
        if rung == Rung::Evict
            && let Some((missing, age)) =
                evict::too_young(self.evidence.tenure, &self.spec.disruption, now.unix)
        {
            let age = Span::from_millis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            let reason = WaitBecause::YoungPod { age };
            return Some((self.now.saturating_add(missing), reason));
        }
        let rates = self.spec.disruption.rates();
        let all = over(&self.spec.rate_limits, false);
        let ends = rung.disrupts().then(|| over(&rates, true)).flatten();
        all.into_iter().chain(ends).max_by_key(|(until, _)| *until)
    }

    /// What the policy asks for, beyond the rest, before something is ended.
    fn too_gentle_for(&self, rung: Rung, now: Now) -> Option<(Duration, WaitBecause)> {
        let disruption = &self.spec.disruption;
        let settled = self.evidence.settled;
        let used = self.evidence.limit_used_percent;
        if !disruption.threshold.is_met(settled, used) {
            let reason = WaitBecause::DisruptionThreshold {
                rung,
                threshold: disruption.threshold,
                settled,
                limit_used_percent: used,
            };
            return Some((self.now.saturating_add(LOOK_AGAIN), reason));
        }
        let first_failure = self
            .standings_below(rung)
            .filter_map(|standing| match standing {
                (_, Standing::Failed { since, .. }) => Some(since),
                _ => None,
            });
        let escalate = first_failure
            .max()
            .map(|since| since.saturating_add(disruption.escalate_after.get()))
            .filter(|until| *until > self.now);
        if let Some(until) = escalate {
            return Some((until, WaitBecause::Escalation { rung }));
        }
        match next_open(&disruption.windows, now.unix) {
            Some(0) => None,
            seconds => Some((
                seconds.map_or(Duration::MAX, |s| {
                    self.now.saturating_add(Duration::from_secs(s))
                }),
                WaitBecause::DisruptionWindow { rung },
            )),
        }
    }

    /// How the possible rungs below `rung` have fared.
    fn standings_below(&self, rung: Rung) -> impl Iterator<Item = (Rung, Standing)> {
        Rung::STEPS
            .into_iter()
            .filter(move |below| *below < rung && self.possible(*below).is_ok())
            .map(|below| (below, self.history.standing(self.evidence, below)))
    }

    /// When the first back-off of a rung below `rung` ends that could be tried then.
    fn next_retry(&self, rung: Rung) -> Option<Duration> {
        self.standings_below(rung)
            .filter_map(|standing| match standing {
                (_, Standing::Failed { until, .. }) => Some(until),
                _ => None,
            })
            .filter(|until| *until > self.now)
            .min()
    }

    /// The same for the rungs up to `ceiling`.
    fn next_retry_with_times(&self, ceiling: Rung) -> Option<(Duration, Rung, u32)> {
        Rung::STEPS
            .into_iter()
            .filter(|rung| *rung <= ceiling && self.possible(*rung).is_ok())
            .filter_map(|rung| match self.history.standing(self.evidence, rung) {
                Standing::Failed { times, until, .. } if until > self.now => {
                    Some((until, rung, times))
                }
                _ => None,
            })
            .min()
    }
}
