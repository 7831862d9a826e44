//! The life of init: one loop that takes signals.

use crate::args::Strings;
use crate::child::{Command, Inherited};
use crate::config::{Config, Death, Name};
use crate::death::{self, End};
use crate::errno::Errno;
use crate::names;
use crate::oom;
use crate::orphans::Orphans;
use crate::proc::Stat;
use crate::signal;
use crate::status::Status;
use crate::sys::{self, Pid, SignalInfo};
use crate::terminal::Place;
use crate::told::{Together, Told};
use crate::voice::Voice;

/// How long a process that was killed may take to die. It only needs the processor for a
/// moment, unless it sleeps in the kernel.
pub(crate) const DYING: u64 = 2_000;

/// Runs the command and gives the exit code.
pub(crate) fn run(
    config: &Config<'_>,
    words: Strings<'_>,
    environment: Strings<'_>,
    mask: sys::SignalSet,
) -> i32 {
    let voice = Voice {
        name: config.name,
        level: config.verbosity,
        log_reaped: config.log_reaped,
    };
    let owns_namespace = sys::getpid() == 1;
    if !owns_namespace {
        take_orphans(config, voice);
    }
    if let Some(signal) = config.parent_death {
        let parent = sys::getppid();
        if let Err(error) = sys::signal_on_parent_death(signal) {
            voice.warn("cannot get a signal when the parent dies", Some(error));
        }
        if sys::getppid() != parent {
            let _ = sys::kill(sys::getpid(), signal);
        }
    }
    // With CHLD ignored the kernel reaps by itself, and the exit code would be lost.
    let inherited = Inherited {
        mask,
        children_ignored: sys::is_ignored(signal::CHLD),
    };
    if inherited.children_ignored {
        sys::ignore(signal::CHLD, false);
    }
    let Some(index) = config.command else {
        return pause(voice);
    };
    let command = Command {
        words,
        index,
        environment,
    };
    // Before the fork: while the child is being loaded, init had better sleep.
    let wants_end = config.death != Death::Off || config.termination_log.is_some();
    let oom = wants_end.then(oom::Counter::new);
    if let Some(path) = config.termination_log {
        death::check_log(path, voice);
    }
    let place = Place::prepare(config.session, voice);
    let main = match command.start(inherited, place, voice) {
        Ok(pid) => pid,
        Err(Errno::EAGAIN) if config.name == Name::Own => {
            voice.fatal(
                "fork: a limit of processes is reached (`sexton scan` says which)",
                Errno::EAGAIN,
            );
            return names::failure(config.name);
        }
        Err(error) => {
            voice.fatal("fork", error);
            return names::failure(config.name);
        }
    };
    voice.spawned(main, command.name());
    // What init holds open or works in would be held for nothing: a pipe, a mount.
    if sys::chdir(c"/").is_err() {
        voice.warn("cannot change to /", None);
    }
    sys::close_from(3);
    let watch = |time| Orphans::new(main, config.stop(), time, config.grace);
    let orphans = config.orphans.and_then(watch);
    if orphans.is_none() && config.orphans.is_some() {
        voice.warn("no memory to watch orphans: they are kept", None);
    }
    let mut init = Supervisor {
        config,
        voice,
        place,
        main,
        owns_namespace,
        stopped: false,
        asked_by: None,
        kill_at: None,
        killed: false,
        refused: None,
        gave_up: false,
        together: None,
        told: None,
        orphans,
        wants_name: wants_end,
        program: None,
        status: None,
        anybody: true,
        zombies: 0,
    };
    init.until_the_end();
    let rest = init.end_the_rest();
    let program = init.program.or_else(|| Stat::of(main));
    let end = End {
        command: command.name().to_bytes(),
        program: program.as_ref(),
        pid: main,
        status: init.status,
        exit_code: init.exit_code(),
        killed_after: config
            .kill_after
            .filter(|_| init.killed && init.status.is_some()),
        refused: init.refused,
        owns_namespace,
        stop_signal: config.stop(),
        asked_by: init.asked_by.unwrap_or(config.stop()),
        // Looked up only where something went wrong, or everything is told.
        oom_kills: oom
            .filter(|_| init.status != Some(Status::Exited(0)) || config.death == Death::Json)
            .map_or(0, oom::Counter::rise),
        rest,
        zombies: init.zombies,
    };
    death::tell(config, voice, &end);
    i32::from(end.exit_code)
}

/// Becomes the reaper of orphans below, where init is not PID 1.
fn take_orphans(config: &Config<'_>, voice: Voice) {
    if config.subreaper {
        if let Err(error) = sys::become_subreaper() {
            voice.warn("cannot become a subreaper", Some(error));
        }
    } else if !sys::is_subreaper() {
        voice.warn(
            "Tini is not running as PID 1 and isn't registered as a child subreaper.\n\
             Zombie processes will not be re-parented to Tini, so zombie reaping won't work.\n\
             To fix the problem, use the -s option or set the environment variable \
             TINI_SUBREAPER to register Tini as a child subreaper, or run Tini as PID 1.",
            None,
        );
    }
}

/// catatonit's pause mode: no child of our own, only orphans.
fn pause(voice: Voice) -> i32 {
    let _ = sys::chdir(c"/");
    sys::close_from(3);
    let mut info = SignalInfo::empty();
    loop {
        match sys::wait_signal(sys::ALL_SIGNALS, &mut info, None) {
            Ok(signal::INT | signal::TERM) => return 0,
            Ok(signal::CHLD) => {
                while let Ok(Some((pid, status))) = sys::wait(-1) {
                    voice.reaped(pid, Status::from_wait(status), false);
                }
            }
            _ => {}
        }
    }
}

/// Init with its child.
pub(crate) struct Supervisor<'a> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) voice: Voice,
    pub(crate) place: Place,
    pub(crate) main: Pid,
    pub(crate) owns_namespace: bool,
    /// The child has stopped, and was not continued by us.
    pub(crate) stopped: bool,
    /// The signal that asked for the end.
    pub(crate) asked_by: Option<u8>,
    /// When the child is killed, on the clock of `sys::now`.
    pub(crate) kill_at: Option<u64>,
    /// It was killed since that time came.
    killed: bool,
    /// Why init may not signal the child.
    pub(crate) refused: Option<Errno>,
    /// The child lives on: it may not be killed, or does not die.
    pub(crate) gave_up: bool,
    /// The stop signal, if others than the child have got it too.
    pub(crate) together: Option<Together>,
    /// Who else has got it, while the rest is asked.
    pub(crate) told: Option<Told>,
    pub(crate) orphans: Option<Orphans>,
    wants_name: bool,
    /// What the child was called when it died.
    program: Option<Stat>,
    /// How the child ended.
    pub(crate) status: Option<Status>,
    /// Init has children yet.
    pub(crate) anybody: bool,
    /// How many dead children the child had never waited for.
    zombies: u32,
}

impl Supervisor<'_> {
    /// Passes signals on and reaps until the main process has ended, or cannot be made to; with
    /// `--until-all` until the last one has, unless the end is asked for.
    fn until_the_end(&mut self) {
        let mut info = SignalInfo::empty();
        let mut stay = false;
        loop {
            // No deadline, no timeout: at rest nothing wakes init.
            let deadline = self.deadline();
            let timeout = deadline.map(|at| at.saturating_sub(sys::now()));
            match sys::wait_signal(sys::ALL_SIGNALS, &mut info, timeout) {
                Ok(signal::CHLD) => {
                    self.voice.received(signal::CHLD);
                    let had_ended = self.status.is_some();
                    self.reap();
                    if !had_ended && self.status.is_some() {
                        stay = self.config.until_all && self.asked_by.is_none();
                    }
                }
                // Who is left is asked by `end_the_rest`, and by it alone.
                Ok(signal)
                    if self.status.is_some()
                        && self.config.grace.is_some()
                        && self.asks_for_end(signal, &info) =>
                {
                    return;
                }
                Ok(signal) => self.pass_on(signal, &info),
                // The time is over, or stopped and continued.
                Err(_) => {}
            }
            if deadline.is_some() {
                self.keep_time();
            }
            if self.gave_up || self.status.is_some() && !(stay && self.anybody) {
                return;
            }
        }
    }

    /// When there is something to do without a signal.
    fn deadline(&self) -> Option<u64> {
        let orphans = self.orphans.as_ref().filter(|_| self.watches_orphans());
        let look = orphans.map(Orphans::wake_at);
        self.kill_at.into_iter().chain(look).min()
    }

    /// An orphan is one while the main process lives and is to go on.
    fn watches_orphans(&self) -> bool {
        self.status.is_none() && self.asked_by.is_none()
    }

    fn keep_time(&mut self) {
        let now = sys::now();
        if self.watches_orphans()
            && let Some(orphans) = &mut self.orphans
            && now >= orphans.wake_at()
        {
            orphans.attend(now, self.voice);
        }
        if self.kill_at.is_none_or(|at| now < at) {
            return;
        }
        if self.killed || self.status.is_some() {
            self.gave_up = true;
            return;
        }
        self.killed = true;
        self.kill_at = Some(now.saturating_add(DYING));
        match sys::kill(self.main, signal::KILL) {
            Ok(()) | Err(Errno::ESRCH) => self.refused = None,
            Err(error) => {
                self.refused = Some(error);
                self.gave_up = true;
            }
        }
    }

    /// Takes all news of children: one CHLD may stand for many.
    pub(crate) fn reap(&mut self) {
        let mut zombies_follow = false;
        self.look_at_main();
        loop {
            let (pid, status) = match sys::wait(-1) {
                Ok(Some((pid, status))) => (pid, Status::from_wait(status)),
                Ok(None) => return,
                Err(_) => {
                    self.anybody = false;
                    return;
                }
            };
            let is_main = pid == self.main && self.status.is_none();
            if let Status::Stopped(signal) = status {
                if is_main {
                    self.main_stopped(signal);
                }
                continue;
            }
            if let Some(told) = &mut self.told {
                told.forget(pid);
            }
            if let Some(orphans) = &mut self.orphans {
                orphans.forget(pid);
            }
            self.voice.reaped(pid, status, is_main);
            if is_main {
                self.voice.ended(status);
                self.place.take_back(pid);
                self.status = Some(status);
                zombies_follow = true;
            } else if zombies_follow {
                // The kernel gave us the dead children of the main process when that died,
                // and it lists them behind it.
                self.zombies += 1;
            }
        }
    }

    /// What the main process is called is looked up while it is still there: it may have become
    /// another program than the one that was started. Once for all news, since it costs a call: one
    /// that ends in the midst of them is called by its command.
    fn look_at_main(&mut self) {
        if self.wants_name && self.status.is_none() && sys::has_ended(self.main) {
            self.program = Stat::of(self.main);
        }
    }

    fn exit_code(&self) -> u8 {
        let failed = u8::try_from(names::failure(self.config.name)).unwrap_or(1);
        match self.status {
            Some(status) => self.config.exit_codes.of(status.code()),
            // tini says 1. PID 1's exit kills all that is left, a subreaper's does not.
            None if self.config.name == Name::Tini || !self.owns_namespace => failed,
            None => self.config.exit_codes.of(128 | signal::KILL),
        }
    }
}
