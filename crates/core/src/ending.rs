//! A container that cannot end: its PID 1 is dead or dying, and something keeps it.
//!
//! PID 1 of a PID namespace ends last: it kills all others and waits until none of them is left, in
//! `zap_pid_ns_processes` (kernel/pid_namespace.c). Whoever does not go keeps it, and no signal
//! helps any more. When it is a zombie at last, it stays until its own parent, the runtime's
//! monitor, waits for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Container, ProcessId};

mod text;

/// A PID 1 that is ending and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// PID 1 of the container, as the node sees it.
    pub first: Named,
    /// Its container, where that is still known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Inode of its PID namespace; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<u64>,
    /// Seconds in which it has not run, at least: nothing has changed for that long. Absent where
    /// the kernel shows no such times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged_seconds: Option<u64>,
    /// What it waits for: members of its PID namespace, a few if there are many; PID 1 itself, if
    /// that is a zombie.
    pub held_by: Vec<Holdup>,
    /// Members beside those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A process and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Who it is.
    #[serde(flatten)]
    pub id: ProcessId,
    /// Its `comm`.
    pub name: String,
}

/// A process that has to go before the container can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holdup {
    /// Which.
    pub process: Named,
    /// Why it is there still.
    pub why: Why,
}

/// What keeps a process that was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Why {
    /// It has ended; its parent lives outside of the namespace and has not waited for it.
    #[serde(rename_all = "camelCase")]
    Parent {
        /// That parent.
        parent: Named,
        /// What keeps the parent from waiting, if that can be seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        hindrance: Option<Hindrance>,
        /// Why Sexton never touches the parent, if so.
        #[serde(skip_serializing_if = "Option::is_none")]
        protected: Option<String>,
        /// The parent is of the host.
        of_host: bool,
    },
    /// A tracer has not let it go.
    Tracer {
        /// That tracer.
        tracer: Named,
    },
    /// Its cgroup is frozen. On v1 not even SIGKILL gets through; on v2 it does, so there it is
    /// the parent of a zombie that is met frozen ([`Hindrance::Frozen`]).
    Frozen {
        /// The file to write, of the cgroup that was frozen by name.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// What to write into it.
        value: String,
    },
    /// It waits in the kernel, where no signal is taken.
    #[serde(rename_all = "camelCase")]
    Kernel {
        /// The thread that does, where it is not the first.
        #[serde(skip_serializing_if = "Option::is_none")]
        thread: Option<u32>,
        /// The kernel's function in which it sleeps.
        #[serde(skip_serializing_if = "Option::is_none")]
        function: Option<String>,
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// It has not acted on the signal yet.
    #[serde(rename_all = "camelCase")]
    Alive {
        /// SIGKILL has come and waits, so a thread of it is in the kernel and does not return.
        kill_pending: bool,
    },
}

/// What keeps a parent from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Hindrance {
    /// A signal has stopped it.
    Stopped,
    /// Its cgroup is frozen.
    Frozen,
    /// It sleeps in the kernel and takes no signal.
    Asleep,
    /// A tracer has stopped it.
    Traced,
    /// It is at a limit of its own: it can start no process and no thread.
    AtLimit,
}

/// For what a process sleeps in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum WaitsFor {
    /// The daemon of a FUSE file system.
    Fuse {
        /// File systems that it may be, those with requests that wait first.
        mounts: Vec<Mount>,
        /// Processes that hold `/dev/fuse` open.
        daemons: Vec<Named>,
    },
    /// The server of a network file system.
    Network {
        /// File systems that it may be.
        mounts: Vec<Mount>,
    },
    /// A file system that was frozen, for a snapshot or a backup: who writes to it waits.
    FrozenFileSystem,
    /// A block device, or a file system on one.
    Device,
    /// Something that is not recognised.
    Unknown,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where, as the process sees it.
    pub point: String,
    /// What: `server:/path` for NFS, whatever the daemon calls itself for FUSE.
    pub source: String,
    /// `fuse.sshfs`, `nfs4`.
    pub kind: String,
    /// Its directory in `/sys/fs/fuse/connections`: the minor number of the device.
    pub minor: u32,
    /// Requests that wait for an answer of a FUSE daemon, where the kernel shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
}

/// Kinds of waits, by the beginnings of the kernel's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// See [`WaitsFor::Fuse`].
    Fuse,
    /// See [`WaitsFor::Network`].
    Network,
    /// See [`WaitsFor::FrozenFileSystem`].
    FrozenFileSystem,
    /// See [`WaitsFor::Device`].
    Device,
}

impl WaitKind {
    /// From the functions of a kernel stack, the innermost first.
    #[must_use]
    pub fn of_functions<'f>(functions: impl IntoIterator<Item = &'f str>) -> Option<Self> {
        let functions: Vec<&str> = functions.into_iter().collect();
        // `sb_start_write` (include/linux/fs.h), which the compiler puts into its callers. Other
        // locks of this kind are taken elsewhere, as in fork.
        let locks = |function: &&str| function.contains("percpu_rwsem_wait");
        let writes = |function: &&str| ["mnt_want_write", "vfs_write"].contains(function);
        if functions.first().is_some_and(locks) && functions.iter().any(writes) {
            return Some(Self::FrozenFileSystem);
        }
        functions.into_iter().find_map(|function| {
            let begins = |starts: &[&str]| starts.iter().any(|start| function.starts_with(start));
            if begins(&["fuse_", "request_wait_answer"]) {
                Some(Self::Fuse)
            } else if begins(&["nfs", "rpc_", "cifs", "smb2_", "ceph"]) {
                Some(Self::Network)
            } else if begins(&[
                "blk_",
                "submit_bio",
                "jbd2_",
                "ext4_",
                "xfs_",
                "btrfs_",
                "nbd_",
            ]) {
                Some(Self::Device)
            } else {
                None
            }
        })
    }
}

impl Ending {
    /// Whether it is about this process: PID 1, who holds it, or who holds that one.
    #[must_use]
    pub fn is_about(&self, pid: u32) -> bool {
        let holds = |holdup: &Holdup| {
            holdup.process.id.pid == pid || holdup.holder().is_some_and(|other| other.id.pid == pid)
        };
        self.first.id.pid == pid || self.held_by.iter().any(holds)
    }
}

impl Holdup {
    /// Who outside of the namespace has it in hand.
    #[must_use]
    pub fn holder(&self) -> Option<&Named> {
        match &self.why {
            Why::Parent { parent, .. } => Some(parent),
            Why::Tracer { tracer } => Some(tracer),
            Why::Frozen { .. } | Why::Kernel { .. } | Why::Alive { .. } => None,
        }
    }

    /// The parent outside, if nothing but that parent stands against taking the zombie.
    #[must_use]
    pub fn parent_to_reap(&self) -> Option<&Named> {
        match &self.why {
            Why::Parent {
                parent,
                hindrance: None,
                protected: None,
                ..
            } => Some(parent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_shows_in_the_stack() {
        for (stack, expected) in [
            (
                &["request_wait_answer", "fuse_simple_request"][..],
                Some(WaitKind::Fuse),
            ),
            (
                &["rpc_wait_bit_killable", "nfs4_proc_getattr"],
                Some(WaitKind::Network),
            ),
            (&["io_schedule", "blk_mq_get_tag"], Some(WaitKind::Device)),
            (
                &["percpu_rwsem_wait", "mnt_want_write", "path_openat"],
                Some(WaitKind::FrozenFileSystem),
            ),
            (&["percpu_rwsem_wait", "copy_process"], None),
            (&["do_wait"], None),
            (&[], None),
        ] {
            assert_eq!(WaitKind::of_functions(stack.iter().copied()), expected);
        }
    }

    fn asleep(thread: Option<u32>, waits_for: WaitsFor) -> Holdup {
        let id = ProcessId {
            pid: 7,
            start_ticks: 1,
        };
        Holdup {
            process: Named {
                id,
                name: "java".to_owned(),
            },
            why: Why::Kernel {
                thread,
                function: None,
                waits_for,
            },
        }
    }

    fn mounts(point: &str, source: &str) -> Vec<Mount> {
        vec![Mount {
            point: point.to_owned(),
            source: source.to_owned(),
            kind: "nfs4".to_owned(),
            minor: 52,
            waiting: None,
        }]
    }

    #[test]
    fn a_thread_beside_the_first_is_named_and_its_namespace_entered() {
        let mounts = mounts("/data", "filer:/export");
        let holdup = asleep(Some(9), WaitsFor::Network { mounts });
        let (fact, cure) = (holdup.fact(), holdup.cure());
        assert!(
            fact.starts_with("thread 9 of java (pid 7) sleeps"),
            "{fact}"
        );
        assert!(cure.contains("nsenter -t 9 -m umount -f /data"), "{cure}");
        assert!(cure.contains("filer:/export"), "{cure}");
    }

    #[test]
    fn who_mounts_a_file_system_puts_nothing_into_a_command() {
        let mounts = mounts("/a;reboot", "$(reboot)'");
        let network = WaitsFor::Network {
            mounts: mounts.clone(),
        };
        let cure = asleep(None, network).cure();
        assert!(cure.contains("umount -f '/a;reboot'"), "{cure}");
        let daemons = Vec::new();
        let cure = asleep(None, WaitsFor::Fuse { mounts, daemons }).cure();
        let quoted = r"(nfs4 '$(reboot)'\''' on '/a;reboot')";
        assert!(cure.contains(quoted), "{cure}");
    }
}
