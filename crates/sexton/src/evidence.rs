//! What the ladder asks of this machine before it decides.

use sexton_core::ladder::{Evidence, Findings, Refusal, Rung};
use sexton_core::limit::first_of;
use sexton_core::policy::PolicySpec;
use sexton_core::{Leak, Limit, Workload};
use sexton_reap::{Refusal as Reap, terminate};
use sexton_scan::Scanner;

use crate::error::Error;

/// What is not possible on this node, whatever a policy says.
pub struct Means {
    /// Why no container can be restarted.
    pub no_restart: Option<Refusal>,
    /// Why no pod can be evicted.
    pub no_eviction: Option<Refusal>,
}

/// Why something cannot be done, for as long as Sexton runs as it does.
pub fn switched_off(why: impl Into<String>) -> Refusal {
    Refusal {
        why: why.into(),
        passing: false,
    }
}

/// The evidence on `leak` as `spec` counts it, and whom a reap would take. Reads only. `bounds`
/// are the limits of its holder.
///
/// # Errors
/// Something that is there cannot be read. A holder that has ended is evidence of no zombies.
pub fn gather(
    scanner: &mut Scanner,
    leak: &Leak,
    workload: Option<&Workload>,
    spec: &PolicySpec,
    bounds: &[Limit],
    means: &Means,
) -> Result<(Evidence, Option<sexton_reap::Plan>), Error> {
    let options = sexton_reap::Options {
        settle: spec.settle.get(),
        // Which processes of the host are covered is the policy's to say, and it has been asked.
        allow_host: !spec.selector.host_processes.is_empty(),
        // A rung of its own.
        nudge: false,
        ..sexton_reap::Options::default()
    };
    let plan = sexton_reap::plan(scanner, leak.holder.id, &options)?;
    let may_terminate = spec.max_rung >= Rung::Terminate && leak.container.is_some();
    let adopter_reaps = plan.is_some() && may_terminate && {
        let end = terminate::plan(scanner, leak.holder.id, &terminate::Options::default())?;
        end.is_some_and(|end| end.refusal.is_none())
    };
    let taken = plan.as_ref().map_or(0, |plan| plan.take.len());
    let findings = Findings {
        settled: u64::try_from(taken).unwrap_or(u64::MAX),
        reap_refusal: plan.as_ref().and_then(|p| p.refusal.as_ref()).map(refusal),
        adopter_reaps,
        limit_used_percent: first_of(bounds).and_then(Limit::used_percent),
        restart_refusal: means.no_restart.clone(),
        evict_refusal: means.no_eviction.clone(),
    };
    let mut evidence = Evidence::of(leak, workload, findings);
    if plan.is_none() {
        evidence.zombies = 0;
    }
    Ok((evidence, plan))
}

/// What a refused reap means for the ladder: whether something may be ended for it.
fn refusal(refusal: &Reap) -> Refusal {
    // Whatever else it is passes, or is Sexton's own lack of permission, or is not known here:
    // nothing is ended for such a reason.
    let for_good = matches!(
        refusal,
        Reap::Architecture
            | Reap::NoVdso
            | Reap::Not64Bit
            | Reap::NoRoom { .. }
            | Reap::TailTaken
            | Reap::Seccomp { .. }
            | Reap::SeccompStrict
            | Reap::SeccompForbids { .. }
            | Reap::SyscallUserDispatch
            | Reap::VdsoRights { .. }
            | Reap::Yama { scope: 3 }
            | Reap::HandlesSigchld
            | Reap::BlocksSigchld
            | Reap::IgnoresSigchld
            | Reap::Waits
    );
    Refusal {
        why: refusal.to_string(),
        passing: !for_good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ended_for_a_debugger_or_for_our_own_lack_of_permission() {
        for passes in [
            Reap::TracedByAnother { tracer: 9 },
            Reap::Frozen,
            Reap::Stopped,
            Reap::NotPermitted,
            Reap::ForeignProc,
        ] {
            assert!(refusal(&passes).passing, "{passes:?}");
        }
        assert!(!refusal(&Reap::SeccompStrict).passing);
    }
}
