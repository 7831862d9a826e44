//! The number of the tracepoint.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::Error;

const ID: &str = "events/sched/sched_process_fork/id";

/// The number by which perf knows `sched_process_fork` on this kernel.
pub(crate) fn fork_tracepoint() -> Result<u64, Error> {
    mounted().or_else(|_| private()).map_err(Error::Tracefs)
}

fn mounted() -> io::Result<u64> {
    let path = format!("/sys/kernel/tracing/{ID}");
    number(openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// A mount that is attached nowhere: no other process ever sees it.
fn private() -> io::Result<u64> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let root = fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?;
    number(openat(root, ID, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

fn number(file: File) -> io::Result<u64> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text)?;
    text.trim().parse().map_err(io::Error::other)
}
