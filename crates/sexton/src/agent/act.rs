//! Taking one step: intent on the disk, the deed, what came of it.

use std::collections::HashSet;
use std::time::Duration;

use sexton_core::ladder::Rung;
use sexton_core::policy::{Autoreap, PolicySpec};
use sexton_core::{Leak, ProcessId, Workload};
use sexton_reap::{End, Nudge, Plan, autoreap, terminate};
use sexton_scan::Scanner;

use super::budget::Slice;
use super::effect::Effect;
use super::ender::Ender;
use super::fault;
use super::member::Member;
use super::names::Names;
use super::ongoing::Kind;
use crate::identity;
use sexton_core::text;

/// Seconds between SIGTERM and SIGKILL where nothing says otherwise, as in Kubernetes.
const GRACE: Duration = Duration::from_secs(30);

/// What a step needs of the world.
pub struct Hands<'a> {
    /// The node.
    pub scanner: &'a mut Scanner,
    /// How long it may take.
    pub slice: &'a Slice<'a>,
    /// The runtimes.
    pub names: &'a Names,
    /// Who ends holders.
    pub ender: &'a Ender,
    /// The cluster, where there is one.
    pub member: Option<&'a Member>,
    /// Name of the policy that asks for it.
    pub policy: &'a str,
}

/// A step that was begun.
pub enum Taken {
    /// It is over.
    Done(Effect),
    /// It takes its time.
    Begun(Kind),
    /// The holder did not cooperate within its share of the time: nothing was done.
    Missed,
    /// The holder has died of it; how, in a sentence.
    Killed(String),
    /// The holder has ended meanwhile, and this kernel does not tell how.
    Lost(String),
}

impl Hands<'_> {
    /// Takes the step. Everything that acts checks its target again.
    pub fn take(
        &mut self,
        rung: Rung,
        leak: &Leak,
        plan: &Plan,
        workload: Option<&Workload>,
        spec: &PolicySpec,
    ) -> Taken {
        match rung {
            Rung::Observe => Taken::Done(Effect::refused("observe is not a step")),
            Rung::Nudge => self.nudge(plan),
            Rung::Reap => self.reap(plan),
            Rung::Autoreap => self.autoreap(leak, plan, spec),
            Rung::Terminate | Rung::Restart | Rung::Evict => {
                if let Err(why) = identity::confirm(self.scanner, leak, workload) {
                    return Taken::Done(Effect::refused(why));
                }
                match rung {
                    Rung::Restart => self.restart(leak, workload),
                    Rung::Evict => self.evict(leak),
                    _ => self.terminate(leak, spec),
                }
            }
        }
    }

    fn nudge(&mut self, plan: &Plan) -> Taken {
        let before = plan.take.len() as u64;
        let only_a_nudge = Plan {
            nudge: Nudge::to(&plan.holder),
            take: vec![],
            ..plan.clone()
        };
        let slice = self.slice;
        let done = sexton_reap::execute(self.scanner.proc(), &only_a_nudge, |_| slice.go_on(0));
        if let Err(error) = done {
            return Taken::Done(Effect::gave_up(&error));
        }
        match self.still_there(plan.holder.id, plan) {
            // It was not given the time that a handler may take.
            Ok(left) if left == before && slice.is_over() => Taken::Missed,
            Ok(left) => Taken::Done(Effect::measured(before, left, taken_of(before, left))),
            Err(why) => Taken::Done(Effect::failed(why)),
        }
    }

    fn reap(&mut self, plan: &Plan) -> Taken {
        let slice = self.slice;
        let done = sexton_reap::execute(self.scanner.proc(), plan, |at| {
            if at.visits > 0 {
                fault::kill_at("holder", plan.holder.id.pid);
            }
            slice.go_on(at.done)
        });
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(error) => return Taken::Done(Effect::gave_up(&error)),
        };
        if let Some(death) = death(&outcome.end) {
            return death;
        }
        let before = plan.take.len() as u64;
        // Each was seen gone by its descriptor: no need to read them all again.
        let gone = outcome.taken + outcome.nudged + outcome.gone;
        let left = before.saturating_sub(gone);
        let mut detail = taken_of(before, left);
        let over = outcome.end == End::CalledOff && slice.is_over();
        if outcome.end == End::CalledOff && gone == 0 && outcome.visits == 0 {
            return match over {
                true => Taken::Missed,
                // That is no failure, for which the next agent would do something worse.
                false => Taken::Done(Effect::refused("the agent was told to stop")),
            };
        }
        let (tried, left) = if over && gone > 0 {
            // The rest was not tried, so it does not count against the step.
            detail += " in the time that one holder may take; the rest follows";
            (gone, 0)
        } else {
            if outcome.end != End::Complete {
                detail += &format!("; {}", outcome.end);
            }
            (before, left)
        };
        detail += &format!(
            "; {}, the longest {}",
            text::plural(outcome.visits, "visit", "visits"),
            text::millis(outcome.longest_borrowing_micros)
        );
        Taken::Done(Effect {
            statuses: outcome.statuses,
            ..Effect::measured(tried, left, detail)
        })
    }

    /// How many of those that were planned for are still zombies of this holder.
    fn still_there(&mut self, holder: ProcessId, plan: &Plan) -> Result<u64, String> {
        let planned: HashSet<ProcessId> = plan.take.iter().map(|zombie| zombie.id).collect();
        let left = self
            .scanner
            .zombies_of(holder)
            .map_err(|error| error.to_string())?
            .iter()
            .filter(|zombie| planned.contains(&zombie.id))
            .count();
        Ok(left as u64)
    }

    fn autoreap(&mut self, leak: &Leak, plan: &Plan, spec: &PolicySpec) -> Taken {
        let options = autoreap::Options {
            allow_host: leak.container.is_none(),
            // A reap has made it wait, so that it has waited says nothing any more.
            though_it_waits: spec.autoreap == Autoreap::Any,
            ..autoreap::Options::default()
        };
        let planned = match autoreap::plan(self.scanner, leak.holder.id, &options) {
            Ok(Some(planned)) => planned,
            Ok(None) => return Taken::Done(Effect::refused("it has ended")),
            Err(error) => return Taken::Done(Effect::failed(error)),
        };
        let slice = self.slice;
        let done = autoreap::execute(self.scanner.proc(), &planned, || slice.go_on(0));
        match done {
            Ok(outcome) if let Some(death) = death(&outcome.end) => death,
            Ok(outcome) if outcome.end == End::CalledOff && slice.is_over() => Taken::Missed,
            Ok(outcome) if outcome.waiter.is_none() => Taken::Done(Effect::failed(outcome.end)),
            Ok(_) => Taken::Begun(Kind::Autoreap {
                before: plan
                    .take
                    .iter()
                    .map(|zombie| zombie.id)
                    .chain(leak.sample.iter().map(|zombie| zombie.id))
                    .collect(),
            }),
            Err(error) => Taken::Done(Effect::gave_up(&error)),
        }
    }

    fn terminate(&mut self, leak: &Leak, spec: &PolicySpec) -> Taken {
        let planned =
            match terminate::plan(self.scanner, leak.holder.id, &terminate::Options::default()) {
                Ok(Some(planned)) => planned,
                Ok(None) => return Taken::Done(Effect::refused("it has ended")),
                Err(error) => return Taken::Done(Effect::failed(error)),
            };
        if let Some(refusal) = &planned.refusal {
            return Taken::Done(Effect::refused(refusal));
        }
        if !self.ender.end(planned, spec.disruption.grace_period.get()) {
            return Taken::Done(Effect::failed("the thread that does it is gone"));
        }
        Taken::Begun(Kind::Terminate)
    }

    fn restart(&mut self, leak: &Leak, workload: Option<&Workload>) -> Taken {
        let (Some(container), Some(workload)) = (&leak.container, workload) else {
            return Taken::Done(Effect::refused("its runtime is not known"));
        };
        let grace = workload.grace_seconds.map_or(GRACE, Duration::from_secs);
        if !self.names.end(&container.id, grace) {
            return Taken::Done(Effect::refused("no runtime is there to stop it"));
        }
        Taken::Begun(Kind::Restart {
            id: container.id.clone(),
            ended: false,
            zombies: leak.zombies,
        })
    }

    fn evict(&mut self, leak: &Leak) -> Taken {
        let container = leak.container.as_ref();
        let pod = container.and_then(|container| container.pod.as_ref());
        let (Some(member), Some(container), Some(uid)) =
            (self.member, container, pod.and_then(|pod| pod.uid.clone()))
        else {
            return Taken::Done(Effect::refused("it is not known to be in a pod"));
        };
        if !member.evict(container, self.policy) {
            return Taken::Done(Effect::refused("eviction is off here"));
        }
        Taken::Begun(Kind::Evict {
            uid,
            zombies: leak.zombies,
            told: None,
        })
    }
}

/// What it comes to that the holder died of a visit, if it did, or may have.
fn death(end: &End) -> Option<Taken> {
    let death = end.holder_death().filter(|death| death.by_us)?;
    let how = end.to_string();
    Some(if death.certain {
        Taken::Killed(how)
    } else {
        Taken::Lost(how)
    })
}

fn taken_of(before: u64, left: u64) -> String {
    format!(
        "{} of {} taken",
        text::count(before - left.min(before)),
        text::plural(before, "zombie", "zombies")
    )
}
