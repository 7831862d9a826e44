//! From leaks to steps: judge each, write down what is about to be done, do it, write down what
//! came of it.

use std::time::Duration;

use sexton_core::ladder::{self, Decision, Refusal, Step};
use sexton_core::policy::{Mode, PolicySpec};
use sexton_core::{Leak, Report};

use super::act::{self, Hands};
use super::judge::{Case, Judgement, Means, judge};
use super::names::Known;
use super::ongoing::{Ongoing, Sight};
use super::record::{Intent, Outcome, Verdict};
use super::settings::Enabled;
use super::{Agent, clock, fault};
use crate::identity;

impl Agent {
    /// Judges each leak, worst first, and takes the steps. Returns how soon one of them wants to
    /// be looked at again.
    pub(super) fn work_down(&mut self, report: &Report, known: &Known, may_act: bool) -> Duration {
        let mut soonest = ladder::LONGEST;
        let pause_file = self.settings.state_dir.join("pause").exists();
        let means = self.means();
        self.ledger.paused = pause_file.then(|| {
            format!(
                "{} is there",
                self.settings.state_dir.join("pause").display()
            )
        });
        for leak in &report.leaks {
            if self.wake.is_stopping() {
                break;
            }
            let now = crate::policy::now();
            let rest = self.ledger.rests(leak, now);
            soonest = soonest.min(rest.unwrap_or(ladder::LONGEST).max(ladder::SHORTEST));
            let limits = self.ledger.limits(leak.holder.id);
            let workload = leak.container.as_ref().and_then(|container| {
                identity::workload_of(&self.scanner, container, |id| known.get(id))
            });
            let case = Case {
                leak,
                workload,
                limits,
                rests: rest.is_some(),
            };
            let policies = self.policies.in_force();
            let judgement = match judge(
                &mut self.scanner,
                &case,
                policies,
                &means,
                self.ledger.history(),
                now,
            ) {
                Ok(Some(judgement)) => judgement,
                Ok(None) => continue,
                Err(trouble) => {
                    self.ledger.trouble(leak, &trouble);
                    continue;
                }
            };
            if let Some(member) = &mut self.member {
                member.covered(leak.holder.id, judgement.policy.name());
            }
            let wait = self.ledger.next_look(leak, &judgement, now);
            soonest = soonest.min(wait);
            tracing::debug!(
                holder = leak.holder.id.pid,
                policy = judgement.policy.name(),
                decision = ?judgement.decision,
                "judged"
            );
            if let Decision::Act { rung, ref reason } = judgement.decision
                && may_act
                && !pause_file
            {
                let reason = reason.to_string();
                let (policy, mode) = (
                    judgement.policy.name().to_owned(),
                    judgement.policy.spec.mode,
                );
                let intent = Intent {
                    id: String::new(),
                    time: String::new(),
                    uptime_millis: 0,
                    boot: self.boot.clone(),
                    node: report.node.name.clone(),
                    policy,
                    mode,
                    rung,
                    reason,
                    holder: leak.holder.id,
                    name: leak.holder.name.clone(),
                    command_line: leak.holder.command_line.clone(),
                    container: leak.container.clone(),
                    zombies: leak.zombies,
                    place: judgement.evidence.place.clone(),
                    fingerprint: judgement.evidence.fingerprint,
                };
                let Judgement {
                    policy,
                    evidence,
                    plan,
                    ..
                } = judgement;
                let spec = policy.spec.clone();
                self.step(intent, leak, workload, &evidence, plan, &spec);
                // The outcome decides what comes next.
                soonest = soonest.min(match self.ledger.rests(leak, now) {
                    Some(rest) => rest.max(ladder::SHORTEST),
                    None => ladder::SHORTEST,
                });
            }
        }
        soonest
    }

    /// Intent, deed, outcome.
    fn step(
        &mut self,
        mut intent: Intent,
        leak: &Leak,
        workload: Option<&sexton_core::Workload>,
        evidence: &ladder::Evidence,
        plan: Option<sexton_reap::Plan>,
        spec: &PolicySpec,
    ) {
        let dry = spec.mode == Mode::DryRun;
        // Without a plan the holder has ended since the look.
        let (Some(log), true) = (&mut self.log, dry || plan.is_some()) else {
            return;
        };
        let now = clock::now();
        intent.id = log.next_id(&now);
        intent.time = now.time;
        intent.uptime_millis = now.uptime_millis;
        if let Err(error) = log.intend(&intent) {
            tracing::error!(%error, "nothing is done that cannot be recorded");
            self.ledger.problem("record", &error);
            self.read_only = Some(error.to_string());
            return;
        }
        if let Some(member) = &self.member {
            member.begins(&intent);
        }
        fault::point("after-intent");
        let at = Duration::from_millis(intent.uptime_millis);
        self.ledger
            .begin(Step::new(intent.rung, evidence, at), &intent);
        if dry {
            let result = act::Result::dry(evidence.settled);
            self.conclude(&intent, result);
            return;
        }
        let Some(plan) = plan else { return };
        let mut hands = Hands {
            scanner: &mut self.scanner,
            wake: &self.wake,
            names: &self.names,
            ender: &self.ender,
            member: self.member.as_ref(),
            policy: &intent.policy,
        };
        match hands.take(intent.rung, leak, &plan, workload, spec) {
            act::Taken::Done(result) => {
                fault::point("after-action");
                self.conclude(&intent, result);
            }
            act::Taken::Begun(kind) => {
                fault::point("after-begin");
                self.ledger.ongoing.push(Ongoing { intent, kind });
            }
        }
    }

    fn conclude(&mut self, intent: &Intent, result: act::Result) {
        let outcome = result.outcome(intent, clock::now());
        say(intent, &outcome);
        if let Some(member) = &mut self.member {
            member.ends(intent, &outcome);
        }
        self.unwritten.push(outcome.clone());
        if let Err(error) = self.write_outcomes() {
            tracing::error!(%error, "an outcome could not be recorded yet");
            self.ledger.problem("record", &error);
        }
        fault::point("after-outcome");
        self.ledger.conclude(intent, outcome);
    }

    /// Looks at the steps that take their time.
    pub(super) fn settle_ongoing(&mut self, report: &Report, known: &Known) {
        let ended: Vec<_> = std::iter::from_fn(|| self.names.ended()).collect();
        let terminated: Vec<_> = std::iter::from_fn(|| self.ender.ended()).collect();
        let member = self.member.as_ref();
        let evicted: Vec<_> = std::iter::from_fn(|| member?.evicted()).collect();
        let sight = Sight {
            leaks: &report.leaks,
            known,
            uptime: clock::uptime(),
            ended: &ended,
            terminated: &terminated,
            evicted: &evicted,
        };
        let mut still: Vec<Ongoing> = vec![];
        for mut ongoing in std::mem::take(&mut self.ledger.ongoing) {
            match ongoing.poll(&mut self.scanner, &sight) {
                Some(result) => self.conclude(&ongoing.intent, result),
                None => still.push(ongoing),
            }
        }
        self.ledger.ongoing = still;
    }

    /// What goes on when the agent is told to stop is left as it is, and said so.
    pub(super) fn leave_ongoing(&mut self) {
        self.ender.stop();
        for ongoing in std::mem::take(&mut self.ledger.ongoing) {
            self.conclude(
                &ongoing.intent,
                act::Result::interrupted("the agent was told to stop before it was over"),
            );
        }
    }

    /// What is not possible on this node, whatever a policy says.
    fn means(&self) -> Means {
        let off = |why: &str| Refusal {
            why: why.to_owned(),
            passing: false,
        };
        let restarts = self.settings.enabled.contains(&Enabled::Restart);
        Means {
            no_restart: (!restarts).then(|| off("restart is not switched on here")),
            no_eviction: match &self.member {
                Some(member) => member.eviction_refusal(),
                None => Some(off("pods are evicted in a cluster only")),
            },
        }
    }
}

fn say(intent: &Intent, outcome: &Outcome) {
    let place = sexton_core::text::leak::place(intent.container.as_ref());
    let (rung, pid, name) = (intent.rung, intent.holder.pid, &intent.name);
    let (policy, detail) = (&intent.policy, &outcome.detail);
    match outcome.verdict {
        Verdict::DryRun => {
            tracing::info!(%rung, pid, name, place, policy, "dry run: {detail}");
        }
        Verdict::Succeeded => tracing::info!(%rung, pid, name, place, policy, "{detail}"),
        Verdict::Failed | Verdict::Refused | Verdict::Interrupted => {
            tracing::warn!(%rung, pid, name, place, policy, verdict = outcome.verdict.word(), "{detail}");
        }
    }
}
