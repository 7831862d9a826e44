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

    /// How much of it cannot be had any more, in percent, rounded down: 100 is the limit itself,
    /// where there is no headroom. `None` where it is unlimited or unread.
    #[must_use]
    pub fn used_percent(&self) -> Option<u8> {
        let most = self.limit?;
        let taken = most - self.headroom()?;
        let percent = taken.saturating_mul(100).checked_div(most).unwrap_or(100);
        u8::try_from(percent).ok()
    }

    /// How near it is.
    #[must_use]
    pub fn nearness(&self) -> Nearness {
        self.used_percent()
            .map_or(Nearness::Far, Nearness::of_percent)
    }

    /// Every task takes one of it, a zombie too; of mappings only living threads do.
    #[must_use]
    pub fn counts_zombies(&self) -> bool {
        self.kind != LimitKind::MaxMapCount
    }
}

/// From so many percent a limit wants attention.
const FILLING: u8 = 70;
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
}
