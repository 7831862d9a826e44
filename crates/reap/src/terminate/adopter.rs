//! Who gets the children of a process that ends, and whether it waits for them.
//!
//! The kernel looks upwards for a subreaper (`PR_SET_CHILD_SUBREAPER`) in the same PID
//! namespace, and gives them to PID 1 of that namespace if there is none (`find_new_reaper`,
//! `kernel/exit.c`). It shows nowhere who is a subreaper: some are known by name, some have
//! children that they cannot have forked.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::cause::{First, kind_of_first};
use sexton_core::{Holder, ProcessId, SigchldAction, State};
use sexton_scan::Scanner;
use sexton_scan::proc::Process;

use super::TALLEST;
use crate::borrow::threads::{Sleep, int, sigwaits_for_sigchld};
use crate::{Error, Refusal};

/// An init under load has zombies for moments; those that stay for so long are left standing.
const STANDING: Duration = Duration::from_millis(300);
/// A process that waits is seen doing so within so many looks.
const LOOKS: u32 = 20;
/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(10);

/// The process to which the children of another go when that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Adopter {
    /// Who it is.
    #[serde(flatten)]
    pub id: ProcessId,
    /// Its name.
    pub name: String,
    /// Why it is known to wait for orphans.
    pub reaps_since: ReapsSince,
}

/// Why a process is known to wait for orphans.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error,
)]
#[serde(rename_all = "camelCase")]
pub enum ReapsSince {
    /// tini, dumb-init, catatonit, sexton-init, systemd…
    #[error("it is an init")]
    Init,
    /// Of a pod.
    #[error("it is the pause of a pod")]
    Pause,
    /// containerd-shim, conmon.
    #[error("it is the shim of a container runtime")]
    Shim,
    /// The kernel then waits in its place, also for the zombies that it is given.
    #[error("it ignores SIGCHLD")]
    IgnoresSigchld,
    /// `wait4(-1)`, `waitid(P_ALL)`.
    #[error("it sleeps in a call that waits for any child")]
    WaitsForAny,
    /// `rt_sigtimedwait(2)`, as inits do, and it has waited for children before.
    #[error("it sleeps in sigwait for SIGCHLD, and has waited for children before")]
    SigwaitsForSigchld,
}

/// The one that would adopt the children of `holder`, if it is known to wait for them.
pub(super) fn find(
    scanner: &mut Scanner,
    holder: &Holder,
) -> Result<Result<Adopter, Refusal>, Error> {
    let candidates = candidates(scanner, holder)?;
    // Where the nearest may or may not be a subreaper, both have to be good.
    let mut nearest = None;
    for candidate in candidates {
        match judge(scanner, &candidate)? {
            Ok(adopter) => {
                nearest.get_or_insert(adopter);
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(nearest.ok_or(Refusal::NoAdopter))
}

/// Those who may get the children, nearest first; empty where that cannot be told. The last is
/// the one that gets them if no other does.
fn candidates(scanner: &mut Scanner, holder: &Holder) -> Result<Vec<Holder>, Error> {
    let mut found = Vec::new();
    let mut pid = holder.parent_pid;
    for _ in 0..TALLEST {
        let Some(ancestor) = scanner.holder(pid)? else {
            break;
        };
        if ancestor.ns_pids.len() != holder.ns_pids.len() {
            break;
        }
        let is_last =
            ancestor.namespace_init || is_shim(&ancestor) || scanner.is_subreaper(&ancestor)?;
        pid = ancestor.parent_pid;
        if is_last {
            found.push(ancestor);
            return Ok(found);
        }
        // `tini -s`, `systemd --user`.
        if kind(&ancestor) == First::Init {
            found.push(ancestor);
        }
    }
    // It came into the namespace from outside, as `docker exec` does.
    match first_of_namespace(scanner, holder)? {
        Some(first) => found.push(first),
        None => found.clear(),
    }
    Ok(found)
}

fn first_of_namespace(scanner: &mut Scanner, holder: &Holder) -> Result<Option<Holder>, Error> {
    let Some(namespace) = holder.pid_namespace else {
        return Ok(None);
    };
    let mut buffer = Vec::new();
    for pid in scanner.proc().pids()? {
        let status = scanner.proc().status(pid, &mut buffer)?;
        let is_first = status.is_some_and(|status| {
            status.ns_pids.len() == holder.ns_pids.len() && status.ns_pids.last() == Some(&1)
        });
        if is_first
            && let Some(first) = scanner.holder(pid)?
            && first.pid_namespace == Some(namespace)
        {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

fn judge(scanner: &mut Scanner, candidate: &Holder) -> Result<Result<Adopter, Refusal>, Error> {
    let (adopter, name) = (candidate.id.pid, candidate.name.clone());
    if candidate.frozen || matches!(candidate.state, State::Stopped | State::Traced) {
        return Ok(Err(Refusal::AdopterHeldUp { adopter, name }));
    }
    let known = match kind(candidate) {
        // What it holds from before it ignored the signal says nothing of what comes.
        _ if candidate.sigchld == SigchldAction::Ignored => Some(ReapsSince::IgnoresSigchld),
        First::Init => Some(ReapsSince::Init),
        First::Pause => Some(ReapsSince::Pause),
        _ if is_shim(candidate) => Some(ReapsSince::Shim),
        _ => seen_waiting(scanner, candidate)?,
    };
    let Some(reaps_since) = known else {
        return Ok(Err(Refusal::AdopterMayNotReap { adopter, name }));
    };
    if reaps_since != ReapsSince::IgnoresSigchld {
        let zombies = standing(scanner, candidate.id)?;
        if zombies > 0 {
            return Ok(Err(Refusal::AdopterHoldsZombies {
                adopter,
                name,
                zombies,
            }));
        }
    }
    Ok(Ok(Adopter {
        id: candidate.id,
        name,
        reaps_since,
    }))
}

fn kind(process: &Holder) -> First {
    kind_of_first(process.executable.as_deref(), &process.command_line)
}

/// Shims make themselves subreapers, and wait for whatever comes to them.
fn is_shim(process: &Holder) -> bool {
    ["containerd-shim", "conmon"]
        .iter()
        .any(|shim| process.name.starts_with(shim))
}

/// How many zombies of it stay for [`STANDING`].
fn standing(scanner: &mut Scanner, candidate: ProcessId) -> Result<u64, Error> {
    let mut before = scanner.zombies_of(candidate)?;
    let began = Instant::now();
    while !before.is_empty() && began.elapsed() < STANDING {
        thread::sleep(BETWEEN);
        let now = scanner.zombies_of(candidate)?;
        before.retain(|zombie| now.iter().any(|other| other.id == zombie.id));
    }
    Ok(before.len() as u64)
}

/// Whether it sleeps in a call that ends when any child does.
fn seen_waiting(scanner: &mut Scanner, candidate: &Holder) -> Result<Option<ReapsSince>, Error> {
    let Some(process) = scanner.proc().process(candidate.id.pid)? else {
        return Ok(None);
    };
    // Absent where it may not be read.
    let memory = process.open_file("mem").ok().flatten();
    for _ in 0..LOOKS {
        if let Some(waits) = waits(&process, memory.as_ref())? {
            return Ok(Some(waits));
        }
        thread::sleep(BETWEEN);
    }
    Ok(None)
}

fn waits(process: &Process, memory: Option<&File>) -> Result<Option<ReapsSince>, Error> {
    let Some(stat) = process.stat()? else {
        return Ok(None);
    };
    for thread in process.tasks()?.unwrap_or_default() {
        let bytes = match process.read(&format!("task/{thread}/syscall")) {
            Err(error) if error.is_denied() => return Ok(None),
            other => other?,
        };
        let Some(sleep) = bytes.as_deref().and_then(Sleep::parse) else {
            continue;
        };
        let whom = int(sleep.arguments[0]);
        let for_any = match sleep.call.cast_signed() {
            libc::SYS_wait4 => whom == -1,
            libc::SYS_waitid => whom == libc::P_ALL.cast_signed(),
            _ => false,
        };
        if for_any {
            return Ok(Some(ReapsSince::WaitsForAny));
        }
        if stat.children_minor_faults > 0
            && memory.and_then(|memory| sigwaits_for_sigchld(&sleep, memory)) == Some(true)
        {
            return Ok(Some(ReapsSince::SigwaitsForSigchld));
        }
    }
    Ok(None)
}
