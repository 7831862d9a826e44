//! What can go wrong while looking.

use std::io;
use std::path::{Path, PathBuf};

use sexton_core::text;

use crate::proc::Malformed;

/// Why something could not be read.
///
/// A process that ends in the middle is not an error: functions that look at one return
/// `Ok(None)` for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused, or the file is not there.
    #[error("cannot read {}: {}", path.display(), text::os(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file has not the form that its manual page gives.
    #[error("cannot read {}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected of it.
        what: Malformed,
    },
    /// What is mounted there is not the kernel's `/proc`, or that of a PID namespace that has
    /// ended.
    #[error("{} is not /proc: {why}", path.display())]
    NoProc {
        /// Where `/proc` was said to be.
        path: PathBuf,
        /// What it lacks.
        why: &'static str,
    },
}

/// Names of files of `/proc`, `/proc/PID` and a cgroup, and of directories of `/proc/PID`.
const FACTS: [&str; 25] = [
    "stat",
    "status",
    "exe",
    "cmdline",
    "cgroup",
    "ns",
    "task",
    "children",
    "syscall",
    "maps",
    "mem",
    "environ",
    "limits",
    "sched",
    "timers",
    "uid_map",
    "fdinfo",
    "uptime",
    "tasks",
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.events",
    "freezer.state",
    "pids.current",
    "pids.max",
];

impl Error {
    pub(crate) fn io(path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    /// Which fact of a process or a cgroup could not be read: the name of its file, or of the
    /// directory that it is one of many in. There is a fixed number of them.
    pub(crate) fn fact(&self) -> &'static str {
        let (Self::Io { path, .. } | Self::Malformed { path, .. } | Self::NoProc { path, .. }) =
            self;
        let names = || path.iter().rev().filter_map(|name| name.to_str());
        let known = names()
            .take(2)
            .find_map(|name| FACTS.iter().copied().find(|fact| *fact == name));
        let is_pid = names()
            .next()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        known.unwrap_or(if is_pid { "process" } else { "other" })
    }

    /// The reader lacks a privilege: more could be seen as root, or without `hidepid`.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}
