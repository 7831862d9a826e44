//! Which processes are zombies, and whose.

use std::collections::BTreeMap;

use sexton_core::holder::HoldsAs;
use sexton_core::report::Method;

use crate::scan::{Group, Options};
use crate::{Error, Scanner, holder};

/// What the first look found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) groups: Vec<Group>,
    pub(crate) method: Method,
    pub(crate) cgroups: u64,
    pub(crate) notes: Vec<String>,
}

impl Scanner {
    pub(crate) fn find(&mut self, _options: &Options) -> Result<Found, Error> {
        let mut by_parent = BTreeMap::new();
        self.walk(&[], &mut by_parent)?;
        Ok(Found {
            groups: groups(by_parent),
            method: Method::Walk,
            cgroups: 0,
            notes: Vec::new(),
        })
    }

    /// Reads every process of `/proc` but those known to live (sorted): zombies by their parent.
    fn walk(&mut self, live: &[u32], found: &mut BTreeMap<u32, Vec<u32>>) -> Result<(), Error> {
        for pid in self.proc.pids()? {
            if live.binary_search(&pid).is_ok() {
                continue;
            }
            if let Some(stat) = holder::seen(self.proc.stat(pid, &mut self.buffer))?
                && stat.is_reapable_zombie()
            {
                found.entry(stat.parent).or_default().push(pid);
            }
        }
        Ok(())
    }
}

fn groups(by_parent: BTreeMap<u32, Vec<u32>>) -> Vec<Group> {
    by_parent
        .into_iter()
        .map(|(holder, zombies)| Group {
            holder,
            holds_as: HoldsAs::Parent,
            zombies,
        })
        .collect()
}
