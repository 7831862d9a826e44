//! `--orphans end`: what init adopts while the main process lives is ended after a time.
//!
//! The kernel tells a subreaper of no adoption, so this is the one thing for which init wakes
//! up by itself.

use crate::line::STDERR;
use crate::proc::{self, Stat};
use crate::signal;
use crate::sys::{self, Pid};
use crate::told;
use crate::voice::Voice;

/// So many are watched at a time; others have their turn when some of these are gone.
const WATCHED: usize = 128;
/// Between two looks: a quarter of the time that an orphan has, within these bounds.
const OFTEN: u64 = 100;
const SELDOM: u64 = 1_000;
/// How long until KILL where the rest is given no time.
const GRACE: u64 = 5_000;

#[derive(Clone, Copy)]
struct Orphan {
    pid: Pid,
    /// When it gets its next signal.
    due: u64,
    asked: bool,
}

/// The orphans that init watches.
pub(crate) struct Orphans {
    main: Pid,
    stop_signal: u8,
    /// Milliseconds that they may live on for.
    time: u64,
    /// Milliseconds until they are killed.
    grace: u64,
    next_look: u64,
    watched: [Option<Orphan>; WATCHED],
}

impl Orphans {
    pub(crate) fn new(main: Pid, stop_signal: u8, time: u64, grace: Option<u64>) -> Self {
        Self {
            main,
            stop_signal,
            time,
            grace: grace.unwrap_or(GRACE),
            next_look: 0,
            watched: [None; WATCHED],
        }
    }

    /// When there is something to do.
    pub(crate) fn wake_at(&self) -> u64 {
        let due = self.watched.iter().flatten().map(|orphan| orphan.due);
        due.fold(self.next_look, u64::min)
    }

    /// One of init's children has been reaped.
    pub(crate) fn forget(&mut self, pid: Pid) {
        for place in &mut self.watched {
            if place.is_some_and(|orphan| orphan.pid == pid) {
                *place = None;
            }
        }
    }

    /// Looks for new ones and signals those whose time is over.
    pub(crate) fn attend(&mut self, now: u64, voice: Voice) {
        if now >= self.next_look {
            self.next_look = now.saturating_add((self.time / 4).clamp(OFTEN, SELDOM));
            // Unreadable, there are none to be seen; the next look may be luckier.
            let _ = self.look(now);
        }
        let (stop_signal, grace) = (self.stop_signal, self.grace);
        for orphan in self.watched.iter_mut().flatten() {
            if now >= orphan.due {
                orphan.signal(stop_signal, now.saturating_add(grace), voice);
            }
        }
    }

    fn look(&mut self, now: u64) -> Result<(), crate::errno::Errno> {
        let init = sys::getpid();
        proc::each(&mut |pid| {
            let is_orphan = |stat: &Stat| stat.parent == init && !stat.is_zombie();
            if pid == self.main || !Stat::of(pid).as_ref().is_some_and(is_orphan) {
                return;
            }
            let watched = |place: &Option<Orphan>| place.is_some_and(|orphan| orphan.pid == pid);
            if self.watched.iter().any(watched) {
                return;
            }
            if let Some(free) = self.watched.iter_mut().find(|place| place.is_none()) {
                *free = Some(Orphan {
                    pid,
                    due: now.saturating_add(self.time),
                    asked: false,
                });
            }
        })
    }
}

impl Orphan {
    /// A child of init that has not been reaped, so its number is its own.
    fn signal(&mut self, stop_signal: u8, kill_at: u64, voice: Voice) {
        let signal = if self.asked {
            signal::KILL
        } else {
            stop_signal
        };
        let sent = sys::kill(self.pid, signal);
        if !self.asked {
            told::note(self.pid);
            // Stopped, it would not hear it.
            let _ = sys::kill(self.pid, signal::CONT);
            voice.orphan(self.pid, signal);
        } else {
            let mut line = Voice::prefix(voice.name, b"WARN");
            line.text("orphan ")
                .process(self.pid)
                .text(" did not end after signal ");
            line.signal(stop_signal);
            match sent {
                Ok(()) => line.text(" and was killed"),
                Err(error) => line.text(" and cannot be killed: ").bytes(error.words()),
            };
            line.write(STDERR);
        }
        // What a KILL does not end, another one does not either.
        self.due = if self.asked { u64::MAX } else { kill_at };
        self.asked = true;
    }
}
