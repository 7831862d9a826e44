//! `sexton agent`: keeps a node free of zombies by policies, and tells about it.
//!
//! One thread looks, judges and acts ([`Agent::look`]); it starts no process and no thread, so
//! it goes on at the very limit. Four others were started before: one serves the page
//! ([`serve`]), one asks the runtimes for names ([`names`]), one finds causes ([`causes`]), one ends
//! holders ([`ender`]). What they wait for never holds up the first.

mod act;
mod causes;
mod clock;
mod ender;
mod fault;
mod judge;
mod ledger;
mod lock;
mod log;
mod member;
mod metrics;
mod names;
mod numbers;
mod ongoing;
mod policies;
pub mod record;
mod serve;
mod settings;
mod state;
mod wake;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sexton_cluster::report::Hindrance;
use sexton_core::ladder::{self, Decision, Refusal, Step};
use sexton_core::policy::{Mode, PolicySpec};
use sexton_core::{Leak, Report};
use sexton_scan::Scanner;

pub use settings::Given;

use crate::cli;
use crate::error::Error;
use act::Hands;
use causes::Causes;
use ender::Ender;
use judge::{Case, Judgement, Means, judge};
use ledger::Ledger;
use lock::Lock;
use member::Member;
use names::{Known, Names};
use ongoing::{Ongoing, Sight};
use policies::Policies;
use record::{Intent, Log, Outcome, Verdict};
use settings::{Enabled, Listen, Settings};
use state::Shared;
use wake::{Wake, Woken};
use workloads::Workloads;

/// Leaks whose limits and forecasts are worked out at each look; more are never seen on a page.
const IN_DETAIL: usize = 64;
/// Without a look for so long, `/healthz` says that the agent hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs the command; see its `--help` for the exit status.
pub fn run(given: Given, paths: cli::Roots) -> Result<ExitCode, Error> {
    let settings = Settings::from(given)?;
    log::start(settings.log_format);
    // Before any thread, so that all of them have the signals blocked.
    let wake = Wake::new()?;
    let mut agent = Agent::start(settings, paths, wake)?;
    agent.keep_watch()?;
    Ok(ExitCode::SUCCESS)
}

struct Agent {
    settings: Settings,
    scanner: Scanner,
    wake: Wake,
    lock: Lock,
    /// `None` where it could not be opened: nothing is done then.
    log: Option<Log>,
    /// Two agents with other state directories must not share one log: each would close what the
    /// other has open.
    log_lock: Option<Lock>,
    /// Outcomes that could not be written yet; nothing new is done before they are.
    unwritten: Vec<Outcome>,
    policies: Policies,
    names: Names,
    member: Option<Member>,
    workloads: Workloads,
    causes: Causes,
    ender: Ender,
    ledger: Ledger,
    shared: Arc<Shared>,
    boot: String,
    /// Why nothing is done, as far as it is not a policy's wish.
    read_only: Option<String>,
}

impl Agent {
    fn start(settings: Settings, paths: cli::Roots, wake: Wake) -> Result<Self, Error> {
        let host = paths.path_rootfs.clone();
        let roots = crate::roots(paths);
        let scanner = Scanner::new(roots.clone())?;
        let shared = Arc::new(Shared::new(PATIENCE.max(settings.interval * 3)));
        if let Listen::At(address) = settings.listen {
            let bound = serve::start(address, shared.clone())?;
            tracing::info!(address = %bound, "serving the page, /metrics and /report");
        }
        let names = Names::start(host, settings.runtimes.clone(), wake.bell()?)?;
        let member = match settings.cluster {
            true => Some(Member::join(&settings, wake.bell()?)?),
            false => None,
        };
        let causes = Causes::start(roots.clone(), wake.bell()?)?;
        let ender = Ender::start(roots, wake.bell()?)?;
        let directory = &settings.state_dir;
        make_directory(directory)?;
        let lock = Lock::open(&directory.join("agent.lock")).map_err(|cause| Error::File {
            path: directory.join("agent.lock"),
            cause,
        })?;
        let policies = Policies::open(&settings.policies);
        let boot = scanner.node()?.boot_id;
        let agent = Self {
            ledger: Ledger::new(),
            settings,
            scanner,
            wake,
            lock,
            log: None,
            log_lock: None,
            unwritten: vec![],
            policies,
            names,
            member,
            workloads: Workloads::default(),
            causes,
            ender,
            shared,
            boot,
            read_only: None,
        };
        agent.say_policies();
        keep_memory();
        Ok(agent)
    }

    /// Looks again and again until told to stop.
    fn keep_watch(&mut self) -> Result<(), Error> {
        let mut ready = false;
        loop {
            let pause = self.look()?;
            let _ = sd_notify::notify(if ready {
                &[sd_notify::NotifyState::Watchdog]
            } else {
                &[
                    sd_notify::NotifyState::Ready,
                    sd_notify::NotifyState::Watchdog,
                ]
            });
            ready = true;
            match self.wake.wait(pause)? {
                Woken::Time => {}
                // What came may settle a step, or make a policy fit: worth a look, but not at
                // once for each of many.
                Woken::News => std::thread::sleep(Duration::from_millis(50)),
                Woken::Reload => {
                    self.policies.reload();
                    self.say_policies();
                }
                Woken::Stop => break,
            }
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.leave_ongoing();
        if let Some(member) = self.member.take() {
            member.leave();
        }
        tracing::info!("told to stop");
        Ok(())
    }

    /// One look: scan, names, judge, act, tell. Returns how long to wait for the next.
    fn look(&mut self) -> Result<Duration, Error> {
        let began = Instant::now();
        let told = self.member.as_ref().map(Member::policies);
        let heard = told.is_some_and(|told| self.policies.hear(told));
        if self.policies.refresh() || heard {
            self.say_policies();
        }
        let may_act = self.may_act();
        let mut report = match self.scanner.scan(&sexton_scan::Options::default()) {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(%error, "the look failed");
                self.ledger.problem("scan", &error);
                return Ok(self.settings.interval);
            }
        };
        if let Some(name) = &self.settings.node_name {
            report.node.name.clone_from(name);
        }
        let api = self.member.as_ref().map(Member::workloads);
        let known = self.workloads.hear(self.names.known(), api);
        if name(&mut report, &known) {
            self.names.ask();
        }
        let uptime = clock::uptime();
        self.causes.fill(&mut report, known.values(), uptime);
        self.forecast(&mut report, uptime);
        self.ledger.looked(&report, began.elapsed());
        self.settle_ongoing(&report, &known);
        let soonest = self.work_down(&report, &known, may_act);
        let pause = self.settings.interval.min(soonest);
        self.tell(&report, uptime);
        self.publish(report);
        Ok(pause)
    }

    /// Whether anything may be done, by what is not a policy's matter.
    fn may_act(&mut self) -> bool {
        self.read_only = None;
        match self.lock.try_take() {
            Ok(true) => {}
            Ok(false) => {
                self.read_only = Some("another agent acts on this node".to_owned());
            }
            Err(error) => {
                self.read_only = Some(format!("the state directory does not lock: {error}"));
            }
        }
        if self.read_only.is_none()
            && self.log.is_none()
            && let Err(error) = self.open_log()
        {
            self.ledger.problem("record", &error);
            self.read_only = Some(error.to_string());
        }
        if self.read_only.is_none()
            && let Err(error) = self.write_outcomes()
        {
            self.read_only = Some(error.to_string());
        }
        self.ledger.say_read_only(self.read_only.as_deref());
        self.read_only.is_none()
    }

    /// Writes the outcomes that are not written yet.
    fn write_outcomes(&mut self) -> Result<(), record::Error> {
        if let Some(log) = &mut self.log {
            while let Some(outcome) = self.unwritten.first() {
                log.conclude(outcome)?;
                self.unwritten.remove(0);
            }
        }
        Ok(())
    }

    /// The log belongs to the one agent that acts, so it is opened under the lock.
    fn open_log(&mut self) -> Result<(), record::Error> {
        let path = &self.settings.audit_log;
        if let Some(parent) = path.parent() {
            // What is wrong with it is said by the file.
            let _ = make_directory(parent);
        }
        let failed = |cause| record::Error::Io {
            path: path.clone(),
            cause,
        };
        let lock = match &mut self.log_lock {
            Some(lock) => lock,
            none => {
                let mut name = path.clone().into_os_string();
                name.push(".lock");
                none.insert(Lock::open(name.as_ref()).map_err(failed)?)
            }
        };
        if !lock.try_take().map_err(failed)? {
            return Err(record::Error::Shared(path.clone()));
        }
        let (log, past) = Log::open(path, &self.boot, &clock::now())?;
        if past.interrupted > 0 {
            tracing::warn!(
                actions = past.interrupted,
                "an earlier agent ended in the middle of actions"
            );
        }
        self.ledger.remember(past);
        self.log = Some(log);
        Ok(())
    }

    /// Limits and forecasts of the largest leaks.
    fn forecast(&mut self, report: &mut Report, uptime: Duration) {
        self.ledger.keep_only(&report.leaks);
        for leak in report.leaks.iter_mut().take(IN_DETAIL) {
            let limits = sexton_scan::limits::of_process(&self.scanner, leak.holder.id.pid)
                .inspect_err(|error| self.ledger.problem("limits", error));
            let limits = limits.ok().flatten().unwrap_or_default();
            leak.forecast = Some(self.ledger.forecast(leak, limits, uptime));
        }
    }

    /// Judges each leak, worst first, and takes the steps. Returns how soon one of them wants to
    /// be looked at again.
    fn work_down(&mut self, report: &Report, known: &Known, may_act: bool) -> Duration {
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
            let workload = leak.container.as_ref().and_then(|c| known.get(&c.id));
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
    fn settle_ongoing(&mut self, report: &Report, known: &Known) {
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
    fn leave_ongoing(&mut self) {
        self.ender.stop();
        for ongoing in std::mem::take(&mut self.ledger.ongoing) {
            self.conclude(
                &ongoing.intent,
                act::Result::interrupted("the agent was told to stop before it was over"),
            );
        }
    }

    /// What is possible on this node beyond what any policy can say.
    fn means(&self) -> Means {
        let off = || Refusal {
            why: "pods are evicted in a cluster only".to_owned(),
            passing: false,
        };
        let member = self.member.as_ref();
        Means {
            restart: self.settings.enabled.contains(&Enabled::Restart),
            no_eviction: member.map_or_else(|| Some(off()), Member::eviction_refusal),
        }
    }

    /// Tells the cluster.
    fn tell(&mut self, report: &Report, uptime: Duration) {
        let hindrance = self.hindrance();
        if let Some(member) = &mut self.member {
            member.looked(report, self.policies.states(), hindrance.as_ref(), uptime);
        }
    }

    /// Why this node does not do what its policies ask for.
    fn hindrance(&self) -> Option<Hindrance> {
        let why = |reason: &str, message: String| Hindrance {
            reason: reason.to_owned(),
            message,
        };
        let refused = self.policies.states().iter().find_map(|state| {
            let message = state.message.as_ref()?;
            Some(why("PolicyRefused", format!("{}: {message}", state.name)))
        });
        let paused = self.ledger.paused.clone();
        (self.read_only.clone().map(|m| why("OnlyLooking", m)))
            .or_else(|| paused.map(|m| why("Paused", m)))
            .or(refused)
    }

    fn publish(&mut self, report: Report) {
        let agent = self.ledger.state(
            &self.settings,
            &self.policies,
            self.read_only.as_ref(),
            self.notes(),
        );
        self.shared.publish(self.ledger.snapshot(report, agent));
    }

    /// Who does not answer, and what is off for it.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.names.notes();
        notes.extend(self.member.iter().flat_map(Member::notes));
        notes
    }

    fn say_policies(&self) {
        for problem in self.policies.problems() {
            tracing::error!(%problem, "policies are not as they should be; those before stay in force");
        }
        let files = self
            .policies
            .loaded()
            .iter()
            .map(|l| l.file.display().to_string());
        let sources = files.chain(std::iter::repeat("the cluster".to_owned()));
        for (policy, from) in self.policies.in_force().iter().zip(sources) {
            tracing::info!(
                policy = policy.name(),
                mode = ?policy.spec.mode,
                max_rung = %policy.spec.max_rung,
                from,
                "following"
            );
        }
        for state in self.policies.states() {
            if let Some(message) = &state.message {
                tracing::error!(policy = state.name, "not followed: {message}");
            }
        }
        if self.policies.in_force().is_empty() {
            tracing::info!("no policy: looking only");
        }
    }
}

/// Puts the names that the runtimes know into the report. True where one is missing.
fn name(report: &mut Report, known: &Known) -> bool {
    let mut missing = false;
    for container in report
        .leaks
        .iter_mut()
        .filter_map(|leak| leak.container.as_mut())
    {
        match known.get(&container.id) {
            Some(workload) => {
                if workload.name.is_some() {
                    container.name.clone_from(&workload.name);
                }
                if workload.pod.is_some() {
                    container.pod.clone_from(&workload.pod);
                }
                container.owner.clone_from(&workload.owner);
            }
            None => missing = true,
        }
    }
    missing
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

fn make_directory(path: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(|cause| Error::File {
            path: path.to_owned(),
            cause,
        })
}

/// What has been touched stays in memory, and what will be comes to stay: the pages of the
/// program itself must not have to be read back in when the node is out of memory.
///
/// Only where nothing bounds it (`CAP_IPC_LOCK`, or no `RLIMIT_MEMLOCK`): at the bound every
/// later allocation would fail (`mlockall(2)`).
fn keep_memory() {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, getrlimit};
    use rustix::thread::{CapabilitySet, capabilities};
    let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if !may && getrlimit(Resource::Memlock).current.is_some() {
        return;
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = mlockall(flags) {
        tracing::debug!(%error, "memory is not locked");
    }
}
