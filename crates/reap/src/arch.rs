//! What depends on the processor: the code that a borrowed thread runs, and what its registers
//! say about the system call that it sleeps in. One file an architecture.

#[cfg(target_arch = "x86_64")]
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

impl Errand<'_> {
    /// System calls that it makes.
    pub(crate) fn calls(self) -> usize {
        match self {
            Self::WaitFor(pids) => pids.len(),
            Self::DefaultSigchld { .. } => 1,
        }
    }
}
