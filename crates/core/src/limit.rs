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
    /// How much is taken; `None` where it cannot be read. Tasks, mappings or bytes, by its kind.
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
    /// How much one more task takes of it: 1, or of memory the bytes of one more thread's stack.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub each: u64,
    /// How much of `used` is zombies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zombies: Option<u64>,
    /// Of all the limits shown, this one is reached first.
    #[serde(default)]
    pub first: bool,
    /// Who has taken most of it, the largest first, where several share it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<LimitUser>,
    /// What a reader ought to know about it, for instance why it does not bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who takes of a limit that several share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitUser {
    /// The container or pod, or the program where it runs on the host.
    pub name: String,
    /// How much of the limit is its, zombies included.
    pub used: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_one(number: &u64) -> bool {
    *number == 1
}

fn one() -> u64 {
    1
}

impl Limit {
    /// One of which nothing is known yet but where it is set.
    #[must_use]
    pub fn new(kind: LimitKind, scope: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            kind,
            scope: scope.into(),
            source: source.into(),
            used: None,
            limit: None,
            reserved: 0,
            each: 1,
            zombies: None,
            first: false,
            users: Vec::new(),
            note: None,
        }
    }

    /// For how many more tasks there is room; `None` where it is unlimited or unread.
    #[must_use]
    pub fn headroom(&self) -> Option<u64> {
        let taken = self.used?.saturating_add(self.reserved);
        let left = self.limit?.saturating_sub(taken);
        Some(left.checked_div(self.each).unwrap_or(left))
    }

    /// No further task can be had.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.headroom() == Some(0)
    }

    /// How much of it cannot be had any more, in percent, rounded down: 100 is the limit itself,
    /// where there is no headroom. `None` where it is unlimited or unread.
    #[must_use]
    pub fn used_percent(&self) -> Option<u8> {
        let most = self.limit?;
        if self.is_reached() {
            return Some(100);
        }
        let taken = self.used?.saturating_add(self.reserved).min(most);
        // Of bytes, a hundred times as many may be more than 64 bits hold.
        let percent = (u128::from(taken) * 100).checked_div(most.into());
        u8::try_from(percent.unwrap_or(100)).ok()
    }

    /// How near it is.
    #[must_use]
    pub fn nearness(&self) -> Nearness {
        self.used_percent()
            .map_or(Nearness::Far, Nearness::of_percent)
    }

    /// Every task takes one of it, a zombie too; of mappings and memory only living threads do.
    #[must_use]
    pub fn counts_zombies(&self) -> bool {
        !self.kind.threads_only()
    }
}

/// From so many percent a limit wants attention.
pub const FILLING: u8 = 70;
/// From so many percent it is bad.
const NEARLY_FULL: u8 = 90;

/// How near a limit is: what is drawn in which colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// Far, or not known.
    Far,
    /// From 70%.
    Filling,
    /// From 90%.
    NearlyFull,
}

impl Nearness {
    /// Of so many percent that are used.
    #[must_use]
    pub fn of_percent(percent: u8) -> Self {
        match percent {
            NEARLY_FULL.. => Self::NearlyFull,
            FILLING.. => Self::Filling,
            _ => Self::Far,
        }
    }
}

/// The limit that is reached first when tasks are added one by one: the one with the least
/// headroom, and among equals the first in the list, which is the first that the kernel checks
/// when the list is in the order of [`LimitKind`].
#[must_use]
pub fn first_of(limits: &[Limit]) -> Option<&Limit> {
    position_of_first(limits).map(|index| &limits[index])
}

/// Sets [`Limit::first`] on the limit that is named as the one to look at, and on no other: the
/// one that [`first_of`] names, or, where `fork` has room still and no thread can be started, the
/// limit that stops threads.
pub fn mark_first(limits: &mut [Limit]) {
    let fork = position_of_least(limits, Limit::counts_zombies);
    let threads = position_of_least(limits, |limit| limit.kind.threads_only());
    let reached = |index: &usize| limits[*index].is_reached();
    let first = fork
        .filter(reached)
        .or(threads.filter(reached))
        .or(fork)
        .or(threads);
    for (index, limit) in limits.iter_mut().enumerate() {
        limit.first = Some(index) == first;
    }
}

/// The limit that threads reach before [`first_of`], where one does; `fork` is not held to it.
#[must_use]
pub fn first_of_threads(limits: &[Limit]) -> Option<&Limit> {
    let least = first_of(limits).and_then(Limit::headroom);
    let threads = position_of_least(limits, |limit| limit.kind.threads_only())?;
    let limit = &limits[threads];
    least
        .is_none_or(|least| limit.headroom() < Some(least))
        .then_some(limit)
}

fn position_of_first(limits: &[Limit]) -> Option<usize> {
    position_of_least(limits, Limit::counts_zombies)
}

/// Of those that `fit`, the one with the least headroom.
fn position_of_least(limits: &[Limit], fit: impl Fn(&Limit) -> bool) -> Option<usize> {
    (0..limits.len())
        .filter(|&index| fit(&limits[index]))
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
    /// `/proc/sys/vm/max_map_count`, which no zombie takes from: every thread's stack takes two
    /// mappings, itself and its guard, before `clone` is called at all.
    MaxMapCount,
    /// `RLIMIT_AS` (`ulimit -v`): bytes that a process has mapped, as those that follow are.
    AddressSpace,
    /// `RLIMIT_DATA` (`ulimit -d`): bytes that it may write and shares with no other process.
    Data,
    /// `RLIMIT_MEMLOCK` (`ulimit -l`), where all of its memory is locked.
    LockedMemory,
    /// `CommitLimit` of the machine, which binds with `vm.overcommit_memory` 2.
    Committed,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Threads, and zombies.
    Tasks,
    /// Ranges of addresses.
    Mappings,
    /// Bytes.
    Bytes,
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
            Self::AddressSpace => "RLIMIT_AS",
            Self::Data => "RLIMIT_DATA",
            Self::LockedMemory => "RLIMIT_MEMLOCK",
            Self::Committed => "CommitLimit",
        }
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Nproc | Self::ThreadsMax | Self::CgroupPids | Self::PidMax => Unit::Tasks,
            Self::MaxMapCount => Unit::Mappings,
            Self::AddressSpace | Self::Data | Self::LockedMemory | Self::Committed => Unit::Bytes,
        }
    }

    /// It stops `pthread_create`, whose stack does not fit, before `clone` is called at all; it
    /// gives `fork` no `EAGAIN`.
    #[must_use]
    pub fn threads_only(self) -> bool {
        self.unit() != Unit::Tasks
    }
}

/// A limit of `limit` with `used` taken.
#[cfg(test)]
pub(crate) fn fixture(kind: LimitKind, limit: u64, used: u64) -> Limit {
    Limit {
        used: Some(used),
        limit: Some(limit),
        ..Limit::new(kind, "node", "test")
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
    fn a_hundred_percent_is_the_limit_itself() {
        let limit = |most, used| fixture(LimitKind::CgroupPids, most, used);
        assert_eq!(limit(1_000, 999).used_percent(), Some(99));
        assert_eq!(limit(1_000, 1_000).used_percent(), Some(100));
        assert_eq!(limit(1_000, 2_000).used_percent(), Some(100));
        assert_eq!(limit(0, 0).used_percent(), Some(100));
        let mut reserved = limit(32_768, 32_500);
        reserved.reserved = 268;
        assert_eq!(
            (reserved.headroom(), reserved.used_percent()),
            (Some(0), Some(100))
        );
        assert_eq!(limit(100, 89).nearness(), Nearness::Filling);
        assert_eq!(limit(100, 90).nearness(), Nearness::NearlyFull);
        assert_eq!(limit(100, 69).nearness(), Nearness::Far);
    }

    /// Used and left are told side by side, and must not contradict each other.
    #[test]
    fn all_is_used_where_nothing_is_left_and_only_there() {
        for (most, used, reserved) in
            (0..40).flat_map(|m| (0..45).flat_map(move |u| (0..5).map(move |r| (m, u, r))))
        {
            let mut limit = fixture(LimitKind::PidMax, most, used);
            limit.reserved = reserved;
            assert_eq!(
                limit.headroom() == Some(0),
                limit.used_percent() == Some(100)
            );
        }
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

    #[test]
    fn what_stops_threads_is_named_where_it_is_reached_and_fork_has_room() {
        let named = |limits: &mut [Limit]| {
            mark_first(limits);
            let mut first = limits.iter().filter(|limit| limit.first);
            let kind = first.next().map(|limit| limit.kind);
            assert_eq!(first.next(), None);
            kind
        };
        let mut limits = vec![
            fixture(LimitKind::PidMax, 100, 90),
            fixture(LimitKind::MaxMapCount, 50, 49),
        ];
        limits[1].each = 2;
        assert_eq!(named(&mut limits), Some(LimitKind::MaxMapCount));
        assert_eq!(first_of(&limits).unwrap().kind, LimitKind::PidMax);
        limits[0].used = Some(100);
        assert_eq!(named(&mut limits), Some(LimitKind::PidMax));
        assert_eq!(first_of_threads(&limits), None);
        limits[0].used = Some(90);
        limits[1].used = Some(40);
        assert_eq!(named(&mut limits), Some(LimitKind::PidMax));
        let threads = first_of_threads(&limits).map(|limit| limit.kind);
        assert_eq!(threads, Some(LimitKind::MaxMapCount));
        limits.remove(0);
        assert_eq!(named(&mut limits), Some(LimitKind::MaxMapCount));
    }

    #[test]
    fn memory_is_used_up_where_no_further_stack_fits() {
        let mut memory = fixture(LimitKind::AddressSpace, u64::MAX, u64::MAX - 20);
        memory.each = 8;
        assert_eq!(
            (memory.headroom(), memory.used_percent()),
            (Some(2), Some(99))
        );
        memory.used = Some(u64::MAX - 7);
        assert_eq!(
            (memory.headroom(), memory.used_percent()),
            (Some(0), Some(100))
        );
    }
}
