//! The life of init: one loop that takes signals.

use crate::args::Strings;
use crate::child::{Command, Inherited, Status};
use crate::config::{Config, Death, Name, To};
use crate::death::{self, End};
use crate::errno::Errno;
use crate::names;
use crate::oom;
use crate::proc::{self, Reach};
use crate::signal;
use crate::sys::{self, Pid, SignalInfo};
use crate::terminal::Place;
use crate::voice::Voice;

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
    let mut init = Supervisor {
        config,
        voice,
        place,
        main,
        owns_namespace,
        stopped: false,
        kill_at: None,
        killed: false,
    };
    let (status, left) = init.until_the_end();
    place.take_back(main);
    let rest = init.end_the_rest(left);
    let end = End {
        command: command.name().to_bytes(),
        pid: main,
        status,
        exit_code: config.exit_codes.of(status.code()),
        killed_after: init.killed.then_some(config.kill_after).flatten(),
        stop_signal: config.stop_signal,
        // Looked up only where something went wrong, or everything is told.
        oom_kills: oom
            .filter(|_| status != Status::Exited(0) || config.death == Death::Json)
            .map_or(0, oom::Counter::rise),
        rest,
        zombies: left.zombies,
    };
    death::tell(config, &end);
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
                while let Ok(Some((pid, status))) = sys::wait_any() {
                    voice.reaped(pid, Status::from_wait(status), false);
                }
            }
            _ => {}
        }
    }
}

/// Who is left when the main process has ended.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    /// Init has children yet.
    pub(crate) anybody: bool,
    /// How many dead children the main process had never waited for.
    pub(crate) zombies: u32,
}

/// Init with its child.
pub(crate) struct Supervisor<'a> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) voice: Voice,
    place: Place,
    pub(crate) main: Pid,
    pub(crate) owns_namespace: bool,
    /// The child has stopped, and was not continued by us.
    stopped: bool,
    /// When the child is killed, on the clock of `sys::now`.
    kill_at: Option<u64>,
    /// It was killed since that time came.
    killed: bool,
}

impl Supervisor<'_> {
    /// Passes signals on and reaps until the main process has ended.
    fn until_the_end(&mut self) -> (Status, Left) {
        let mut info = SignalInfo::empty();
        loop {
            // No deadline, no timeout: at rest nothing wakes init.
            let timeout = self.kill_at.map(|at| at.saturating_sub(sys::now()));
            match sys::wait_signal(sys::ALL_SIGNALS, &mut info, timeout) {
                Ok(signal::CHLD) => {
                    self.voice.received(signal::CHLD);
                    if let (Some(status), left) = self.reap() {
                        return (status, left);
                    }
                }
                Ok(signal) => self.pass_on(signal, &info),
                Err(Errno::EAGAIN) => {
                    self.kill_at = None;
                    self.killed = true;
                    let _ = sys::kill(self.main, signal::KILL);
                }
                // Stopped and continued.
                Err(_) => {}
            }
        }
    }

    /// Takes all news of children: one CHLD may stand for many.
    pub(crate) fn reap(&mut self) -> (Option<Status>, Left) {
        let mut ended = None;
        let mut left = Left {
            anybody: true,
            zombies: 0,
        };
        loop {
            let (pid, status) = match sys::wait_any() {
                Ok(Some((pid, status))) => (pid, Status::from_wait(status)),
                Ok(None) => return (ended, left),
                Err(_) => {
                    left.anybody = false;
                    return (ended, left);
                }
            };
            if let Status::Stopped(signal) = status {
                if pid == self.main && ended.is_none() {
                    self.main_stopped(signal);
                }
                continue;
            }
            self.voice
                .reaped(pid, status, pid == self.main && ended.is_none());
            if pid == self.main && ended.is_none() {
                self.voice.ended(status);
                ended = Some(status);
            } else if ended.is_some() {
                // The kernel gave us the dead children of the main process when that died,
                // and it lists them behind it.
                left.zombies += 1;
            }
        }
    }

    fn pass_on(&mut self, received: u8, info: &SignalInfo) {
        self.voice.received(received);
        let stops = matches!(received, signal::TSTP | signal::TTIN | signal::TTOU);
        if received == signal::CONT {
            self.place.hand_over(self.main);
        }
        if self.has_it_already(received, info) {
            self.voice.dropped(received);
        } else {
            match self.config.rewrites.apply(received) {
                None => self.voice.dropped(received),
                Some(signal) => {
                    self.send(signal, (signal == received).then_some(info));
                    self.voice.forwarded(signal);
                }
            }
        }
        if received == self.config.stop_signal {
            if self.stopped {
                // A stopped process would get it only when continued.
                self.send(signal::CONT, None);
            }
            if let (Some(after), None) = (self.config.kill_after, self.kill_at) {
                self.kill_at = Some(sys::now().saturating_add(after));
            }
        }
        if stops && self.config.stop_with_signal {
            let _ = sys::kill(sys::getpid(), signal::STOP);
        } else if stops && !self.place.leads_group() && info.code == SignalInfo::FROM_KERNEL {
            self.stop_too(received);
        }
    }

    /// A terminal signals a whole group: where the child is in ours, it has been told.
    fn has_it_already(&self, signal: u8, info: &SignalInfo) -> bool {
        const QUIT: u8 = 3;
        const WINCH: u8 = 28;
        let by_terminal = matches!(
            signal,
            signal::INT | QUIT | WINCH | signal::TSTP | signal::TTIN | signal::TTOU
        );
        by_terminal && info.code == SignalInfo::FROM_KERNEL && !self.place.leads_group()
    }

    fn send(&mut self, signal: u8, info: Option<&SignalInfo>) {
        let continues = signal == signal::CONT && core::mem::take(&mut self.stopped);
        let group = self.config.to == To::Group || continues && self.place.leads_group();
        let sent = match (self.config.to, info) {
            (To::All, _) => proc::signal(Reach::All, self.owns_namespace, signal),
            // Between fork and exec the group is not there yet.
            _ if group => sys::kill(-self.main, signal).or_else(|_| sys::kill(self.main, signal)),
            (_, Some(info)) if info.code == SignalInfo::QUEUED => {
                sys::queue(self.main, signal, info).or_else(|_| sys::kill(self.main, signal))
            }
            _ => sys::kill(self.main, signal),
        };
        match sent {
            // It ended a moment ago; CHLD is next.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => self.voice.warn("cannot pass on a signal", Some(error)),
        }
    }

    /// The terminal has stopped the child's group: whoever started init waits for init to
    /// stop, not for the child.
    fn main_stopped(&mut self, signal: u8) {
        self.stopped = true;
        if self.config.stop_with_signal {
            return;
        }
        match signal {
            // A shell that brings a running job to the foreground sends no CONT, so this may
            // be the first that is heard of it: the child asks for what is ours to give.
            signal::TTIN | signal::TTOU if self.place.hand_over(self.main) => {
                self.send(signal::CONT, None);
            }
            signal::TSTP | signal::TTIN | signal::TTOU => self.stop_too(signal),
            _ => {}
        }
    }

    /// Stops init, with its own group where the child is not in it: the job that it is part of.
    fn stop_too(&mut self, signal: u8) {
        if self.owns_namespace {
            return;
        }
        let whom = if self.place.leads_group() {
            0
        } else {
            sys::getpid()
        };
        let _ = sys::kill(whom, signal);
        // Blocked, it waits; let it act now. We are stopped in here, until CONT.
        sys::set_mask(sys::ALL_SIGNALS & !signal::set(signal));
        sys::set_mask(sys::ALL_SIGNALS);
        let continued = sys::pending() & signal::set(signal::CONT) != 0;
        if !continued && signal == signal::TSTP && self.place.leads_group() {
            // The kernel stops no orphaned group, since nobody would continue it. So the
            // child must not stay stopped either.
            self.send(signal::CONT, None);
        }
    }
}
