//! What is left when the main process has ended: asked to end, given time, killed.

use crate::config::{Death, Name, Session};
use crate::errno::Errno;
use crate::line::STDERR;
use crate::proc::{self, Reach};
use crate::report;
use crate::signal;
use crate::supervise::{Left, Supervisor};
use crate::sys::{self, SignalInfo};
use crate::voice::Voice;

/// How it went with the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    /// There was none.
    Nobody,
    /// It was left alone.
    Left,
    /// It ended when asked.
    Ended,
    /// It had to be killed.
    Killed,
    /// It did not die even so: it sleeps in the kernel, or is another user's.
    Remains,
}

/// How long processes that were killed may take to die. They only need the processor for a
/// moment, unless they sleep in the kernel.
const DYING: u64 = 2_000;
/// How often the killing is repeated, for what was forked meanwhile.
const ROUND: u64 = 50;

impl Supervisor<'_> {
    /// Ends all that descends from init, those that left the child's session too.
    pub(crate) fn end_the_rest(&mut self, left: Left) -> Rest {
        let Some(grace) = self.config.grace else {
            return self.as_dumb_init(left);
        };
        if !left.anybody {
            return Rest::Nobody;
        }
        if self.config.name == Name::Own && self.config.death != Death::Off {
            // Their zombies cannot be reaped from here: say whose they are, while they live.
            let init = sys::getpid();
            report::print(STDERR, |holder| {
                holder != init && proc::descends(holder, init)
            });
        }
        if grace > 0 {
            self.signal_rest(self.config.stop_signal);
            // What is stopped would not hear it.
            self.signal_rest(signal::CONT);
            if self.wait_for_rest(grace) {
                return Rest::Ended;
            }
        }
        let deadline = sys::now().saturating_add(DYING);
        loop {
            self.signal_rest(signal::KILL);
            if self.wait_for_rest(ROUND) {
                return Rest::Killed;
            }
            if sys::now() >= deadline {
                return Rest::Remains;
            }
        }
    }

    /// dumb-init sends TERM to the child's group when the child has ended, and waits for
    /// nobody. The others do nothing.
    fn as_dumb_init(&self, left: Left) -> Rest {
        if self.config.name == Name::DumbInit
            && self.config.session == Session::New
            && let Some(signal) = self.config.rewrites.apply(signal::TERM)
        {
            // A group's number is free for others once the group is empty, so without a
            // namespace of our own it is looked for among our descendants.
            if self.owns_namespace {
                let _ = sys::kill(-self.main, signal);
            } else if left.anybody {
                let _ = proc::signal(Reach::Group(self.main), false, signal);
            }
            self.voice.forwarded(signal);
        }
        if left.anybody {
            Rest::Left
        } else {
            Rest::Nobody
        }
    }

    fn signal_rest(&self, signal: u8) {
        if let Err(error) = proc::signal(Reach::All, self.owns_namespace, signal)
            && error != Errno::ESRCH
        {
            Voice::prefix(self.config.name, b"WARN")
                .text("cannot reach all that is left: ")
                .text(error.words())
                .write(STDERR);
        }
    }

    /// Reaps until nobody is left (true), or the time is over. A process that has a living
    /// ancestor below init is seen through it, so: no child, no descendant.
    fn wait_for_rest(&mut self, milliseconds: u64) -> bool {
        let deadline = sys::now().saturating_add(milliseconds);
        let mut info = SignalInfo::empty();
        loop {
            let (_, left) = self.reap();
            if !left.anybody {
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
