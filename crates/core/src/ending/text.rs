//! A container that cannot end, in words.

use super::{Ending, Hindrance, Holdup, Mount, Named, WaitsFor, Why};
use crate::text::leak::place;
use crate::text::{duration, plural, shell_word};

impl Ending {
    /// What is the matter, in one sentence.
    #[must_use]
    pub fn title(&self) -> String {
        let held = (self.held_by.len() as u64).saturating_add(self.more);
        let place = self
            .container
            .as_ref()
            .map(|container| place(Some(container)));
        let container = place.map_or_else(
            || "A container of an unknown runtime".to_owned(),
            |place| format!("Container {place}"),
        );
        let first = of(&self.first);
        let waits = match &self.held_by[..] {
            [] => "waits, and no process that it waits for is seen in its PID namespace".to_owned(),
            [Holdup { process, why }] if process.id == self.first.id => match why {
                Why::Parent { .. } => {
                    "is a zombie: it has ended, and its parent has not waited for it".to_owned()
                }
                _ => "was killed and does not act on it".to_owned(),
            },
            _ => format!(
                "waits for {} of its PID namespace",
                plural(held, "process", "processes")
            ),
        };
        let since = self.unchanged_seconds.map_or_else(String::new, |seconds| {
            format!("; nothing has changed for {}", duration(seconds))
        });
        format!("{container} cannot end: its PID 1, {first}, {waits}{since}.")
    }

    /// What is tried for an hour and cannot help.
    #[must_use]
    pub fn in_vain(&self) -> &'static str {
        "What does not help: to kill PID 1 again, docker rm -f, kubectl delete --force (that only \
         hides the pod), to restart the kubelet. PID 1 has taken the signal already."
    }
}

impl Holdup {
    /// Why it is there, in one sentence.
    #[must_use]
    pub fn fact(&self) -> String {
        let process = of(&self.process);
        match &self.why {
            Why::Parent {
                parent, hindrance, ..
            } => {
                let how = hindrance.map_or("", |hindrance| match hindrance {
                    Hindrance::Stopped => ", which is stopped (state T),",
                    Hindrance::Frozen => ", whose cgroup is frozen,",
                    Hindrance::Asleep => ", which sleeps in the kernel (state D),",
                    Hindrance::Traced => ", which a tracer has stopped (state t),",
                    Hindrance::AtLimit => ", which is at a limit and can start no thread,",
                });
                format!(
                    "{process} has ended. Its parent {}{how} is outside of the PID namespace and \
                     has not waited for it.",
                    of(parent)
                )
            }
            Why::Tracer { tracer } => format!(
                "{process} has a tracer, {}, which has not let it go (TracerPid of \
                 /proc/{}/status).",
                of(tracer),
                self.process.id.pid
            ),
            Why::Frozen { file, .. } => {
                let file = file
                    .as_ref()
                    .map_or_else(String::new, |file| format!(" ({file})"));
                format!("{process} is in a frozen cgroup{file}: SIGKILL waits until it is thawed.")
            }
            Why::Kernel {
                thread,
                function,
                waits_for,
            } => {
                let thread = thread.map_or_else(String::new, |id| format!("thread {id} of "));
                let function = function.as_ref();
                let place = function.map_or_else(String::new, |name| format!(" in {name}"));
                let what = match waits_for {
                    WaitsFor::Fuse { .. } => ", waits for the daemon of a FUSE file system,",
                    WaitsFor::Network { .. } => ", waits for a file server,",
                    WaitsFor::FrozenFileSystem => ", waits for a frozen file system,",
                    WaitsFor::Device => ", waits for a disk or its file system,",
                    WaitsFor::Unknown => "",
                };
                format!(
                    "{thread}{process} sleeps in the kernel{place}{what} and takes no signal (state D)."
                )
            }
            Why::Alive { kill_pending: true } => format!(
                "{process} has a pending SIGKILL (ShdPnd of /proc/{}/status) and is still in the \
                 kernel.",
                self.process.id.pid
            ),
            Why::Alive {
                kill_pending: false,
            } => format!("{process} was killed with the others and has not ended yet."),
        }
    }

    /// What frees it.
    #[must_use]
    pub fn cure(&self) -> String {
        let pid = self.process.id.pid;
        match &self.why {
            Why::Parent {
                parent,
                hindrance,
                protected,
                of_host,
            } => parents(parent, *hindrance, protected.as_deref(), *of_host),
            Why::Tracer { tracer } => format!(
                "Let the tracer {} detach (quit strace, gdb), or end it: kill {}",
                tracer.name, tracer.id.pid
            ),
            Why::Frozen {
                file: Some(file),
                value,
            } => format!(
                "Thaw it, unless the container was paused on purpose: echo {value} > {file}"
            ),
            Why::Frozen { file: None, .. } => {
                "Resume the container (docker unpause, ctr tasks resume, crictl), or thaw its cgroup"
                    .to_owned()
            }
            Why::Kernel {
                thread, waits_for, ..
            } => waits_for.cure(thread.unwrap_or(pid)),
            Why::Alive { .. } => format!(
                "Look again in a minute. If nothing changes, see what it does in the kernel: cat \
                 /proc/{pid}/task/*/stack"
            ),
        }
    }
}

/// What makes a parent outside wait.
fn parents(
    parent: &Named,
    hindrance: Option<Hindrance>,
    protected: Option<&str>,
    of_host: bool,
) -> String {
    let pid = parent.id.pid;
    match (hindrance, protected) {
        (Some(Hindrance::Stopped), _) => format!("Continue its parent: kill -CONT {pid}"),
        (Some(Hindrance::Frozen), _) => {
            format!("Thaw its parent: sexton explain {pid} names the cgroup")
        }
        (Some(Hindrance::Asleep), _) => {
            format!("Find out what its parent waits for: sexton explain {pid}")
        }
        (Some(Hindrance::Traced), _) => {
            format!("Let the tracer of its parent go: grep TracerPid /proc/{pid}/status")
        }
        (Some(Hindrance::AtLimit), _) => {
            format!("Make room below the limit of its parent: sexton limits {pid}")
        }
        (None, Some(what)) => format!(
            "Its parent {} is a {what}, which Sexton never touches. If an exec session is open \
             (docker exec, kubectl exec), close it. If not, end the parent: kill {pid}. The \
             container is dead already, and who takes over the zombie waits for it.",
            parent.name
        ),
        (None, None) => {
            let host = if of_host { " --allow-host" } else { "" };
            format!(
                "Take the zombie from its parent, which lives on: sexton reap {pid}{host} --yes. Or \
                 end the parent: kill {pid}"
            )
        }
    }
}

impl WaitsFor {
    /// What frees a process that waits for it.
    #[must_use]
    pub fn cure(&self, pid: u32) -> String {
        match self {
            Self::Fuse { mounts, daemons } => {
                let daemons = match &daemons[..] {
                    [] => "No process holds /dev/fuse open: the daemon has gone.".to_owned(),
                    all => format!(
                        "Let the daemon answer or end it: {}.",
                        all.iter().map(of).collect::<Vec<_>>().join(" or ")
                    ),
                };
                let abort = match &mounts[..] {
                    [] => "echo 1 > /sys/fs/fuse/connections/N/abort".to_owned(),
                    all => all
                        .iter()
                        .map(Mount::abort)
                        .collect::<Vec<_>>()
                        .join("; or "),
                };
                format!(
                    "{daemons} Or abort the connection, which fails all that waits for it: {abort}"
                )
            }
            Self::Network { mounts } => match &mounts[..] {
                [] => "Bring the file server back, or give up the mount: umount -f DIRECTORY"
                    .to_owned(),
                all => format!(
                    "Bring the file server back ({}), or give up the mount: {}",
                    all.iter()
                        .map(|mount| mount.source.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                    all.iter()
                        .map(|mount| format!(
                            "nsenter -t {pid} -m umount -f {}",
                            shell_word(&mount.point)
                        ))
                        .collect::<Vec<_>>()
                        .join("; or ")
                ),
            },
            Self::FrozenFileSystem => {
                "A file system was frozen, by fsfreeze or for a snapshot or a \
                backup. End that, or thaw the file system: fsfreeze -u DIRECTORY. Where nothing is \
                frozen, that does nothing. Which there are: findmnt -t ext4,xfs,btrfs"
                    .to_owned()
            }
            Self::Device => format!(
                "Look for errors of the disk (dmesg). It goes on when the disk answers; else only a \
                 restart of the node helps. Where it waits: cat /proc/{pid}/task/*/stack"
            ),
            Self::Unknown => format!(
                "See what it waits for: cat /proc/{pid}/task/*/stack. It goes on when that answers; \
                 else only a restart of the node helps."
            ),
        }
    }
}

impl Mount {
    /// The command that aborts its connection, and which one that is.
    fn abort(&self) -> String {
        let Self {
            point,
            source,
            kind,
            minor,
            ..
        } = self;
        let [kind, source, point] = [kind, source, point].map(|word| shell_word(word));
        format!("echo 1 > /sys/fs/fuse/connections/{minor}/abort ({kind} {source} on {point})")
    }
}

fn of(named: &Named) -> String {
    format!("{} (pid {})", named.name, named.id.pid)
}
