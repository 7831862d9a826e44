//! Limits that make `fork`, `clone` and `pthread_create` fail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One limit as it applies to one process, or to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// Which one.
    pub kind: LimitKind,
    /// Whom it counts, in a few words: `node`, `cgroup /kubepods/…`, `user 1000`.
    pub scope: String,
    /// Where it is set: the file or the manual page's name for it.
    pub source: String,
    /// How much is taken; `None` where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// The limit; `None` means unlimited, or that it does not bind this process (see `note`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How much of `limit` is never given out, beyond what is used: of `pid_max` the free numbers
    /// below 300, which the kernel leaves aside once it has gone round (`RESERVED_PIDS`,
    /// kernel/pid.c).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u64,
    /// How much of `used` is zombies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zombies: Option<u64>,
    /// Of all the limits shown, this one is reached first.
    #[serde(default)]
    pub first: bool,
    /// What a reader ought to know about it, for instance why it does not bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Limit {
    /// How many more can be had; `None` where it is unlimited or unread.
    #[must_use]
    pub fn headroom(&self) -> Option<u64> {
        let taken = self.used?.saturating_add(self.reserved);
        Some(self.limit?.saturating_sub(taken))
    }

    /// Every task takes one of it, a zombie too; of mappings only living threads do.
    #[must_use]
    pub fn counts_zombies(&self) -> bool {
        self.kind != LimitKind::MaxMapCount
    }
}

/// The limit that is reached first when tasks are added one by one: the one with the least
/// headroom, and among equals the first in the list, which is the first that the kernel checks
/// when the list is in the order of [`LimitKind`].
#[must_use]
pub fn first_of(limits: &[Limit]) -> Option<&Limit> {
    position_of_first(limits).map(|index| &limits[index])
}

/// Sets [`Limit::first`] on the one that [`first_of`] names, and on no other.
pub fn mark_first(limits: &mut [Limit]) {
    let first = position_of_first(limits);
    for (index, limit) in limits.iter_mut().enumerate() {
        limit.first = Some(index) == first;
    }
}

fn position_of_first(limits: &[Limit]) -> Option<usize> {
    (0..limits.len())
        .filter(|&index| limits[index].counts_zombies())
        .filter_map(|index| Some((limits[index].headroom()?, index)))
        .min()
        .map(|(_, index)| index)
}

/// The kinds of limits, in the order in which `copy_process` (kernel/fork.c) checks them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum LimitKind {
    /// `RLIMIT_NPROC` (`getrlimit(2)`): tasks of one real user in one user namespace.
    Nproc,
    /// `/proc/sys/kernel/threads-max` (`proc_sys_kernel(5)`).
    ThreadsMax,
    /// `/proc/sys/kernel/pid_max`; from Linux 6.14 each PID namespace has its own.
    PidMax,
    /// `pids.max` of a cgroup; systemd calls it `TasksMax`. Checked from the innermost up.
    CgroupPids,
    /// `/proc/sys/vm/max_map_count`, which no zombie takes from: every thread's stack takes one
    /// or two mappings before `clone` is called at all.
    MaxMapCount,
}

impl LimitKind {
    /// The name by which people search for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nproc => "RLIMIT_NPROC",
            Self::ThreadsMax => "threads-max",
            Self::CgroupPids => "pids.max",
            Self::PidMax => "pid_max",
            Self::MaxMapCount => "max_map_count",
        }
    }
}

/// A limit of `limit` with `used` taken.
#[cfg(test)]
pub(crate) fn fixture(kind: LimitKind, limit: u64, used: u64) -> Limit {
    Limit {
        kind,
        scope: "node".to_owned(),
        source: "test".to_owned(),
        used: Some(used),
        limit: Some(limit),
        reserved: 0,
        zombies: None,
        first: false,
        note: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_leaves_out_what_is_never_given() {
        let mut limit = fixture(LimitKind::PidMax, 32_768, 32_000);
        limit.reserved = 200;
        assert_eq!(limit.headroom(), Some(568));
        limit.used = Some(40_000);
        assert_eq!(limit.headroom(), Some(0));
        limit.used = None;
        assert_eq!(limit.headroom(), None);
    }

    #[test]
    fn the_least_headroom_is_first_and_the_earlier_check_among_equals() {
        let mut limits = vec![
            fixture(LimitKind::Nproc, 100, 10),
            fixture(LimitKind::PidMax, 100, 90),
            fixture(LimitKind::CgroupPids, 50, 40),
            fixture(LimitKind::MaxMapCount, 50, 49),
        ];
        mark_first(&mut limits);
        let first: Vec<bool> = limits.iter().map(|limit| limit.first).collect();
        assert_eq!(first, [false, true, false, false]);
        assert_eq!(first_of(&[]), None);
    }
}
