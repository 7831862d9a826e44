//! The one document: what is known about one node at one moment.
//!
//! `sexton scan -o json` prints it, the agent publishes it, the page and the kubectl plugin
//! draw it. Field names are camelCase, as everywhere in the Kubernetes API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forecast::Starts;
use crate::{Birthplace, Cause, Ending, ExitSignal, Forecast, Holder, Limit, Owner, ProcessId};

/// Version of the report's schema; changes when a reader of the former one would misread.
pub const API_VERSION: &str = "sexton.dev/v1alpha1";
/// Kind of the document, in the manner of the Kubernetes API. What of it goes to the cluster is the
/// `status` of a `ZombieReport`, a resource with a schema of its own (crate `sexton-cluster`).
pub const KIND: &str = "NodeReport";

/// So many zombies of one holder want somebody's attention, whatever the limits are.
pub const MANY: u64 = 100;
/// So many percent of a limit used want attention, while there are zombies.
pub const NEAR_PERCENT: u8 = 80;

/// What is known about one node at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// The machine.
    pub node: Node,
    /// When the scan began: RFC 3339, UTC.
    pub scanned_at: String,
    /// All zombies that were found, false ones excluded.
    pub zombies: u64,
    /// One entry a holder, largest first.
    pub leaks: Vec<Leak>,
    /// The limits of the whole machine.
    pub limits: Vec<Limit>,
    /// Limits of cgroups and of what was asked for at which `fork` or `pthread_create` fails now,
    /// with or without zombies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Limit>,
    /// Containers that are ending and cannot end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot_end: Vec<Ending>,
    /// Whether each container will end on its stop signal; filled by `audit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_signals: Vec<ExitSignal>,
    /// What could not be seen, and other things the reader ought to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How the scan was made.
    pub scan: Scan,
}

impl Report {
    /// Keeps the leaks that `wanted` admits; the number of zombies follows.
    pub fn retain(&mut self, wanted: impl FnMut(&Leak) -> bool) {
        self.leaks.retain(wanted);
        self.zombies = self.leaks.iter().map(|leak| leak.zombies).sum();
    }
}

/// The machine that was scanned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Host name.
    pub name: String,
    /// Kernel release (`uname -r`).
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`: pids and start times mean nothing across boots.
    pub boot_id: String,
    /// How cgroups are mounted.
    pub cgroups: CgroupMode,
}

/// How cgroups are mounted, see `cgroups(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CgroupMode {
    /// One hierarchy with a `pids` controller of its own and no unified one.
    V1,
    /// v1 controllers beside an (often empty) unified hierarchy.
    Hybrid,
    /// The unified hierarchy alone.
    V2,
    /// No cgroup file system was found.
    None,
}

/// How a scan was made and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    /// How much had to be read.
    pub method: Method,
    /// Wall time in microseconds.
    pub micros: u64,
    /// cgroups whose counters were compared.
    pub cgroups: u64,
    /// Entries of `/proc` that were opened.
    pub processes_read: u64,
    /// How many facts about single processes and cgroups could not be read, by the name of the
    /// file; `notes` of the leak, or of the report, say why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable_facts: BTreeMap<String, u64>,
}

/// How much a scan had to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Counters of the cgroups alone: they said that there is nothing to look for.
    Quiet,
    /// Children of the processes of those cgroups whose counters did not add up.
    Census,
    /// All of `/proc`.
    Walk,
}

/// All zombies of one holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Leak {
    /// The process that ought to wait.
    pub holder: Holder,
    /// The holder's container; absent for a process of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Why this holder is never touched; absent for all others. See [`crate::protect`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<String>,
    /// How many zombies, exactly.
    pub zombies: u64,
    /// How many of them were read one by one; below `zombies` where an even sample was taken,
    /// and then `commands`, `ages` and `sample` speak of the sample.
    pub inspected: u64,
    /// Names of the ended commands with their counts, most frequent first. Counts are scaled up
    /// to `zombies` where `inspected` is less.
    pub commands: Vec<CommandCount>,
    /// When they were started and when they died.
    pub ages: Ages,
    /// A few of the zombies, oldest first.
    pub sample: Vec<Zombie>,
    /// Why they stay, best first; filled by `explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Where in its program the holder started children while it was watched: places with zombies
    /// first, at most 32; filled by `explain --trace`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<Birthplace>,
    /// When a limit is reached; filled where the leak was watched for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What is not known of the holder and its container, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A command name and how many of a leak's zombies bear it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandCount {
    /// `comm` of the ended process.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Ages of a leak's zombies, in seconds.
///
/// The kernel keeps no time of death in `stat`. The start of a process bounds it from above;
/// `se.exec_start` of `/proc/PID/sched`, where the kernel shows it, is the moment at which the
/// process last ran, in the clock of its last CPU, and bounds it from below (`docs/design.md`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ages {
    /// Seconds since the start of the oldest: none of them is dead for longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
    /// Seconds since the start of the youngest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub youngest_seconds: Option<u64>,
    /// Of those inspected, how many were started in the last minute, 10 minutes, hour: the
    /// leak's history as the standing zombies tell it, in one look. Scaled like `commands`.
    pub started: Started,
    /// The same start by start, for a forecast: of this look, and no part of the document.
    #[serde(skip)]
    pub starts: Starts,
}

/// How many of the standing zombies were started in the last so many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// In the last 60 seconds.
    pub last_minute: u64,
    /// In the last 600 seconds.
    pub last_ten_minutes: u64,
    /// In the last 3,600 seconds.
    pub last_hour: u64,
}

/// One ended process that nobody has waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Zombie {
    /// Who it was.
    #[serde(flatten)]
    pub id: ProcessId,
    /// Its pid in each PID namespace, outermost first; the last is what its container sees.
    pub ns_pids: Vec<u32>,
    /// `comm`.
    pub name: String,
    /// Exit status as `wait4` would give it (`wait(2)`); `None` where the kernel hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

/// How a process ended: field 52 of `/proc/PID/stat`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// It called `exit` with this code.
    Code(u8),
    /// This signal ended it.
    Signal(u8),
}

impl Exit {
    /// From a wait status, as in `wait(2)`.
    #[must_use]
    pub fn from_wait_status(status: u32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Code(high),
            signal => Self::Signal(signal),
        }
    }
}

/// The container that a process belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The runtime's id for it; `pidns:INODE` for a PID namespace that no runtime's mark names.
    pub id: String,
    /// What made it, as far as its cgroup path says.
    pub runtime: Runtime,
    /// Its name, where a file on the node gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// What its pod belongs to, where the API server tells: `Deployment/crawler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its cgroup's path below the mount, as seen from the scanning process.
    pub cgroup: String,
}

impl Container {
    /// The short form of the id that people know from `docker ps` and `crictl ps`.
    #[must_use]
    pub fn short_id(&self) -> &str {
        let hex = self.id.len() >= 32 && self.id.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { &self.id[..12] } else { &self.id }
    }
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Runtime {
    /// Docker Engine.
    Docker,
    /// containerd by itself or through the CRI.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman (libpod).
    Podman,
    /// systemd-nspawn or machined.
    Nspawn,
    /// LXC or LXD.
    Lxc,
    /// A container (own cgroup and PID namespace) whose maker is not known: runc or crun by hand,
    /// a kubelet's cgroupfs path without a mark of the runtime.
    Unknown,
}

/// A pod as far as files on the node name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// `metadata.uid`, with dashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `metadata.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `metadata.namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
