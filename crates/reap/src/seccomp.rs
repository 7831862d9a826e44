//! Seccomp: whether the calls that a borrowed thread would make are allowed to it.
//!
//! A filter may kill a program for a call that is not its own. There are two ways to know
//! better, and without one of them nothing is done:
//! - the filters themselves are asked while the thread stands still
//!   (`PTRACE_SECCOMP_GET_FILTER`), for the very calls that it would make. The kernel gives them
//!   only to `CAP_SYS_ADMIN`, and to one who is under no filter;
//! - the thread has as many filters as its container's runtime put there, so none is the
//!   program's own. The runtime's allow what every program does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::{Container, Holder};
use sexton_scan::Scanner;
use sexton_scan::proc::{Proc, Process, Status};

use crate::borrow::trace::{NoFilter, Stopped};
use crate::bpf::{self, Call, Instruction};
use crate::{Error, Refusal};

/// `Seccomp` of `/proc/PID/status`.
const STRICT: u32 = 1;
const FILTER: u32 = 2;
/// The kernel's bound for all filters of a thread is 32,768 instructions; this is enough for
/// that many calls of a visit under any filter that is in use.
const STEPS: u32 = 2_000_000;

/// Why the seccomp filters of a holder are taken to allow what it is made to do. Wherever they
/// can be asked, they are asked all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "because"
)]
pub enum Trust {
    /// Its container's runtime has put so many there, and it has no others.
    OfRuntime {
        /// How many; 0 where it is under none.
        filters: u32,
    },
    /// They are not; a thread is made to do only what they allow when they are asked.
    Asked,
    /// An engineer knows better (`--ignore-seccomp`).
    Insisted,
}

/// What `holder` may be trusted with, or why nothing can be done, as far as that is to be known
/// before a thread stands still.
pub(crate) fn judge(
    scanner: &Scanner,
    holder: &Holder,
    container: Option<&Container>,
    insisted: bool,
) -> Result<Result<Trust, Refusal>, Error> {
    let Some(status) = status_of(scanner.proc(), holder.id.pid)? else {
        return Ok(Err(Refusal::Gone));
    };
    match status.seccomp {
        STRICT => return Ok(Err(Refusal::SeccompStrict)),
        FILTER => {}
        _ => return Ok(Ok(Trust::OfRuntime { filters: 0 })),
    }
    if insisted {
        return Ok(Ok(Trust::Insisted));
    }
    let Some(filters) = status.seccomp_filters else {
        // Before Linux 5.9 they are not counted.
        return Ok(unknown(scanner.proc(), 1));
    };
    let of_runtime = match container {
        Some(container) => scanner.seccomp_filters_of(container),
        // The host's processes are under none but what they have put upon themselves.
        None => Some(0),
    };
    let expected = match of_runtime {
        Some(expected) if filters == expected => return Ok(Ok(Trust::OfRuntime { filters })),
        Some(expected) => Some(expected),
        // A filter is inherited: one that PID 1 of its namespace has not got is not the runtime's.
        None => first_process(scanner.proc(), holder)?.map(|first| match first.seccomp {
            FILTER => first.seccomp_filters.unwrap_or(filters),
            _ => 0,
        }),
    };
    Ok(match expected.filter(|expected| filters > *expected) {
        Some(expected) => Err(Refusal::Seccomp { filters, expected }),
        None => unknown(scanner.proc(), filters),
    })
}

fn unknown(proc: &Proc, filters: u32) -> Result<Trust, Refusal> {
    if may_ask(proc) {
        Ok(Trust::Asked)
    } else {
        Err(Refusal::SeccompUnknown { filters })
    }
}

/// Whether the kernel would give us another's filters (`ptrace(2)`).
fn may_ask(proc: &Proc) -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    // Of this thread: it is the one that asks.
    let own = proc.read("thread-self/status").ok().flatten();
    let Some(Ok(status)) = own.as_deref().map(Status::parse) else {
        return false;
    };
    // The kernel asks for it in the first user namespace, whose inode is known
    // (PROC_USER_INIT_INO).
    const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;
    let namespace = proc.process(std::process::id()).ok().flatten();
    let namespace = namespace.and_then(|own| own.ns_inode("user").ok().flatten());
    status.seccomp == 0
        && status.effective_capabilities & (1 << CAP_SYS_ADMIN) != 0
        && namespace == Some(FIRST_USER_NAMESPACE)
        // Stands and falls with CONFIG_CHECKPOINT_RESTORE, as the filters do.
        && matches!(proc.read("sys/kernel/ns_last_pid"), Ok(Some(_)))
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

/// The filters of a thread that stands still.
#[derive(Debug)]
pub(crate) enum Filters {
    /// It has none, or only such as were judged before.
    Trusted,
    /// All of them.
    Known(Vec<Vec<Instruction>>),
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// `SECCOMP_RET_*`
    Answered(u32),
    /// A filter that the kernel would not have let in, or one that takes too long.
    NotKnown,
}

impl Filters {
    /// Asks for the filters of a thread whose `status` is this, by what it is trusted with.
    pub(crate) fn of(
        stopped: &Stopped,
        status: &Status,
        trust: Trust,
    ) -> std::io::Result<Result<Self, Refusal>> {
        match status.seccomp {
            STRICT => return Ok(Err(Refusal::SeccompStrict)),
            FILTER => {}
            _ => return Ok(Ok(Self::Trusted)),
        }
        let mut known = Vec::new();
        loop {
            match stopped.filter(known.len())? {
                Ok(filter) => known.push(filter),
                Err(NoFilter::Last) if !known.is_empty() => return Ok(Ok(Self::Known(known))),
                Err(_) => break,
            }
        }
        let filters = status.seccomp_filters.unwrap_or(1);
        Ok(match trust {
            Trust::Insisted => Ok(Self::Trusted),
            Trust::OfRuntime { filters: judged } if filters == judged => Ok(Self::Trusted),
            Trust::OfRuntime { filters: expected } if filters > expected => {
                Err(Refusal::Seccomp { filters, expected })
            }
            Trust::OfRuntime { .. } | Trust::Asked => Err(Refusal::SeccompUnknown { filters }),
        })
    }

    /// What they say of `call`.
    pub(crate) fn ask(&self, call: &Call) -> Verdict {
        self.ask_each(call, &[])
    }

    /// What they say of `call` with each of these as its first argument, if there are any.
    pub(crate) fn ask_each(&self, call: &Call, firsts: &[u32]) -> Verdict {
        let Self::Known(filters) = self else {
            return Verdict::Allowed;
        };
        let mut budget = STEPS;
        let mut strictest = libc::SECCOMP_RET_ALLOW;
        for filter in filters {
            let mut call = *call;
            let mut rest = firsts.iter();
            loop {
                if let Some(first) = rest.next() {
                    call.arguments[0] = u64::from(*first);
                }
                let Some(answer) = bpf::run(filter, &call, &mut budget) else {
                    return Verdict::NotKnown;
                };
                let action = answer.value & libc::SECCOMP_RET_ACTION_FULL;
                // The kernel takes the least one, as a signed number.
                if action.cast_signed() < strictest.cast_signed() {
                    strictest = action;
                }
                if rest.len() == 0 || answer.read & Call::FIRST_ARGUMENT == 0 {
                    break;
                }
            }
        }
        match strictest {
            libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG => Verdict::Allowed,
            action => Verdict::Answered(action),
        }
    }
}

impl Verdict {
    /// A call that was let in once would now end the program, or fail. (One that another process
    /// decides on is asked for again, as after any interruption.)
    pub(crate) fn does_harm(self) -> bool {
        match self {
            Self::Allowed | Self::NotKnown => false,
            Self::Answered(action) => !matches!(
                action,
                libc::SECCOMP_RET_TRACE | libc::SECCOMP_RET_USER_NOTIF
            ),
        }
    }

    /// The reason not to make a thread call `call`; `None` where it may.
    pub(crate) fn refusal(self, call: &str) -> Option<Refusal> {
        let action = match self {
            Self::Allowed => return None,
            Self::NotKnown => return Some(Refusal::SeccompTooLong),
            Self::Answered(libc::SECCOMP_RET_ERRNO) => "an error",
            Self::Answered(libc::SECCOMP_RET_TRAP) => "the signal SIGSYS",
            Self::Answered(libc::SECCOMP_RET_TRACE) => "a question to its tracer",
            Self::Answered(libc::SECCOMP_RET_USER_NOTIF) => "a question to another process",
            Self::Answered(libc::SECCOMP_RET_KILL_THREAD) => "the end of the thread",
            Self::Answered(_) => "the end of the program",
        };
        Some(Refusal::SeccompForbids {
            call: call.to_owned(),
            action: action.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
