//! How long to wait before something is tried again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Ever longer pauses, each somewhere between its half and its whole: a thousand agents that lost
/// the API server at once must not come back at once.
pub(crate) struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

impl Pause {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// Where a right is missing: it may be granted one day. But an API server that has just
    /// started also says 403 for a moment, until it has read who may do what.
    pub(crate) fn for_rights() -> Self {
        Self::new(Duration::from_secs(4), Duration::from_secs(600))
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause / 2 + jitter(pause / 2)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Anything up to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    // Random keys are what a RandomState is made of.
    let random = RandomState::new().build_hasher().finish();
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % millis.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut pause = Pause::default();
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let next = pause.next();
            let whole = Duration::from_secs(expected);
            assert!(next >= whole / 2 && next <= whole, "{next:?} of {whole:?}");
        }
        pause.reset();
        assert!(pause.next() <= Duration::from_secs(1));
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
