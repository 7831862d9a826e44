//! The facts about a process that ought to wait.

use std::cell::Cell;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sexton_core::holder::HoldsAs;
use sexton_core::{Holder, State};

use crate::hierarchy::{self, Hierarchies};
use crate::notes::Notes;
use crate::proc::{Cgroups, Proc, Process};
use crate::{Error, lossy};

/// The namespaces that make a process one of the host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Namespaces {
    pub(crate) pid: Option<u64>,
    pub(crate) mount: Option<u64>,
}

impl Namespaces {
    /// Those of the first process that this `/proc` shows.
    pub(crate) fn of_first(proc: &Proc) -> Self {
        let first = |kind| {
            let mut pids = [Some(1), proc.own_pid()].into_iter().flatten();
            pids.find_map(|pid| proc.process(pid).ok()??.ns_inode(kind).ok()?)
        };
        Self {
            pid: first("pid"),
            mount: first("mnt"),
        }
    }

    /// Whether a process is one of the host: in its PID namespace, and in its mount namespace or
    /// started by one that is. A service of systemd's may have a mount namespace of its own.
    /// True where that cannot be told.
    fn hold(self, proc: &Proc, process: &Process, parent: u32, notes: &mut Notes) -> bool {
        let mut other = |process: &Process, kind, hosts: Option<u64>| {
            let its = notes.take(process.ns_inode(kind));
            its.zip(hosts).is_some_and(|(its, hosts)| its != hosts)
        };
        if other(process, "pid", self.pid) {
            return false;
        }
        if !other(process, "mnt", self.mount) {
            return true;
        }
        let parent = proc.process(parent).ok().flatten();
        parent.is_none_or(|parent| !other(&parent, "mnt", self.mount))
    }
}

/// Reads all that a report tells of a holder. `holds_as` and `subreaper` are those of a plain
/// parent: who looks at its zombies knows better. Without its identity there is nothing to
/// report; what else cannot be read is left out, and noted.
pub(crate) fn read(
    proc: &Proc,
    process: &Process,
    hierarchies: &Hierarchies,
    host: Namespaces,
    notes: &mut Notes,
) -> Result<Option<Holder>, Error> {
    let (Some(stat), Some(status)) = (process.stat()?, process.status()?) else {
        return Ok(None);
    };
    let stand_in = notes.take(process.stand_in(&stat));
    let process = stand_in.as_ref().unwrap_or(process);
    let command_line = notes.take(process.cmdline()).unwrap_or_default();
    let cgroups = notes.take(process.cgroups()).unwrap_or_default();
    let traced_by = status.tracer.map(|thread| {
        let tracer = notes.take(proc.process_of_thread(thread, &mut Vec::new()));
        tracer.unwrap_or(thread)
    });
    Ok(Some(Holder {
        id: stat.id(),
        pid_namespace: notes.take(process.ns_inode("pid")),
        of_host: host.hold(proc, process, stat.parent, notes),
        name: stat.comm.to_lossy(),
        command_line: command_line.iter().map(|arg| lossy(arg)).collect(),
        executable: (notes.take(process.exe()))
            .map(|path| lossy(path.as_os_str().as_encoded_bytes())),
        parent_pid: stat.parent,
        uid: status.real_uid(),
        threads: stat.threads,
        state: lasting(process, stat.state),
        frozen: is_frozen(&cgroups, hierarchies, notes),
        traced_by,
        namespace_init: status.ns_pids.last() == Some(&1),
        subreaper: false,
        holds_as: HoldsAs::Parent,
        sigchld: status.sigchld(),
        sigchld_blocked: status.blocks_sigchld(),
        ns_pids: status.ns_pids,
    }))
}

/// `state`, if it lasts. A program that starts children is in D for moments again and again, by
/// `vfork` until the child has called `execve`, and that is no hindrance; one that hangs stays.
fn lasting(process: &Process, state: State) -> State {
    const LOOKS: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..LOOKS {
        if state != State::DiskSleep || !may_wait(PAUSE) {
            break;
        }
        thread::sleep(PAUSE);
        match process.stat() {
            Ok(Some(stat)) if stat.state != State::DiskSleep => return stat.state,
            _ => {}
        }
    }
    state
}

/// Whether this thread may wait once more for a state to pass. A thousand that hang would hold up
/// a look for a minute: so it waits for half a second at most in any five, and takes the state of
/// the others as it is now.
fn may_wait(pause: Duration) -> bool {
    const MOST: Duration = Duration::from_millis(500);
    const WITHIN: Duration = Duration::from_secs(5);
    thread_local! {
        /// Since when is counted, and how long was waited.
        static WAITED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    let counted = WAITED.get();
    let counted = counted.filter(|(since, _)| now.duration_since(*since) < WITHIN);
    let (since, waited) = counted.unwrap_or((now, Duration::ZERO));
    let may = waited < MOST;
    if may {
        WAITED.set(Some((since, waited.saturating_add(pause))));
    }
    may
}

/// Held by a freezer of the cgroup or of one above it. The kernel hands the state down, so the
/// process's own cgroup tells.
pub(crate) fn is_frozen(cgroups: &Cgroups, hierarchies: &Hierarchies, notes: &mut Notes) -> bool {
    let (v1, v2) = freezers(cgroups, hierarchies);
    let mut says = |place: Option<(&Path, &[u8])>, file: &str, expected: &[u8]| {
        let Some(dir) = place.and_then(|(root, path)| Hierarchies::directory(root, path)) else {
            return false;
        };
        notes.take(hierarchy::read(&dir, file)).is_some_and(|text| {
            text.split(|byte| *byte == b'\n')
                .any(|line| line == expected)
        })
    };
    says(v1, "freezer.state", b"FROZEN") || says(v2, "cgroup.events", b"frozen 1")
}

/// Where a hierarchy is mounted, and the process's cgroup in it.
type Place<'a> = Option<(&'a Path, &'a [u8])>;

/// The cgroups that can freeze a process: of v1's freezer, and of v2.
pub(crate) fn freezers<'a>(
    cgroups: &'a Cgroups,
    hierarchies: &'a Hierarchies,
) -> (Place<'a>, Place<'a>) {
    let v1 = hierarchies.v1("freezer").zip(cgroups.path_of("freezer"));
    (v1, hierarchies.unified().zip(cgroups.unified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_hang_a_look_waits_for_half_a_second() {
        let pause = Duration::from_millis(5);
        let waits = (0..10_000).filter(|_| may_wait(pause)).count();
        assert_eq!(waits, 100);
    }
}
