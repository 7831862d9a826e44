//! Ending a holder, so that whoever adopts its zombies waits for them.
//!
//! This is for a holder that is not its container's main process, below something that reaps:
//! `tini`, the `pause` of a pod, a shell that waits. Everything else is refused, since it would
//! only move the zombies, or end the container.

mod adopter;
mod execute;

pub use adopter::{Adopter, ReapsSince};
pub use execute::{End, HeldBy, TerminateOutcome, execute};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::cause::{First, is_shell, kind_of_first};
use sexton_core::{Container, Holder, ProcessId, Zombie};
use sexton_scan::Scanner;

use crate::borrow::held;
use crate::rules::Who;
use crate::{Error, Refusal};

/// Programs that, like a shell, stand and fall with the command that they run.
const WRAPPERS: &[&str] = &["timeout", "sudo", "su", "runuser", "setpriv", "script"];
/// Parents form no circle, but the tree changes while it is read.
pub(crate) const TALLEST: u32 = 1_000;

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also a process outside any container.
    pub allow_host: bool,
}

/// What would be done to one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TerminatePlan")]
pub struct Plan {
    /// The process that would be ended.
    pub holder: Holder,
    /// Its container; absent for a process of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Why nothing is done; absent where something may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Who would get its zombies, and its live children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopter: Option<Adopter>,
    /// The zombies that it holds.
    pub zombies: u64,
    /// Children of it that have not ended: they would live on as orphans.
    pub live_children: u64,
    /// Asked for: also a process outside any container.
    pub allow_host: bool,
}

/// Plans the end of `holder`; `None` if there is no such process. Reads only.
///
/// # Errors
/// Where something that is there could not be read.
pub fn plan(
    scanner: &mut Scanner,
    holder: ProcessId,
    options: &Options,
) -> Result<Option<Plan>, Error> {
    Ok(look(scanner, holder, *options)?.map(|(plan, _)| plan))
}

/// The plan, and the zombies that it is about.
fn look(
    scanner: &mut Scanner,
    holder: ProcessId,
    options: Options,
) -> Result<Option<(Plan, Vec<Zombie>)>, Error> {
    let Some(found) = scanner
        .holder(holder.pid)?
        .filter(|found| found.id == holder)
    else {
        return Ok(None);
    };
    let container = scanner.container_of(holder.pid)?;
    let zombies = scanner.zombies_of(holder)?;
    let children = match scanner.proc().process(holder.pid)? {
        Some(process) => process.all_children()?.unwrap_or_default().len(),
        None => 0,
    };
    let mut plan = Plan {
        holder: found,
        container,
        refusal: None,
        adopter: None,
        zombies: zombies.len() as u64,
        live_children: children.saturating_sub(zombies.len()) as u64,
        allow_host: options.allow_host,
    };
    match judge(scanner, &plan)? {
        Ok(adopter) => plan.adopter = Some(adopter),
        Err(refusal) => plan.refusal = Some(refusal),
    }
    Ok(Some((plan, zombies)))
}

/// Who would get the zombies, or why nothing may be done, the weightiest reason first.
fn judge(scanner: &mut Scanner, plan: &Plan) -> Result<Result<Adopter, Refusal>, Error> {
    let holder = &plan.holder;
    let who = Who {
        proc: scanner.proc(),
        holder,
        container: plan.container.as_ref(),
    };
    if let Some(refusal) = who.untouchable(plan.allow_host) {
        return Ok(Err(refusal));
    }
    if holder.namespace_init {
        return Ok(Err(Refusal::NamespaceInit));
    }
    if let Some(container) = &plan.container
        && let Some(refusal) = main_process(scanner, holder, container)?
    {
        return Ok(Err(refusal));
    }
    if plan.zombies == 0 {
        return Ok(Err(Refusal::NoZombies));
    }
    match held::open_pidfd(holder.id.pid) {
        Ok(pidfd) if held::may_signal(&pidfd) => adopter::find(scanner, holder),
        Ok(_) => Ok(Err(Refusal::MayNotSignal)),
        Err(_) => Ok(Err(Refusal::Gone)),
    }
}

/// Whether the container may end with `holder`.
///
/// A runtime starts a container's main process, and what is executed in it later, from outside.
/// An init such as tini ends when its first child does. A shell, `timeout` or `sudo` ends with
/// the command that it runs, so what is true of it is true of its children.
fn main_process(
    scanner: &mut Scanner,
    holder: &Holder,
    container: &Container,
) -> Result<Option<Refusal>, Error> {
    let mut process = holder.clone();
    for _ in 0..TALLEST {
        let parent = scanner.holder(process.parent_pid)?;
        let refusal = Refusal::MainProcess {
            parent: process.parent_pid,
            name: parent
                .as_ref()
                .map_or("?", |parent| &parent.name)
                .to_owned(),
        };
        let Some(parent) = parent else {
            return Ok(Some(refusal));
        };
        // In a pod with one PID namespace the orphans of a container belong to the pod's pause.
        let is_their_init = parent.namespace_init && parent.ns_pids.len() > 1;
        let is_inside = parent.ns_pids.len() == holder.ns_pids.len()
            && (is_their_init
                || scanner
                    .container_of(parent.id.pid)?
                    .is_some_and(|other| other.id == container.id));
        if !is_inside {
            return Ok(Some(refusal));
        }
        let kind = kind_of_first(parent.executable.as_deref(), &parent.command_line);
        let ends_with_it = kind == First::Shell || is_wrapper(&parent);
        if parent.namespace_init {
            let is_main =
                ends_with_it || kind == First::Init && is_eldest(scanner, &process, parent.id.pid)?;
            return Ok(is_main.then_some(refusal));
        }
        if !ends_with_it {
            return Ok(None);
        }
        process = parent;
    }
    Ok(None)
}

fn is_wrapper(process: &Holder) -> bool {
    is_shell(&process.name) || WRAPPERS.contains(&process.name.as_str())
}

/// Whether no child of `parent` was started before `process`: it is the one that an init was
/// given to run.
fn is_eldest(scanner: &mut Scanner, process: &Holder, parent: u32) -> Result<bool, Error> {
    let Some(held) = scanner.proc().process(parent)? else {
        return Ok(true);
    };
    let born = |ticks: u64, ns_pids: &[u32]| (ticks, ns_pids.last().copied());
    let own = born(process.id.start_ticks, &process.ns_pids);
    let mut buffer = Vec::new();
    for pid in held.all_children()?.unwrap_or_default() {
        let Some(stat) = scanner.proc().stat(pid, &mut buffer)? else {
            continue;
        };
        let Some(status) = scanner.proc().status(pid, &mut buffer)? else {
            continue;
        };
        // Of those of one clock tick, the lower number came first.
        if born(stat.start_ticks, &status.ns_pids) < own {
            return Ok(false);
        }
    }
    Ok(true)
}
