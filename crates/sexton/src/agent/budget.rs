//! How long may be acted between two looks, and how long one holder may hold up the others.
//!
//! One thread looks and acts. A holder whose threads cannot be borrowed would have it wait for as
//! long as it likes; so each gets its share of what is left, and who cannot be borrowed at once is
//! tried after the others, and again at later looks ([`super::turns`]).

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::wake::Wake;

/// All steps between two looks take at most half of the interval, but so much at least…
const LEAST: Duration = Duration::from_secs(2);
/// …and so much at most, whatever the interval.
const MOST: Duration = Duration::from_secs(10);
/// How long a holder is waited for at the first try without anything done; each later one may
/// wait twice as long.
const FIRST_TRY: Duration = Duration::from_secs(1);
/// What one holder gets at least: a thread that sleeps is borrowed within a millisecond or two.
const SMALLEST: Duration = Duration::from_millis(20);

/// The time for all steps between two looks.
pub struct Budget {
    until: Instant,
}

impl Budget {
    /// That of an agent that looks every `interval`; it begins now.
    pub fn of(interval: Duration) -> Self {
        let most = (interval / 2).clamp(LEAST, MOST);
        Self {
            until: Instant::now() + most,
        }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// How long one step may take, and how long it may wait in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In all.
    pub most: Duration,
    /// Without anything done.
    pub patience: Duration,
}

impl Share {
    /// Of one of `others + 1` that are expected to cooperate, when so much is left for all.
    pub fn among(left: Duration, others: usize) -> Self {
        let of = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        let most = (left / of).max(SMALLEST);
        Self {
            most,
            patience: most.min(FIRST_TRY),
        }
    }

    /// Of one that comes last, since it could not be borrowed so many times before: nobody waits
    /// for it, so each time it is given longer.
    pub fn of_the_last(left: Duration, misses: u32) -> Self {
        let doubled = FIRST_TRY.saturating_mul(1_u32.checked_shl(misses).unwrap_or(u32::MAX));
        Self {
            most: left,
            patience: doubled.min(left),
        }
    }
}

/// The time of one step. Ends it when that is over, and when the agent is told to stop.
pub struct Slice<'a> {
    wake: &'a Wake,
    began: Instant,
    share: Share,
    /// How much was done, and since when no more.
    progress: Cell<(u64, Instant)>,
    over: Cell<bool>,
}

impl<'a> Slice<'a> {
    /// Begins now.
    pub fn begin(wake: &'a Wake, share: Share) -> Self {
        let began = Instant::now();
        Self {
            wake,
            began,
            share,
            progress: Cell::new((0, began)),
            over: Cell::new(false),
        }
    }

    /// Whether to go on, after so much was done.
    pub fn go_on(&self, done: u64) -> ControlFlow<()> {
        let now = Instant::now();
        let (before, mut since) = self.progress.get();
        if done > before {
            since = now;
            self.progress.set((done, now));
        }
        if self.wake.is_stopping() {
            return ControlFlow::Break(());
        }
        if now - self.began >= self.share.most || now - since >= self.share.patience {
            self.over.set(true);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// It ended a step because the time was over.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// How long it has been used.
    pub fn used(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn share(most: Duration, patience: Duration) -> Share {
        Share { most, patience }
    }

    #[test]
    fn a_holder_alone_may_take_all_but_waits_a_second_in_vain() {
        assert_eq!(Share::among(ms(5_000), 0), share(ms(5_000), ms(1_000)));
    }

    #[test]
    fn each_try_of_the_last_may_wait_twice_as_long() {
        for (misses, patience) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 5_000), (40, 5_000)] {
            let expected = share(ms(5_000), ms(patience));
            assert_eq!(Share::of_the_last(ms(5_000), misses), expected);
        }
    }

    #[test]
    fn a_hundred_that_use_up_their_shares_leave_one_for_the_last() {
        let mut left = ms(5_000);
        for others in (1..=100).rev() {
            let Share { most, patience } = Share::among(left, others);
            assert!(patience <= most && most <= ms(50), "{most:?}");
            left -= patience;
        }
        let last = Share::among(left, 0);
        assert!(last.most >= ms(49), "{last:?}");
    }

    #[test]
    fn however_many_they_are_each_can_be_borrowed_once() {
        assert_eq!(Share::among(ms(2_000), 10_000), share(SMALLEST, SMALLEST));
    }
}
