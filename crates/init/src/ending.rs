//! What is left when the main process has ended: asked to end, given time, killed.

use crate::config::{Death, Name, Session};
use crate::errno::Errno;
use crate::line::STDERR;
use crate::proc::{self, Reach, Stat, Tally};
use crate::report;
use crate::signal;
use crate::status::Rest;
use crate::supervise::{DYING, Supervisor};
use crate::sys::{self, Pid, SignalInfo};
use crate::told::Told;

/// How often it is looked for those that init has adopted meanwhile, while the rest has its
/// time: the kernel tells a subreaper of no adoption.
const LOOK: u64 = 100;
/// How often the killing is repeated, for what was forked meanwhile.
const ROUND: u64 = 50;

impl Supervisor<'_> {
    /// Ends all that descends from init, those that left the child's session too.
    ///
    /// By the tree: init asks its own children, each once, and those tell theirs, as a master
    /// does that lets its workers finish. What is orphaned meanwhile is asked then.
    pub(crate) fn end_the_rest(&mut self) -> Rest {
        let Some(grace) = self.config.grace else {
            return self.as_dumb_init();
        };
        if !self.anybody {
            return Rest::Nobody;
        }
        if self.config.name == Name::Own && self.config.death != Death::Off {
            // Their zombies cannot be reaped from here: say whose they are, while they live.
            let init = sys::getpid();
            let _ = report::print(STDERR, &|holder| {
                holder != init && proc::descends(holder, init)
            });
        }
        if grace > 0 && self.ask_for(grace) {
            return Rest::Ended;
        }
        let deadline = sys::now().saturating_add(DYING);
        loop {
            let reached = self.kill_rest();
            if self.wait_for_rest(ROUND) {
                return Rest::Killed;
            }
            if !reached || sys::now() >= deadline {
                return Rest::Remains;
            }
        }
    }

    /// dumb-init sends TERM to the child's group when the child has ended, and waits for
    /// nobody. The others do nothing.
    fn as_dumb_init(&mut self) -> Rest {
        if self.config.name == Name::DumbInit
            && self.config.session == Session::New
            && self.together.is_none()
            && let Some(signal) = self.config.rewrites.apply(signal::TERM)
        {
            // A group's number is free for others once the group is empty, so without a
            // namespace of our own it is looked for among our descendants.
            if self.owns_namespace {
                let _ = sys::kill(-self.main, signal);
            } else if self.anybody {
                let _ = proc::signal(Reach::Group(self.main), signal);
            }
            self.voice.forwarded(signal);
        }
        if self.anybody {
            Rest::Left
        } else {
            Rest::Nobody
        }
    }

    /// Asks the rest to end and gives it this long; true: it has ended.
    fn ask_for(&mut self, milliseconds: u64) -> bool {
        let stop = self.config.stop();
        let deadline = sys::now().saturating_add(milliseconds);
        let mut first = true;
        self.told = Told::new();
        loop {
            let mut told = self.told.take();
            let asked = self.tell_own(&mut |pid, stat| {
                // Without memory for it, those that come later hear of the end by KILL.
                let new = told.as_mut().map_or(first, |told| told.note(pid));
                (new && !self.has_heard(pid, stat, stop)).then_some(stop)
            });
            self.told = told;
            match asked {
                // Nobody that is left can hear init, and the command had its time.
                Ok(tally) if tally.reached == 0 && self.gave_up => return false,
                Ok(_) => {}
                Err(error) if first => self.ask_unseen(stop, error),
                Err(_) => {}
            }
            if core::mem::take(&mut first) {
                self.continue_stopped();
            }
            let rest = deadline.saturating_sub(sys::now());
            if self.wait_for_rest(rest.min(LOOK)) {
                return true;
            }
            if rest == 0 {
                return false;
            }
        }
    }

    /// Whether a process got the stop signal before the rest was asked.
    fn has_heard(&self, pid: Pid, stat: &Stat, stop: u8) -> bool {
        pid == self.main && self.status.is_none() && self.asked_by.is_some()
            || self
                .together
                .is_some_and(|sent| sent.reached(pid, stat, stop))
            || self
                .orphans
                .as_ref()
                .is_some_and(|orphans| orphans.asked(pid))
    }

    /// Without a /proc that shows them, PID 1 can reach all at once, and only so.
    fn ask_unseen(&self, stop: u8, error: Errno) {
        if !self.owns_namespace {
            self.voice
                .warn("cannot reach all that is left", Some(error));
        } else if self.together.is_none() {
            let _ = sys::kill(-1, stop);
            let _ = sys::kill(-1, signal::CONT);
        }
    }

    /// Who is stopped hears nothing, and keeps those waiting who wait for it. Only now, so that
    /// the stop signal is what it finds first.
    fn continue_stopped(&self) {
        let init = sys::getpid();
        // What cannot be seen is continued by `ask_unseen`.
        let _ = proc::each(&mut |pid| {
            let stopped = pid != init && Stat::of(pid).is_some_and(|stat| stat.is_stopped());
            if stopped && (self.owns_namespace || proc::descends(pid, init)) {
                let _ = self.send_to(pid, signal::CONT);
            }
        });
    }

    /// Sends those who hear of things from init itself what `signal` says, or looks whether they
    /// could be sent one. An error where /proc shows none.
    pub(crate) fn tell_own(
        &self,
        signal: &mut dyn FnMut(Pid, &Stat) -> Option<u8>,
    ) -> Result<Tally, Errno> {
        let init = sys::getpid();
        let mut tally = Tally::default();
        proc::each(&mut |pid| {
            let Some(stat) = Stat::of(pid).filter(|_| pid != init) else {
                return;
            };
            let own = self.is_own(pid, &stat, init);
            if own && stat.is_zombie() {
                // Init reaps it at once, and may adopt what it had.
                tally.reached += 1;
            } else if own {
                tally.count(self.send_to(pid, signal(pid, &stat).unwrap_or(0)));
            }
        })?;
        if tally.reached + tally.refused == 0 {
            return Err(Errno::ESRCH);
        }
        Ok(tally)
    }

    /// Whether a process hears of the end from init or not at all: its children; what was sent
    /// into its PID namespace from outside; and where init may not signal a process, as that of
    /// another user, what is below that.
    fn is_own(&self, pid: Pid, stat: &Stat, init: Pid) -> bool {
        if self.owns_namespace {
            matches!(stat.parent, 0 | 1) || proc::refusal(stat.parent).is_some()
        } else {
            stat.parent == init || proc::refusal(stat.parent).is_some() && proc::descends(pid, init)
        }
    }

    fn send_to(&self, pid: Pid, signal: u8) -> Result<(), Errno> {
        let init = sys::getpid();
        if self.owns_namespace {
            sys::kill(pid, signal)
        } else {
            proc::signal_held(pid, signal, &|pid| proc::descends(pid, init))
        }
    }

    /// Kills all that is left; false: there is nobody whom init may kill.
    fn kill_rest(&self) -> bool {
        let killed = if self.owns_namespace {
            // All in one instant, so that none can fork on. It says nothing about refusals.
            let _ = sys::kill(-1, signal::KILL);
            self.tell_own(&mut |_, _| Some(signal::KILL))
        } else {
            proc::signal(Reach::All, signal::KILL)
        };
        killed.is_err() || killed.is_ok_and(|tally| tally.reached > 0)
    }

    /// Reaps until nobody is left (true), or the time is over. A process that has a living
    /// ancestor below init is seen through it, so: no child, no descendant.
    fn wait_for_rest(&mut self, milliseconds: u64) -> bool {
        let deadline = sys::now().saturating_add(milliseconds);
        let mut info = SignalInfo::empty();
        loop {
            self.reap();
            if !self.anybody {
                return true;
            }
            let Some(time) = deadline.checked_sub(sys::now()).filter(|&time| time > 0) else {
                return false;
            };
            // The end has begun; other signals change nothing any more.
            let _ = sys::wait_signal(sys::ALL_SIGNALS, &mut info, Some(time));
        }
    }
}
