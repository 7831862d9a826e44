//! The agent as a member of its cluster: what it hears there, and what it tells.
//!
//! Nothing here waits: what is to be told is left with the thread that speaks with the API
//! server, and told when that answers. The record of what was done is the audit log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sexton_cluster::report::{
    Dealing, Hindrance, PolicyState, Seen, Status, Step, condense, hindered,
};
use sexton_cluster::{About, Cluster, Event, Evicted, Eviction, Policies, Reason, Stage};
use sexton_core::ending::{Ending, Holdup};
use sexton_core::forecast::Trend;
use sexton_core::ladder::Refusal;
use sexton_core::policy::Mode;
use sexton_core::{Container, Leak, ProcessId, Report, text};

use super::names::Known;
use super::record::{Intent, StepOutcome, StepVerdict};
use super::settings::{Enabled, Settings};
use super::wake::Bell;
use crate::error::Error;

/// A limit that is reached within this time is worth an event.
const SOON: Duration = Duration::from_secs(3_600);
/// How long an agent that is told to stop may take for its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The agent in its cluster.
pub struct Member {
    link: Cluster,
    dealings: HashMap<ProcessId, Dealing>,
    /// Since when each holder has been seen with zombies, in time since boot.
    standing: HashMap<ProcessId, Duration>,
    /// Of whom it has been told that they will run out.
    warned: HashSet<ProcessId>,
    told: Option<Status>,
}

impl Member {
    /// Takes up the link with the API server, as this node. Whether that answers shows later, and
    /// is no matter for what is done here.
    ///
    /// # Errors
    /// Nothing says where the API server is, or there is no room for a thread.
    pub fn join(node: &str, settings: &Settings, bell: Bell) -> Result<Self, Error> {
        let evict = settings.enabled.contains(&Enabled::Evict);
        let settings = sexton_cluster::Settings::new(node, &settings.namespace, evict);
        let link = Cluster::start(settings, move || bell.ring())?;
        tracing::info!(node, "taking part in the cluster");
        Ok(Self {
            link,
            dealings: HashMap::new(),
            standing: HashMap::new(),
            warned: HashSet::new(),
            told: None,
        })
    }

    /// The policies of the cluster, as they are known by now.
    pub fn policies(&self) -> Arc<Policies> {
        self.link.policies()
    }

    /// The containers of this node's pods.
    pub fn workloads(&self) -> Arc<Known> {
        self.link.workloads()
    }

    /// What is off or fails.
    pub fn notes(&self) -> Vec<String> {
        self.link.notes()
    }

    /// Why no pod can be evicted from here.
    pub fn eviction_refusal(&self) -> Option<Refusal> {
        self.link.eviction_refusal()
    }

    /// Has the pod of this container evicted, as `policy` asks for. False where that is off.
    pub fn evict(&self, container: &Container, policy: &str) -> bool {
        container.pod.clone().is_some_and(|pod| {
            self.link.evict(Eviction {
                pod,
                owner: container.owner.clone(),
                policy: policy.to_owned(),
            })
        })
    }

    /// The next pod that has been evicted, or could not be.
    pub fn evicted(&self) -> Option<Evicted> {
        self.link.ended()
    }

    /// A policy covers this holder.
    pub fn covered(&mut self, holder: ProcessId, policy: &str) {
        let dealing = self.dealings.entry(holder).or_default();
        if dealing.policy.as_deref() != Some(policy) {
            dealing.policy = Some(policy.to_owned());
        }
    }

    /// A step is about to be taken.
    pub fn begins(&self, intent: &Intent) {
        if intent.mode == Mode::Enforce {
            self.tell_step(intent, Stage::Starting, &intent.reason);
        }
    }

    /// A step is over.
    pub fn ends(&mut self, intent: &Intent, outcome: &StepOutcome) {
        let stage = match outcome.verdict {
            StepVerdict::Succeeded => Stage::Succeeded,
            StepVerdict::DryRun => Stage::DryRun,
            StepVerdict::Failed | StepVerdict::Refused | StepVerdict::Interrupted => Stage::Failed,
        };
        self.tell_step(intent, stage, &outcome.detail);
        self.dealings.entry(intent.holder).or_default().step = Some(Step {
            rung: intent.rung,
            outcome: outcome.verdict.word().to_owned(),
        });
    }

    fn tell_step(&self, intent: &Intent, stage: Stage, detail: &str) {
        let Some(reason) = Reason::of(intent.rung, stage) else {
            return;
        };
        let Intent {
            name,
            holder,
            policy,
            rung,
            ..
        } = intent;
        let of = intent.container.as_ref().and_then(|c| c.name.as_deref());
        let of = of.map_or_else(String::new, |name| format!(" of container {name}"));
        let message = format!(
            "{name} (pid {}){of}: {rung}: {detail} (policy {policy})",
            holder.pid
        );
        self.link.tell(&Event {
            about: about(intent.container.as_ref()),
            reason,
            message: text::safe(&message).into_owned(),
        });
    }

    /// A look was made: tells who will run out of pids soon, and what is known of the node.
    pub fn looked(
        &mut self,
        report: &Report,
        policies: &[PolicyState],
        hindrance: Option<&Hindrance>,
        uptime: Duration,
    ) {
        self.keep_only(report, uptime);
        for leak in &report.leaks {
            self.warn(leak);
        }
        for ending in &report.cannot_end {
            self.warn_of_ending(ending);
        }
        let status = condense(&Seen {
            agent_version: env!("CARGO_PKG_VERSION"),
            report,
            dealings: &self.dealings,
            policies,
            hindrance,
            before: self.told.as_ref(),
            now: jiff::Timestamp::now(),
        });
        if self.told.as_ref() != Some(&status) {
            self.link.publish(status.clone());
            self.told = Some(status);
        }
    }

    /// Forgets whom nobody sees any more.
    fn keep_only(&mut self, report: &Report, uptime: Duration) {
        let there: HashSet<ProcessId> = report.leaks.iter().map(|leak| leak.holder.id).collect();
        self.standing.retain(|holder, _| there.contains(holder));
        self.dealings.retain(|holder, _| there.contains(holder));
        let endings: HashSet<ProcessId> = report.cannot_end.iter().map(|e| e.first.id).collect();
        (self.warned).retain(|id| there.contains(id) || endings.contains(id));
        for holder in there {
            let since = *self.standing.entry(holder).or_insert(uptime);
            self.dealings.entry(holder).or_default().watched = uptime.saturating_sub(since);
        }
    }

    fn warn(&mut self, leak: &Leak) {
        let Some(message) = runs_out(leak) else {
            return;
        };
        if self.warned.insert(leak.holder.id) {
            self.link.tell(&Event {
                about: about(leak.container.as_ref()),
                reason: Reason::PidsExhaustionForecast,
                message: text::safe(&message).into_owned(),
            });
        }
    }

    fn warn_of_ending(&mut self, ending: &Ending) {
        if self.warned.insert(ending.first.id) {
            let why = ending.held_by.first().map(Holdup::fact).unwrap_or_default();
            self.link.tell(&Event {
                about: about(ending.container.as_ref()),
                reason: Reason::ContainerCannotEnd,
                message: text::safe(&format!("{} {why}", ending.title())).into_owned(),
            });
        }
    }

    /// A look failed as a whole: what was told last is told again, as old.
    pub fn look_failed(&mut self, hindrance: &Hindrance) {
        let Some(before) = &self.told else {
            return;
        };
        let status = hindered(before, hindrance, jiff::Timestamp::now());
        if *before != status {
            self.link.publish(status.clone());
            self.told = Some(status);
        }
    }

    /// A program died of a step, and this node is halted for it.
    pub fn halted(&self, intent: &Intent, why: &str) {
        self.link.tell(&Event {
            about: about(intent.container.as_ref()),
            reason: Reason::HolderKilled,
            message: text::safe(why).into_owned(),
        });
    }

    /// The thread that speaks with the API server has ended.
    pub fn is_gone(&self) -> bool {
        self.link.is_gone()
    }

    /// Says the last words.
    pub fn leave(self) {
        self.link.stop(LAST_WORDS);
    }
}

/// The sentence, if this leak reaches a limit soon.
fn runs_out(leak: &Leak) -> Option<String> {
    let forecast = leak.forecast.as_ref()?;
    let limit = forecast.limit?;
    let left = Duration::from_secs(forecast.warns_of()?);
    (left <= SOON).then(|| {
        let when = match forecast.trend {
            Trend::LimitReached => "is reached: fork fails with EAGAIN".to_owned(),
            _ => format!("will be reached in {}", text::duration(left.as_secs())),
        };
        let holder = &leak.holder;
        let zombies = text::plural(leak.zombies, "zombie", "zombies");
        let scope = text::short_ids(forecast.scope.as_deref().unwrap_or_default());
        // Of a cgroup's path the last part tells it from the others, and the event has little room.
        let scope = match scope.rsplit_once('/') {
            Some((above, last)) if !above.is_empty() => format!("cgroup …/{last}"),
            _ => scope,
        };
        format!(
            "{} of {scope} {when}: {zombies} of {} (pid {})",
            limit.name(),
            holder.name,
            holder.id.pid
        )
    })
}

/// Whom an event about this container concerns: its pod, where that is known by name.
fn about(container: Option<&Container>) -> About {
    let named = |container: &&Container| {
        let pod = container.pod.as_ref();
        pod.is_some_and(|pod| pod.name.is_some() && pod.namespace.is_some())
    };
    container
        .filter(named)
        .and_then(|container| {
            Some(About::Pod {
                pod: container.pod.clone()?,
                owner: container.owner.clone(),
            })
        })
        .unwrap_or(About::Node)
}
