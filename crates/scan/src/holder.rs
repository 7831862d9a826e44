//! The facts about a process that ought to wait.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use sexton_core::holder::HoldsAs;
use sexton_core::{Holder, State};

use crate::hierarchy::Hierarchies;
use crate::proc::{Cgroups, Proc, Process};
use crate::{Error, lossy};

/// Reads all that a report tells of a holder. `holds_as` and `subreaper` are those of a plain
/// parent: who looks at its zombies knows better.
pub(crate) fn read(
    proc: &Proc,
    process: &Process,
    hierarchies: &Hierarchies,
) -> Result<Option<Holder>, Error> {
    let (Some(stat), Some(status)) = (process.stat()?, process.status()?) else {
        return Ok(None);
    };
    let stand_in = process.stand_in(&stat)?;
    let process = stand_in.as_ref().unwrap_or(process);
    let command_line = seen(process.cmdline())?.unwrap_or_default();
    let cgroups = seen(process.cgroups())?.unwrap_or_default();
    let traced_by = match status.tracer {
        Some(thread) => seen(proc.process_of_thread(thread, &mut Vec::new()))?.or(Some(thread)),
        None => None,
    };
    Ok(Some(Holder {
        id: stat.id(),
        pid_namespace: seen(process.ns_inode("pid"))?,
        name: stat.comm.to_lossy(),
        command_line: command_line.iter().map(|arg| lossy(arg)).collect(),
        executable: seen(process.exe())?.map(|path| lossy(path.as_os_str().as_encoded_bytes())),
        parent_pid: stat.parent,
        uid: status.uids[0],
        threads: stat.threads,
        state: lasting(process, stat.state)?,
        frozen: is_frozen(&cgroups, hierarchies),
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
fn lasting(process: &Process, state: State) -> Result<State, Error> {
    const LOOKS: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..LOOKS {
        if state != State::DiskSleep || !may_wait(PAUSE) {
            break;
        }
        thread::sleep(PAUSE);
        match process.stat()? {
            Some(stat) if stat.state != State::DiskSleep => return Ok(stat.state),
            _ => {}
        }
    }
    Ok(state)
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
        WAITED.set(Some((since, waited + pause)));
    }
    may
}

/// What may be hidden from us is left out; other errors stay.
pub(crate) fn seen<T>(read: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(e) if e.is_denied() => Ok(None),
        other => other,
    }
}

/// Held by a freezer of the cgroup or of one above it. The kernel hands the state down, so the
/// process's own cgroup tells.
pub(crate) fn is_frozen(cgroups: &Cgroups, hierarchies: &Hierarchies) -> bool {
    let reads = |root, path, file: &str, expected: &str| {
        Hierarchies::directory(root, path)
            .and_then(|dir| fs::read_to_string(dir.join(file)).ok())
            .is_some_and(|text| text.lines().any(|line| line == expected))
    };
    let v1 = hierarchies.v1("freezer").zip(
        cgroups
            .0
            .iter()
            .find(|line| line.has_controller("freezer"))
            .map(|line| line.path.as_slice()),
    );
    let v2 = hierarchies.unified().zip(cgroups.unified());
    v1.is_some_and(|(root, path)| reads(root, path, "freezer.state", "FROZEN"))
        || v2.is_some_and(|(root, path)| reads(root, path, "cgroup.events", "frozen 1"))
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
