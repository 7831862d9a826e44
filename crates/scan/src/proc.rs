//! `/proc`: one file of this module for each file of the kernel's.
//!
//! Parsers take bytes and know nothing of opening; [`Proc`] and [`Process`] open. A process
//! that is gone is `Ok(None)`, not an error.

pub(crate) mod bounds;
mod cgroup;
mod cmdline;
#[cfg(test)]
pub(crate) mod fault;
pub(crate) mod file;
mod limits;
mod loadavg;
mod pids;
mod process;
mod sched;
mod stat;
mod status;
mod uptime;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RawDir};
use rustix::io::Errno;

pub use cgroup::{CgroupLine, Cgroups};
pub use cmdline::arguments;
pub(crate) use cmdline::{share, shorten};
pub use limits::{ResourceLimit, resource_limit};
pub use loadavg::Loadavg;
pub use pids::parse_pids;
pub use process::Process;
pub use sched::Sched;
pub use stat::{Comm, Stat};
pub use status::Status;
pub(crate) use uptime::uptime_ticks;

use crate::Error;
use file::End;

/// A file that does not look as `proc(5)` says: what was looked for and not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} where proc(5) has it", self.0)
    }
}

/// A mounted `/proc`, held open.
#[derive(Debug)]
pub struct Proc {
    dir: OwnedFd,
    path: PathBuf,
    opened: Cell<u64>,
}

impl Proc {
    /// Opens the `/proc` that is mounted at `path`.
    ///
    /// # Errors
    /// It cannot be opened, or is none: a directory where nothing is mounted would make every
    /// look at it say that there are no zombies.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let dir = file::open_dir(CWD, path.as_os_str().as_bytes());
        let proc = Self {
            dir: dir.map_err(|e| Error::io(path, e))?,
            path: path.to_owned(),
            opened: Cell::new(0),
        };
        match proc.lacks() {
            Some(why) => Err(Error::NoProc {
                path: path.to_owned(),
                why,
            }),
            None => Ok(proc),
        }
    }

    /// What it has not, though every `/proc` has it.
    fn lacks(&self) -> Option<&'static str> {
        // `self` would not do: it leads nowhere in the /proc of another PID namespace.
        if file::open(self.dir.as_fd(), b"loadavg").is_err() {
            return Some("it has no loadavg; mount the node's /proc there, without subset=pid");
        }
        let mounted = rustix::fs::fstatfs(&self.dir);
        let is_kernels = mounted.is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC);
        // Where hidepid hides all others, we ourselves are listed.
        let is_empty = || {
            matches!(
                self.for_each_pid_until(|_| ControlFlow::Break(())),
                Ok(false)
            )
        };
        (is_kernels && is_empty()).then_some("it shows no process; its PID namespace has ended")
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many entries of processes were opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }

    /// Our own pid as this `/proc` numbers it; `None` where we are not in its PID namespace
    /// (or in a tree made for a test).
    #[must_use]
    pub fn own_pid(&self) -> Option<u32> {
        let link = rustix::fs::readlinkat(&self.dir, "self", Vec::new()).ok()?;
        link.to_str().ok()?.parse().ok()
    }

    /// Holds a process; `None` if there is none of that pid.
    pub fn process(&self, pid: u32) -> Result<Option<Process>, Error> {
        Process::open(self, pid)
    }

    /// Every pid that this `/proc` lists, in no promised order.
    pub fn pids(&self) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        self.for_each_pid(|pid| found.push(pid))?;
        Ok(found)
    }

    /// Calls `each` for every pid listed, without keeping them.
    pub fn for_each_pid(&self, mut each: impl FnMut(u32)) -> Result<(), Error> {
        self.for_each_pid_until(|pid| {
            each(pid);
            ControlFlow::Continue(())
        })
        .map(|_| ())
    }

    /// As [`Proc::for_each_pid`], until `each` says stop: `true` if it did.
    fn for_each_pid_until(
        &self,
        mut each: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<bool, Error> {
        // A directory's position belongs to its open file, so each pass opens its own.
        file::open_dir(self.dir.as_fd(), b".")
            .and_then(|dir| list(dir.as_fd(), &mut each))
            .map_err(|e| Error::io(&self.path, e))
    }

    /// Reads a file that belongs to no process, such as `loadavg` or `sys/kernel/pid_max`.
    /// `None` where this kernel has none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = Vec::new();
        let (dir, name_bytes) = (self.dir.as_fd(), name.as_bytes());
        match file::read_whole(dir, name_bytes, bounds::FILE, End::Short, &mut buffer) {
            Ok(()) => Ok(Some(buffer)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io(self.path.join(name), e)),
        }
    }

    pub(crate) fn parse<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let bytes = self.read(name)?.unwrap_or_default();
        parse(&bytes).map_err(|what| Error::Malformed {
            path: self.path.join(name),
            what,
        })
    }

    /// The file is this file system's: containers may have another mounted over it (lxcfs over
    /// `loadavg`).
    pub(crate) fn is_kernels_own(&self, name: &str) -> bool {
        match (
            rustix::fs::fstat(&self.dir),
            rustix::fs::statat(&self.dir, name, AtFlags::empty()),
        ) {
            (Ok(dir), Ok(file)) => dir.st_dev == file.st_dev,
            _ => false,
        }
    }

    /// Reads `PID/stat` without holding the process: the fast way to look at many.
    pub fn stat(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Option<Stat>, Error> {
        let path = ProcPath::new(format_args!("{pid}/stat"));
        self.read_process(&path, bounds::FILE, buffer)?
            .map(|bytes| Stat::parse(bytes).map_err(|what| self.malformed(&path, what)))
            .transpose()
    }

    /// Reads `PID/status` without holding the process.
    pub fn status(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Option<Status>, Error> {
        let path = ProcPath::new(format_args!("{pid}/status"));
        self.read_process(&path, bounds::FILE, buffer)?
            .map(|bytes| Status::parse(bytes).map_err(|what| self.malformed(&path, what)))
            .transpose()
            .map(|status| status.filter(|status| !status.vanished()))
    }

    /// As [`Process::ns_inode`], without holding the process: nothing is opened.
    pub(crate) fn ns_inode(&self, pid: u32, kind: &str) -> Result<Option<u64>, Error> {
        process::ns_inode(self.dir.as_fd(), &format!("{pid}/ns/{kind}"), &self.path)
    }

    /// The process that thread `tid` belongs to: `TracerPid` names a thread.
    pub fn process_of_thread(&self, tid: u32, buffer: &mut Vec<u8>) -> Result<Option<u32>, Error> {
        Ok(self.status(tid, buffer)?.map(|status| status.tgid))
    }

    /// Adds the children of thread `tid` to `found`: `false` if the thread is gone, or the
    /// kernel was built without `CONFIG_PROC_CHILDREN`.
    ///
    /// `/proc/TID` answers for every thread, though only group leaders are listed, so the
    /// thread's process need not be known.
    pub fn children_of_thread(
        &self,
        tid: u32,
        buffer: &mut Vec<u8>,
        found: &mut Vec<u32>,
    ) -> Result<bool, Error> {
        let path = ProcPath::new(format_args!("{tid}/task/{tid}/children"));
        Ok(self
            .read_process(&path, bounds::PIDS, buffer)?
            .map(|bytes| found.extend(parse_pids(bytes)))
            .is_some())
    }

    fn read_process<'b>(
        &self,
        path: &ProcPath,
        most: usize,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<&'b [u8]>, Error> {
        self.count_open();
        match file::read_whole(self.dir.as_fd(), path.bytes(), most, End::Short, buffer) {
            Ok(()) => Ok(Some(buffer)),
            Err(e) if vanished(e) => Ok(None),
            Err(e) => Err(Error::io(self.path.join(path.text()), e)),
        }
    }

    fn count_open(&self) {
        self.opened.set(self.opened.get().saturating_add(1));
    }

    fn malformed(&self, path: &ProcPath, what: Malformed) -> Error {
        Error::Malformed {
            path: self.path.join(path.text()),
            what,
        }
    }
}

/// The process ended and was reaped: opening says `ENOENT`, reading what was open `ESRCH`.
fn vanished(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::SRCH)
}

/// A short path below `/proc`, built without allocating.
struct ProcPath {
    bytes: [u8; 64],
    length: usize,
}

impl ProcPath {
    fn new(path: fmt::Arguments<'_>) -> Self {
        let mut bytes = [0; 64];
        let mut rest = &mut bytes[..];
        // The longest, `4294967295/task/4294967295/children`, takes 35 bytes.
        let written = rest.write_fmt(path);
        debug_assert!(written.is_ok());
        let length = 64_usize.saturating_sub(rest.len());
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn text(&self) -> &str {
        str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

/// Calls `each` for every entry of a directory whose name is a number, until it says stop:
/// `true` if it did.
fn list(dir: BorrowedFd<'_>, each: &mut impl FnMut(u32) -> ControlFlow<()>) -> Result<bool, Errno> {
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 16 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        if let Some(number) = pids::parse_pid(entry?.file_name().to_bytes())
            && each(number).is_break()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
