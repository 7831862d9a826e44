//! What can go wrong while acting.

use std::io;

/// Why a plan could not be made, or not be carried out.
///
/// A process that ends in the middle is no error, and neither is a refusal: see
/// [`ReapOutcome`](crate::ReapOutcome) and [`Refusal`](crate::Refusal).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be read.
    #[error(transparent)]
    Scan(#[from] sexton_scan::Error),
    /// A system call failed in a way that has no outcome of its own.
    #[error("{what} of process {pid}: {}", sexton_core::text::os(source))]
    System {
        /// What was tried.
        what: &'static str,
        /// On which process or thread.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// A plan with a refusal was to be carried out.
    #[error("the plan is refused: {0}")]
    Refused(crate::Refusal),
}

impl Error {
    pub(crate) fn system(what: &'static str, pid: u32) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, pid, source }
    }
}
