//! What the agent remembers between two looks.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sexton_core::forecast::{Forecast, Growth};
use sexton_core::ladder::{self, History, Now, Pace, Rung, Step};
use sexton_core::limit::first_of;
use sexton_core::policy::{Mode, Threshold};
use sexton_core::{Container, Leak, Limit, ProcessId, Report};
use sexton_page::{self as page, AgentState, PolicyState, Timeline};

use super::clock;
use super::judge::{self, Judgement, Trouble};
use super::numbers::Numbers;
use super::ongoing::Ongoing;
use super::policies::Policies;
use super::record::{Intent, Past, StepOutcome, StepVerdict};
use super::snapshot::Snapshot;
use super::watched::Watched;

/// Actions and problems that the page shows.
const SHOWN: usize = 50;

/// Places that are left alone; a node has fewer containers.
const DISTRUSTED: usize = 1_000;

/// What the agent remembers.
pub struct Ledger {
    steps: History,
    watched: HashMap<ProcessId, Watched>,
    /// Steps that take their time.
    pub ongoing: Vec<Ongoing>,
    /// Actions are switched off on this node, and by what.
    pub paused: Option<String>,
    timeline: Timeline,
    actions: VecDeque<page::Action>,
    problems: VecDeque<page::Problem>,
    numbers: Numbers,
    /// Holders in the work on which a defect has shown, each in a sentence: left alone.
    given_up: HashMap<ProcessId, String>,
    /// Left alone since one of their programs ended in a step, by [`place_of`].
    distrusted: BTreeMap<String, String>,
    /// Said already, so that it is not said at each look.
    said: HashSet<String>,
    read_only: Option<String>,
}

impl Ledger {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            steps: History::default(),
            watched: HashMap::new(),
            ongoing: vec![],
            paused: None,
            timeline: Timeline::new(),
            actions: VecDeque::with_capacity(SHOWN + 1),
            problems: VecDeque::with_capacity(SHOWN + 1),
            numbers: Numbers::default(),
            given_up: HashMap::new(),
            distrusted: BTreeMap::new(),
            said: HashSet::new(),
            read_only: None,
        }
    }

    /// Takes over what an earlier agent of this boot did, so that rates and back-off hold.
    pub fn remember(&mut self, past: Past) {
        let Past {
            actions,
            interrupted: _,
            unreadable: _,
        } = past;
        for action in actions {
            self.steps.push(action.step());
            if let Some(outcome) = &action.outcome {
                self.show(&action.intent, Some(outcome));
            }
        }
        // Its policy may have come to enforce while nobody was there to be told.
        self.steps.forget_rehearsals();
    }

    /// What was done, for the ladder.
    pub fn history(&self) -> &History {
        &self.steps
    }

    /// A step begins.
    pub fn begin(&mut self, step: Step, intent: &Intent) {
        self.steps.push(step);
        self.show(intent, None);
    }

    /// What came of it.
    pub fn conclude(&mut self, intent: &Intent, outcome: StepOutcome) {
        self.steps.measured(intent.holder, outcome.measured());
        if let Some(watched) = self.watched.get_mut(&intent.holder) {
            let gentle = matches!(intent.rung, Rung::Nudge | Rung::Reap);
            let dry = outcome.verdict == StepVerdict::DryRun;
            let well = gentle && (dry || outcome.verdict == StepVerdict::Succeeded);
            let at = Duration::from_millis(intent.uptime_millis);
            watched.dealt_with = well.then_some((at, intent.zombies + watched.taken));
            if gentle && !dry {
                watched.took(at, intent.zombies, outcome.zombies, well);
            }
        }
        self.numbers.acted(intent, &outcome);
        self.show(intent, Some(&outcome));
    }

    fn show(&mut self, intent: &Intent, outcome: Option<&StepOutcome>) {
        let shown = page::Action {
            at: clock::unix_seconds(),
            rung: intent.rung.to_string(),
            whom: format!("{} (pid {})", intent.name, intent.holder.pid),
            place: sexton_core::text::leak::place(intent.container.as_ref()),
            policy: Some(intent.policy.clone()),
            enforced: intent.mode == Mode::Enforce,
            outcome: match outcome.map(|outcome| (outcome.verdict, outcome.zombies)) {
                None => page::ActionOutcome::Running,
                Some((StepVerdict::Succeeded, _)) => page::ActionOutcome::Done,
                Some((StepVerdict::Failed, Some(z))) if z.left < z.before => {
                    page::ActionOutcome::Partly
                }
                Some((StepVerdict::Failed | StepVerdict::Interrupted, _)) => {
                    page::ActionOutcome::Failed
                }
                Some((StepVerdict::Refused, _)) => page::ActionOutcome::Refused,
                Some((StepVerdict::DryRun, _)) => page::ActionOutcome::Planned,
            },
            detail: outcome.map_or_else(|| intent.reason.clone(), |outcome| outcome.detail.clone()),
        };
        // Its outcome takes the place of its beginning.
        let running = self.actions.iter_mut().find(|action| {
            action.outcome == page::ActionOutcome::Running
                && action.whom == shown.whom
                && action.rung == shown.rung
        });
        match running {
            Some(action) => *action = shown,
            None => self.actions.push_front(shown),
        }
        self.actions.truncate(SHOWN);
    }

    /// A look was made.
    pub fn looked(&mut self, report: &Report, took: Duration) {
        self.numbers.looked(report, took);
        self.timeline
            .push(page::Sample::of(report, clock::unix_seconds()));
    }

    /// Forgets the holders that hold nothing any more.
    pub fn keep_only(&mut self, leaks: &[Leak]) {
        let there: HashSet<ProcessId> = leaks.iter().map(|leak| leak.holder.id).collect();
        self.given_up.retain(|holder, _| there.contains(holder));
        self.watched.retain(|holder, watched| {
            let is_there = there.contains(holder);
            if !is_there {
                // Most of what is kept of it, and read anew when it is back.
                watched.limits = vec![];
            }
            // A holder whose zombies were all taken a moment ago is about to leak again.
            is_there || watched.taken > 0
        });
        if self.watched.len() > 4 * leaks.len().max(256) {
            self.watched.retain(|holder, _| there.contains(holder));
        }
    }

    /// A defect of Sexton's own has shown in the work on this holder.
    pub fn give_up(&mut self, holder: ProcessId, name: &str, doing: &str, why: &str) {
        let whom = format!("{name} (pid {})", holder.pid);
        let what = format!("{whom}: left alone after a defect in Sexton ({doing}): {why}");
        self.problem("panic", &what);
        self.given_up.insert(holder, what);
    }

    /// Whether it is left alone for that.
    pub fn has_given_up(&self, holder: ProcessId) -> bool {
        self.given_up.contains_key(&holder)
    }

    /// A program ended in a step, perhaps of it: its container is left alone from now on.
    pub fn distrust(&mut self, intent: &Intent, how: &str) {
        let whom = format!("{} (pid {})", intent.name, intent.holder.pid);
        let what = format!(
            "{} is left alone until the agent is started again: {whom}: {how}",
            sexton_core::text::leak::place(intent.container.as_ref())
        );
        self.problem("lost", &what);
        if self.distrusted.len() < DISTRUSTED {
            let place = place_of(intent.container.as_ref(), &intent.name);
            self.distrusted.insert(place, what);
        }
    }

    /// Whether a leak is of a container that is left alone for that.
    pub fn distrusts(&self, leak: &Leak) -> bool {
        let place = place_of(leak.container.as_ref(), &leak.holder.name);
        // Where there are too many to remember, nothing is touched that may be one of them.
        self.distrusted.len() >= DISTRUSTED || self.distrusted.contains_key(&place)
    }

    /// How fast the leaks of the last look take of each limit.
    pub fn growth(&self) -> Growth {
        let mut growth = Growth::default();
        for watched in self.watched.values() {
            watched.add_to(&mut growth);
        }
        growth
    }

    /// Counts a leak, and says when a limit is reached with the policies in force; `acting`: the
    /// agent may act at all.
    pub fn forecast(
        &mut self,
        leak: &Leak,
        limits: Vec<Limit>,
        at: Duration,
        acting: bool,
        growth: &Growth,
    ) -> Forecast {
        let acting = acting && self.paused.is_none();
        let pause = acting.then(|| self.pause(leak.holder.id, crate::clock::now()));
        let watched = self.watched.entry(leak.holder.id).or_default();
        watched.looked(leak, limits, at, pause, growth)
    }

    /// The limits that bind a holder; empty where they were not asked for.
    pub fn limits(&self, holder: ProcessId) -> &[Limit] {
        self.watched
            .get(&holder)
            .map_or(&[], |watched| &watched.limits)
    }

    /// For how long a leak that was just dealt with may be left alone: it comes back, and is
    /// dealt with at its own rate, which is the less work the less often.
    pub fn rests(&self, leak: &Leak, now: Now) -> Option<Duration> {
        let watched = self.watched.get(&leak.holder.id)?;
        let wait = self.pause(leak.holder.id, now);
        let (at, made) = watched.dealt_with?;
        // What was too young then and has not grown since is no leak that goes on.
        if leak.zombies + watched.taken <= made {
            return None;
        }
        let left = (at + wait).saturating_sub(now.uptime);
        (!left.is_zero()).then_some(left)
    }

    /// How long a leak may rest after a step.
    fn pause(&self, holder: ProcessId, now: Now) -> Duration {
        let pace = self.pace(holder);
        ladder::next_look(&self.steps, holder, pace, &Threshold::ONE, now)
    }

    /// Policies have changed: what rests under the old ones is to be judged by the new ones at
    /// once, a dry run that is enforced from now on above all.
    pub fn stir(&mut self) {
        self.steps.forget_rehearsals();
        for watched in self.watched.values_mut() {
            watched.dealt_with = None;
            watched.let_go();
        }
    }

    fn pace(&self, holder: ProcessId) -> Pace {
        let watched = self.watched.get(&holder);
        Pace {
            rate_per_second: watched.map_or(0.0, |watched| watched.rate_per_second),
            headroom: watched
                .and_then(|watched| first_of(&watched.limits))
                .and_then(Limit::headroom),
        }
    }

    /// How long until this leak wants to be looked at again.
    pub fn next_look(&self, leak: &Leak, judgement: &Judgement<'_>, now: Now) -> Duration {
        let pace = self.pace(leak.holder.id);
        let threshold = &judgement.policy.spec.threshold;
        let pace = ladder::next_look(&self.steps, leak.holder.id, pace, threshold, now);
        match judge::until(&judgement.decision, now.uptime) {
            Some(until) => pace.min(until).max(ladder::SHORTEST),
            None => pace,
        }
    }

    /// A leak could not be judged.
    pub fn trouble(&mut self, leak: &Leak, trouble: &Trouble) {
        let what = format!(
            "{} (pid {}): {trouble}",
            leak.holder.name, leak.holder.id.pid
        );
        self.say_problem("policy", what);
    }

    /// Something went wrong.
    pub fn problem(&mut self, kind: &'static str, error: &impl ToString) {
        self.say_problem(kind, error.to_string());
    }

    fn say_problem(&mut self, kind: &'static str, what: String) {
        self.numbers.failed(kind);
        if self.problems.front().is_none_or(|last| last.what != what) {
            self.problems.push_front(page::Problem {
                at: clock::unix_seconds(),
                what: what.clone(),
            });
            self.problems.truncate(SHOWN);
        }
        if self.said.len() > 1_000 {
            self.said.clear();
        }
        if self.said.insert(what.clone()) {
            tracing::warn!("{what}");
        }
    }

    /// Says once that nothing is done, and once that it is again.
    pub fn say_read_only(&mut self, why: Option<&str>) {
        if self.read_only.as_deref() != why {
            match why {
                Some(why) => tracing::warn!("only looking: {why}"),
                None => tracing::info!("acting on this node, as the policies say"),
            }
            self.read_only = why.map(str::to_owned);
        }
    }

    /// How the agent does, for the page.
    pub fn state(
        &self,
        interval: Duration,
        policies: &Policies,
        read_only: Option<&String>,
        notes: Vec<String>,
    ) -> AgentState {
        let now = clock::unix_seconds();
        let mode_of = |mode| match mode {
            Mode::DryRun => page::Mode::DryRun,
            Mode::Enforce => page::Mode::Enforce,
        };
        let files = policies.loaded().iter().map(|loaded| Some(&loaded.file));
        let sources = files.chain(std::iter::repeat(None));
        let shown = policies.states().iter().zip(sources).map(|(state, file)| {
            let source = file.map_or_else(|| "the cluster".to_owned(), |f| f.display().to_string());
            PolicyState {
                name: state.name.clone(),
                source,
                mode: mode_of(state.mode),
                refused: state.message.clone(),
            }
        });
        let refused = policies.problems().iter().map(|problem| PolicyState {
            name: problem.file.display().to_string(),
            source: problem.file.display().to_string(),
            mode: page::Mode::Observe,
            refused: Some(problem.to_string()),
        });
        let left_alone = self.given_up.values().chain(self.distrusted.values());
        let notes = notes.into_iter().chain(left_alone.take(SHOWN).cloned());
        let mut problems: Vec<page::Problem> = self.problems.iter().cloned().collect();
        problems.extend(notes.map(|what| page::Problem { at: now, what }));
        AgentState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: policies
                .in_force()
                .iter()
                .map(|policy| mode_of(policy.spec.mode))
                .max_by_key(|mode| *mode == page::Mode::Enforce)
                .unwrap_or_default(),
            scanned: now,
            interval_seconds: interval.as_secs(),
            policies: shown.chain(refused).collect(),
            paused: self.paused.clone(),
            read_only: read_only.cloned(),
            problems,
        }
    }

    /// All that is shown. Without a report, why the look failed.
    pub fn snapshot(
        &self,
        report: Option<&Arc<Report>>,
        failed: Option<&str>,
        agent: AgentState,
    ) -> Snapshot {
        let leaks = report.iter().flat_map(|report| &report.leaks);
        let limits: BTreeMap<ProcessId, Vec<Limit>> = leaks
            .filter_map(|leak| {
                let watched = self.watched.get(&leak.holder.id)?;
                Some((leak.holder.id, watched.limits.clone()))
            })
            .collect();
        Snapshot {
            report: report.cloned(),
            failed: failed.map(str::to_owned),
            limits,
            agent,
            history: self.timeline.samples().to_vec(),
            actions: self.actions.iter().cloned().collect(),
            numbers: self.numbers.clone(),
            ..Snapshot::default()
        }
    }
}

/// A container, or a program of the host.
fn place_of(container: Option<&Container>, name: &str) -> String {
    match container {
        Some(container) => container.id.clone(),
        None => format!("host:{name}"),
    }
}
