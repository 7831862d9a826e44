//! Which step to take next, if any.
//!
//! [`decide`] is a pure function: the same evidence, policy, history and time give the same
//! decision. It never acts and never looks; what acts checks the identity of its target again.
//! A rung is taken only when those below did not do it, or cannot.

mod climb;
mod evict;
mod evidence;
mod history;
mod pace;
mod possible;
mod reason;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use climb::decide;
pub use evidence::{Evidence, Findings, Fingerprint, Opted, Refusal};
pub use history::{History, RungOutcome, Step};
pub use pace::{LONGEST, Pace, SHORTEST, next_look};
pub use reason::{ActBecause, Cannot, NothingBecause, WaitBecause};

/// A rung of the ladder, the gentlest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Rung {
    /// Watch and tell.
    Observe,
    /// Send the holder SIGCHLD, where it has a handler for it.
    Nudge,
    /// Make the holder wait for its zombies.
    Reap,
    /// Make the kernel reap the holder's future children.
    Autoreap,
    /// End the holder: SIGTERM, and SIGKILL after the grace period. Never the first process of a
    /// container, and only where what is above it reaps.
    Terminate,
    /// Have the runtime stop the container, where its restart policy brings it back.
    Restart,
    /// Evict the pod.
    Evict,
}

impl Rung {
    /// Those that do something, the gentlest first.
    pub const STEPS: [Self; 6] = [
        Self::Nudge,
        Self::Reap,
        Self::Autoreap,
        Self::Terminate,
        Self::Restart,
        Self::Evict,
    ];

    /// Something is ended by it.
    #[must_use]
    pub fn disrupts(self) -> bool {
        self >= Self::Terminate
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Nudge => "nudge",
            Self::Reap => "reap",
            Self::Autoreap => "autoreap",
            Self::Terminate => "terminate",
            Self::Restart => "restart",
            Self::Evict => "evict",
        })
    }
}

/// The time at which is decided. Two clocks: what was done when is measured by the one that
/// never jumps, windows are a matter of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since boot, `CLOCK_BOOTTIME` (`clock_gettime(2)`).
    pub uptime: Duration,
    /// Seconds since 1970-01-01 UTC, `CLOCK_REALTIME`.
    pub unix: i64,
}

/// What to do about one leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take this step. In a dry run: record that it would be taken.
    Act {
        /// Which.
        rung: Rung,
        /// Why this one.
        reason: ActBecause,
    },
    /// Nothing yet.
    Wait {
        /// When it may be different, in the clock of [`Now::uptime`].
        until: Duration,
        /// What is waited for.
        reason: WaitBecause,
    },
    /// Nothing, until the evidence or the policy is another.
    Nothing {
        /// Why.
        reason: NothingBecause,
    },
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
