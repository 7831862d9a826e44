//! What the ladder decides, case by case; the rules that always hold are in `rules.rs`.

use std::time::Duration;

use super::*;
use crate::policy::PolicySpec;
use crate::{ProcessId, RestartPolicy};

/// A leak that reaping can deal with.
pub(super) fn evidence() -> Evidence {
    Evidence {
        holder: ProcessId {
            pid: 77,
            start_ticks: 100,
        },
        container: Some("c1".to_owned()),
        place: Some("pod-1/app".to_owned()),
        zombies: 40,
        settled: 40,
        fingerprint: Fingerprint(1),
        protected: None,
        opted: Opted::Unsaid,
        container_init: false,
        nudge_may_help: false,
        reap_refusal: None,
        autoreaps: false,
        keep_alive: false,
        adopter_reaps: true,
        restart: RestartPolicy::Always,
        evict_refusal: None,
        limit_used_percent: Some(50),
    }
}

pub(super) fn at(seconds: u64) -> Now {
    Now {
        uptime: Duration::from_secs(seconds),
        unix: 1_790_000_000 + i64::try_from(seconds).unwrap(),
    }
}

#[test]
fn the_first_step_is_the_gentlest_that_is_possible() {
    let spec = PolicySpec::default();
    let history = History::default();
    let mut leak = evidence();
    let decision = decide(&leak, &spec, &history, at(1_000));
    let reason = ActBecause::BelowCannot {
        below: Rung::Nudge,
        cannot: Cannot::NoHandler,
    };
    let rung = Rung::Reap;
    assert_eq!(decision, Decision::Act { rung, reason });

    leak.nudge_may_help = true;
    let decision = decide(&leak, &spec, &history, at(1_000));
    let reason = ActBecause::First { settled: 40 };
    let rung = Rung::Nudge;
    assert_eq!(decision, Decision::Act { rung, reason });
}
