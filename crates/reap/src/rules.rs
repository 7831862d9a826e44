//! Who may not be touched, and how: the rules that reap, autoreap and terminate share.

use std::time::Duration;

use sexton_core::{Container, Holder, State, protect};
use sexton_scan::proc::{Proc, Process, Status};

use crate::{
    Error, Refusal, arch,
    brake::Brake,
    visit::{self, Unfit},
};

/// How long to wait, while planning, for a thread to be seen out of the code of an earlier reap
/// that was killed.
const EARLIER_PATIENCE: Duration = Duration::from_millis(500);

/// A holder, and where it was seen.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) proc: &'a Proc,
    pub(crate) holder: &'a Holder,
    pub(crate) container: Option<&'a Container>,
}

impl Who<'_> {
    /// Why nothing at all may be done to it, the weightiest reason first.
    pub(crate) fn untouchable(self, allow_host: bool) -> Option<Refusal> {
        if self.proc.own_pid() != Some(std::process::id()) {
            return Some(Refusal::ForeignProc);
        }
        if let Some(what) = protect::protection(self.holder, std::process::id()) {
            return Some(Refusal::Protected { what });
        }
        if protect::is_host_process(self.container) && !allow_host {
            return Some(Refusal::HostProcess);
        }
        self.by_state()
    }

    /// Why no thread of it may be borrowed.
    pub(crate) fn unborrowable(self, ignore_seccomp: bool) -> Result<Option<Refusal>, Error> {
        let Self {
            proc,
            holder,
            container,
        } = self;
        if !arch::SUPPORTED {
            return Ok(Some(Refusal::Architecture));
        }
        let scope = yama(proc);
        if scope == Some(3) {
            return Ok(Some(Refusal::Yama { scope: 3 }));
        }
        match by_seccomp(proc, holder, container)? {
            Some(Refusal::Seccomp { .. }) if ignore_seccomp => {}
            None => {}
            refusal => return Ok(refusal),
        }
        let mut visitor = match visit::prepare(proc, holder.id) {
            Ok(visitor) => visitor,
            Err(Unfit::Refused(Refusal::NotPermitted)) => {
                let refusal = match scope {
                    Some(scope @ 1..) => Refusal::Yama { scope },
                    _ => Refusal::NotPermitted,
                };
                return Ok(Some(refusal));
            }
            Err(Unfit::Refused(refusal)) => return Ok(Some(refusal)),
            Err(Unfit::Failed(error)) => return Err(error),
        };
        let guest = visitor.await_empty(EARLIER_PATIENCE, &mut Brake::none())?;
        Ok(guest.map(|guest| Refusal::TailInUse {
            thread: guest.thread,
        }))
    }

    fn by_state(self) -> Option<Refusal> {
        let holder = self.holder;
        if let Some(tracer) = holder.traced_by {
            return Some(Refusal::TracedByAnother { tracer });
        }
        if holder.frozen {
            return Some(Refusal::Frozen);
        }
        match holder.state {
            State::Stopped | State::Traced => Some(Refusal::Stopped),
            // The main thread alone; others of the process may do.
            State::DiskSleep if holder.threads == 1 => Some(Refusal::Uninterruptible),
            State::Zombie if holder.threads <= 1 => Some(Refusal::HolderIsZombie),
            State::Dead => Some(Refusal::Gone),
            _ => None,
        }
    }
}

/// `/proc/sys/kernel/yama/ptrace_scope`; `None` on kernels without Yama.
fn yama(proc: &Proc) -> Option<u32> {
    let bytes = proc.read("sys/kernel/yama/ptrace_scope").ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// A filter that a program has put upon itself shows as more filters than its container's
/// first process has (`Seccomp_filters`, since Linux 5.9).
fn by_seccomp(
    proc: &Proc,
    holder: &Holder,
    container: Option<&Container>,
) -> Result<Option<Refusal>, Error> {
    const STRICT: u32 = 1;
    const FILTER: u32 = 2;
    let Some(status) = status_of(proc, holder.id.pid)? else {
        return Ok(None);
    };
    match status.seccomp {
        STRICT => return Ok(Some(Refusal::SeccompStrict)),
        FILTER => {}
        _ => return Ok(None),
    }
    // Runtimes put one filter on a container's first process; the host's have none.
    let usual = u32::from(container.is_some());
    let expected = match first_process(proc, holder)? {
        Some(first) if first.tgid != holder.id.pid => match first.seccomp {
            FILTER => first.seccomp_filters.unwrap_or(usual),
            _ => 0,
        },
        // It is the first one itself.
        _ => usual,
    };
    let filters = status.seccomp_filters.unwrap_or(usual);
    Ok((filters > expected).then_some(Refusal::Seccomp { filters, expected }))
}

/// The nearest process above `holder`, or itself, that is PID 1 of its namespace.
fn first_process(proc: &Proc, holder: &Holder) -> Result<Option<Status>, Error> {
    let depth = holder.ns_pids.len();
    let mut pid = holder.id.pid;
    // Parents form no circle, but the tree changes while it is read.
    for _ in 0..1_000 {
        let Some(status) = status_of(proc, pid)? else {
            return Ok(None);
        };
        if status.ns_pids.len() < depth {
            return Ok(None);
        }
        if status.ns_pids.last() == Some(&1) {
            return Ok(Some(status));
        }
        pid = status.parent;
    }
    Ok(None)
}

fn status_of(proc: &Proc, pid: u32) -> Result<Option<Status>, Error> {
    match proc
        .process(pid)?
        .as_ref()
        .map(Process::status)
        .transpose()?
    {
        Some(status) => Ok(status),
        None => Ok(None),
    }
}
