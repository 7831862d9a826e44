//! What the ladder asks of this machine before it decides.

use sexton_core::ladder::{Evidence, Refusal, Rung};
use sexton_core::limit::first_of;
use sexton_core::policy::PolicySpec;
use sexton_core::{Leak, Limit, Workload};
use sexton_reap::{Refusal as Reap, terminate};
use sexton_scan::{Scanner, limits};

use crate::error::Error;

/// The evidence on `leak` as `spec` counts it, and whom a reap would take. Reads only.
///
/// # Errors
/// Something that is there cannot be read. A holder that has ended is evidence of no zombies.
pub fn gather(
    scanner: &mut Scanner,
    leak: &Leak,
    workload: Option<&Workload>,
    spec: &PolicySpec,
) -> Result<(Evidence, Option<sexton_reap::Plan>), Error> {
    let mut evidence = Evidence::of(leak, workload);
    let options = sexton_reap::Options {
        settle: spec.settle.get(),
        // Which processes of the host are covered is the policy's to say, and it has been asked.
        allow_host: !spec.selector.host_processes.is_empty(),
        // A rung of its own.
        nudge: false,
        ..sexton_reap::Options::default()
    };
    let Some(plan) = sexton_reap::plan(scanner, leak.holder.id, &options)? else {
        evidence.zombies = 0;
        return Ok((evidence, None));
    };
    evidence.settled = u64::try_from(plan.take.len()).unwrap_or(u64::MAX);
    evidence.reap_refusal = plan.refusal.as_ref().map(refusal);
    let bounds = limits::of_process(scanner, leak.holder.id.pid)?.unwrap_or_default();
    evidence.limit_used_percent = first_of(&bounds).and_then(used_percent);
    if spec.max_rung >= Rung::Terminate && !evidence.is_host_process() {
        let end = terminate::plan(scanner, leak.holder.id, &terminate::Options::default())?;
        evidence.adopter_reaps = end.is_some_and(|end| end.refusal.is_none());
    }
    Ok((evidence, Some(plan)))
}

/// How much of a limit is used, in percent; rounded down, so that 100 is the limit itself.
pub fn used_percent(limit: &Limit) -> Option<u8> {
    let most = limit.limit?;
    let taken = most - limit.headroom()?;
    u8::try_from(taken.saturating_mul(100).checked_div(most)?).ok()
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
    use sexton_core::LimitKind;

    fn limit(limit: u64, used: u64) -> Limit {
        Limit {
            kind: LimitKind::CgroupPids,
            scope: "cgroup /x".to_owned(),
            source: "pids.max".to_owned(),
            used: Some(used),
            limit: Some(limit),
            reserved: 0,
            zombies: None,
            first: true,
            note: None,
        }
    }

    #[test]
    fn a_hundred_percent_is_the_limit_itself() {
        assert_eq!(used_percent(&limit(1_000, 999)), Some(99));
        assert_eq!(used_percent(&limit(1_000, 1_000)), Some(100));
        assert_eq!(used_percent(&limit(1_000, 2_000)), Some(100));
        assert_eq!(used_percent(&limit(0, 0)), None);
    }

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
