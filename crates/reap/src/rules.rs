//! Who may not be touched, and how: the rules that reap, autoreap and terminate share.

use std::time::Duration;

use sexton_core::{Container, Holder, ProcessId, State, protect};
use sexton_scan::Scanner;
use sexton_scan::proc::Proc;

use crate::borrow::arch;
use crate::borrow::brake::Brake;
use crate::borrow::tail::Guest;
use crate::borrow::visit::{self, Unfit};
use crate::seccomp::{self, Trust};
use crate::{Error, Refusal};

/// How long to wait, while planning, for a thread to be seen out of the code of an earlier reap
/// that was killed.
const EARLIER_PATIENCE: Duration = Duration::from_millis(200);

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

    /// What its seccomp filters are trusted with, or why no thread of it may be borrowed.
    pub(crate) fn borrowable(
        self,
        scanner: &Scanner,
        ignore_seccomp: bool,
    ) -> Result<Result<Trust, Refusal>, Error> {
        let Self { proc, holder, .. } = self;
        if !arch::SUPPORTED {
            return Ok(Err(Refusal::Architecture));
        }
        let scope = yama(proc);
        if scope == Some(3) {
            return Ok(Err(Refusal::Yama { scope: 3 }));
        }
        let trust = match seccomp::judge(scanner, holder, self.container, ignore_seccomp)? {
            Ok(trust) => trust,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut visitor = match visit::prepare(proc, holder.id, trust) {
            Ok(visitor) => visitor,
            Err(Unfit::Refused(Refusal::NotPermitted)) => {
                let refusal = match scope {
                    Some(scope @ 1..) => Refusal::Yama { scope },
                    _ => Refusal::NotPermitted,
                };
                return Ok(Err(refusal));
            }
            Err(Unfit::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Unfit::Failed(error)) => return Err(error),
        };
        let guest = visitor.await_empty(EARLIER_PATIENCE, &mut Brake::none())?;
        Ok(match guest {
            Some(Guest { thread, .. }) => Err(Refusal::TailInUse { thread }),
            None => Ok(trust),
        })
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

/// Why a holder is left alone whatever is meant to be done with it; `None` where it may be watched.
///
/// # Errors
/// `/proc` cannot be read.
pub fn left_alone(
    scanner: &mut Scanner,
    holder: ProcessId,
    allow_host: bool,
) -> Result<Option<Refusal>, Error> {
    let found = scanner.holder(holder.pid)?;
    let Some(found) = found.filter(|found| found.id == holder) else {
        return Ok(Some(Refusal::Gone));
    };
    let container = scanner.container_of(holder.pid)?;
    let who = Who {
        proc: scanner.proc(),
        holder: &found,
        container: container.as_ref(),
    };
    Ok(who.untouchable(allow_host))
}

/// `/proc/sys/kernel/yama/ptrace_scope`; `None` on kernels without Yama.
fn yama(proc: &Proc) -> Option<u32> {
    let bytes = proc.read("sys/kernel/yama/ptrace_scope").ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}
