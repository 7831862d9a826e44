//! The process that ought to wait.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The identity of a process: a pid alone is not one, since pids are reused, at the limit
/// within milliseconds.
///
/// Both values are those of the PID namespace and boot that the report was made in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    /// Process id as the scanning process sees it.
    pub pid: u32,
    /// Start time in clock ticks since boot: field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`).
    pub start_ticks: u64,
}

/// Scheduling state: field 3 of `/proc/PID/stat` (`proc_pid_stat(5)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// `R`
    Running,
    /// `S`
    Sleeping,
    /// `D`: uninterruptible; such a process can neither wait nor be traced until it wakes.
    DiskSleep,
    /// `T`: stopped by a signal; it may wait for its children once it is continued.
    Stopped,
    /// `t`: stopped by a tracer.
    Traced,
    /// `Z`: itself a zombie.
    Zombie,
    /// `X`, `x`
    Dead,
    /// `I`: an idle kernel thread.
    Idle,
    /// `P`: parked kernel thread.
    Parked,
    /// A letter that this version does not know.
    Other,
}

impl State {
    /// The state for a letter of `/proc/PID/stat`.
    #[must_use]
    pub fn from_letter(letter: u8) -> Self {
        match letter {
            b'R' => Self::Running,
            b'S' => Self::Sleeping,
            b'D' => Self::DiskSleep,
            b'T' => Self::Stopped,
            b't' => Self::Traced,
            b'Z' => Self::Zombie,
            b'X' | b'x' => Self::Dead,
            b'I' => Self::Idle,
            b'P' => Self::Parked,
            _ => Self::Other,
        }
    }
}

/// What a process does when a child of it ends: `SigIgn` and `SigCgt` of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SigchldAction {
    /// No handler: a nudge (SIGCHLD) cannot help.
    Default,
    /// Ignored: new children leave no zombies, but those already there stay.
    Ignored,
    /// A handler is there: a nudge may help.
    Caught,
}

/// Why the holder is the one that has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HoldsAs {
    /// It is the parent.
    Parent,
    /// It traces the zombies: `wait4` of the real parent does not see them until the tracer
    /// has waited (`TracerPid` of the zombie).
    Tracer,
}

/// The process that ought to wait for the zombies of a leak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Who it is.
    #[serde(flatten)]
    pub id: ProcessId,
    /// Its pid in each PID namespace, outermost first: `NSpid` of `/proc/PID/status`.
    pub ns_pids: Vec<u32>,
    /// Inode of its PID namespace; `None` where `/proc/PID/ns/pid` could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<u64>,
    /// It belongs to the host: it is in the host's PID namespace, and in the host's mount
    /// namespace or started by a process that is. True where that cannot be told.
    #[serde(default = "yes")]
    pub of_host: bool,
    /// The kernel's name for it (`comm`), at most 15 bytes; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Its arguments; empty for a kernel thread or a process that hides them.
    pub command_line: Vec<String>,
    /// Target of `/proc/PID/exe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Its parent.
    pub parent_pid: u32,
    /// Real user id.
    pub uid: u32,
    /// Number of threads.
    pub threads: u32,
    /// State of its main thread.
    pub state: State,
    /// Held by the cgroup freezer (v1 `freezer.state`, v2 `cgroup.freeze`).
    pub frozen: bool,
    /// The process that traces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traced_by: Option<u32>,
    /// It is PID 1 of its PID namespace, so orphans come to it.
    pub namespace_init: bool,
    /// It took the orphans of its descendants upon itself (`PR_SET_CHILD_SUBREAPER`), as far
    /// as that can be told from its children; `false` where unknown.
    #[serde(default)]
    pub subreaper: bool,
    /// Parent or tracer.
    pub holds_as: HoldsAs,
    /// What it does on SIGCHLD.
    pub sigchld: SigchldAction,
    /// SIGCHLD is blocked in its main thread.
    pub sigchld_blocked: bool,
}

fn yes() -> bool {
    true
}

impl Holder {
    /// The pid by which the holder's own container knows it.
    #[must_use]
    pub fn inner_pid(&self) -> u32 {
        self.ns_pids.last().copied().unwrap_or(self.id.pid)
    }

    /// A kernel thread: child of kthreadd (pid 2) or kthreadd itself, with no executable.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.executable.is_none()
            && self.command_line.is_empty()
            && (self.id.pid == 2 || self.parent_pid == 2)
    }
}

/// A plain sleeping parent, for tests to change what they are about.
#[cfg(test)]
pub(crate) fn fixture(pid: u32) -> Holder {
    Holder {
        id: ProcessId {
            pid,
            start_ticks: 100,
        },
        ns_pids: vec![pid],
        pid_namespace: Some(4_026_531_836),
        of_host: true,
        name: "crawler".to_owned(),
        command_line: vec!["/app/crawler".to_owned()],
        executable: Some("/app/crawler".to_owned()),
        parent_pid: 1,
        uid: 0,
        threads: 1,
        state: State::Sleeping,
        frozen: false,
        traced_by: None,
        namespace_init: false,
        subreaper: false,
        holds_as: HoldsAs::Parent,
        sigchld: SigchldAction::Default,
        sigchld_blocked: false,
    }
}
