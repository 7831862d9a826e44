//! How long may be acted between two looks, and how long one holder may hold up the others.
//!
//! One thread looks and acts. A holder whose threads cannot be borrowed would have it wait for as
//! long as it likes; so each gets its share of what is left, and who has used it up in vain is
//! tried again at later looks, after the others.

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

/// How long one of `others + 1` holders may take at most, and wait in vain, when so much is left.
/// One that was tried in vain before is waited for longer: it comes last, so nobody waits for it.
pub fn share(left: Duration, others: usize, misses: u32) -> (Duration, Duration) {
    if misses > 0 {
        let doubled = FIRST_TRY.saturating_mul(1_u32.checked_shl(misses).unwrap_or(u32::MAX));
        return (left, doubled.min(left));
    }
    let of = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
    let share = (left / of).max(SMALLEST);
    (share, share.min(FIRST_TRY))
}

/// The time of one step. Ends it when that is over, and when the agent is told to stop.
pub struct Slice<'a> {
    wake: &'a Wake,
    began: Instant,
    most: Duration,
    patience: Duration,
    /// How much was done, and since when no more.
    progress: Cell<(u64, Instant)>,
    over: Cell<bool>,
}

impl<'a> Slice<'a> {
    /// Begins now.
    pub fn begin(wake: &'a Wake, (most, patience): (Duration, Duration)) -> Self {
        let began = Instant::now();
        Self {
            wake,
            began,
            most,
            patience,
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
        if now - self.began >= self.most || now - since >= self.patience {
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

    #[test]
    fn a_holder_alone_may_take_all_but_waits_a_second_in_vain() {
        assert_eq!(share(ms(5_000), 0, 0), (ms(5_000), ms(1_000)));
        assert_eq!(share(ms(5_000), 0, 1), (ms(5_000), ms(2_000)));
        assert_eq!(share(ms(5_000), 0, 2), (ms(5_000), ms(4_000)));
        assert_eq!(share(ms(5_000), 0, 40), (ms(5_000), ms(5_000)));
    }

    #[test]
    fn a_hundred_that_use_up_their_shares_leave_one_for_the_last() {
        let mut left = ms(5_000);
        for others in (1..=100).rev() {
            let (most, patience) = share(left, others, 0);
            assert!(patience <= most && most <= ms(50), "{most:?}");
            left -= patience;
        }
        let (most, patience) = share(left, 0, 0);
        assert!(most >= ms(49) && patience == most, "{most:?}");
    }

    #[test]
    fn however_many_they_are_each_can_be_borrowed_once() {
        assert_eq!(share(ms(2_000), 10_000, 0), (SMALLEST, SMALLEST));
    }
}
