//! Whether there is anybody to borrow at all.

use sexton_core::ProcessId;
use sexton_scan::proc::Proc;

use crate::borrow::brake::Brake;
use crate::borrow::held::Held;
use crate::borrow::threads;

/// Whether a thread of `holder` sleeps in a call at this moment from which it may be borrowed.
///
/// Reads only, and waits for nothing. A moment later it may be otherwise, so nothing rests on it
/// but whose turn comes first. Why a process cannot be held at all is for [`crate::execute`] to
/// say: such a one is ready.
#[must_use]
pub fn is_ready(proc: &Proc, holder: ProcessId) -> bool {
    let Ok(held) = Held::open(proc, holder) else {
        return true;
    };
    threads::candidates(&held, &mut Brake::none()).map_or(true, |found| !found.is_empty())
}
