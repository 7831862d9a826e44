//! Who lives in a PID namespace whose PID 1 is ending.

use std::collections::HashMap;

use super::Member;
use crate::Scanner;
use crate::identity::TALLEST;
use crate::notes::Notes;

impl Scanner {
    /// The other members of these namespaces, and of those nested in them: they count there, too.
    pub(super) fn members(
        &self,
        firsts: &HashMap<u64, Member>,
        notes: &mut Notes,
    ) -> HashMap<u64, Vec<u32>> {
        let mut members: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut others = Vec::new();
        for pid in notes.take(self.proc.pids().map(Some)).unwrap_or_default() {
            match notes.take(self.proc.ns_inode(pid, "pid")) {
                Some(inode) if firsts.contains_key(&inode) => {
                    members.entry(inode).or_default().push(pid);
                }
                Some(inode) if Some(inode) != self.host.pid => others.push(pid),
                _ => {}
            }
        }
        // PID 1 itself is no other.
        for (inode, first) in firsts {
            if let Some(of_it) = members.get_mut(inode) {
                of_it.retain(|pid| *pid != first.stat.pid);
            }
        }
        // What nothing explains so far is kept by namespaces below, whose PID 1 may be ending or not.
        let unexplained = |inode: &u64| members.get(inode).is_none_or(Vec::is_empty);
        let outers: Vec<u64> = firsts.keys().copied().filter(unexplained).collect();
        if outers.is_empty() {
            return members;
        }
        let mut below: Vec<(u64, Vec<u32>)> = Vec::new();
        for (inode, first) in firsts {
            let of_it = members.get(inode).cloned().unwrap_or_default();
            for outer in self.namespaces_above(first.stat.pid, notes) {
                below.push((outer, of_it.clone()));
            }
        }
        for pid in others {
            for outer in self.namespaces_above(pid, notes) {
                below.push((outer, vec![pid]));
            }
        }
        for (outer, pids) in below.into_iter().filter(|(at, _)| outers.contains(at)) {
            members.entry(outer).or_default().extend(pids);
        }
        members
    }

    /// The PID namespaces, other than its own and the host's, that a process lives in: those of
    /// its parents. Whoever is no child of one of its members was not started in it.
    fn namespaces_above(&self, pid: u32, notes: &mut Notes) -> Vec<u64> {
        let mut found = Vec::new();
        let own = notes.take(self.proc.ns_inode(pid, "pid"));
        let (mut at, mut buffer) = (pid, Vec::new());
        for _ in 0..TALLEST {
            let inode = notes.take(self.proc.ns_inode(at, "pid"));
            if inode.is_none() || inode == self.host.pid {
                break;
            }
            found.extend(inode.filter(|_| inode != own && found.last() != inode.as_ref()));
            let stat = notes.take(self.proc.stat(at, &mut buffer));
            match stat.map_or(0, |stat| stat.parent) {
                0 => break,
                parent => at = parent,
            }
        }
        found
    }
}
