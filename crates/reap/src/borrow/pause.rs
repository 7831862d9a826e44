//! How the thread that reaps waits: for microseconds, without giving the processor away for long.

use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

/// Waits a little, longer the longer it goes on: most waits here end within microseconds.
///
/// It never yields: on a busy machine a thread that yields comes back milliseconds later, and
/// one of the holder's stands still meanwhile. A thread that wakes from a short sleep is let in
/// at once, and the thread waited for has had the processor.
#[derive(Debug)]
pub(crate) struct Pause {
    taken: u32,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self { taken: 0 }
    }

    pub(crate) fn take(&mut self) {
        self.taken = self.taken.saturating_add(1);
        match self.taken {
            // The system call between two of these takes longer than this.
            0..=40 => std::hint::spin_loop(),
            41..=1_000 => thread::sleep(Duration::from_micros(15)),
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Sleeps end when they should, not up to 50 µs later (`PR_SET_TIMERSLACK(2const)`), until this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Punctual(Option<u64>);

impl Punctual {
    pub(crate) fn begin() -> Self {
        let usual = rustix::thread::current_timer_slack().ok();
        if usual.is_some() {
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        }
        Self(usual)
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        if let Some(usual) = self.0.and_then(NonZeroU64::new) {
            // It was this a moment ago.
            let _ = rustix::thread::set_current_timer_slack(Some(usual));
        }
    }
}
