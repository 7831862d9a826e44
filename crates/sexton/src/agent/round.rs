//! From leaks to steps, once a look: sketch a judgement of each, put those to whom something is to
//! be done in order, and deal with one after another for as long as the time lasts.

use std::collections::VecDeque;
use std::time::Duration;

use sexton_core::ladder::{self, Decision, Rung};
use sexton_core::policy::{Mode, Policy};
use sexton_core::{Leak, ProcessId, Report, Workload};
use sexton_scan::Scanner;

use super::budget::{Budget, Share};
use super::judge::{self, Case, Judgement, Trouble};
use super::names::Known;
use super::record::Intent;
use super::turns::Crowd;
use super::{Agent, fault, guard};
use crate::evidence::Means;
use crate::identity;

/// What one look shows, and what may be done about it.
struct Round<'a> {
    report: &'a Report,
    known: &'a Known,
    policies: &'a [Policy],
    means: Means,
}

impl<'a> Round<'a> {
    fn workload(&self, scanner: &Scanner, leak: &Leak) -> Option<&'a Workload> {
        let container = leak.container.as_ref()?;
        identity::workload_of(scanner, container, |id| self.known.get(id))
    }
}

/// What came of the turn of a leak.
enum Dealt {
    /// It was looked at closer, and perhaps a step was taken.
    Done {
        /// How soon it wants to be looked at again.
        wait: Duration,
    },
    /// A step is to be taken and cannot be at once: the others go first.
    NotReady,
}

impl Agent {
    /// Judges the leaks and takes the steps. Returns how soon one of them wants to be looked at
    /// again.
    pub(super) fn work_down(&mut self, report: &Report, known: &Known, may_act: bool) -> Duration {
        let budget = Budget::of(self.settings.interval);
        let policies = self.policies.in_force().to_vec();
        let round = Round {
            report,
            known,
            policies: &policies,
            means: self.means(),
        };
        self.turns.keep_only(&report.leaks);
        let mut soonest = ladder::LONGEST;
        let mut candidates: Vec<(&Leak, &Policy)> = vec![];
        for leak in &report.leaks {
            if self.wake.is_stopping() {
                break;
            }
            if self.ledger.has_given_up(leak.holder.id) || self.ledger.distrusts(leak) {
                continue;
            }
            match guard::caught(|| self.sketch(&round, leak)) {
                Ok((wait, policy)) => {
                    soonest = soonest.min(wait);
                    candidates.extend(policy.map(|policy| (leak, policy)));
                }
                Err(why) => self.give_up(leak.holder.id, &leak.holder.name, "judging it", &why),
            }
        }
        if may_act && self.ledger.paused.is_none() {
            soonest = soonest.min(self.deal_with_all(&round, candidates, &budget));
        }
        soonest
    }

    /// How soon a leak wants to be looked at again; and by which policy something is to be done.
    fn sketch<'a>(&mut self, round: &Round<'a>, leak: &Leak) -> (Duration, Option<&'a Policy>) {
        fault::panic_at("judge", leak.holder.id.pid);
        let now = crate::clock::now();
        let rest = self.ledger.rests(leak, now);
        let wait = rest.unwrap_or(ladder::LONGEST).max(ladder::SHORTEST);
        let case = Case {
            leak,
            workload: round.workload(&self.scanner, leak),
            limits: self.ledger.limits(leak.holder.id),
            rests: rest.is_some(),
        };
        let history = self.ledger.history();
        let judgement = match judge::sketch(&case, round.policies, &round.means, history, now) {
            Ok(Some(judgement)) => judgement,
            Ok(None) => return (wait, None),
            Err(trouble) => {
                self.ledger.trouble(leak, &trouble);
                return (wait, None);
            }
        };
        if let Some(member) = &mut self.member {
            member.covered(leak.holder.id, judgement.policy.name());
        }
        let wait = wait.min(self.ledger.next_look(leak, &judgement, now));
        let acts = matches!(judgement.decision, Decision::Act { .. });
        if !acts {
            say(leak, &judgement);
        }
        (wait, acts.then_some(judgement.policy))
    }

    /// Those whose turn does not come are dealt with first at the next look.
    fn deal_with_all(
        &mut self,
        round: &Round<'_>,
        candidates: Vec<(&Leak, &Policy)>,
        budget: &Budget,
    ) -> Duration {
        let mut soonest = ladder::LONGEST;
        let candidates = self.turns.in_order(candidates, who);
        let is_fresh = |agent: &Self, leak: &Leak| agent.turns.misses(leak.holder.id).is_none();
        let fresh = candidates.iter().filter(|(leak, _)| is_fresh(self, leak));
        let mut others = fresh.count();
        let mut queue = VecDeque::from(candidates);
        while let Some((leak, policy)) = queue.pop_front() {
            let left = budget.left();
            // A step may have ended all acting.
            if self.wake.is_stopping() || left.is_zero() || self.read_only.is_some() {
                queue.push_front((leak, policy));
                soonest = ladder::SHORTEST;
                break;
            }
            let share = match self.turns.misses(leak.holder.id) {
                Some(misses) => Share::of_the_last(left, misses),
                None => {
                    others = others.saturating_sub(1);
                    Share::among(left, others)
                }
            };
            match guard::caught(|| self.deal_with(round, leak, policy, share)) {
                Ok(Ok(Dealt::Done { wait })) => soonest = soonest.min(wait),
                Ok(Ok(Dealt::NotReady)) => queue.push_back((leak, policy)),
                Ok(Err(trouble)) => self.ledger.trouble(leak, &trouble),
                Err(why) => {
                    self.give_up(leak.holder.id, &leak.holder.name, "dealing with it", &why);
                }
            }
        }
        let left_over = queue.iter().map(|(leak, _)| leak.holder.id);
        self.turns.leave_over(left_over);
        soonest
    }

    /// Judges a leak with all that can be found out, and takes the step.
    fn deal_with(
        &mut self,
        round: &Round<'_>,
        leak: &Leak,
        policy: &Policy,
        share: Share,
    ) -> Result<Dealt, Trouble> {
        let now = crate::clock::now();
        let workload = round.workload(&self.scanner, leak);
        let case = Case {
            leak,
            workload,
            limits: self.ledger.limits(leak.holder.id),
            rests: false,
        };
        let history = self.ledger.history();
        let judgement = judge::judge(&mut self.scanner, &case, policy, &round.means, history, now)?;
        say(leak, &judgement);
        let wait = self.ledger.next_look(leak, &judgement, now);
        let Decision::Act { rung, ref reason } = judgement.decision else {
            return Ok(Dealt::Done { wait });
        };
        let holder = leak.holder.id;
        if matches!(rung, Rung::Reap | Rung::Autoreap)
            && policy.spec.mode == Mode::Enforce
            && self.turns.misses(holder).is_none()
            && !sexton_reap::is_ready(self.scanner.proc(), holder)
        {
            self.turns.put_last(holder);
            return Ok(Dealt::NotReady);
        }
        let intent = Intent {
            id: String::new(),
            time: String::new(),
            uptime_millis: 0,
            boot: self.boot.clone(),
            node: round.report.node.name.clone(),
            policy: policy.name().to_owned(),
            mode: policy.spec.mode,
            rung,
            reason: reason.to_string(),
            holder: leak.holder.id,
            name: leak.holder.name.clone(),
            command_line: leak.holder.command_line.clone(),
            container: leak.container.clone(),
            zombies: leak.zombies,
            place: judgement.evidence.place.clone(),
            fingerprint: judgement.evidence.fingerprint,
        };
        self.step(intent, leak, workload, judgement, share);
        // The outcome decides what comes next.
        let rest = self.ledger.rests(leak, now).unwrap_or_default();
        Ok(Dealt::Done {
            wait: wait.min(rest.max(ladder::SHORTEST)),
        })
    }

    /// A defect in Sexton showed in the work on this holder. It is left alone for as long as it
    /// lives: the next try would only end in the same way.
    pub(super) fn give_up(&mut self, holder: ProcessId, name: &str, doing: &str, why: &str) {
        self.ledger.give_up(holder, name, doing, why);
        // What it had read may be half of something.
        self.renew_scanner();
    }
}

/// The holder of a candidate, and with whom it takes its turns.
fn who<'a>((leak, _): &(&'a Leak, &Policy)) -> (ProcessId, Crowd<'a>) {
    (leak.holder.id, Crowd::of(leak))
}

fn say(leak: &Leak, judgement: &Judgement<'_>) {
    tracing::debug!(
        holder = leak.holder.id.pid,
        policy = judgement.policy.name(),
        decision = ?judgement.decision,
        "judged"
    );
}
