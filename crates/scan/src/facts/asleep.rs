//! What a holder that cannot run waits for, in the kernel's words: the function that it sleeps
//! in, the child of a vfork, the cgroup that was frozen.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sexton_core::cause::{Asleep, Call, Thaw};
use sexton_core::{Leak, State};

use crate::hierarchy::{self, Hierarchies};
use crate::notes::Notes;
use crate::proc::Process;
use crate::{Scanner, holder};

/// Children that are compared with the holder.
const MAX_CHILDREN: usize = 4_096;
/// Cgroups above the holder's own that are asked.
const MAX_DEPTH: usize = 32;
/// The kernel's longest name of a function (`KSYM_NAME_LEN`).
const LONGEST_NAME: usize = 512;

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

/// `wchan` is 0 for a task that runs and where the reader may not trace it.
fn function(process: &Process, notes: &mut Notes) -> Option<String> {
    let name = notes.take(process.read("wchan"))?;
    let name = str::from_utf8(&name).ok()?;
    let is_name = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
    };
    (name != "0" && !name.is_empty() && name.len() <= LONGEST_NAME && is_name(name))
        .then(|| name.to_owned())
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

/// The cgroup that was frozen by name, the holder's own or one above it, and how to thaw it.
fn frozen_cgroup(process: &Process, hierarchies: &Hierarchies, notes: &mut Notes) -> Option<Thaw> {
    let cgroups = notes.take(process.cgroups())?;
    let (v1, v2) = holder::freezers(&cgroups, hierarchies);
    let mut find = |place: Option<(&Path, &[u8])>, asks: &str, frozen: &[u8], file, value| {
        let (root, path) = place?;
        let own = Hierarchies::directory(root, path)?;
        let above = own.ancestors().take(MAX_DEPTH);
        let below_root = above.take_while(|dir| dir.starts_with(root) && *dir != root);
        let mut asked = below_root.filter(|dir| {
            let said = notes.take(hierarchy::read(dir, asks));
            said.is_some_and(|text| text.trim_ascii() == frozen)
        });
        let file = asked.next()?.join(file);
        is_plain(&file).then(|| Thaw {
            file: file.display().to_string(),
            value,
        })
    };
    find(v1, "freezer.self_freezing", b"1", "freezer.state", "THAWED")
        .or_else(|| find(v2, "cgroup.freeze", b"1", "cgroup.freeze", "0"))
}

/// A path that may stand in a command as it is: whoever made the cgroup chose its name.
fn is_plain(path: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-:@".contains(byte);
    path.as_os_str().as_bytes().iter().all(plain)
}
