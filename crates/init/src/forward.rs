//! Signals on their way from outside to the command.

use crate::config::{Name, To};
use crate::errno::Errno;
use crate::proc::{self, Reach};
use crate::signal;
use crate::supervise::Supervisor;
use crate::sys::{self, SignalInfo};
use crate::told::Together;

impl Supervisor<'_> {
    pub(crate) fn pass_on(&mut self, received: u8, info: &SignalInfo) {
        self.voice.received(received);
        let stops = matches!(received, signal::TSTP | signal::TTIN | signal::TTOU);
        let asks_for_end = self.asks_for_end(received, info);
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
                    if asks_for_end {
                        self.note_told(signal);
                    }
                }
            }
        }
        if asks_for_end {
            if self.stopped {
                // A stopped process would get it only when continued.
                self.send(signal::CONT, None);
            }
            self.begin_the_end(received);
        }
        if stops && self.config.stop_with_signal {
            let _ = sys::kill(sys::getpid(), signal::STOP);
        } else if stops && !self.place.leads_group() && info.code == SignalInfo::FROM_KERNEL {
            self.stop_too(received);
        }
    }

    /// Whether a signal asks the container to end. Init is not told what a runtime stops it by
    /// (`STOPSIGNAL`), so unless `--stop-signal` says it, every signal that is for that alone
    /// counts: TERM always, the others when they come from outside. In a container `kill` may
    /// send them for something else, such as Java's thread dump by QUIT. One that is dropped asks
    /// for nothing, unless there is a time for it.
    pub(crate) fn asks_for_end(&self, received: u8, info: &SignalInfo) -> bool {
        if self.config.rewrites.apply(received).is_none() && self.config.kill_after.is_none() {
            return false;
        }
        let outside = !self.owns_namespace || info.pid == 0;
        match self.config.stop_signal {
            Some(signal) => received == signal,
            None if received == signal::TERM => true,
            None => signal::is_for_ending(received) && info.is_from_process() && outside,
        }
    }

    /// Who has just got the stop signal.
    fn note_told(&mut self, signal: u8) {
        let reach = match self.config.to {
            To::Child => return,
            To::Group => Reach::Group(self.main),
            To::All => Reach::All,
        };
        self.together = Some(Together::now(reach, signal));
    }

    /// The time of `--kill-after` begins; at once, where the command cannot hear of the end.
    fn begin_the_end(&mut self, received: u8) {
        self.asked_by.get_or_insert(received);
        if self.kill_at.is_some() {
            return;
        }
        if self.status.is_none() {
            self.refused = proc::refusal(self.main);
        }
        let after = self.config.kill_after.or(self.refused.map(|_| 0));
        self.kill_at = after.map(|after| sys::now().saturating_add(after));
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

    pub(crate) fn send(&mut self, signal: u8, info: Option<&SignalInfo>) {
        let continues = signal == signal::CONT && core::mem::take(&mut self.stopped);
        let group = self.config.to == To::Group || continues && self.place.leads_group();
        let sent = match (self.config.to, info) {
            (To::All, _) if self.owns_namespace => sys::kill(-1, signal),
            (To::All, _) => proc::signal(Reach::All, signal).map(drop),
            // The command has ended, and what it has left behind is waited for.
            _ if self.status.is_some() => self.tell_own(&mut |_, _| Some(signal)).map(drop),
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
            Err(error) if self.config.name == Name::Tini => {
                // tini ends at the first signal that it may not pass on, whichever it is.
                self.voice.cannot_forward(error);
                self.refused = Some(error);
                self.kill_at = Some(0);
            }
            Err(error) => self.voice.warn("cannot pass on a signal", Some(error)),
        }
    }

    /// The terminal has stopped the child's group: whoever started init waits for init to
    /// stop, not for the child.
    pub(crate) fn main_stopped(&mut self, signal: u8) {
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
