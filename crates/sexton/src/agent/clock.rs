//! Two clocks: one for people, which may jump, and one for the ladder, which never does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::record::Stamp;

/// Now.
pub fn now() -> Stamp {
    Stamp {
        time: sexton_core::text::time::rfc3339(unix_seconds()),
        uptime_millis: u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX),
    }
}

/// Since boot, sleep included (`CLOCK_BOOTTIME`): the same for an agent that was started again.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Seconds since 1970, for a policy's windows.
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
