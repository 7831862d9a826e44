//! One process, held by its directory.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sexton_core::ProcessId;

use super::{
    Cgroups, Malformed, Proc, ProcPath, Sched, Stat, Status, arguments, list, parse_pids, read_at,
    vanished,
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
        proc.opened.set(proc.opened.get() + 1);
        let path = ProcPath::new(format_args!("{pid}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&proc.dir, path.bytes(), flags, Mode::empty()) {
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

    /// The whole of one file, for instance `limits` or `task/7/syscall`.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = Vec::new();
        match read_at(self.dir.as_fd(), name.as_bytes(), &mut buffer) {
            Ok(()) => Ok(Some(buffer)),
            Err(e) if vanished(e) => Ok(None),
            Err(e) => Err(Error::io(self.path.join(name), e)),
        }
    }

    /// Opens a file of it for reading in part: `exe`, which follows the link even where its
    /// path means nothing to us, or was removed.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, Error> {
        match rustix::fs::openat(
            &self.dir,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(file) => Ok(Some(file.into())),
            Err(e) if vanished(e) => Ok(None),
            Err(e) => Err(Error::io(self.path.join(name), e)),
        }
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

    /// `cmdline`; empty for a zombie and for a kernel thread.
    pub fn cmdline(&self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        self.parse("cmdline", |bytes| Ok(arguments(bytes)))
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

    /// Inode of a namespace: `pid`, `user`, `mnt`… `None` too for a zombie, which has left them.
    pub fn ns_inode(&self, kind: &str) -> Result<Option<u64>, Error> {
        let name = format!("ns/{kind}");
        let Some(target) = self.link(&name)? else {
            return Ok(None);
        };
        // `pid:[4026531836]`
        str::from_utf8(&target)
            .ok()
            .and_then(|text| text.split_once(":[")?.1.strip_suffix(']')?.parse().ok())
            .map(Some)
            .ok_or_else(|| Error::Malformed {
                path: self.path.join(name),
                what: Malformed("inode of a namespace"),
            })
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
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match rustix::fs::openat(&self.dir, &name, flags, Mode::empty()) {
                Ok(dir) => {
                    return Ok(Some(Self {
                        dir,
                        pid: tid,
                        path: self.path.join(name),
                    }));
                }
                Err(e) if vanished(e) => {}
                Err(e) => return Err(Error::io(self.path.join(name), e)),
            }
        }
        Ok(None)
    }

    /// Ids of its threads.
    pub fn tasks(&self) -> Result<Option<Vec<u32>>, Error> {
        self.numbers("task")
    }

    /// Numbers of its open files.
    pub(crate) fn fds(&self) -> Result<Option<Vec<u32>>, Error> {
        self.numbers("fdinfo")
    }

    /// Children of one of its threads, live ones and zombies, in the order in which they came
    /// to it. `None` also on kernels built without `CONFIG_PROC_CHILDREN`.
    ///
    /// The kernel gives a page at a time and finds its place again by counting, so while
    /// children at the front leave, others can be missed (`proc_pid_task(5)`).
    pub fn children(&self, tid: u32) -> Result<Option<Vec<u32>>, Error> {
        self.parse(&format!("task/{tid}/children"), |bytes| {
            Ok(parse_pids(bytes).collect())
        })
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

    /// Entries of one of its directories that are numbers.
    fn numbers(&self, name: &str) -> Result<Option<Vec<u32>>, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut found = Vec::new();
        let listed = rustix::fs::openat(&self.dir, name, flags, Mode::empty())
            .and_then(|dir| list(dir.as_fd(), &mut |number| found.push(number)));
        match listed {
            Ok(()) => Ok(Some(found)),
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
        match rustix::fs::readlinkat(&self.dir, name, Vec::new()) {
            // Linux 5.10 gives an empty target of `ns/*` to those who may not read it, and no
            // error.
            Ok(target) if target.is_empty() => Err(Error::io(self.path.join(name), Errno::ACCESS)),
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(e) if vanished(e) || e == Errno::INVAL => Ok(None),
            Err(e) => Err(Error::io(self.path.join(name), e)),
        }
    }
}
