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

impl Limit {
    /// What is left of it; `None` where it is unlimited or unread.
    #[must_use]
    pub fn headroom(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.used?))
    }
}

/// The kinds of limits, in the order in which the kernel checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LimitKind {
    /// `RLIMIT_NPROC` (`getrlimit(2)`): tasks of one real user in one user namespace.
    Nproc,
    /// `/proc/sys/kernel/threads-max` (`proc_sys_kernel(5)`).
    ThreadsMax,
    /// `pids.max` of a cgroup; systemd calls it `TasksMax`.
    CgroupPids,
    /// `/proc/sys/kernel/pid_max`; from Linux 6.14 each PID namespace has its own.
    PidMax,
    /// `/proc/sys/vm/max_map_count`: every thread's stack takes one or two mappings.
    MaxMapCount,
}
