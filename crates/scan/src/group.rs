//! How to look, and the zombies that were found, by who holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use sexton_core::holder::HoldsAs;

/// How to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Read all of `/proc` and every zombie, whatever the counters say.
    pub full: bool,
    /// A zombie counts if it is still there after this time: its parent may be about to wait.
    pub second_look: Duration,
    /// A container cannot end if its PID 1 has been ending for this time and has not run.
    pub ending_for: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            full: false,
            second_look: Duration::from_millis(5),
            ending_for: Duration::from_secs(2),
        }
    }
}

/// The zombies of one holder, by pid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) holder: u32,
    pub(crate) holds_as: HoldsAs,
    pub(crate) zombies: Vec<u32>,
}

/// Zombies by their parent.
pub(crate) type ByParent = BTreeMap<u32, Vec<u32>>;

/// Adds a zombie to its holder's group.
pub(crate) fn add(groups: &mut Vec<Group>, holder: u32, holds_as: HoldsAs, zombie: u32) {
    match groups
        .iter_mut()
        .rev()
        .find(|group| group.holder == holder && group.holds_as == holds_as)
    {
        Some(group) => group.zombies.push(zombie),
        None => groups.push(Group {
            holder,
            holds_as,
            zombies: vec![zombie],
        }),
    }
}
