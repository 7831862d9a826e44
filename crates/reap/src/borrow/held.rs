//! A process, held so that nothing that is done to it can reach another.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sexton_core::ProcessId;
use sexton_core::report::Exit;
use sexton_scan::proc::{Proc, Process};

use crate::borrow::tail::Vdso;
use crate::{Error, Refusal, exit, mapping};

/// The holder, held by its directory, its pidfd and its memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: ProcessId,
    pub(crate) process: Process,
    pub(crate) pidfd: OwnedFd,
    /// `/proc/PID/mem`. It stays that of the program that ran when it was opened, also after an
    /// execve.
    pub(crate) memory: File,
    pub(crate) directory: PathBuf,
    /// `/proc/PID/maps`, of the same program as `memory`.
    maps: File,
}

/// Why a process could not be held.
#[derive(Debug)]
pub(crate) enum NotHeld {
    Gone,
    Denied,
    Failed(Error),
}

impl Held {
    /// Takes hold of `id`.
    pub(crate) fn open(proc: &Proc, id: ProcessId) -> Result<Self, NotHeld> {
        let process = proc.process(id.pid)?.ok_or(NotHeld::Gone)?;
        let directory = proc.path().join(id.pid.to_string());
        let pidfd =
            open_pidfd(id.pid).map_err(|source| NotHeld::from(("open a pidfd", id.pid, source)))?;
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(directory.join("mem"))
            .map_err(|source| NotHeld::from(("open the memory", id.pid, source)))?;
        let maps = process.open_file("maps")?.ok_or(NotHeld::Gone)?;
        // Read last: if this is still the process, then so it was when the others were opened.
        if process.id()? != Some(id) {
            return Err(NotHeld::Gone);
        }
        Ok(Self {
            id,
            process,
            pidfd,
            memory,
            directory,
            maps,
        })
    }

    /// The value after `key` in the `status` of one of its threads; `None` if the thread is gone
    /// or the kernel has no such line.
    pub(crate) fn status_line(
        &self,
        thread: u32,
        key: &[u8],
    ) -> Result<Option<String>, sexton_scan::Error> {
        let status = self.process.read(&format!("task/{thread}/status"))?;
        Ok(status.and_then(|status| {
            let line = status
                .split(|byte| *byte == b'\n')
                .find_map(|line| line.strip_prefix(key))?;
            Some(std::str::from_utf8(line).ok()?.trim().to_owned())
        }))
    }

    /// Where its vdso is now; `None` if it is gone.
    pub(crate) fn vdso(&self) -> Result<Option<Result<Vdso, Refusal>>, sexton_scan::Error> {
        /// With mappings of usual names the kernel's own limit for them (65,530) makes a tenth.
        const MOST: u64 = 64;
        let (mut read, mut found): (u64, Option<Vdso>) = (0, None);
        let mut whole = true;
        let each = |line: &[u8]| {
            read = read.saturating_add(line.len() as u64);
            whole = read <= MOST << 20;
            match (Vdso::parse(line), found) {
                (Some(part), None) => found = Some(part),
                (Some(part), Some(before)) => found = Some(before.and(part)),
                // Its parts follow each other.
                (None, Some(_)) => return ControlFlow::Break(()),
                (None, None) if !whole => return ControlFlow::Break(()),
                (None, None) => {}
            }
            ControlFlow::Continue(())
        };
        if self.process.for_each_line("maps", each)?.is_none() {
            return Ok(None);
        }
        Ok(Some(found.ok_or(if whole {
            Refusal::NoVdso
        } else {
            Refusal::TooManyMappings { mebibytes: MOST }
        })))
    }

    /// The same at a moment when a thread of it stands still: what has become of `before`.
    pub(crate) fn vdso_again(
        &self,
        before: Vdso,
    ) -> Result<Option<Result<Vdso, Refusal>>, sexton_scan::Error> {
        match mapping::at(&self.maps, before.start()) {
            Ok(Some(mapping)) => Ok(Some(Vdso::from(mapping).ok_or(Refusal::NoVdso))),
            Ok(None) => Ok(Some(Err(Refusal::NoVdso))),
            Err(_) => self.vdso(),
        }
    }

    /// How it ended: while it is a zombie its `stat` tells, and after it was waited for its pidfd
    /// does, since Linux 6.15.
    pub(crate) fn exit(&self) -> Option<Exit> {
        // It may be waited for between the two questions.
        for _ in 0..3 {
            let stat = self.process.stat().ok().flatten();
            let zombie = stat.filter(sexton_scan::proc::Stat::is_reapable_zombie);
            if let Some(exit) = zombie.and_then(|zombie| zombie.exit()) {
                return Some(exit);
            }
            if let Some(exit) = exit::of(&self.pidfd) {
                return Some(exit);
            }
        }
        None
    }

    /// Whether all of its threads have ended; it may still be a zombie itself.
    pub(crate) fn has_ended(&self) -> bool {
        has_ended(&self.pidfd, Duration::ZERO)
    }
}

impl From<sexton_scan::Error> for NotHeld {
    fn from(error: sexton_scan::Error) -> Self {
        if error.is_denied() {
            Self::Denied
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<(&'static str, u32, io::Error)> for NotHeld {
    fn from((what, pid, source): (&'static str, u32, io::Error)) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Self::Gone,
            Some(libc::EPERM | libc::EACCES) => Self::Denied,
            _ => Self::Failed(Error::System { what, pid, source }),
        }
    }
}

/// A pidfd of a process or of a zombie (`pidfd_open(2)`).
pub(crate) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether the process of `pidfd` has been waited for; a zombie has not.
pub(crate) fn is_gone(pidfd: &OwnedFd) -> bool {
    asked(pidfd) == Some(libc::ESRCH)
}

/// Whether we may send it signals.
pub(crate) fn may_signal(pidfd: &OwnedFd) -> bool {
    asked(pidfd) != Some(libc::EPERM)
}

/// Whether all threads of the process of `pidfd` have ended; it may still be a zombie. Waits for
/// that no longer than `patience`.
pub(crate) fn has_ended(pidfd: &OwnedFd, patience: Duration) -> bool {
    // A pidfd is readable from then on (`pidfd_open(2)`).
    let mut ended = [PollFd::new(pidfd, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    matches!(poll(&mut ended, Some(&patience)), Ok(1..))
}

/// What signal 0 comes back with.
fn asked(pidfd: &OwnedFd) -> Option<i32> {
    // SAFETY: signal 0 is only a question, and a null `siginfo` is allowed.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            0,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    (sent == -1)
        .then(io::Error::last_os_error)
        .and_then(|error| error.raw_os_error())
}
