//! What can go wrong while forks are watched.

use std::io;

use sexton_core::text;

/// Why the forks of a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of `/proc` could not be read.
    #[error(transparent)]
    Scan(#[from] sexton_scan::Error),
    /// The process ended.
    #[error("process {0} has ended")]
    Gone(u32),
    /// It has more threads than can be watched.
    #[error("process {pid} has more than {most} threads: Sexton does not watch so many")]
    Threads {
        /// Which process.
        pid: u32,
        /// The most that are watched.
        most: usize,
    },
    /// The number of the tracepoint could not be read.
    #[error(
        "cannot read the tracepoint sched_process_fork: {}. Mount tracefs at /sys/kernel/tracing, \
         or give Sexton CAP_SYS_ADMIN",
        text::os(.0)
    )]
    Tracefs(io::Error),
    /// A file of `/sys` could not be read.
    #[error("cannot read {path}: {}", text::os(source))]
    Read {
        /// Which file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel does not let us watch.
    #[error(
        "{what} of process {pid}: {}. To watch forks, Sexton needs CAP_PERFMON",
        text::os(source)
    )]
    Perf {
        /// What was tried.
        what: &'static str,
        /// On which process or thread.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}
