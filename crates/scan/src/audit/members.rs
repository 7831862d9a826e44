//! Which processes belong to which container, and which of them is the main one.

use std::collections::HashMap;

use sexton_core::Container;

use super::by_hand;
use crate::notes::Notes;
use crate::{Error, Scanner, Seen};

/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// The living processes of one container.
pub(super) struct Group {
    pub(super) container: Container,
    pub(super) members: Vec<Member>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) start_ticks: u64,
}

impl Group {
    /// The process that the runtime started first: its parent is outside, as is that of a
    /// process that `exec` put in, but none is older.
    pub(super) fn main(&self) -> Option<Member> {
        let inside = |pid| self.members.iter().any(|member| member.pid == pid);
        let from_outside = self.members.iter().filter(|member| !inside(member.parent));
        from_outside
            .min_by_key(|member| (member.start_ticks, member.pid))
            .copied()
    }

    /// Children of one, oldest first.
    pub(super) fn children(&self, parent: u32) -> Vec<Member> {
        let children = self.members.iter().filter(|member| member.parent == parent);
        let mut children: Vec<Member> = children.copied().collect();
        children.sort_by_key(|member| (member.start_ticks, member.pid));
        children
    }

    /// All of its pids.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.pid).collect()
    }
}

/// All containers, in no promised order, and how many PID namespaces no runtime marked: a
/// browser's sandbox is one, and nobody stops it by a signal.
///
/// # Errors
/// `/proc` itself cannot be listed.
pub(super) fn by_container(
    scanner: &mut Scanner,
    notes: &mut Notes,
) -> Result<(Vec<Group>, usize), Error> {
    let mut groups: HashMap<String, Group> = HashMap::new();
    let mut known = Seen::default();
    for pid in scanner.proc.pids()? {
        let Some(stat) = notes.take(scanner.proc.stat(pid, &mut scanner.buffer)) else {
            continue;
        };
        if stat.is_reapable_zombie() || stat.flags & KERNEL_THREAD != 0 {
            continue;
        }
        let container = scanner.contained(pid, &mut known, notes);
        let Some(container) = notes.take(container) else {
            continue;
        };
        let group = groups.entry(container.id.clone()).or_insert_with(|| Group {
            container,
            members: Vec::new(),
        });
        group.members.push(Member {
            pid,
            parent: stat.parent,
            start_ticks: stat.start_ticks,
        });
    }
    by_hand::add(scanner, &mut groups, notes);
    let all = groups.len();
    groups.retain(|id, _| !id.starts_with("pidns:"));
    let unmarked = all.saturating_sub(groups.len());
    Ok((groups.into_values().collect(), unmarked))
}
