//! `--orphans end`: what init adopts while the main process lives is ended after a time.
//!
//! The kernel tells a subreaper of no adoption, so this is the one thing for which init wakes
//! up by itself.

use crate::line::STDERR;
use crate::proc::{self, Stat};
use crate::signal;
use crate::sys::{self, Pid};
use crate::voice::Voice;

/// So many are watched at a time, a page full; others have their turn when some are gone.
const WATCHED: usize = 512;
/// Between two looks: a quarter of the time that an orphan has, within these bounds.
const OFTEN: u64 = 100;
const SELDOM: u64 = 1_000;
/// How long until KILL where the rest is given no time.
const GRACE: u64 = 5_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Orphan {
    pid: Pid,
    /// When it gets its next signal.
    due: u64,
    asked: bool,
}

impl Orphan {
    /// A process id has 22 bits; milliseconds have enough of the rest for thirty years.
    const PID: u64 = (1 << 22) - 1;
    const ASKED: u64 = 1 << 22;
    const DUE: u32 = 23;
    const NEVER: u64 = u64::MAX >> Self::DUE;

    /// As a place of the table holds it: 0 is a free one.
    fn to_place(self) -> u64 {
        let asked = if self.asked { Self::ASKED } else { 0 };
        let pid = u64::try_from(self.pid).unwrap_or(0);
        self.due.min(Self::NEVER) << Self::DUE | asked | pid & Self::PID
    }

    fn from_place(place: u64) -> Option<Self> {
        (place != 0).then(|| Self {
            pid: Pid::try_from(place & Self::PID).unwrap_or(0),
            due: place >> Self::DUE,
            asked: place & Self::ASKED != 0,
        })
    }
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
    watched: &'static mut [u64],
}

impl Orphans {
    /// `None`: there is no memory for it.
    pub(crate) fn new(main: Pid, stop_signal: u8, time: u64, grace: Option<u64>) -> Option<Self> {
        Some(Self {
            main,
            stop_signal,
            time,
            grace: grace.unwrap_or(GRACE),
            next_look: 0,
            watched: sys::zeros(WATCHED)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = Orphan> {
        self.watched.iter().copied().filter_map(Orphan::from_place)
    }

    fn place_of(&mut self, pid: Pid) -> Option<&mut u64> {
        let is_its = |place: &&mut u64| Orphan::from_place(**place).is_some_and(|o| o.pid == pid);
        self.watched.iter_mut().find(is_its)
    }

    /// Whether one was asked to end.
    pub(crate) fn asked(&self, pid: Pid) -> bool {
        self.all().any(|orphan| orphan.pid == pid && orphan.asked)
    }

    /// When there is something to do.
    pub(crate) fn wake_at(&self) -> u64 {
        self.all()
            .fold(self.next_look, |first, orphan| first.min(orphan.due))
    }

    /// One of init's children has been reaped.
    pub(crate) fn forget(&mut self, pid: Pid) {
        if let Some(place) = self.place_of(pid) {
            *place = 0;
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
        for place in &mut *self.watched {
            if let Some(mut orphan) = Orphan::from_place(*place).filter(|one| now >= one.due) {
                orphan.signal(stop_signal, now.saturating_add(grace), voice);
                *place = orphan.to_place();
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
            if self.place_of(pid).is_some() {
                return;
            }
            if let Some(free) = self.watched.iter_mut().find(|place| **place == 0) {
                let due = now.saturating_add(self.time);
                let asked = false;
                *free = Orphan { pid, due, asked }.to_place();
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
        self.due = if self.asked { Self::NEVER } else { kill_at };
        self.asked = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_an_orphan() {
        for (pid, due, asked) in [
            (2, 0, false),
            (4_194_303, 1_000_000_000_000, true),
            (7, Orphan::NEVER, true),
        ] {
            let orphan = Orphan { pid, due, asked };
            assert_eq!(Orphan::from_place(orphan.to_place()), Some(orphan));
        }
        assert_eq!(Orphan::from_place(0), None);
    }

    #[test]
    fn those_that_are_gone_make_room() {
        let mut orphans = Orphans::new(2, 15, 0, None).unwrap();
        assert_eq!(orphans.wake_at(), 0);
        orphans.watched[3] = Orphan {
            pid: 9,
            due: 70,
            asked: true,
        }
        .to_place();
        orphans.next_look = 90;
        assert_eq!(orphans.wake_at(), 70);
        assert!(orphans.asked(9) && !orphans.asked(8));
        orphans.forget(8);
        orphans.forget(9);
        assert!(!orphans.asked(9));
        assert_eq!(orphans.wake_at(), 90);
    }
}
