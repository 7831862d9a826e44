//! How soon to look at a holder again.

use std::time::Duration;

use super::{History, Now};
use crate::ProcessId;
use crate::policy::Threshold;

/// A holder is looked at no oftener.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// And no less often.
pub const LONGEST: Duration = Duration::from_secs(300);
/// The part of the room that is left which a leak may take between two looks.
const SHARE_OF_HEADROOM: u64 = 50;

/// How fast a leak grows, and what room it has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// New zombies a second, as the forecast tells; 0 where it does not grow.
    pub rate_per_second: f64,
    /// What is left of the limit that the holder reaches first.
    pub headroom: Option<u64>,
}

/// How long until `holder` ought to be looked at again.
///
/// While its leak grows: until it would have reached the threshold again, or have taken a
/// fiftieth of the room that is left, whichever is more; so a holder that leaks again at once is
/// dealt with at its own rate. While it rests: half as long again as it has rested since the last
/// step, so the looks grow rare by themselves. Always between [`SHORTEST`] and [`LONGEST`].
#[must_use]
pub fn next_look(
    history: &History,
    holder: ProcessId,
    pace: Pace,
    threshold: &Threshold,
    now: Now,
) -> Duration {
    let wanted = if pace.headroom == Some(0) {
        SHORTEST
    } else if pace.rate_per_second > 0.0 {
        let share = pace.headroom.map_or(1, |room| room / SHARE_OF_HEADROOM);
        let least = threshold.min_zombies.map_or(1, u64::from);
        // f64 holds every count of tasks exactly.
        let seconds = share.max(least) as f64 / pace.rate_per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST)
    } else {
        let last = history.of_holder(holder).next().map(|step| step.at);
        last.map_or(LONGEST, |at| now.uptime.saturating_sub(at) / 2)
    };
    wanted.clamp(SHORTEST, LONGEST)
}
