//! What a process that cannot run waits for: where it sleeps in the kernel, the file system whose
//! server does not answer, the cgroup that was frozen.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sexton_core::cause::Thaw;
use sexton_core::ending::{Mount, Named, WaitKind, WaitsFor};

use crate::hierarchy::{self, Hierarchies};
use crate::notes::Notes;
use crate::proc::Process;
use crate::{Scanner, holder, lossy};

/// Cgroups above a process's own that are asked.
const MAX_DEPTH: usize = 32;
/// The kernel's longest name of a function (`KSYM_NAME_LEN`).
const LONGEST_NAME: usize = 512;
/// File systems that are told, those first whose requests wait.
const MOUNTS: usize = 4;
/// Lines of a `mountinfo` that are read.
const LINES: usize = 10_000;
/// Daemons that are told.
const DAEMONS: usize = 4;
/// Files of a process that are asked whether they are `/dev/fuse`.
const FILES: usize = 4_096;

/// The function that a process sleeps in: that of its first thread.
pub(crate) fn function(process: &Process, notes: &mut Notes) -> Option<String> {
    function_of(process, process.pid(), notes)
}

/// The same of one thread. `wchan` is 0 for a task that runs and where the reader may not trace it.
pub(crate) fn function_of(process: &Process, thread: u32, notes: &mut Notes) -> Option<String> {
    let name = notes.take(process.read(&format!("task/{thread}/wchan")))?;
    let name = str::from_utf8(&name).ok()?;
    let is_name = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
    };
    (name != "0" && !name.is_empty() && name.len() <= LONGEST_NAME && is_name(name))
        .then(|| name.to_owned())
}

/// For what a thread sleeps, by the functions that it has called (`/proc/PID/task/TID/stack`, for
/// root alone; else only the last of them, `wchan`). `None` where that is not recognised.
pub(crate) fn waits_for(
    scanner: &Scanner,
    process: &Process,
    thread: u32,
    notes: &mut Notes,
) -> Option<WaitsFor> {
    let mut read = |file: &str| {
        let text = notes.take(process.read(&format!("task/{thread}/{file}")));
        lossy(&text.unwrap_or_default())
    };
    let (stack, wchan) = (read("stack"), read("wchan"));
    // `[<0>] fuse_simple_request+0x1a/0x30 [fuse]`
    let functions = stack.lines().filter_map(|line| {
        let name = line.split_once("] ")?.1;
        name.split('+').next()
    });
    Some(
        match WaitKind::of_functions(functions.chain([wchan.as_str()]))? {
            WaitKind::Fuse => {
                let mounts = mounts(process, thread, is_fuse, notes);
                let daemons = daemons(scanner, &mounts, notes);
                WaitsFor::Fuse { mounts, daemons }
            }
            WaitKind::Network => WaitsFor::Network {
                mounts: mounts(process, thread, is_network, notes),
            },
            WaitKind::FrozenFileSystem => WaitsFor::FrozenFileSystem,
            WaitKind::Device => WaitsFor::Device,
        },
    )
}

fn is_fuse(kind: &str) -> bool {
    kind == "fuse" || kind.starts_with("fuse.")
}

fn is_network(kind: &str) -> bool {
    ["nfs", "nfs4", "cifs", "smb3", "ceph"].contains(&kind)
}

/// File systems of these kinds that a thread of the process has mounted, those first whose
/// requests wait. The process itself shows none any more once its first thread has ended.
fn mounts(
    process: &Process,
    thread: u32,
    wanted: impl Fn(&str) -> bool,
    notes: &mut Notes,
) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    let mut left = LINES;
    let read = process.for_each_line(&format!("task/{thread}/mountinfo"), |line| {
        left = left.saturating_sub(1);
        if let Some(mount) = parse(&lossy(line)).filter(|mount| wanted(&mount.kind))
            && found.iter().all(|known| known.minor != mount.minor)
        {
            found.push(mount);
        }
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    notes.take(read);
    for mount in &mut found {
        mount.waiting = waiting(mount.minor);
    }
    // FUSE's own count tells which one it is, where it is shown.
    if found
        .iter()
        .any(|mount| mount.waiting.is_some_and(|count| count > 0))
    {
        found.retain(|mount| mount.waiting != Some(0));
    }
    found.truncate(MOUNTS);
    found
}

/// `36 35 0:52 / /mnt rw - fuse.sshfs host:/dir rw` (`proc_pid_mountinfo(5)`).
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let minor = before.next()?.split_once(':')?.1.parse().ok()?;
    let point = before.nth(1)?;
    let mut after = after.split(' ');
    let (kind, source) = (after.next()?, after.next()?);
    Some(Mount {
        point: unescaped(point),
        source: unescaped(source),
        kind: kind.to_owned(),
        minor,
        waiting: None,
    })
}

/// The kernel writes blanks, newlines and backslashes as `\040` (`proc_pid_mountinfo(5)`).
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        match u8::from_str_radix(digits, 8) {
            Ok(byte) => out.push(byte.into()),
            Err(_) => out.push_str(digits),
        }
        out.push_str(rest);
    }
    out
}

/// Requests of a FUSE connection that wait for an answer (`fs/fuse/control.c`).
fn waiting(minor: u32) -> Option<u64> {
    let directory = Path::new("/sys/fs/fuse/connections").join(minor.to_string());
    let text = hierarchy::read(&directory, "waiting").ok()??;
    str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// Who holds `/dev/fuse` open for one of `mounts`. Which connection that is for, the kernel tells
/// only since Linux 6.16: before, and where no mount is known, all are told.
fn daemons(scanner: &Scanner, mounts: &[Mount], notes: &mut Notes) -> Vec<Named> {
    let serves = |process: &Process, fd: u32| {
        let is_fuse = process.open_name(fd).ok().flatten().as_deref() == Some("/dev/fuse");
        let other = |connection| mounts.iter().all(|mount| mount.minor != connection);
        is_fuse && (mounts.is_empty() || !connection(process, fd).is_some_and(other))
    };
    let mut found = Vec::new();
    for pid in notes
        .take(scanner.proc.pids().map(Some))
        .unwrap_or_default()
    {
        if found.len() == DAEMONS {
            break;
        }
        let daemon = || {
            let process = scanner.proc.process(pid).ok()??;
            let files = process.fds(FILES).ok()??;
            (files.into_iter().any(|fd| serves(&process, fd))).then_some(())?;
            let stat = process.stat().ok()??;
            Some(Named {
                id: stat.id(),
                name: stat.comm.to_lossy(),
            })
        };
        found.extend(daemon());
    }
    found
}

/// The connection that an open `/dev/fuse` serves: `fuse_connection:` of its `fdinfo`.
fn connection(process: &Process, fd: u32) -> Option<u32> {
    let info = process.read(&format!("fdinfo/{fd}")).ok()??;
    let mut lines = str::from_utf8(&info).ok()?.lines();
    let value = lines.find_map(|line| line.strip_prefix("fuse_connection:"))?;
    value.trim().parse().ok()
}

/// The cgroup that was frozen by name, the process's own or one above it, and how to thaw it.
pub(crate) fn frozen_cgroup(
    process: &Process,
    hierarchies: &Hierarchies,
    notes: &mut Notes,
) -> Option<Thaw> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo() {
        let line =
            r"36 35 0:52 / /my\040data rw,noatime shared:1 - fuse.sshfs host:/a\134b rw,user_id=0";
        let mount = parse(line).expect("a mount");
        assert_eq!(mount.point, "/my data");
        assert_eq!(mount.source, r"host:/a\b");
        assert_eq!((mount.kind.as_str(), mount.minor), ("fuse.sshfs", 52));
        assert_eq!(parse("36 35 0:52 / /x rw"), None);
        assert_eq!(unescaped(r"a\0x\9"), "a0x9");
    }
}
