//! How often events are written.

use std::time::Duration;

use tokio::time::Instant;

/// So many at once,
const BURST: u32 = 20;
/// and one each so long: 5,000 nodes that all have much to tell write 500 a second.
const EACH: Duration = Duration::from_secs(10);
/// The same event is written again after this time, then after twice that, and so on.
const FIRST: Duration = Duration::from_secs(60);
/// The longest time between two writes of the same event. What has not happened again for twice
/// that is told anew when it does.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// What this node may still write.
pub(super) struct Bucket {
    left: u32,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            filled: now,
        }
    }

    /// When the next may be written.
    pub(super) fn ready(&mut self, now: Instant) -> Instant {
        let due = now.duration_since(self.filled).as_secs() / EACH.as_secs();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if self.left.saturating_add(due) >= BURST {
            self.left = BURST;
            self.filled = now;
        } else {
            self.left += due;
            self.filled += EACH * due;
        }
        if self.left > 0 {
            now
        } else {
            self.filled + EACH
        }
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.ready(now);
        self.left = self.left.saturating_sub(1);
    }
}

/// The time from the `writes`th write of an event (1 is the first) to the next.
pub(super) fn between(writes: u32) -> Duration {
    let doubled = writes.saturating_sub(1).min(8);
    (FIRST * (1 << doubled)).min(LONGEST)
}
