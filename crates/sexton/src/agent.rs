//! `sexton agent`: keeps a node free of zombies by policies, and tells about it.
//!
//! One thread looks, judges and acts ([`Agent::look`]); it starts no process and no thread, so
//! it goes on at the very limit. Others were started before: one serves the page ([`serve`]), one
//! asks the runtimes for names ([`names`]), one finds causes ([`causes`]), one ends holders
//! ([`ender`]), and in a cluster one speaks with the API server ([`member`]). What they wait for
//! never holds up the first. What holders do holds it up for a bounded time ([`budget`]).

mod act;
mod brake;
mod budget;
mod causes;
mod clock;
mod effect;
mod ender;
mod fault;
mod folder;
mod guard;
pub mod halt;
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
mod round;
mod serve;
mod settings;
mod snapshot;
mod state;
mod steps;
mod tell;
mod turns;
mod wake;
mod watched;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sexton_core::limit::FILLING;
use sexton_core::{Container, Limit, Report};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;
use sexton_web::Hosts;

pub use settings::{AUDIT_LOG, Given, STATE};

use crate::error::Error;
use crate::identity;
use crate::node::Roots;
use brake::Brake;
use causes::Causes;
use ender::Ender;
use halt::Halt;
use ledger::Ledger;
use lock::Lock;
use member::Member;
use names::{Known, Names};
use policies::Policies;
use record::{Log, StepOutcome};
use settings::{Listen, Settings};
use state::Shared;
use turns::Turns;
use wake::{Wake, Woken};
use workloads::Workloads;

/// Leaks whose limits and forecasts are worked out at each look; more are never seen on a page.
const IN_DETAIL: usize = 256;
/// The service manager hears so often that the agent lives, however long it rests.
const FEED_EVERY: Duration = Duration::from_secs(20);
/// After news, the next look waits so long for more of it.
const SETTLE_NEWS: Duration = Duration::from_millis(50);

/// Runs the command; see its `--help` for the exit status.
pub fn run(given: Given, paths: Roots) -> Result<ExitCode, Error> {
    let settings = Settings::from(given)?;
    log::start(settings.log_format);
    guard::start();
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
    unwritten: Vec<StepOutcome>,
    policies: Policies,
    names: Names,
    member: Option<Member>,
    workloads: Workloads,
    causes: Causes,
    ender: Ender,
    ledger: Ledger,
    /// Limits of cgroups of which much is used.
    filling: Vec<Limit>,
    turns: Turns,
    halt: Halt,
    brake: Brake,
    /// How long the last look's work is to be rested for; no look is made before.
    rest: Duration,
    shared: Arc<Shared>,
    boot: String,
    /// Why nothing is done, as far as it is not a policy's wish.
    read_only: Option<String>,
}

/// How often threads that did not stop in time are looked after while the agent rests.
const LATE: Duration = Duration::from_millis(5);

impl Agent {
    fn start(settings: Settings, paths: Roots, wake: Wake) -> Result<Self, Error> {
        let host = paths.path_rootfs.clone();
        let roots = sexton_scan::Roots::from(paths);
        let scanner = Scanner::new(roots.clone())?.with_node_name(settings.node_name.clone());
        let node = scanner.node()?;
        let shared = Arc::new(Shared::new(settings.interval));
        if let Listen::At(address) = settings.listen {
            let names = settings.page_hosts.iter().chain([&node.name]).cloned();
            let bound = serve::start(address, Hosts::named(names), shared.clone())?;
            tracing::info!(address = %bound, "serving the page, /metrics and /report");
        }
        let names = Names::start(host, settings.runtimes.clone(), wake.bell()?)?;
        let member = match settings.cluster {
            true => Some(Member::join(&node.name, &settings, wake.bell()?)?),
            false => None,
        };
        let causes = Causes::start(roots.clone(), settings.page_arguments, wake.bell()?)?;
        let ender = Ender::start(roots, wake.bell()?)?;
        let directory = &settings.state_dir;
        let lock = Lock::open(&directory.join("agent.lock")).map_err(|cause| Error::File {
            path: directory.join("agent.lock"),
            cause,
        })?;
        let policies = Policies::open(&settings.policies);
        let boot = node.boot_id;
        let agent = Self {
            ledger: Ledger::new(),
            filling: vec![],
            turns: Turns::default(),
            halt: Halt::new(&settings.state_dir),
            brake: Brake::new(),
            rest: Duration::ZERO,
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
        loop {
            let pause = match guard::caught(|| self.look()) {
                Ok(looked) => looked?,
                Err(why) => {
                    self.renew_scanner();
                    self.look_failed("panic", &format!("a defect in Sexton: {why}"));
                    self.settings.interval
                }
            };
            self.check_threads()?;
            match self.pause(pause)? {
                Woken::Time | Woken::News => {}
                Woken::Reload => {
                    self.policies.reload();
                    self.ledger.stir();
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

    /// Waits for the next look: as long as the last one is to be rested for in any case, as long
    /// as `pause` where nothing comes up.
    fn pause(&self, pause: Duration) -> Result<Woken, Error> {
        // What came may settle a step, or make a policy fit: worth a look, but not at once for
        // each of many.
        let rest = self.rest.max(SETTLE_NEWS.min(pause));
        match self.wait(rest, Wake::wait_for_signals)? {
            Woken::Time => self.wait(pause.saturating_sub(rest), Wake::wait),
            woken => Ok(woken),
        }
    }

    /// Waits, and has the service manager know all along that the agent lives.
    fn wait(
        &self,
        time: Duration,
        wait: fn(&Wake, Duration) -> std::io::Result<Woken>,
    ) -> Result<Woken, Error> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // A thread that stopped too late stands still until we let it go.
            let slice = match sexton_reap::let_go() {
                0 => FEED_EVERY,
                _ => LATE,
            };
            let woken = wait(&self.wake, left.min(slice))?;
            if woken != Woken::Time || left <= slice {
                return Ok(woken);
            }
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }

    /// One look: scan, names, judge, tell, act, tell. Returns how long to wait for the next.
    fn look(&mut self) -> Result<Duration, Error> {
        let began = Instant::now();
        let told = self.member.as_ref().map(Member::policies);
        let heard = told.is_some_and(|told| self.policies.hear(told));
        if self.policies.refresh() || heard {
            self.ledger.stir();
            self.say_policies();
        }
        let may_act = self.may_act();
        fault::panic_at("look", "all");
        fault::burn_at("look");
        let mut report = match self.scanner.scan(&sexton_scan::Options::default()) {
            Ok(report) => report,
            Err(error) => {
                self.look_failed("scan", &error.to_string());
                return Ok(self.settings.interval);
            }
        };
        let api = self.member.as_ref().map(Member::workloads);
        let known = self.workloads.hear(self.names.known(), api);
        let holders = report.leaks.iter_mut();
        let holders = holders.filter_map(|leak| leak.container.as_mut());
        if name(&self.scanner, holders, &known) {
            self.names.ask();
        }
        let uptime = clock::uptime();
        for fell in self.causes.fill(&mut report, &known, uptime) {
            self.ledger.problem("panic", &fell);
        }
        let audited = report.exit_signals.iter_mut();
        let audited = audited.map(|found| &mut found.container);
        name(&self.scanner, audited, &known);
        self.ledger.keep_only(&report.leaks);
        self.forecast(&mut report, uptime);
        self.ledger.looked(&report, began.elapsed());
        // Before anything is done that may take its time.
        let report = Arc::new(report);
        let shown = self.shown(&report);
        self.publish(Some(&shown), None);
        self.settle_ongoing(&report, &known);
        let soonest = self.work_down(&report, &known, may_act);
        self.tell(&report, uptime);
        self.brake();
        self.publish(Some(&shown), None);
        Ok(self.settings.interval.min(soonest))
    }

    /// A look failed as a whole: its figures are not known, and those before are not shown as if
    /// they were.
    fn look_failed(&mut self, kind: &'static str, why: &str) {
        self.ledger
            .problem(kind, &format!("the look failed: {why}"));
        self.tell_failed(why);
        self.brake();
        self.publish(None, Some(why));
    }

    /// Finds out how long this look is to be rested for.
    fn brake(&mut self) {
        let before = self.interval();
        if !fault::is_unbraked() {
            self.rest = self.brake.after_look();
        }
        let now = self.interval();
        self.shared.look_every(now);
        if self.is_braked() {
            tracing::debug!(seconds = now.as_secs_f64(), "looks are made less often");
        } else if before > now {
            tracing::debug!("looks are made as often as asked for");
        }
    }

    /// The time between two looks at rest, as it is by now.
    fn interval(&self) -> Duration {
        self.settings.interval.max(self.rest)
    }

    fn is_braked(&self) -> bool {
        self.rest > self.settings.interval
    }

    /// Whether the threads that were started are all there.
    fn check_threads(&self) -> Result<(), Error> {
        if self.member.as_ref().is_some_and(Member::is_gone) {
            guard::lose("cluster", "it has ended".to_owned());
        }
        guard::check()
    }

    /// Takes another scanner in the place of one that a panic may have left half changed.
    fn renew_scanner(&mut self) {
        let roots = self.scanner.roots().clone();
        match Scanner::new(roots) {
            Ok(scanner) => self.scanner = scanner.with_node_name(self.settings.node_name.clone()),
            Err(error) => guard::lose("main", format!("after a panic: {error}")),
        }
    }

    /// Whether anything may be done, by what is not a policy's matter.
    fn may_act(&mut self) -> bool {
        self.read_only = None;
        let halted = self.halt.look().map(halted);
        match self.lock.try_take() {
            Ok(true) => {}
            Ok(false) => {
                self.read_only = Some("another agent acts on this node".to_owned());
            }
            Err(error) => {
                self.read_only = Some(format!(
                    "cannot lock the state directory: {}",
                    sexton_core::text::os(&error)
                ));
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
        self.read_only = self.read_only.take().or(halted);
        let pause = self.settings.state_dir.join("pause");
        let there = pause.exists();
        self.ledger.paused = there.then(|| format!("{} is there", pause.display()));
        self.ledger.say_read_only(self.read_only.as_deref());
        self.read_only.is_none()
    }

    /// A program has died of what was done to it: nothing more is done on this node until someone
    /// allows it.
    fn halt(&mut self, intent: &record::Intent, how: &str) {
        let (name, pid, rung) = (&intent.name, intent.holder.pid, intent.rung);
        let place = sexton_core::text::leak::place(intent.container.as_ref());
        let time = clock::now().time;
        let why = format!("{time}: {name} (pid {pid}) of {place} died in the step {rung}: {how}");
        let why = sexton_core::text::safe(&why).into_owned();
        tracing::error!("{}", halted(&why));
        if let Err(error) = self.halt.set(why.clone()) {
            let what = format!(
                "{}: {}",
                halt::path(&self.settings.state_dir).display(),
                sexton_core::text::os(&error)
            );
            self.ledger.problem("halt", &what);
        }
        if let Some(member) = &self.member {
            member.halted(intent, &halted(&why));
        }
        self.read_only = Some(halted(&why));
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

    /// Limits and forecasts of the largest leaks, and the limits that fill up without a leak.
    fn forecast(&mut self, report: &mut Report, uptime: Duration) {
        self.filling = sexton_scan::limits::of_cgroups(&self.scanner, FILLING);
        let reached = self.filling.iter().filter(|limit| limit.is_reached());
        report.reached = reached.cloned().collect();
        let acting = self.read_only.is_none();
        let growth = self.ledger.growth();
        let mut fell = vec![];
        let mut pass = Pass::new(&self.scanner, &report.limits);
        for leak in report.leaks.iter_mut().take(IN_DETAIL) {
            if self.ledger.has_given_up(leak.holder.id) {
                continue;
            }
            let told = guard::caught(|| {
                fault::panic_at("limits", leak.holder.id.pid);
                let limits = pass.of_holder(leak);
                self.ledger.forecast(leak, limits, uptime, acting, &growth)
            });
            match told {
                Ok(forecast) => leak.forecast = Some(forecast),
                Err(why) => {
                    pass = Pass::new(&self.scanner, &report.limits);
                    fell.push((leak.holder.id, leak.holder.name.clone(), why));
                }
            }
        }
        for (holder, name, why) in fell {
            self.give_up(holder, &name, "its limits", &why);
        }
    }
}

fn halted(why: &str) -> String {
    format!("halted; `sexton resume` allows this node to act again. {why}")
}

/// Puts what is known of them into the containers. True where one is not known.
fn name<'a>(
    scanner: &Scanner,
    containers: impl Iterator<Item = &'a mut Container>,
    known: &Known,
) -> bool {
    let mut missing = false;
    for container in containers {
        missing |= !identity::name(scanner, container, |id| known.get(id));
    }
    missing
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
