//! One process, held by its directory.

use std::ffi::OsString;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sexton_core::ProcessId;

use super::{
    Cgroups, Malformed, Proc, ProcPath, Sched, Stat, Status, arguments, bounds, file, file::End,
    list, parse_pids, vanished,
};
use crate::Error;

/// `/proc/PID`, held open: once the process is gone every read says so, even when its pid has
/// been given to another.
///
/// Methods return `Ok(None)` when the process has ended and was reaped, and where this kernel
/// has no such file.
#[derive(Debug)]
pub struct Process {
    dir: OwnedFd,
    pid: u32,
    path: PathBuf,
}

impl Process {
    pub(super) fn open(proc: &Proc, pid: u32) -> Result<Option<Self>, Error> {
        proc.count_open();
        let path = ProcPath::new(format_args!("{pid}"));
        match file::hold(proc.dir.as_fd(), path.bytes()) {
            Ok(dir) => Ok(Some(Self {
                dir,
                pid,
                path: proc.path.join(path.text()),
            })),
            Err(e) if vanished(e) => Ok(None),
            Err(e) => Err(Error::io(proc.path.join(path.text()), e)),
        }
    }

    /// Its pid, as this `/proc` numbers it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Who it is.
    pub fn id(&self) -> Result<Option<ProcessId>, Error> {
        Ok(self.stat()?.map(|stat| stat.id()))
    }

    /// The whole of one file, for instance `limits` or `task/7/syscall`. One of more than a MiB
    /// is an error, see [`Process::for_each_line`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_as(name, bounds::FILE)
    }

    fn read_as(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = Vec::new();
        let (dir, path) = (self.dir.as_fd(), name.as_bytes());
        let read = file::read_whole(dir, path, most, End::Nothing, &mut buffer);
        Ok(self.or_gone(name, read)?.map(|()| buffer))
    }

    /// The first `most` bytes of a file, and whether that is all of it.
    pub(crate) fn beginning(
        &self,
        name: &str,
        most: usize,
    ) -> Result<Option<(Vec<u8>, bool)>, Error> {
        let mut buffer = Vec::new();
        let (dir, path) = (self.dir.as_fd(), name.as_bytes());
        let whole = file::read_at(dir, path, most, End::Nothing, &mut buffer);
        Ok(self.or_gone(name, whole)?.map(|whole| (buffer, whole)))
    }

    /// Calls `each` for every line of a file of any length, for instance `maps` or
    /// `task/7/maps`, until it says stop. Of a line that is longer than any of the kernel's own
    /// the first 20 KiB are given (a path has at most a page, escaped).
    pub fn for_each_line(
        &self,
        name: &str,
        each: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Option<()>, Error> {
        self.for_each_part(name, b'\n', bounds::LINES, each)
    }

    /// As [`Process::for_each_line`], with another end of a line; a file longer than `most` is
    /// an error.
    pub(crate) fn for_each_part(
        &self,
        name: &str,
        delimiter: u8,
        most: u64,
        each: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Option<()>, Error> {
        let read = file::open(self.dir.as_fd(), name.as_bytes())
            .and_then(|file| file::for_each_part(file.as_fd(), delimiter, most, each));
        self.or_gone(name, read)
    }

    /// Opens a file of it for reading in part: `exe`, which follows the link even where its
    /// path means nothing to us, or was removed.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, Error> {
        let opened = file::open(self.dir.as_fd(), name.as_bytes());
        Ok(self.or_gone(name, opened)?.map(File::from))
    }

    /// `stat`
    pub fn stat(&self) -> Result<Option<Stat>, Error> {
        self.parse("stat", Stat::parse)
    }

    /// `status`
    pub fn status(&self) -> Result<Option<Status>, Error> {
        let status = self.parse("status", Status::parse)?;
        Ok(status.filter(|status| !status.vanished()))
    }

    /// `sched`
    pub fn sched(&self) -> Result<Option<Sched>, Error> {
        self.parse("sched", Sched::parse)
    }

    /// `cgroup`. Of a zombie, every path of a v1 hierarchy reads `/`.
    pub fn cgroups(&self) -> Result<Option<Cgroups>, Error> {
        self.parse("cgroup", |bytes| Ok(Cgroups::parse(bytes)))
    }

    /// `cmdline`; empty for a zombie and for a kernel thread. A long one is cut, see
    /// [`arguments`].
    pub fn cmdline(&self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        // One byte more tells that it is too long.
        let most = bounds::COMMAND_LINE.saturating_add(1);
        let read = self.beginning("cmdline", most)?;
        Ok(read.map(|(bytes, _)| arguments(&bytes)))
    }

    /// Target of `exe`, with ` (deleted)` where it was removed; `None` too for a zombie and
    /// for a kernel thread.
    pub fn exe(&self) -> Result<Option<PathBuf>, Error> {
        self.link("exe")
            .map(|target| target.map(|t| PathBuf::from(OsString::from_vec(t))))
    }

    /// Target of `cwd`, as the process itself sees it.
    pub(crate) fn cwd(&self) -> Result<Option<PathBuf>, Error> {
        self.link("cwd")
            .map(|target| target.map(|t| PathBuf::from(OsString::from_vec(t))))
    }

    /// What one of its open files is, as the kernel names it: a path, `pipe:[4711]`.
    pub(crate) fn open_name(&self, fd: u32) -> Result<Option<String>, Error> {
        let target = self.link(&format!("fd/{fd}"))?;
        Ok(target.map(|target| crate::lossy(&target)))
    }

    /// Inode of a namespace: `pid`, `user`, `mnt`… `None` too for a zombie, which has left them.
    pub fn ns_inode(&self, kind: &str) -> Result<Option<u64>, Error> {
        ns_inode(self.dir.as_fd(), &format!("ns/{kind}"), &self.path)
    }

    /// A thread of a process whose leader has ended: it still shows what the leader no longer
    /// does (`exe`, `cmdline`, `ns`, v1 cgroups). `None` while the leader lives.
    pub(crate) fn stand_in(&self, leader: &Stat) -> Result<Option<Self>, Error> {
        if !leader.is_dead_leader() {
            return Ok(None);
        }
        let tasks = self.tasks()?.unwrap_or_default();
        for tid in tasks.into_iter().filter(|tid| *tid != self.pid) {
            let name = format!("task/{tid}");
            let held = file::hold(self.dir.as_fd(), name.as_bytes());
            if let Some(dir) = self.or_gone(&name, held)? {
                return Ok(Some(Self {
                    dir,
                    pid: tid,
                    path: self.path.join(name),
                }));
            }
        }
        Ok(None)
    }

    /// Ids of its threads.
    pub fn tasks(&self) -> Result<Option<Vec<u32>>, Error> {
        self.numbers("task", usize::MAX)
    }

    /// Numbers of its open files, the first `most` of them.
    pub(crate) fn fds(&self, most: usize) -> Result<Option<Vec<u32>>, Error> {
        self.numbers("fdinfo", most)
    }

    /// Children of one of its threads, live ones and zombies, in the order in which they came
    /// to it. `None` also on kernels built without `CONFIG_PROC_CHILDREN`.
    ///
    /// The kernel gives a page at a time and finds its place again by counting, so while
    /// children at the front leave, others can be missed (`proc_pid_task(5)`).
    pub fn children(&self, tid: u32) -> Result<Option<Vec<u32>>, Error> {
        let list = self.read_as(&format!("task/{tid}/children"), bounds::PIDS)?;
        Ok(list.map(|bytes| parse_pids(&bytes).collect()))
    }

    /// Children of all its threads.
    pub fn all_children(&self) -> Result<Option<Vec<u32>>, Error> {
        let Some(tasks) = self.tasks()? else {
            return Ok(None);
        };
        let mut found = None;
        for tid in tasks {
            if let Some(children) = self.children(tid)? {
                found.get_or_insert_with(Vec::new).extend(children);
            }
        }
        Ok(found)
    }

    /// Entries of one of its directories that are numbers, the first `most` of them.
    fn numbers(&self, name: &str, most: usize) -> Result<Option<Vec<u32>>, Error> {
        let mut found = Vec::new();
        let listed = file::open_dir(self.dir.as_fd(), name.as_bytes()).and_then(|dir| {
            list(dir.as_fd(), &mut |number| {
                if found.len() >= most {
                    return ControlFlow::Break(());
                }
                found.push(number);
                ControlFlow::Continue(())
            })
        });
        Ok(self.or_gone(name, listed)?.map(|_| found))
    }

    /// Tells what is gone from what cannot be read.
    fn or_gone<T>(&self, name: &str, read: Result<T, Errno>) -> Result<Option<T>, Error> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(e) if vanished(e) => Ok(None),
            Err(e) => Err(Error::io(self.path.join(name), e)),
        }
    }

    fn parse<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Error> {
        self.read(name)?
            .map(|bytes| {
                parse(&bytes).map_err(|what| Error::Malformed {
                    path: self.path.join(name),
                    what,
                })
            })
            .transpose()
    }

    fn link(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        link(self.dir.as_fd(), name, &self.path)
    }
}

/// The inode that a link of `ns/` names; `path` is that of `dir`, for errors.
pub(super) fn ns_inode(dir: BorrowedFd<'_>, name: &str, path: &Path) -> Result<Option<u64>, Error> {
    let Some(target) = link(dir, name, path)? else {
        return Ok(None);
    };
    // `pid:[4026531836]`
    str::from_utf8(&target)
        .ok()
        .and_then(|text| text.split_once(":[")?.1.strip_suffix(']')?.parse().ok())
        .map(Some)
        .ok_or_else(|| Error::Malformed {
            path: path.join(name),
            what: Malformed("inode of a namespace"),
        })
}

fn link(dir: BorrowedFd<'_>, name: &str, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match file::link(dir, name.as_bytes()) {
        // Linux 5.10 gives an empty target of `ns/*` to those who may not read it, and no error.
        Ok(target) if target.is_empty() => Err(Error::io(path.join(name), Errno::ACCESS)),
        Ok(target) => Ok(Some(target)),
        Err(e) if vanished(e) || e == Errno::INVAL => Ok(None),
        Err(e) => Err(Error::io(path.join(name), e)),
    }
}
