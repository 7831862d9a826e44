//! What depends on the processor: the code that a borrowed thread runs, and what its registers
//! say about the system call that it sleeps in. One file an architecture.

use crate::bpf::Call;

#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "an assembler: it computes with the lengths of its own code, and stores what comes \
              from the thread as it is"
)]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

/// Whether a thread can be borrowed on this architecture. Elsewhere than on x86-64 the plan is
/// refused; aarch64 has no register free for the last jump and needs another last step.
pub(crate) const SUPPORTED: bool = cfg!(target_arch = "x86_64");

#[cfg(not(target_arch = "x86_64"))]
mod unsupported;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use unsupported::*;

/// What has been written for a borrowed thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Bytes of header, code and table.
    pub(crate) length: usize,
    /// The call that it makes, as a seccomp filter sees it. Of [`Errand::WaitFor`] the first
    /// argument is each of the pids in turn.
    pub(crate) call: Call,
}

/// What a borrowed thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand<'a> {
    /// Waits for each of these, given as the holder numbers them: `wait4(2)`.
    WaitFor(&'a [u32]),
    /// Sets what the kernel does when a child ends: `rt_sigaction(2)` of SIGCHLD, the default
    /// action with these flags.
    DefaultSigchld {
        /// `SA_*`
        flags: u64,
    },
}

impl<'a> Errand<'a> {
    /// The first arguments of its calls, where these differ.
    pub(crate) fn pids(self) -> &'a [u32] {
        match self {
            Self::WaitFor(pids) => pids,
            Self::DefaultSigchld { .. } => &[],
        }
    }

    /// System calls that it makes.
    pub(crate) fn calls(self) -> usize {
        self.pids().len().max(1)
    }

    /// Their name.
    pub(crate) fn call_name(self) -> &'static str {
        match self {
            Self::WaitFor(_) => "wait4",
            Self::DefaultSigchld { .. } => "rt_sigaction",
        }
    }
}
