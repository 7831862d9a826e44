//! What can be done at all, whatever was done before.

use super::{Cannot, Evidence, Opted, Refusal, Rung, evict};
use crate::RestartPolicy;
use crate::policy::{Autoreap, PolicySpec};

/// Whether `rung` can be taken at all.
pub(super) fn possible(rung: Rung, evidence: &Evidence, spec: &PolicySpec) -> Result<(), Cannot> {
    let refused = |refusal: &Option<Refusal>| match refusal {
        Some(refusal) => Err(Cannot::Refused(refusal.clone())),
        None => Ok(()),
    };
    if rung.disrupts() {
        if evidence.is_host_process() {
            return Err(Cannot::HostProcess);
        }
        if evidence.opted == Opted::Unreadable {
            return Err(Cannot::OptOutUnreadable);
        }
    }
    match rung {
        Rung::Observe => Ok(()),
        Rung::Nudge if !evidence.nudge_may_help => Err(Cannot::NoHandler),
        Rung::Nudge => Ok(()),
        Rung::Reap => refused(&evidence.reap_refusal),
        Rung::Autoreap => match spec.autoreap {
            Autoreap::Never => Err(Cannot::AutoreapOff),
            Autoreap::KeepAlive if !evidence.keep_alive => Err(Cannot::MayWait),
            _ if evidence.autoreaps => Err(Cannot::AutoreapsAlready),
            _ => refused(&evidence.reap_refusal),
        },
        Rung::Terminate if evidence.container_init => Err(Cannot::ContainerInit),
        Rung::Terminate if !evidence.adopter_reaps => Err(Cannot::NobodyReaps),
        Rung::Terminate => Ok(()),
        Rung::Restart => {
            refused(&evidence.restart_refusal)?;
            match evidence.restart {
                RestartPolicy::Always => Ok(()),
                restart => Err(Cannot::NotBroughtBack { restart }),
            }
        }
        Rung::Evict => {
            refused(&evidence.evict_refusal)?;
            refused(&evict::refusal(evidence.tenure, &spec.disruption.evict))
        }
    }
}
