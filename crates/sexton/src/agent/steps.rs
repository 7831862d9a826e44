//! One step: write down what is about to be done, do it, write down what came of it.

use std::time::Duration;

use sexton_core::ladder::Step;
use sexton_core::policy::Mode;
use sexton_core::{Leak, ProcessId, Report, State, text};

use super::act::{self, Hands};
use super::budget::{Share, Slice};
use super::effect::Effect;
use super::judge::Judgement;
use super::names::Known;
use super::ongoing::{Ongoing, Sight};
use super::record::{Intent, StepOutcome, StepVerdict};
use super::settings::Enabled;
use super::{Agent, clock, fault, guard};
use crate::evidence::{Means, switched_off};

impl Agent {
    /// Intent, deed, outcome.
    pub(super) fn step(
        &mut self,
        mut intent: Intent,
        leak: &Leak,
        workload: Option<&sexton_core::Workload>,
        judgement: Judgement<'_>,
        share: Share,
    ) {
        let Judgement {
            policy,
            evidence,
            plan,
            ..
        } = judgement;
        let dry = policy.spec.mode == Mode::DryRun;
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
            .begin(Step::new(intent.rung, &evidence, at), &intent);
        if dry {
            let result = Effect::dry(evidence.settled);
            self.conclude(&intent, result);
            return;
        }
        let Some(plan) = plan else { return };
        let slice = Slice::begin(&self.wake, share);
        let mut hands = Hands {
            scanner: &mut self.scanner,
            slice: &slice,
            names: &self.names,
            ender: &self.ender,
            member: self.member.as_ref(),
            policy: &intent.policy,
        };
        // A panic here must not leave the intent open.
        let taken = guard::caught(|| {
            fault::panic_at("act", intent.holder.pid);
            hands.take(intent.rung, leak, &plan, workload, &policy.spec)
        });
        let waited = slice.used();
        match taken {
            Ok(act::Taken::Done(result)) => {
                fault::point("after-action");
                self.turns.met(intent.holder);
                self.conclude(&intent, result);
            }
            Ok(act::Taken::Begun(kind)) => {
                fault::point("after-begin");
                self.turns.met(intent.holder);
                self.ledger.ongoing.push(Ongoing { intent, kind });
            }
            Ok(act::Taken::Missed) => self.missed(&intent, evidence.settled, waited),
            Ok(act::Taken::Killed(how)) => self.killed(&intent, &how),
            Ok(act::Taken::Lost(how)) => self.lost(&intent, &how),
            Err(why) => self.fell(&intent, &why),
        }
    }

    /// No thread of the holder could be borrowed in its share of the time. That it is busy is no
    /// failure before it has been waited for as long as one try was ever meant to take.
    fn missed(&mut self, intent: &Intent, settled: u64, waited: Duration) {
        let result = match self.turns.missed(intent.holder, waited) {
            Some(in_all) => {
                let tries = "no thread of it could be borrowed in several tries";
                let detail = format!("{tries}, {} s together", in_all.as_secs());
                Effect::measured(settled, settled, detail)
            }
            None => Effect::refused(format!(
                "no thread of it could be borrowed within {} ms; it is tried again later",
                text::count(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))
            )),
        };
        self.conclude(intent, result);
    }

    /// The program has died of what was done to it.
    fn killed(&mut self, intent: &Intent, how: &str) {
        self.conclude(intent, Effect::failed(how));
        self.halt(intent, how);
    }

    /// The program ended in that moment, and nothing tells of what. A node where programs come and
    /// go would halt for each that ends just then; so that container alone is not touched again.
    fn lost(&mut self, intent: &Intent, how: &str) {
        self.conclude(intent, Effect::failed(how));
        self.ledger.distrust(intent, how);
    }

    /// A defect in the middle of the step.
    fn fell(&mut self, intent: &Intent, why: &str) {
        let what = format!("a defect in Sexton ended the step: {why}");
        self.conclude(intent, Effect::failed(&what));
        let doing = format!("the step {}", intent.rung);
        self.give_up(intent.holder, &intent.name, &doing, why);
        if !intent.rung.disrupts() && !self.lives(intent.holder) {
            self.halt(intent, &format!("{what}, and the holder has ended"));
        }
    }

    fn lives(&self, holder: ProcessId) -> bool {
        let stat = self.scanner.proc().stat(holder.pid, &mut vec![]);
        stat.ok()
            .flatten()
            .is_some_and(|stat| stat.id() == holder && stat.state != State::Zombie)
    }

    fn conclude(&mut self, intent: &Intent, result: Effect) {
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
            let polled = guard::caught(|| {
                fault::panic_at("poll", ongoing.intent.holder.pid);
                ongoing.poll(&mut self.scanner, &sight)
            });
            match polled {
                Ok(Some(result)) => self.conclude(&ongoing.intent, result),
                Ok(None) => still.push(ongoing),
                Err(why) => self.fell(&ongoing.intent, &why),
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
                Effect::interrupted("the agent was told to stop before it was over"),
            );
        }
    }

    /// What is not possible on this node, whatever a policy says.
    pub(super) fn means(&self) -> Means {
        let restarts = self.settings.enabled.contains(&Enabled::Restart);
        Means {
            no_restart: (!restarts).then(|| switched_off("restart is not switched on here")),
            no_eviction: match &self.member {
                Some(member) => member.eviction_refusal(),
                None => Some(switched_off("pods are evicted in a cluster only")),
            },
        }
    }
}

fn say(intent: &Intent, outcome: &StepOutcome) {
    let place = sexton_core::text::leak::place(intent.container.as_ref());
    let (rung, pid, name) = (intent.rung, intent.holder.pid, &intent.name);
    let (policy, detail) = (&intent.policy, &outcome.detail);
    match outcome.verdict {
        StepVerdict::DryRun => {
            tracing::info!(%rung, pid, name, place, policy, "dry run: {detail}");
        }
        StepVerdict::Succeeded => tracing::info!(%rung, pid, name, place, policy, "{detail}"),
        StepVerdict::Failed | StepVerdict::Refused | StepVerdict::Interrupted => {
            tracing::warn!(%rung, pid, name, place, policy, verdict = outcome.verdict.word(), "{detail}");
        }
    }
}
