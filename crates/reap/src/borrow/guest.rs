//! A thread that was sent into the tail, and how to know that it will never be there again.
//!
//! The code takes less than a millisecond, but a signal handler may run on top of it and return
//! into it later. Until that is ruled out nothing in the tail may be overwritten. There are two
//! proofs, both taken while the thread sleeps:
//! - it sleeps where it slept before, at the same depth of its stack;
//! - nothing on its stack is a signal frame that returns into the tail. The kernel saves the
//!   interrupted stack pointer and instruction pointer side by side (`struct sigcontext`), and
//!   our code never moves the stack pointer, so the two words are known.

use std::os::unix::fs::FileExt;

use crate::Error;
use crate::borrow::held::Held;
use crate::borrow::tail::{Guest, Tail};
use crate::borrow::threads::{Sleep, sleep_of};

/// A stack is searched this far above its pointer. Frames lie close to it; 8 MiB is the usual
/// size of a whole stack.
const SEARCH: u64 = 8 << 20;
/// Read at a time.
const BLOCK: usize = 64 << 10;

/// Whether `guest` is certainly out of the tail: at a glance.
///
/// `thread` is its id as we know it.
pub(crate) fn is_back(holder: &Held, thread: u32, guest: Guest) -> Result<bool, Error> {
    let Some(bytes) = holder.process.read(&format!("task/{thread}/syscall"))? else {
        // It ended.
        return Ok(true);
    };
    Ok(Sleep::parse(&bytes).is_some_and(|sleep| sleep.pc == guest.pc && sleep.sp == guest.sp))
}

/// Whether `guest` is certainly out of the tail, wherever it went: by searching its stack.
pub(crate) fn is_elsewhere(
    holder: &Held,
    tail: Tail,
    thread: u32,
    guest: Guest,
) -> Result<bool, Error> {
    let Some(before) = sleep_of(holder, thread)? else {
        return Ok(false);
    };
    if tail.contains(before.pc) {
        return Ok(false);
    }
    let switches = crate::borrow::threads::switches(holder, thread)?;
    if returns_into(holder, tail, before.sp, guest.sp) {
        return Ok(false);
    }
    // It must have slept through the search.
    Ok(sleep_of(holder, thread)? == Some(before)
        && crate::borrow::threads::switches(holder, thread)? == switches)
}

/// Whether a signal frame above `sp` returns into the tail with `saved_sp`.
fn returns_into(holder: &Held, tail: Tail, sp: u64, saved_sp: u64) -> bool {
    let mut block = vec![0; BLOCK];
    let mut at = sp & !7;
    let end = at.saturating_add(SEARCH);
    let mut last = 0;
    while at < end {
        // Up to the end of the page first, so that a read ends where the mapping does.
        let to_page = (BLOCK as u64).saturating_sub(at % 4096);
        let length = usize::try_from(to_page.min(end.saturating_sub(at))).unwrap_or(BLOCK);
        let Some(piece) = block.get_mut(..length) else {
            return false;
        };
        let read = holder.memory.read_at(piece, at).unwrap_or(0);
        for word in piece.get(..read).unwrap_or_default().as_chunks::<8>().0 {
            let word = u64::from_ne_bytes(*word);
            if last == saved_sp && tail.contains(word) {
                return true;
            }
            last = word;
        }
        if read < length {
            return false;
        }
        at = at.saturating_add(read as u64);
    }
    false
}
