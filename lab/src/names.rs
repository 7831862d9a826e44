//! Names that say who made a thing, so that leftovers can be told from what is in use.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::start_ticks;

/// How the name of everything begins that the tests make.
pub const PREFIX: &str = "sexton-test-";

/// `sexton-test-PID.START-N-LABEL`: pid and start time are the maker's. A cgroup, or a temporary
/// directory, that is named so is swept when its maker has ended without removing it.
#[must_use]
pub fn unique(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let start = start_ticks(pid).unwrap_or(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{pid}.{start}-{n}-{label}")
}

/// The name is one of ours and its maker has ended.
pub(crate) fn is_leftover(name: &str) -> bool {
    maker(name).is_some_and(|(pid, start)| start_ticks(pid) != Some(start))
}

fn maker(name: &str) -> Option<(u32, u64)> {
    let (identity, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (pid, start) = identity.split_once('.')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ended_makers_are_leftovers() {
        assert!(!is_leftover(&unique("x")));
        let pid = std::process::id();
        assert!(is_leftover(&format!("{PREFIX}{pid}.1-0-x")));
        assert!(!is_leftover("sexton-test-by-hand"));
        assert!(!is_leftover("docker"));
    }

    #[test]
    fn names_differ() {
        assert_ne!(unique("x"), unique("x"));
    }
}
