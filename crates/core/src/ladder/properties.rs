//! The rules that hold for every decision, over random leaks, policies and days.
//!
//! A day is a run of the ladder against a little model of a node: steps work or fail as drawn,
//! zombies come and go, time passes.

use std::time::Duration;

use proptest::prelude::*;

use super::tests::evidence;
use super::*;
use crate::policy::{
    Autoreap, Disruption, Eviction, Mode, PolicySpec, Rate, RateLimits, Selector, Span, Spared,
    Threshold, Window, next_open,
};
use crate::{ProcessId, RestartPolicy, Tenure};

/// 2026-11-24 00:00:00 UTC, a Tuesday.
const TUESDAY: i64 = 1_795_478_400;

fn rung() -> impl Strategy<Value = Rung> {
    prop::sample::select(vec![
        Rung::Observe,
        Rung::Nudge,
        Rung::Reap,
        Rung::Autoreap,
        Rung::Terminate,
        Rung::Restart,
        Rung::Evict,
    ])
}

fn threshold() -> impl Strategy<Value = Threshold> {
    (prop::option::of(1_u32..5), prop::option::of(1_u8..=100)).prop_map(|(min_zombies, share)| {
        Threshold {
            min_zombies,
            limit_used_percent: share,
        }
    })
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    prop::option::of(
        (1_u32..6, 1_u64..2_000)
            .prop_map(|(count, seconds)| Rate::new(count, Span::from_secs(seconds))),
    )
}

fn rates() -> impl Strategy<Value = RateLimits> {
    (rate(), rate(), rate()).prop_map(|(per_holder, per_container, per_node)| RateLimits {
        per_holder,
        per_container,
        per_node,
    })
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let hour = (0_u8..24).prop_map(|hour| format!("{hour:02}:30").parse().unwrap());
    let window = (hour.clone(), hour).prop_map(|(from, to)| Window {
        from,
        to,
        ..Window::default()
    });
    prop::collection::vec(window, 0..2)
}

/// Of every kind, and as often such as let much happen.
fn spec() -> impl Strategy<Value = PolicySpec> {
    let eager = (any_spec(), any::<bool>()).prop_map(|(spec, often)| PolicySpec {
        selector: Selector::default(),
        max_rung: Rung::Evict,
        paused: false,
        require_opt_in: false,
        threshold: Threshold::ONE,
        rate_limits: RateLimits::default(),
        windows: Vec::new(),
        disruption: Disruption {
            rate_limits: if often {
                RateLimits {
                    per_holder: None,
                    per_container: Some(Rate::new(100, Span::from_secs(1))),
                    per_node: Some(Rate::new(100, Span::from_secs(1))),
                }
            } else {
                spec.disruption.rate_limits
            },
            windows: Vec::new(),
            ..spec.disruption
        },
        ..spec
    });
    prop_oneof![any_spec(), eager]
}

fn any_spec() -> impl Strategy<Value = PolicySpec> {
    let autoreap = prop::sample::select(vec![Autoreap::Never, Autoreap::KeepAlive, Autoreap::Any]);
    let allow = prop::sample::subsequence(
        vec![Spared::Bare, Spared::DaemonSet, Spared::Critical],
        0..=3,
    );
    let disruption = (threshold(), 1_u64..300, rates(), windows(), allow).prop_map(
        |(threshold, escalate, rate_limits, windows, allow)| Disruption {
            evict: Eviction { allow },
            threshold,
            escalate_after: Span::from_secs(escalate),
            rate_limits,
            windows,
            ..Disruption::default()
        },
    );
    (
        (
            rung(),
            prop::bool::weighted(0.05),
            prop::bool::weighted(0.1),
            any::<bool>(),
        ),
        threshold(),
        autoreap,
        rates(),
        windows(),
        disruption,
    )
        .prop_map(
            |(basic, threshold, autoreap, rate_limits, windows, disruption)| {
                let (max_rung, paused, require_opt_in, host) = basic;
                let host_processes = if host {
                    vec!["cron".to_owned()]
                } else {
                    vec![]
                };
                PolicySpec {
                    selector: Selector {
                        host_processes,
                        ..Selector::default()
                    },
                    max_rung,
                    paused,
                    require_opt_in,
                    threshold,
                    autoreap,
                    rate_limits,
                    windows,
                    disruption,
                    ..PolicySpec::default()
                }
            },
        )
}

fn refusal() -> impl Strategy<Value = Option<Refusal>> {
    prop::option::weighted(
        0.5,
        any::<bool>().prop_map(|passing| Refusal {
            why: "because".to_owned(),
            passing,
        }),
    )
}

fn tenure() -> impl Strategy<Value = Option<Tenure>> {
    let rare = || prop::bool::weighted(0.1);
    let tenure = (rare(), rare(), rare(), rare(), rare(), rare()).prop_map(
        |(mirror, bare, daemon_set, critical, terminating, ended)| Tenure {
            created: None,
            mirror,
            bare,
            daemon_set,
            critical,
            terminating,
            ended,
        },
    );
    prop::option::weighted(0.9, tenure)
}

/// Of every kind, and as often such as a step can be taken for.
fn leak() -> impl Strategy<Value = Evidence> {
    let plain = any_leak().prop_map(|leak| Evidence {
        container: Some("c".to_owned()),
        place: Some("pod/0".to_owned()),
        settled: leak.settled.max(1),
        protected: None,
        opted: Opted::Unsaid,
        reap_refusal: leak.reap_refusal.filter(|refusal| !refusal.passing),
        ..leak
    });
    prop_oneof![any_leak(), plain]
}

fn any_leak() -> impl Strategy<Value = Evidence> {
    let opted = prop::sample::select(vec![
        Opted::Unsaid,
        Opted::Unsaid,
        Opted::In,
        Opted::Out,
        Opted::Unreadable,
    ]);
    let restart = prop::sample::select(vec![
        RestartPolicy::Always,
        RestartPolicy::OnFailure,
        RestartPolicy::Never,
        RestartPolicy::Unknown,
    ]);
    (
        (
            prop::bool::weighted(0.05),
            prop::bool::weighted(0.1),
            opted,
            restart,
        ),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (refusal(), refusal(), tenure()),
        (
            0_u64..60,
            prop::option::of(prop_oneof![0_u8..100, Just(100_u8)]),
        ),
        (0_u32..4, 0_u32..2),
    )
        .prop_map(
            |((protected, host, opted, restart), flags, refusals, counts, who)| {
                let (container_init, nudge_may_help, keep_alive, adopter_reaps) = flags;
                let place = format!("pod/{}", who.1);
                Evidence {
                    holder: ProcessId {
                        pid: 10 + who.0,
                        start_ticks: 1,
                    },
                    container: (!host).then(|| place.clone()),
                    place: (!host).then_some(place),
                    zombies: counts.0 + 3,
                    settled: counts.0,
                    protected: protected.then(|| "kubelet".to_owned()),
                    opted,
                    container_init,
                    nudge_may_help,
                    reap_refusal: refusals.0,
                    keep_alive,
                    adopter_reaps,
                    restart,
                    restart_refusal: None,
                    evict_refusal: refusals.1,
                    tenure: refusals.2,
                    limit_used_percent: counts.1,
                    ..evidence()
                }
            },
        )
}

/// One look: how long after the last, how the step it may lead to turns out, and whether the
/// evidence is new.
#[derive(Clone, Debug)]
struct Look {
    pause: u64,
    leak: usize,
    fingerprint: u64,
    outcome: Option<RungOutcome>,
}

fn outcome() -> impl Strategy<Value = Option<RungOutcome>> {
    let measured = (0_u64..=20, any::<bool>()).prop_map(|(left, again)| RungOutcome::Measured {
        before: 20,
        left,
        new_container: again.then(|| "c2".to_owned()),
    });
    let not_done = Just(RungOutcome::NotDone {
        why: "gone".to_owned(),
    });
    prop_oneof![
        8 => measured.prop_map(Some),
        2 => not_done.prop_map(Some),
        1 => Just(Some(RungOutcome::DryRun)),
        1 => Just(None),
    ]
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let look = (
        prop_oneof![1_u64..20, 20_u64..2_000],
        0_usize..3,
        0_u64..6,
        outcome(),
    )
        .prop_map(|(pause, leak, fingerprint, outcome)| Look {
            pause,
            leak,
            fingerprint,
            outcome,
        });
    prop::collection::vec(look, 1..60)
}

/// A decision, and all that led to it.
struct Moment {
    evidence: Evidence,
    history: History,
    now: Now,
    decision: Decision,
}

impl Moment {
    fn acts(&self) -> Option<Rung> {
        match self.decision {
            Decision::Act { rung, .. } => Some(rung),
            _ => None,
        }
    }

    /// Steps of `rung` that count for this leak, oldest first.
    fn steps(&self, rung: Rung) -> Vec<Step> {
        let mut steps: Vec<Step> = self
            .history
            .steps()
            .filter(|step| step.rung == rung)
            .filter(|step| match rung {
                Rung::Restart | Rung::Evict => step.place == self.evidence.place,
                _ => step.holder == self.evidence.holder,
            })
            .cloned()
            .collect();
        steps.sort_by_key(|step| step.at);
        steps
    }
}

/// A day of looks at these leaks.
fn live(leaks: &[Evidence], spec: &PolicySpec, looks: &[Look]) -> Vec<Moment> {
    let mut history = History::default();
    let mut uptime = Duration::from_secs(10_000);
    let mut moments = Vec::new();
    for look in looks {
        uptime += Duration::from_secs(look.pause);
        let now = Now {
            uptime,
            unix: TUESDAY + i64::try_from(uptime.as_secs()).unwrap(),
        };
        let mut evidence = leaks[look.leak % leaks.len()].clone();
        evidence.fingerprint = Fingerprint(look.fingerprint);
        let decision = decide(&evidence, spec, &history, now);
        let before = history.clone();
        if let Decision::Act { rung, .. } = decision {
            let mut step = Step::new(rung, &evidence, uptime);
            step.outcome = look.outcome.clone();
            history.push(step);
        }
        moments.push(Moment {
            evidence,
            history: before,
            now,
            decision,
        });
    }
    moments
}

/// How a step of `rung` that ended so counts. Written down here once more, not taken from the
/// code that is tested.
fn helped(step: &Step) -> bool {
    match (&step.outcome, step.rung) {
        (Some(RungOutcome::DryRun), _) => true,
        (Some(RungOutcome::Measured { new_container, .. }), Rung::Restart) => {
            new_container.is_some()
        }
        (Some(RungOutcome::Measured { before, left, .. }), Rung::Nudge | Rung::Reap) => {
            *left as f64 <= *before as f64 / 2.0
        }
        (Some(RungOutcome::Measured { left, .. }), _) => *left == 0,
        _ => false,
    }
}

fn could_be_done(rung: Rung, leak: &Evidence, spec: &PolicySpec) -> bool {
    let refused = leak.reap_refusal.is_some();
    let in_container = leak.container.is_some() && leak.opted != Opted::Unreadable;
    match rung {
        Rung::Observe => true,
        Rung::Nudge => leak.nudge_may_help,
        Rung::Reap => !refused,
        Rung::Autoreap => {
            let wanted = match spec.autoreap {
                Autoreap::Never => false,
                Autoreap::KeepAlive => leak.keep_alive,
                Autoreap::Any => true,
            };
            wanted && !refused && !leak.autoreaps
        }
        Rung::Terminate => in_container && !leak.container_init && leak.adopter_reaps,
        Rung::Restart => in_container && leak.restart == RestartPolicy::Always,
        Rung::Evict => {
            let mut pod = leak.tenure.unwrap_or(Tenure {
                ended: true,
                ..Tenure::default()
            });
            for named in &spec.disruption.evict.allow {
                match named {
                    Spared::Bare => pod.bare = false,
                    Spared::DaemonSet => pod.daemon_set = false,
                    Spared::Critical => pod.critical = false,
                }
            }
            in_container && leak.evict_refusal.is_none() && pod == Tenure::default()
        }
    }
}

fn within(steps: &[&Step], rate: Rate, now: Now) -> usize {
    let taken = |step: &&&Step| !matches!(step.outcome, Some(RungOutcome::NotDone { .. }));
    let recent = |step: &&&Step| step.at + rate.per.get() > now.uptime;
    steps.iter().filter(taken).filter(recent).count()
}

fn keeps_rates(moment: &Moment, limits: &RateLimits, steps: &[&Step]) -> bool {
    let of = |keep: &dyn Fn(&Step) -> bool| -> Vec<&Step> {
        steps.iter().copied().filter(|step| keep(step)).collect()
    };
    let leak = &moment.evidence;
    let scopes = [
        (limits.per_holder, of(&|step| step.holder == leak.holder)),
        (
            limits.per_container,
            of(&|step| leak.place.is_some() && step.place == leak.place),
        ),
        (limits.per_node, of(&|_| true)),
    ];
    scopes.iter().all(|(rate, steps)| {
        rate.is_none_or(|rate| within(steps, rate, moment.now) < rate.count as usize)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_above_the_highest_rung(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            if let Some(rung) = moment.acts() {
                prop_assert!(rung <= spec.max_rung, "{rung} above {}", spec.max_rung);
                prop_assert!(rung > Rung::Observe);
                let host = moment.evidence.container.is_none();
                prop_assert!(!host || rung <= Rung::Reap, "{rung} on the host");
            }
        }
    }

    #[test]
    fn never_one_who_must_not_be_touched(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            if moment.acts().is_none() { continue }
            let leak = &moment.evidence;
            prop_assert_eq!(&leak.protected, &None);
            prop_assert!(leak.opted != Opted::Out);
            prop_assert!(!spec.require_opt_in || leak.opted == Opted::In);
            prop_assert!(!spec.paused);
            let host = leak.container.is_none();
            prop_assert!(!host || !spec.selector.host_processes.is_empty());
            prop_assert!(leak.settled > 0);
        }
    }

    #[test]
    fn only_what_can_be_done(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            if let Some(rung) = moment.acts() {
                prop_assert!(could_be_done(rung, &moment.evidence, &spec), "{rung} {:?}", moment.evidence);
            }
        }
    }

    #[test]
    fn never_twice_the_same_step_on_the_same_evidence(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            for step in moment.steps(rung) {
                let taken = !matches!(step.outcome, Some(RungOutcome::NotDone { .. }));
                let same = step.fingerprint == moment.evidence.fingerprint;
                prop_assert!(!(taken && same), "{rung} again: {step:?}");
            }
        }
    }

    #[test]
    fn never_during_back_off_nor_before_the_outcome_is_known(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            let steps = moment.steps(rung);
            let failures = steps.iter().rev().take_while(|step| !helped(step)).count();
            if let (1.., Some(last)) = (failures, steps.last()) {
                let shift = u32::try_from(failures - 1).unwrap().min(20);
                let back_off = Duration::from_secs((15 << shift).min(3_600));
                prop_assert!(moment.now.uptime >= last.at + back_off, "{failures} failures");
            }
            let holder = moment.evidence.holder;
            let pending = moment.history.steps().filter(|step| step.holder == holder).any(|step| {
                step.outcome.is_none() && moment.now.uptime < step.at + Duration::from_secs(300)
            });
            prop_assert!(!pending);
        }
    }

    #[test]
    fn a_rung_only_when_those_below_failed_or_cannot(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            for below in Rung::STEPS.into_iter().filter(|below| *below < rung) {
                if !could_be_done(below, &moment.evidence, &spec) {
                    let refusal = &moment.evidence.reap_refusal;
                    let passes = refusal.as_ref().is_some_and(|refusal| refusal.passing);
                    prop_assert!(below != Rung::Reap || !passes, "{rung} while {refusal:?}");
                    continue;
                }
                let steps = moment.steps(below);
                let last = steps.last();
                // The one rung that replaces a lower one which works, and does not last.
                let lasts_not = rung == Rung::Autoreap && below == Rung::Reap;
                // What was not done is no failure that something is ended for.
                let failures = steps.iter().rev().take_while(|step| !helped(step));
                let tried = failures.clone().any(|step| {
                    !matches!(step.outcome, Some(RungOutcome::NotDone { .. }))
                });
                let same = steps.iter().any(|step| step.fingerprint == moment.evidence.fingerprint);
                prop_assert!(
                    tried || same || lasts_not || rung < Rung::Terminate,
                    "{rung} while {below} was not done"
                );
                prop_assert!(
                    last.is_some_and(|step| !helped(step) || lasts_not),
                    "{rung} while {below} was {last:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_ended_too_soon_or_for_too_little(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            let leak = &moment.evidence;
            let used = leak.limit_used_percent.unwrap_or(0);
            let bad_enough = |threshold: &Threshold| {
                used == 100
                    || threshold.min_zombies.is_some_and(|least| leak.settled >= u64::from(least))
                    || threshold.limit_used_percent.is_some_and(|least| used >= least)
            };
            prop_assert!(bad_enough(&spec.threshold));
            if rung < Rung::Terminate { continue }
            prop_assert!(bad_enough(&spec.disruption.threshold));
            for below in Rung::STEPS.into_iter().filter(|below| *below < rung) {
                if !could_be_done(below, leak, &spec) { continue }
                let steps = moment.steps(below);
                let first = steps.iter().rev().take_while(|step| !helped(step)).last();
                let since = first.map(|step| moment.now.uptime - step.at);
                prop_assert!(since.is_none_or(|since| since >= spec.disruption.escalate_after.get()));
            }
        }
    }

    #[test]
    fn rates_are_kept(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            let all: Vec<&Step> = moment.history.steps().collect();
            prop_assert!(keeps_rates(&moment, &spec.rate_limits, &all));
            if rung >= Rung::Terminate {
                let ended: Vec<&Step> = all.into_iter().filter(|s| s.rung >= Rung::Terminate).collect();
                let limits = &spec.disruption.rate_limits;
                let limits = RateLimits {
                    per_holder: limits.per_holder,
                    per_container: limits.per_container.or(Some(Rate::new(1, Span::from_secs(600)))),
                    per_node: limits.per_node.or(Some(Rate::new(5, Span::from_secs(3_600)))),
                };
                prop_assert!(keeps_rates(&moment, &limits, &ended));
            }
        }
    }

    #[test]
    fn windows_are_kept(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            let Some(rung) = moment.acts() else { continue };
            prop_assert_eq!(next_open(&spec.windows, moment.now.unix), Some(0));
            if rung >= Rung::Terminate {
                prop_assert_eq!(next_open(&spec.disruption.windows, moment.now.unix), Some(0));
            }
        }
    }

    #[test]
    fn the_same_again_and_a_dry_run_alike(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        let enforced = PolicySpec { mode: Mode::Enforce, ..spec.clone() };
        for moment in live(&leaks, &spec, &looks) {
            let Moment { evidence, history, now, decision } = &moment;
            prop_assert_eq!(decision, &decide(evidence, &spec, history, *now));
            prop_assert_eq!(decision, &decide(evidence, &enforced, history, *now));
            prop_assert_eq!(decision, &decide(evidence, &spec, &history.clone(), *now));
        }
    }

    #[test]
    fn what_is_waited_for_is_still_to_come(
        leaks in prop::collection::vec(leak(), 3), spec in spec(), looks in looks(),
    ) {
        for moment in live(&leaks, &spec, &looks) {
            if let Decision::Wait { until, reason } = &moment.decision {
                prop_assert!(*until > moment.now.uptime, "{reason}");
            }
        }
    }
}
