//! Two clocks: one for people, which may jump, and one for the ladder, which never does.

use std::time::Duration;

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
    crate::clock::now().uptime
}

/// Seconds since 1970, for people.
pub fn unix_seconds() -> u64 {
    u64::try_from(crate::clock::now().unix).unwrap_or(0)
}
