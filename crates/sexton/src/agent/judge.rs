//! What to do about one leak: evidence from the node, the policy that covers it, the ladder.

use std::time::Duration;

use sexton_core::ladder::{self, Decision, Evidence, Findings, History, Now, Rung};
use sexton_core::limit::first_of;
use sexton_core::policy::{Policy, Subject, Tie, choose};
use sexton_core::{Leak, Limit, Workload};
use sexton_reap::Plan;
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

use crate::error::Error;
use crate::evidence::{Means, gather};

/// Whom a judgement is about, and what is known of it.
pub struct Case<'a> {
    /// The leak, as this look shows it.
    pub leak: &'a Leak,
    /// What the runtime says of its container.
    pub workload: Option<&'a Workload>,
    /// The limits that bind the holder.
    pub limits: &'a [Limit],
    /// It was dealt with a moment ago, and may be left to itself for a while.
    pub rests: bool,
}

/// What is to be done, by which policy, on what evidence.
pub struct Judgement<'a> {
    /// The policy that covers the leak.
    pub policy: &'a Policy,
    /// On what.
    pub evidence: Evidence,
    /// What.
    pub decision: Decision,
    /// Whom a reap would take; there only where the decision hung on it.
    pub plan: Option<Plan>,
}

/// Judges one leak as if everything were possible, without a zombie read: most end here. `None`:
/// no policy covers it, or it has come back sooner than it is worth dealing with in the same
/// gentle way.
///
/// # Errors
/// Two policies cover it alike.
pub fn sketch<'a>(
    case: &Case<'_>,
    policies: &'a [Policy],
    means: &Means,
    history: &History,
    now: Now,
) -> Result<Option<Judgement<'a>>, Trouble> {
    let Case {
        leak,
        workload,
        limits,
        rests,
    } = case;
    let subject = Subject::of(leak, *workload);
    let Some(policy) = choose(policies, &subject)? else {
        return Ok(None);
    };
    let findings = Findings {
        settled: leak.zombies,
        reap_refusal: None,
        adopter_reaps: true,
        limit_used_percent: first_of(limits).and_then(Limit::used_percent),
        restart_refusal: means.no_restart.clone(),
        evict_refusal: means.no_eviction.clone(),
    };
    let evidence = Evidence::of(leak, *workload, findings);
    let decision = ladder::decide(&evidence, &policy.spec, history, now);
    if *rests
        && let Decision::Act { rung, .. } = decision
        && rung <= Rung::Reap
    {
        return Ok(None);
    }
    Ok(Some(Judgement {
        policy,
        evidence,
        decision,
        plan: None,
    }))
}

/// Judges a leak to whose sketch something is to be done, with all that can be found out.
///
/// # Errors
/// What is there cannot be read.
pub fn judge<'a>(
    scanner: &mut Scanner,
    case: &Case<'_>,
    policy: &'a Policy,
    means: &Means,
    history: &History,
    now: Now,
) -> Result<Judgement<'a>, Trouble> {
    let read;
    let limits = if case.limits.is_empty() {
        read = limits_of(scanner, case.leak)?;
        &read
    } else {
        case.limits
    };
    let spec = &policy.spec;
    let (evidence, plan) = gather(scanner, case.leak, case.workload, spec, limits, means)?;
    let decision = ladder::decide(&evidence, &policy.spec, history, now);
    Ok(Judgement {
        policy,
        evidence,
        decision,
        plan,
    })
}

/// Of a leak that no look has watched, since there are so many.
fn limits_of(scanner: &Scanner, leak: &Leak) -> Result<Vec<Limit>, Error> {
    let node = sexton_scan::limits::of_node(scanner, None);
    let pass = Pass::new(scanner, &node);
    Ok(pass.of(leak.holder.id.pid)?.unwrap_or_default())
}

/// Why there is no judgement.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Two policies are equally specific.
    #[error(transparent)]
    Tie(#[from] Tie),
    /// Something could not be read.
    #[error(transparent)]
    Error(#[from] Error),
}

/// How long until the leak ought to be looked at again.
pub fn until(decision: &Decision, now: Duration) -> Option<Duration> {
    match decision {
        Decision::Wait { until, .. } => Some(until.saturating_sub(now)),
        Decision::Act { .. } | Decision::Nothing { .. } => None,
    }
}
