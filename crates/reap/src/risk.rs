//! The one thing that a visit cannot rule out: that a pid of its table belongs to another child by
//! the time it is waited for.
//!
//! A zombie keeps its pid until its parent waits for it. The borrowed thread itself can do nothing
//! in between, but another thread of the holder can, or a handler for SIGCHLD on top of it: it
//! waits for that very zombie, starts a child that gets the same pid, and that ends at once, all
//! between our last look and the call. So of a holder that is known to wait by itself few are
//! taken at a time, after a look while the thread stands still; and where it cannot be excluded
//! in the end, the outcome says so.

use sexton_core::SigchldAction;
use sexton_scan::proc::Proc;

use crate::Error;
use crate::borrow::held::Held;

/// So many at a time from a holder that waits by itself.
const FEW: usize = 16;

/// How likely that is of one holder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Risk {
    /// Code of the holder can run while a thread of it is borrowed.
    exists: bool,
    /// It has waited for children by itself, or is about to.
    pub(crate) waits: bool,
}

impl Risk {
    pub(crate) fn of(held: &Held) -> Result<Self, Error> {
        let stat = held.process.stat()?;
        let status = held.process.status()?;
        Ok(Self {
            exists: stat.as_ref().is_none_or(|stat| stat.threads > 1)
                || status.is_none_or(|status| status.sigchld() == SigchldAction::Caught),
            waits: stat.is_none_or(|stat| stat.children_minor_faults > 0),
        })
    }

    /// Threads and handlers may have come since.
    pub(crate) fn look_again(&mut self, held: &Held) -> Result<(), Error> {
        self.exists |= Self::of(held)?.exists;
        Ok(())
    }

    pub(crate) fn exists(self) -> bool {
        self.exists
    }

    pub(crate) fn is_high(self) -> bool {
        self.exists && self.waits
    }

    /// How many to take at a time, where `usual` would do otherwise.
    pub(crate) fn batch(self, usual: usize) -> usize {
        if self.is_high() {
            usual.min(FEW)
        } else {
            usual
        }
    }

    /// How many processes and threads have ever been created on this machine (`proc_stat(5)`): no
    /// pid has been given to another while this stays the same. `None` where there is no need to
    /// know, or no way.
    pub(crate) fn created(self, proc: &Proc) -> Option<u64> {
        if !self.exists {
            return None;
        }
        let stat = proc.read("stat").ok()??;
        let line = stat
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"processes "))?;
        std::str::from_utf8(line).ok()?.trim().parse().ok()
    }
}
