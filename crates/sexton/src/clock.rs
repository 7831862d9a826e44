//! The clocks that decisions go by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sexton_core::ladder::Now;

/// The time in both clocks of the ladder.
pub fn now() -> Now {
    let uptime = clock_gettime(ClockId::Boottime);
    let unix = clock_gettime(ClockId::Realtime);
    Now {
        uptime: Duration::new(
            u64::try_from(uptime.tv_sec).unwrap_or(0),
            u32::try_from(uptime.tv_nsec).unwrap_or(0),
        ),
        unix: unix.tv_sec,
    }
}
