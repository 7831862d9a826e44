//! Attacks of a process in a container that nobody trusts: none may blind, kill, starve or
//! misdirect Sexton. One file a kind of attack; `docs/security.md` says which promise each holds.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)] // tests read files of their own

#[path = "../agent/agent.rs"]
#[allow(dead_code)] // of the harness of the agent's own tests, a part is enough here
mod agent;
mod breaker;
mod facts;
mod files;
mod identity;
mod latch;
mod load;
mod panic;
mod policies;
mod serving;
#[path = "../command/sexton.rs"]
#[allow(dead_code)] // the tests of the command use all of it
mod sexton;
mod starve;
mod target;

/// Whether the agent does what `SEXTON_FAULT` asks for: a build for use has no such points.
///
/// # Errors
/// [`sexton_lab::Skip`] where not.
pub(crate) fn faults() -> Result<(), sexton_lab::Skip> {
    if cfg!(debug_assertions) {
        Ok(())
    } else {
        Err(sexton_lab::Skip(
            "a release build fails at no point that a test asks for".to_owned(),
        ))
    }
}
