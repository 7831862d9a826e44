//! What would be done, and why the rest would not. Reads only.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::{Container, Holder, ProcessId, State, Zombie, protect};
use sexton_scan::{
    Scanner,
    proc::{Proc, Process, Status},
};

use crate::{
    AgesFrom, Error, LeftBecause, Nudge, Refusal, arch,
    outcome::{Left, left},
    settle::{self, Dead, Settled},
    visit::{self, Unfit},
};

/// How long to wait, while planning, for a thread to be seen out of the code of an earlier reap
/// that was killed.
const EARLIER_PATIENCE: Duration = Duration::from_millis(500);

/// What an engineer may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Take only what has been dead for at least this long.
    pub settle: Duration,
    /// Also for a process outside any container.
    pub allow_host: bool,
    /// Also where a seccomp filter of the program's own may forbid `wait4`.
    pub ignore_seccomp: bool,
    /// Send SIGCHLD first where a handler may reap.
    pub nudge: bool,
    /// Of the holder's zombies only the one with this pid.
    pub only: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(60),
            allow_host: false,
            ignore_seccomp: false,
            nudge: true,
            only: None,
        }
    }
}

/// What would be done for one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The process that ought to wait.
    pub holder: Holder,
    /// Its container; absent for a process of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Why nothing is done; absent where something may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What a SIGCHLD would do, which is tried first.
    pub nudge: Nudge,
    /// The zombies to take.
    pub take: Vec<Zombie>,
    /// Those to leave, and why.
    pub left: Vec<Left>,
    /// On what ground a zombie counts as settled.
    pub ages_from: AgesFrom,
    /// The settle time in seconds.
    pub settle_seconds: u64,
}

/// Plans a reap for `holder`; `None` if there is no such process.
///
/// # Errors
/// Where something that is there could not be read. What cannot be read for lack of permission
/// is a refusal.
pub fn plan(
    scanner: &mut Scanner,
    holder: ProcessId,
    options: &Options,
) -> Result<Option<Plan>, Error> {
    let Some(found) = scanner
        .holder(holder.pid)?
        .filter(|found| found.id == holder)
    else {
        return Ok(None);
    };
    let container = scanner.container_of(holder.pid)?;
    let own_pid = scanner.proc().own_pid();
    let children = Children::of(scanner.proc(), &found, options.only)?;
    let refusal = refusal(scanner.proc(), &found, container.as_ref(), own_pid, options)?;
    let held_as_tracer = children.zombies.is_empty()
        && children.left.is_empty()
        && !scanner.zombies_traced_by(holder)?.is_empty();

    let (settled, ages_from) = settle::judge(scanner.proc(), &children.dead, options.settle)?;
    let seconds = options.settle.as_secs();
    let mut take = Vec::with_capacity(children.zombies.len());
    let mut reasons = children.left;
    for (zombie, settled) in children.zombies.into_iter().zip(settled) {
        match settled {
            Settled::No => reasons.push(LeftBecause::Young { seconds }),
            // The start is all that this kernel tells; the plan says so.
            Settled::Unknown if ages_from == AgesFrom::Start => take.push(zombie),
            Settled::Unknown => reasons.push(LeftBecause::AgeUnknown { seconds }),
            Settled::Yes => take.push(zombie),
        }
    }
    Ok(Some(Plan {
        refusal: refusal.or(held_as_tracer.then_some(Refusal::HeldAsTracer)),
        nudge: if options.nudge {
            Nudge::to(&found)
        } else {
            Nudge::NotWanted
        },
        holder: found,
        container,
        take,
        left: left(reasons.into_iter()),
        ages_from,
        settle_seconds: seconds,
    }))
}

/// The dead children of a holder.
struct Children {
    zombies: Vec<Zombie>,
    dead: Vec<Dead>,
    left: Vec<LeftBecause>,
}

impl Children {
    fn of(proc: &Proc, holder: &Holder, only: Option<u32>) -> Result<Self, Error> {
        let mut children = Self {
            zombies: Vec::new(),
            dead: Vec::new(),
            left: Vec::new(),
        };
        let Some(process) = proc.process(holder.id.pid)? else {
            return Ok(children);
        };
        let pids = match process.all_children()? {
            Some(pids) => pids,
            // A kernel without CONFIG_PROC_CHILDREN.
            None => proc.pids()?,
        };
        let mut buffer = Vec::new();
        for pid in pids {
            if only.is_some_and(|only| only != pid) {
                continue;
            }
            let Some(stat) = proc.stat(pid, &mut buffer)? else {
                continue;
            };
            if stat.parent != holder.id.pid || stat.state != State::Zombie {
                continue;
            }
            if !stat.is_reapable_zombie() {
                children.left.push(LeftBecause::LiveThreads);
                continue;
            }
            let Some(status) = proc.status(pid, &mut buffer)? else {
                continue;
            };
            let tracer = match status.tracer {
                // The kernel names the thread that traces.
                Some(thread) => proc.status(thread, &mut buffer)?.map(|tracer| tracer.tgid),
                None => None,
            };
            if let Some(tracer) = tracer.filter(|tracer| *tracer != holder.id.pid) {
                children.left.push(LeftBecause::Traced { tracer });
            } else if status.ns_pids.len() < holder.ns_pids.len() {
                children.left.push(LeftBecause::OtherNamespace);
            } else {
                children.dead.push(Dead::from(&stat));
                children.zombies.push(Zombie {
                    id: stat.id(),
                    ns_pids: status.ns_pids,
                    name: stat.comm.to_lossy(),
                    exit: stat.exit(),
                });
            }
        }
        Ok(children)
    }
}

/// Why nothing may be done to `holder`, the weightiest reason first.
fn refusal(
    proc: &Proc,
    holder: &Holder,
    container: Option<&Container>,
    own_pid: Option<u32>,
    options: &Options,
) -> Result<Option<Refusal>, Error> {
    if own_pid != Some(std::process::id()) {
        return Ok(Some(Refusal::ForeignProc));
    }
    if let Some(what) = protect::protection(holder, std::process::id()) {
        return Ok(Some(Refusal::Protected { what }));
    }
    if protect::is_host_process(container) && !options.allow_host {
        return Ok(Some(Refusal::HostProcess));
    }
    if !arch::SUPPORTED {
        return Ok(Some(Refusal::Architecture));
    }
    if let Some(refusal) = by_state(holder) {
        return Ok(Some(refusal));
    }
    let scope = yama(proc);
    if scope == Some(3) {
        return Ok(Some(Refusal::Yama { scope: 3 }));
    }
    match by_seccomp(proc, holder, container)? {
        Some(Refusal::Seccomp { .. }) if options.ignore_seccomp => {}
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
    let guest = visitor.await_empty(EARLIER_PATIENCE)?;
    Ok(guest.map(|guest| Refusal::TailInUse {
        thread: guest.thread,
    }))
}

fn by_state(holder: &Holder) -> Option<Refusal> {
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
