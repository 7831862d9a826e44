//! `sexton agent`: keeps a node free of zombies by policies, and tells about it.
//!
//! One thread looks, judges and acts ([`Agent::look`]); it starts no process and no thread, so
//! it goes on at the very limit. Others were started before: one serves the page ([`serve`]), one
//! asks the runtimes for names ([`names`]), one finds causes ([`causes`]), one ends holders
//! ([`ender`]), and in a cluster one speaks with the API server ([`member`]). What they wait for
//! never holds up the first.

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
mod steps;
mod tell;
mod wake;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sexton_core::{Container, Report};
use sexton_scan::Scanner;

pub use settings::Given;

use crate::cli;
use crate::error::Error;
use crate::identity;
use causes::Causes;
use ender::Ender;
use ledger::Ledger;
use lock::Lock;
use member::Member;
use names::{Known, Names};
use policies::Policies;
use record::{Log, Outcome};
use settings::{Listen, Settings};
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
        let scanner = Scanner::new(roots.clone())?.named(settings.node_name.clone());
        let node = scanner.node()?;
        let shared = Arc::new(Shared::new(PATIENCE.max(settings.interval * 3)));
        if let Listen::At(address) = settings.listen {
            let bound = serve::start(address, shared.clone())?;
            tracing::info!(address = %bound, "serving the page, /metrics and /report");
        }
        let names = Names::start(host, settings.runtimes.clone(), wake.bell()?)?;
        let member = match settings.cluster {
            true => Some(Member::join(&node.name, &settings, wake.bell()?)?),
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
        let boot = node.boot_id;
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

    /// One look: scan, names, judge, act, tell. Returns how long to wait for the next.
    fn look(&mut self) -> Result<Duration, Error> {
        let began = Instant::now();
        let told = self.member.as_ref().map(Member::policies);
        let heard = told.is_some_and(|told| self.policies.hear(told));
        if self.policies.refresh() || heard {
            self.ledger.stir();
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
        let api = self.member.as_ref().map(Member::workloads);
        let known = self.workloads.hear(self.names.known(), api);
        let holders = report.leaks.iter_mut();
        let holders = holders.filter_map(|leak| leak.container.as_mut());
        if name(&self.scanner, holders, &known) {
            self.names.ask();
        }
        let uptime = clock::uptime();
        self.causes.fill(&mut report, &known, uptime);
        let audited = report.exit_signals.iter_mut();
        let audited = audited.map(|found| &mut found.container);
        name(&self.scanner, audited, &known);
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
