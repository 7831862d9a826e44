//! Files that tell what a program does on a signal: its script, its configuration. They are read
//! in the container's own tree, and only as far as they lie on file systems of this machine: a
//! file of FUSE or of a network may never answer.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use sexton_core::audit::{Process, Text, files, script_of, taken_in};

use crate::lossy;
use crate::names::Root;
use crate::proc;

/// Files of one process, names of files that are tried, and bytes of one, that are read.
const MOST: usize = 16;
const MOST_TRIES: usize = 128;
const LARGEST: u64 = 64 << 10;
/// Bytes of all of them, after which no further one is read.
const MOST_BYTES: usize = 256 << 10;
/// Bytes of `mountinfo` that are looked at; who has more mounts is not read at all.
const MOUNTS: u64 = 1 << 20;
/// File systems whose files are on this machine.
const LOCAL: [&str; 22] = [
    "overlay",
    "ext4",
    "ext3",
    "ext2",
    "xfs",
    "btrfs",
    "zfs",
    "tmpfs",
    "ramfs",
    "rootfs",
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "bpf",
    "securityfs",
    "squashfs",
    "erofs",
    "debugfs",
];

/// What is in those that bear on this signal.
pub(super) fn of(process: &proc::Process, known: &Process, number: u8) -> Vec<Text> {
    let wanted = files(known, number);
    let Some(root) = (!wanted.is_empty()).then(|| root(process)).flatten() else {
        return Vec::new();
    };
    let directory = process.cwd().ok().flatten();
    let mut wanted: VecDeque<String> = wanted.into();
    let mut texts: Vec<Text> = Vec::new();
    let (mut tries, mut bytes): (usize, usize) = (0, 0);
    while let Some(file) = wanted.pop_front()
        && texts.len() < MOST
        && tries < MOST_TRIES
        && bytes < MOST_BYTES
    {
        let Some(path) = within(directory.as_deref(), Path::new(&file)) else {
            continue;
        };
        if texts.iter().any(|text| text.path == path) {
            continue;
        }
        tries = tries.saturating_add(1);
        let Some(content) = root.text(&path, LARGEST) else {
            continue;
        };
        let text = Text {
            path,
            content: lossy(&content),
        };
        bytes = bytes.saturating_add(text.content.len());
        wanted.extend(taken_in(known, &text));
        texts.push(text);
    }
    texts
}

/// The script that a command runs in the container of this process; `None` where it is none, or no
/// text.
pub(super) fn script(process: &proc::Process, command: &[String]) -> Option<String> {
    let file = script_of(command)?;
    let directory = process.cwd().ok().flatten();
    let path = within(directory.as_deref(), Path::new(file))?;
    let content = root(process)?.text(&path, LARGEST)?;
    (!content.contains(&0)).then(|| lossy(&content))
}

/// Its own tree, where reading in it cannot hang.
fn root(process: &proc::Process) -> Option<Root> {
    if !is_local(process) {
        return None;
    }
    process.open_file("root").ok().flatten().map(Root::from)
}

/// Its path in the container; `None` where only the working directory would tell.
fn within(directory: Option<&Path>, file: &Path) -> Option<String> {
    let whole = if file.is_absolute() {
        file.to_owned()
    } else {
        directory?.join(file)
    };
    let plain: PathBuf = whole
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    plain.into_os_string().into_string().ok()
}

/// Nothing that it has mounted can keep a reader waiting.
fn is_local(process: &proc::Process) -> bool {
    let mut local = true;
    let read = process.for_each_part("mountinfo", b'\n', MOUNTS, |line| {
        local = type_of(line).is_some_and(|kind| LOCAL.contains(&kind));
        if local {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    local && matches!(read, Ok(Some(())))
}

/// The file system of a line of `mountinfo`: the word after ` - ` (`proc_pid_mountinfo(5)`).
fn type_of(line: &[u8]) -> Option<&str> {
    let line = str::from_utf8(line).ok()?;
    let (_, rest) = line.split_once(" - ")?;
    rest.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_tells_its_file_system() {
        let line = b"36 35 98:0 / /a rw,noatime master:1 - fuse.sshfs host:/x rw";
        assert_eq!(type_of(line), Some("fuse.sshfs"));
        assert_eq!(type_of(b"36 35 98:0"), None);
    }

    #[test]
    fn a_file_is_looked_for_in_the_working_directory() {
        let at = |file: &str| within(Some(Path::new("/srv")), Path::new(file));
        assert_eq!(at("./x.sh").as_deref(), Some("/srv/x.sh"));
        assert_eq!(at("/x.sh").as_deref(), Some("/x.sh"));
        assert_eq!(within(None, Path::new("x.sh")), None);
    }
}
