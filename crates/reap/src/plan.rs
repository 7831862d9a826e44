//! What would be done, and why the rest would not. Reads only.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::{Container, Holder, ProcessId, Zombie};
use sexton_scan::{DeadChild, Scanner};

use crate::outcome::{Left, left};
use crate::rules::Who;
use crate::settle::{self, Settled};
use crate::{AgesFrom, Error, LeftBecause, Nudge, Refusal, Trust};

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
    /// What its seccomp filters are trusted with.
    pub seccomp: Trust,
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
    /// Seconds until all that are too young now have settled, at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_in_seconds: Option<u64>,
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
    let dead = scanner.dead_children(holder, options.only)?;
    let held_as_tracer = dead.is_empty() && !scanner.zombies_traced_by(holder)?.is_empty();
    let who = Who {
        proc: scanner.proc(),
        holder: &found,
        container: container.as_ref(),
    };
    let judged = match who.untouchable(options.allow_host) {
        Some(refusal) => Err(refusal),
        None => who.borrowable(scanner, options.ignore_seccomp)?,
    };
    let (refusal, seccomp) = match judged {
        Ok(trust) => (None, trust),
        Err(refusal) => (Some(refusal), Trust::Asked),
    };

    let mut reasons = Vec::new();
    let mut dead = dead;
    dead.retain(|child| match not_to_be_had(child, &found) {
        Some(reason) => {
            reasons.push(reason);
            false
        }
        None => true,
    });
    let (settled, ages_from) = settle::judge(scanner.proc(), &dead, options.settle)?;
    let seconds = options.settle.as_secs();
    let mut take = Vec::with_capacity(dead.len());
    let mut settled_in: Option<Duration> = None;
    for (DeadChild { zombie, .. }, settled) in dead.into_iter().zip(settled) {
        match settled {
            Settled::No(more) => {
                settled_in = settled_in.max(Some(more));
                reasons.push(LeftBecause::Young { seconds });
            }
            // The start is all that this kernel tells; the plan says so.
            Settled::Unknown if ages_from == AgesFrom::Start => take.push(zombie),
            Settled::Unknown => reasons.push(LeftBecause::AgeUnknown { seconds }),
            Settled::Yes => take.push(zombie),
        }
    }
    Ok(Some(Plan {
        refusal: refusal.or(held_as_tracer.then_some(Refusal::HeldAsTracer)),
        seccomp,
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
        settled_in_seconds: settled_in.map(|more| more.as_secs().saturating_add(1)),
    }))
}

/// Why the holder cannot wait for `child`, whatever its age.
fn not_to_be_had(child: &DeadChild, holder: &Holder) -> Option<LeftBecause> {
    if child.threads_live {
        return Some(LeftBecause::LiveThreads);
    }
    if let Some(tracer) = child.tracer {
        return Some(LeftBecause::Traced { tracer });
    }
    (child.zombie.ns_pids.len() < holder.ns_pids.len()).then_some(LeftBecause::OtherNamespace)
}
