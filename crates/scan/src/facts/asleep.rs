//! What a holder that cannot run waits for, in the kernel's words: the function that it sleeps
//! in, the child of a vfork, the cgroup that was frozen.

use sexton_core::cause::{Asleep, Call};
use sexton_core::{Leak, State};

use crate::Scanner;
use crate::blocked::{frozen_cgroup, function};
use crate::notes::Notes;
use crate::proc::Process;

/// Children that are compared with the holder.
const MAX_CHILDREN: usize = 4_096;

/// What it waits for; nothing is read of a holder that runs.
pub(super) fn look(
    scanner: &Scanner,
    process: &Process,
    leak: &Leak,
    calls: &[Call],
    notes: &mut Notes,
) -> Asleep {
    let asleep = leak.holder.state == State::DiskSleep;
    Asleep {
        function: asleep.then(|| function(process, notes)).flatten(),
        waits_for: asleep
            .then(|| crate::blocked::waits_for(scanner, process, process.pid(), notes))
            .flatten(),
        vfork_child: (asleep && calls.iter().any(|call| starts_a_process(&call.name)))
            .then(|| child_in_its_memory(scanner, process, notes))
            .flatten(),
        thaw: (leak.holder.frozen)
            .then(|| frozen_cgroup(process, &scanner.hierarchies, notes))
            .flatten(),
    }
}

fn starts_a_process(call: &str) -> bool {
    matches!(call, "vfork" | "clone" | "clone3")
}

/// A child of vfork runs in its parent's memory until it calls exec: both have the same size,
/// and the parent, which sleeps, cannot change it between the two looks.
fn child_in_its_memory(
    scanner: &Scanner,
    process: &Process,
    notes: &mut Notes,
) -> Option<(u32, String)> {
    let size = |process: &Process, notes: &mut Notes| notes.take(process.read("statm"));
    let (its, exe) = (size(process, notes)?, notes.take(process.exe()));
    let children = notes.take(process.all_children())?;
    let mut found = (children.into_iter().take(MAX_CHILDREN)).filter_map(|pid| {
        let child = notes.take(scanner.proc().process(pid))?;
        let stat = notes
            .take(child.stat())
            .filter(|stat| stat.state != State::Zombie)?;
        let same = size(&child, notes).as_ref() == Some(&its) && notes.take(child.exe()) == exe;
        same.then(|| (pid, stat.comm.to_lossy()))
    });
    let first = found.next();
    // Two of the same size cannot be told apart.
    first.filter(|_| found.next().is_none())
}
