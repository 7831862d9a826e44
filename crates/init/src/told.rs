//! Who has heard of the end: nobody is to hear of it twice. A server that gets TERM a second
//! time often stops at once instead of in order.

use crate::proc::{self, Reach, Stat};
use crate::sys::{self, Pid};

/// The most that `pid_max` can be (`PID_MAX_LIMIT` on 64 bits).
const PIDS: usize = 4 << 20;

/// Who was told by itself: a bit for each process id. Half a megabyte of addresses, of which
/// only the pages that are written to are ever in memory.
pub(crate) struct Told(&'static mut [u64]);

impl Told {
    /// `None`: there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        sys::zeros(PIDS / 64).map(Self)
    }

    /// The word of a process id, and its bit there.
    fn place(&mut self, pid: Pid) -> Option<(&mut u64, u64)> {
        let pid = usize::try_from(pid).ok()?;
        Some((self.0.get_mut(pid / 64)?, 1 << (pid % 64)))
    }

    /// Notes that a process is told; false: it has been before.
    pub(crate) fn note(&mut self, pid: Pid) -> bool {
        self.place(pid).is_some_and(|(word, bit)| {
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    }

    /// The process is no more, and its number free for another.
    pub(crate) fn forget(&mut self, pid: Pid) {
        if let Some((word, bit)) = self.place(pid) {
            *word &= !bit;
        }
    }
}

/// A signal that many got at once.
#[derive(Clone, Copy)]
pub(crate) struct Together {
    reach: Reach,
    signal: u8,
    /// When, on the clock of `sys::start_ticks`.
    at: u64,
}

impl Together {
    /// It was sent just now. The kernel begins a fork anew into which a signal to a group
    /// falls: who was started before has got it, who was started later has not.
    pub(crate) fn now(reach: Reach, signal: u8) -> Self {
        let at = sys::start_ticks();
        Self { reach, signal, at }
    }

    /// Whether a process has got it. One that ignores it, as a shell has its background commands
    /// ignore INT and QUIT, has heard nothing, and may well heed another signal.
    pub(crate) fn reached(&self, pid: Pid, stat: &Stat, another: u8) -> bool {
        let meant = match self.reach {
            Reach::All => true,
            Reach::Group(group) => stat.group == group,
        };
        meant
            && stat.start <= self.at
            && (self.signal == another || !proc::ignores(pid, self.signal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_until_its_number_is_free() {
        let mut told = Told::new().unwrap();
        assert!(told.note(4_000_000));
        assert!(told.note(4_000_001));
        assert!(!told.note(4_000_000));
        told.forget(4_000_000);
        assert!(told.note(4_000_000));
        assert!(!told.note(4_000_001));
        // No process can have such a number.
        assert!(!told.note(4 << 20) && !told.note(-1));
        told.forget(4 << 20);
    }

    #[test]
    fn who_was_started_later_has_not_got_it() {
        let text = b"7 (a) S 3 4 5 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 1 0 123 0\n";
        let stat = Stat::parse(text).unwrap();
        for (reach, at, reached) in [
            (Reach::All, 122, false),
            (Reach::All, 123, true),
            (Reach::Group(4), 123, true),
            (Reach::Group(5), 123, false),
        ] {
            let together = Together {
                reach,
                signal: 15,
                at,
            };
            assert_eq!(together.reached(7, &stat, 15), reached);
        }
    }

    #[test]
    fn the_clock_is_that_of_proc() {
        let me = Pid::try_from(std::process::id()).unwrap();
        let start = Stat::of(me).unwrap().start;
        let now = sys::start_ticks();
        // A test does not run for a day.
        assert!(start <= now && now - start < 8_640_000, "{start} {now}");
    }
}
