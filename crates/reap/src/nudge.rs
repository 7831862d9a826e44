//! The gentle way: remind the holder that children of it have ended.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::{Holder, SigchldAction};

use crate::Error;
use crate::borrow::brake::Brake;
use crate::borrow::held::Held;

/// A handler that reaps does so within microseconds; one that only wakes an event loop takes
/// longer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at how many are left.
const LOOK: Duration = Duration::from_millis(20);
/// A handler may take so long to begin.
const LEAST: Duration = Duration::from_millis(60);

/// What a SIGCHLD would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Nudge {
    /// The holder has a handler for SIGCHLD: it may help.
    MayHelp,
    /// No handler: the kernel would drop the signal.
    NoHandler,
    /// The holder ignores SIGCHLD: the kernel would drop the signal.
    Ignored,
    /// The holder blocks SIGCHLD: it would wait with the others of its kind.
    Blocked,
    /// It was not asked for.
    NotWanted,
}

impl Nudge {
    /// What a SIGCHLD would do to `holder`.
    #[must_use]
    pub fn to(holder: &Holder) -> Self {
        match holder.sigchld {
            SigchldAction::Default => Self::NoHandler,
            SigchldAction::Ignored => Self::Ignored,
            SigchldAction::Caught if holder.sigchld_blocked => Self::Blocked,
            SigchldAction::Caught => Self::MayHelp,
        }
    }
}

/// Sends SIGCHLD and waits until the number of children falls no more.
pub(crate) fn nudge(held: &Held, brake: &mut Brake<'_>) -> Result<(), Error> {
    let count =
        || -> Result<usize, Error> { Ok(held.process.all_children()?.unwrap_or_default().len()) };
    let mut before = count()?;
    match pidfd_send_signal(&held.pidfd, Signal::CHILD) {
        // Whoever may trace it may signal it; if not, reaping says so better.
        Ok(()) => {}
        Err(_) => return Ok(()),
    }
    let began = Instant::now();
    while began.elapsed() < PATIENCE && !brake.is_on() {
        thread::sleep(LOOK);
        let now = count()?;
        if now >= before && began.elapsed() > LEAST {
            break;
        }
        before = now;
    }
    Ok(())
}
