//! Saying that a test cannot run here, and why.

use std::io::Write;

/// Why a situation cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Skip(pub String);

impl Skip {
    pub(crate) fn because<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

/// The thing, or `None` after a line `SKIP: test: reason`, upon which the test returns.
///
/// Written past libtest's capture of output, which shows nothing of a test that passes.
pub fn require<T>(what: Result<T, Skip>) -> Option<T> {
    match what {
        Ok(thing) => Some(thing),
        Err(reason) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("?");
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(std::io::stderr().lock(), "SKIP: {test}: {reason}");
            None
        }
    }
}

/// Root in the machine's own user namespace, as containers and cgroups need.
///
/// # Errors
/// [`Skip`] for everybody else.
pub fn require_root() -> Result<(), Skip> {
    if !rustix::process::geteuid().is_root() {
        return Skip::because("not root");
    }
    // In a user namespace uid 0 is not the machine's.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if map.split_whitespace().nth(2) != Some("4294967295") {
        return Skip::because("root only inside a user namespace");
    }
    Ok(())
}
