//! Whether a pod may be evicted, and whether that would help.
//!
//! Evicting ends every process of the pod, so a leak of any of its containers is over with it,
//! whichever limit it used up: that of the pod or that of the node. What is left to ask is whether
//! something worse comes of it.

use std::time::Duration;

use super::Refusal;
use crate::Tenure;
use crate::policy::{Disruption, Eviction, Spared};

/// How much older the pod must become before it is evicted, and the age it must have.
///
/// The pod that takes the place of one that was evicted has another uid, and it may be on another
/// node, which knows nothing of the former. If it leaks too, it would be evicted as well, and so
/// on as fast as pods start. So the rate that a container may be ended at holds by the age of the
/// pod: what is younger may have come from an eviction.
pub(super) fn too_young(
    tenure: Option<Tenure>,
    disruption: &Disruption,
    unix: i64,
) -> Option<(Duration, Duration)> {
    let created = tenure?.created?;
    let rate = disruption.rates().per_container?;
    let least = rate.per.get() / rate.count.max(1);
    let age = Duration::from_secs(u64::try_from(unix.saturating_sub(created)).unwrap_or(0));
    let missing = least.saturating_sub(age);
    (!missing.is_zero()).then_some((missing, least))
}

/// Why a pod of this tenure is not evicted.
pub(super) fn refusal(tenure: Option<Tenure>, eviction: &Eviction) -> Option<Refusal> {
    let never = |why: &str| {
        Some(Refusal {
            why: why.to_owned(),
            passing: false,
        })
    };
    let Some(tenure) = tenure else {
        // The API server may be away for the moment: nothing worse is done for it, and there is
        // nothing worse.
        return never("the API server has not told what kind of pod it is");
    };
    let Tenure {
        created: _,
        mirror,
        bare,
        daemon_set,
        critical,
        terminating,
        ended,
    } = tenure;
    if ended {
        return never("its pod has run to its end");
    }
    if terminating {
        return Some(Refusal {
            why: "its pod is being deleted already".to_owned(),
            passing: true,
        });
    }
    if mirror {
        return never("it is a static pod: evicting would delete its mirror and end nothing");
    }
    let spared = |kind: Spared, is: bool, why: &str| {
        (is && !eviction.allow.contains(&kind)).then(|| Refusal {
            why: format!("{why} (disruption.evict.allow)"),
            passing: false,
        })
    };
    spared(
        Spared::Critical,
        critical,
        "its pod is critical for the node or the cluster",
    )
    .or_else(|| {
        spared(
            Spared::DaemonSet,
            daemon_set,
            "its pod is of a DaemonSet, which would make the same again on this node",
        )
    })
    .or_else(|| {
        spared(
            Spared::Bare,
            bare,
            "its pod has no controller that would make another",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Rate, Span};

    fn why(tenure: Tenure, allow: &[Spared]) -> Option<String> {
        let eviction = Eviction {
            allow: allow.to_vec(),
        };
        refusal(Some(tenure), &eviction).map(|refusal| refusal.why)
    }

    #[test]
    fn an_ordinary_pod_may_be_evicted_and_others_only_by_name() {
        assert_eq!(why(Tenure::default(), &[]), None);
        let special = [
            (
                Spared::Bare,
                Tenure {
                    bare: true,
                    ..Tenure::default()
                },
                "no controller",
            ),
            (
                Spared::DaemonSet,
                Tenure {
                    daemon_set: true,
                    ..Tenure::default()
                },
                "DaemonSet",
            ),
            (
                Spared::Critical,
                Tenure {
                    critical: true,
                    ..Tenure::default()
                },
                "critical",
            ),
        ];
        for (kind, tenure, word) in special {
            let refused = why(tenure, &[]).unwrap();
            assert!(refused.contains(word) && refused.contains("disruption.evict.allow"));
            assert_eq!(why(tenure, &[kind]), None, "{kind:?}");
            let others: Vec<Spared> = [Spared::Bare, Spared::DaemonSet, Spared::Critical]
                .into_iter()
                .filter(|other| *other != kind)
                .collect();
            assert!(why(tenure, &others).is_some(), "{kind:?}");
        }
        let both = Tenure {
            bare: true,
            critical: true,
            ..Tenure::default()
        };
        assert!(why(both, &[Spared::Bare]).is_some_and(|why| why.contains("critical")));
        assert_eq!(why(both, &[Spared::Bare, Spared::Critical]), None);
    }

    #[test]
    fn a_pod_that_may_have_come_from_an_eviction_is_left_alone_for_a_while() {
        let born = |created| {
            Some(Tenure {
                created: Some(created),
                ..Tenure::default()
            })
        };
        let mut disruption = Disruption::default();
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let wait =
            |disruption: &Disruption, created, now| too_young(born(created), disruption, now);
        assert_eq!(
            wait(&disruption, 10_000, 10_060),
            Some((minutes(9), minutes(10)))
        );
        assert_eq!(wait(&disruption, 10_000, 10_600), None);
        // By a clock that is behind that of the API server.
        assert_eq!(
            wait(&disruption, 10_000, 9_000),
            Some((minutes(10), minutes(10)))
        );
        assert_eq!(too_young(None, &disruption, 10_000), None);
        disruption.rate_limits.per_container = Some(Rate::new(2, Span::from_secs(3_600)));
        assert_eq!(
            wait(&disruption, 10_000, 10_600),
            Some((minutes(20), minutes(30)))
        );
    }

    #[test]
    fn never_where_it_would_not_help() {
        let all = Eviction {
            allow: vec![Spared::Bare, Spared::DaemonSet, Spared::Critical],
        };
        let mirror = Tenure {
            mirror: true,
            ..Tenure::default()
        };
        assert!(refusal(Some(mirror), &all).is_some_and(|refusal| !refusal.passing));
        let ended = Tenure {
            ended: true,
            ..Tenure::default()
        };
        assert!(refusal(Some(ended), &all).is_some_and(|refusal| !refusal.passing));
        let going = Tenure {
            terminating: true,
            ..Tenure::default()
        };
        assert!(refusal(Some(going), &all).is_some_and(|refusal| refusal.passing));
        assert!(refusal(None, &all).is_some());
    }
}
