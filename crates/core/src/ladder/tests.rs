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
        restart_refusal: None,
        evict_refusal: None,
        tenure: Some(crate::Tenure::default()),
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

/// Takes the step that is decided, and lets it turn out so.
#[track_caller]
fn act(
    history: &mut History,
    leak: &Evidence,
    spec: &PolicySpec,
    now: Now,
    came: RungOutcome,
) -> Rung {
    let decision = decide(leak, spec, history, now);
    let Decision::Act { rung, .. } = decision else {
        panic!("{decision:?}");
    };
    history.push(Step::new(rung, leak, now.uptime));
    history.measured(leak.holder, came);
    rung
}

fn left(left: u64) -> RungOutcome {
    RungOutcome::Measured {
        before: 40,
        left,
        new_container: None,
    }
}

fn because(decision: Decision) -> String {
    match decision {
        Decision::Act { reason, .. } => reason.to_string(),
        Decision::Wait { reason, .. } => reason.to_string(),
        Decision::Nothing { reason } => reason.to_string(),
    }
}

fn up_to(max_rung: Rung) -> PolicySpec {
    let mut spec = PolicySpec {
        max_rung,
        ..PolicySpec::default()
    };
    spec.disruption.threshold.limit_used_percent = Some(50);
    spec
}

#[test]
fn it_climbs_as_each_step_fails() {
    let spec = up_to(Rung::Evict);
    let mut history = History::default();
    let mut leak = evidence();
    leak.nudge_may_help = true;
    // The same zombies all along, so that no rung is taken twice.
    let climbed = [1_000, 1_001, 1_061, 5_000, 9_000]
        .map(|now| act(&mut history, &leak, &spec, at(now), left(40)));
    assert_eq!(
        climbed,
        [
            Rung::Nudge,
            Rung::Reap,
            Rung::Terminate,
            Rung::Restart,
            Rung::Evict
        ]
    );
    let decision = decide(&leak, &spec, &history, at(99_000));
    assert!(because(decision).starts_with("nothing up to evict can be done"));
}

#[test]
fn a_leak_that_comes_back_is_reaped_again_at_once() {
    let spec = PolicySpec::default();
    let mut history = History::default();
    let mut leak = evidence();
    for second in 0..300 {
        leak.fingerprint = Fingerprint(second);
        let rung = act(&mut history, &leak, &spec, at(1_000 + second), left(0));
        assert_eq!(rung, Rung::Reap);
    }
}

#[test]
fn a_keep_alive_command_is_made_to_reap_by_itself_once_reaping_does_not_last() {
    let spec = up_to(Rung::Autoreap);
    let mut history = History::default();
    let mut leak = evidence();
    leak.keep_alive = true;
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_000), left(0)),
        Rung::Reap
    );
    leak.fingerprint = Fingerprint(2);
    leak.limit_used_percent = Some(100);
    let first_those_that_stand = act(&mut history, &leak, &spec, at(1_010), left(0));
    assert_eq!(first_those_that_stand, Rung::Reap);
    leak.fingerprint = Fingerprint(3);
    leak.limit_used_percent = Some(50);
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_020), left(0)),
        Rung::Autoreap
    );
    leak.fingerprint = Fingerprint(4);
    leak.autoreaps = true;
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_030), left(0)),
        Rung::Reap
    );
    leak.fingerprint = Fingerprint(5);
    leak.autoreaps = false;
    let undone = act(&mut history, &leak, &spec, at(1_040), left(0));
    assert_eq!(
        undone,
        Rung::Reap,
        "what the program undid is not done again"
    );

    leak.keep_alive = false;
    leak.holder.pid += 1;
    act(&mut history, &leak, &spec, at(1_050), left(0));
    leak.fingerprint = Fingerprint(6);
    let may_wait = act(&mut history, &leak, &spec, at(1_060), left(0));
    assert_eq!(may_wait, Rung::Reap, "not without being asked for");
}

#[test]
fn what_passes_is_waited_for_and_nothing_is_ended_for_it() {
    let spec = up_to(Rung::Evict);
    let mut leak = evidence();
    leak.limit_used_percent = Some(100);
    leak.reap_refusal = Some(Refusal {
        why: "process 9 traces it".to_owned(),
        passing: true,
    });
    let decision = decide(&leak, &spec, &History::default(), at(1_000));
    assert!(matches!(decision, Decision::Wait { .. }), "{decision:?}");
    assert_eq!(because(decision), "reap has to wait: process 9 traces it");

    leak.reap_refusal = Some(Refusal {
        why: "it is in strict seccomp mode".to_owned(),
        passing: false,
    });
    let decision = decide(&leak, &spec, &History::default(), at(1_000));
    assert!(
        matches!(
            decision,
            Decision::Act {
                rung: Rung::Terminate,
                ..
            }
        ),
        "{decision:?}"
    );
}

#[test]
fn a_failed_rung_backs_off_for_ever_longer() {
    let spec = PolicySpec::default();
    let mut history = History::default();
    let mut leak = evidence();
    let mut now = 1_000;
    let mut pauses = vec![];
    for fingerprint in 0..10 {
        leak.fingerprint = Fingerprint(fingerprint);
        act(&mut history, &leak, &spec, at(now), left(40));
        leak.fingerprint = Fingerprint(fingerprint + 1);
        let Decision::Wait { until, reason } = decide(&leak, &spec, &history, at(now)) else {
            panic!("no back-off");
        };
        assert!(matches!(reason, WaitBecause::BackOff { .. }), "{reason}");
        pauses.push(until.as_secs() - now);
        now = until.as_secs();
    }
    assert_eq!(
        pauses,
        [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    );
    act(&mut history, &leak, &spec, at(now), left(0));
    leak.fingerprint = Fingerprint(99);
    let rung = act(&mut history, &leak, &spec, at(now + 1), left(40));
    assert_eq!(rung, Rung::Reap, "one success ends it");
}

#[test]
fn a_dry_run_neither_repeats_itself_nor_climbs() {
    let spec = up_to(Rung::Evict);
    let mut history = History::default();
    let mut leak = evidence();
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_000), RungOutcome::DryRun),
        Rung::Reap
    );
    let again = decide(&leak, &spec, &history, at(5_000));
    assert!(matches!(again, Decision::Nothing { .. }), "{again:?}");
    leak.fingerprint = Fingerprint(2);
    assert_eq!(
        act(&mut history, &leak, &spec, at(5_001), RungOutcome::DryRun),
        Rung::Reap
    );
}

#[test]
fn after_a_dry_run_the_same_is_done_in_earnest() {
    let spec = up_to(Rung::Evict);
    let mut history = History::default();
    let leak = evidence();
    act(&mut history, &leak, &spec, at(1_000), RungOutcome::DryRun);
    history.forget_rehearsals();
    assert!(history.is_empty());
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_001), left(0)),
        Rung::Reap
    );
    history.forget_rehearsals();
    assert_eq!(history.len(), 1, "what was done stays");
}

#[test]
fn what_was_not_done_may_be_tried_on_the_same_evidence_after_a_while() {
    let spec = PolicySpec::default();
    let mut history = History::default();
    let leak = evidence();
    let not_done = RungOutcome::NotDone {
        why: "no thread could be borrowed".to_owned(),
    };
    act(&mut history, &leak, &spec, at(1_000), not_done);
    let soon = decide(&leak, &spec, &history, at(1_014));
    assert!(matches!(soon, Decision::Wait { .. }), "{soon:?}");
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_015), left(0)),
        Rung::Reap
    );
}

#[test]
fn nothing_is_ended_because_a_gentle_step_was_refused_at_the_last_moment() {
    let spec = up_to(Rung::Evict);
    let mut history = History::default();
    let mut leak = evidence();
    leak.limit_used_percent = Some(100);
    let mut now = 1_000;
    for fingerprint in 0..12 {
        leak.fingerprint = Fingerprint(fingerprint);
        let not_done = RungOutcome::NotDone {
            why: "a debugger came".to_owned(),
        };
        assert_eq!(
            act(&mut history, &leak, &spec, at(now), not_done),
            Rung::Reap
        );
        let Decision::Wait { until, .. } = decide(&leak, &spec, &history, at(now)) else {
            panic!("no back-off");
        };
        now = until.as_secs();
    }
    act(&mut history, &leak, &spec, at(now), left(40));
    leak.fingerprint = Fingerprint(99);
    let rung = act(&mut history, &leak, &spec, at(now + 1), left(40));
    assert_eq!(
        rung,
        Rung::Terminate,
        "one that was tried is enough, and it began long ago"
    );
}

#[test]
fn more_is_asked_for_before_something_is_ended() {
    let mut spec = up_to(Rung::Terminate);
    spec.disruption.threshold = crate::policy::Threshold {
        min_zombies: Some(41),
        limit_used_percent: Some(51),
    };
    let mut leak = evidence();
    leak.reap_refusal = Some(Refusal {
        why: "it is a 32-bit program".to_owned(),
        passing: false,
    });
    let acts = |leak: &Evidence| {
        let decision = decide(leak, &spec, &History::default(), at(1_000));
        matches!(
            decision,
            Decision::Act {
                rung: Rung::Terminate,
                ..
            }
        )
    };
    assert!(!acts(&leak), "40 zombies, 50%");
    leak.settled = 41;
    assert!(acts(&leak));
    leak.settled = 1;
    leak.limit_used_percent = Some(51);
    assert!(acts(&leak));
}

#[test]
fn while_a_higher_rung_has_to_wait_a_lower_one_is_tried_again() {
    let mut spec = up_to(Rung::Terminate);
    spec.disruption.escalate_after = crate::policy::Span::from_secs(600);
    let mut history = History::default();
    let mut leak = evidence();
    act(&mut history, &leak, &spec, at(1_000), left(40));
    leak.fingerprint = Fingerprint(2);
    let Decision::Wait { until, reason } = decide(&leak, &spec, &history, at(1_001)) else {
        panic!("it does not wait");
    };
    let rung = Rung::Terminate;
    assert_eq!(reason, WaitBecause::Escalation { rung });
    assert_eq!(until.as_secs(), 1_015, "the back-off of the reap");
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_015), left(40)),
        Rung::Reap
    );
}

#[test]
fn an_outcome_is_awaited_but_not_for_ever() {
    let spec = PolicySpec::default();
    let mut history = History::default();
    let mut leak = evidence();
    history.push(Step::new(Rung::Reap, &leak, at(1_000).uptime));
    leak.fingerprint = Fingerprint(2);
    let decision = decide(&leak, &spec, &history, at(1_299));
    assert_eq!(
        because(decision),
        "the outcome of the last reap is not measured yet"
    );
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_300), left(0)),
        Rung::Reap
    );
}

#[test]
fn what_comes_in_the_place_of_an_evicted_pod_is_not_evicted_at_once() {
    let mut spec = up_to(Rung::Evict);
    spec.autoreap = crate::policy::Autoreap::Never;
    let mut leak = evidence();
    leak.container_init = true;
    leak.limit_used_percent = Some(100);
    leak.restart = crate::RestartPolicy::Unknown;
    leak.reap_refusal = Some(Refusal {
        why: "it is a 32-bit program".to_owned(),
        passing: false,
    });
    leak.tenure = Some(crate::Tenure {
        created: Some(at(1_000).unix),
        ..crate::Tenure::default()
    });
    let mut history = History::default();
    let decision = decide(&leak, &spec, &history, at(1_060));
    let Decision::Wait { until, reason } = &decision else {
        panic!("{decision:?}");
    };
    assert_eq!(until.as_secs(), 1_600);
    assert_eq!(
        reason.to_string(),
        "evict has to wait: the pod is younger than 10m, and may have come from an eviction \
         itself (disruption.rateLimits.perContainer)"
    );
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_600), left(0)),
        Rung::Evict
    );
}

#[test]
fn a_restarted_container_is_still_the_same_to_the_rate_limits() {
    let mut spec = up_to(Rung::Restart);
    spec.autoreap = crate::policy::Autoreap::Never;
    let mut history = History::default();
    let mut leak = evidence();
    leak.container_init = true;
    leak.reap_refusal = Some(Refusal {
        why: "it is a 32-bit program".to_owned(),
        passing: false,
    });
    let back = RungOutcome::Measured {
        before: 40,
        left: 0,
        new_container: Some("c2".to_owned()),
    };
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_000), back),
        Rung::Restart
    );
    leak.container = Some("c2".to_owned());
    leak.holder.pid += 1;
    leak.fingerprint = Fingerprint(2);
    let decision = decide(&leak, &spec, &history, at(1_100));
    assert_eq!(
        because(decision),
        "restart has to wait: no more than 1 per 10m for one container (rateLimits)"
    );
    assert_eq!(
        act(&mut history, &leak, &spec, at(1_600), left(0)),
        Rung::Restart
    );
}

#[test]
fn reasons_are_sentences() {
    let mut leak = evidence();
    let mut spec = PolicySpec::default();
    let say = |leak: &Evidence, spec: &PolicySpec| {
        because(decide(leak, spec, &History::default(), at(1_000)))
    };
    leak.settled = 0;
    assert_eq!(
        say(&leak, &spec),
        "no zombie has been dead for 1m yet (settle)"
    );
    leak.settled = 4;
    spec.threshold = crate::policy::Threshold {
        min_zombies: Some(50),
        limit_used_percent: Some(80),
    };
    assert_eq!(
        say(&leak, &spec),
        "4 of the 50 zombies asked for, 50% of the 80% of its limit asked for (threshold)"
    );
    spec.threshold = crate::policy::Threshold::ONE;
    leak.reap_refusal = Some(Refusal {
        why: "it is a 32-bit program".to_owned(),
        passing: false,
    });
    assert_eq!(
        say(&leak, &spec),
        "nothing up to reap can be done: nudge: the process has no SIGCHLD handler; reap: it is a \
         32-bit program"
    );
    leak.protected = Some("container runtime (containerd)".to_owned());
    assert_eq!(
        say(&leak, &spec),
        "it is never touched: container runtime (containerd)"
    );
}

fn told(leak: &crate::Leak, workload: Option<&crate::Workload>) -> Evidence {
    let nothing = Findings {
        settled: 0,
        reap_refusal: None,
        adopter_reaps: false,
        limit_used_percent: None,
        restart_refusal: None,
        evict_refusal: None,
    };
    Evidence::of(leak, workload, nothing)
}

#[test]
fn evidence_is_taken_from_the_leak_and_the_runtime() {
    use crate::policy::tests::leak;
    use crate::{RestartPolicy, SigchldAction, Workload};

    let mut found = leak();
    found.holder.executable = Some("/usr/bin/sleep".to_owned());
    found.holder.command_line = vec!["sleep".to_owned(), "infinity".to_owned()];
    found.holder.sigchld = SigchldAction::Caught;
    let alone = told(&found, None);
    assert!(alone.keep_alive && alone.nudge_may_help && !alone.autoreaps);
    assert_eq!(alone.place.as_deref(), Some("u-1/app"));
    assert_eq!(
        alone.opted,
        Opted::Unreadable,
        "it is in a pod, and nobody reads it"
    );
    assert_eq!(alone.restart, RestartPolicy::Unknown);

    let says = |word: &str| Workload {
        annotations: [(crate::policy::ANNOTATION.to_owned(), word.to_owned())].into(),
        restart: RestartPolicy::Always,
        ..Workload::default()
    };
    let out = told(&found, Some(&says("disabled")));
    assert_eq!(
        (out.opted, out.restart),
        (Opted::Out, RestartPolicy::Always)
    );
    assert_eq!(told(&found, Some(&says("enabled"))).opted, Opted::In);
    assert_eq!(told(&found, Some(&says(""))).opted, Opted::Unsaid);

    found.container.as_mut().unwrap().pod = None;
    assert_eq!(told(&found, None).opted, Opted::Unsaid);
    found.container = None;
    assert!(told(&found, None).is_host_process());
}

#[test]
fn a_fingerprint_is_of_the_holder_and_its_zombies() {
    let leak = crate::policy::tests::leak();
    let same = Fingerprint::of(&leak);
    let mut more = leak.clone();
    more.zombies += 1;
    let mut other = leak.clone();
    other.holder.id.start_ticks += 1;
    assert!(Fingerprint::of(&more) != same && Fingerprint::of(&other) != same);
    let mut older = leak;
    older.ages.started.last_minute = 7;
    assert_eq!(
        Fingerprint::of(&older),
        same,
        "time alone is no new evidence"
    );
    assert_eq!(same.to_string().parse(), Ok(same));
    // It is written into logs that another version reads.
    assert_eq!(same.to_string(), "23e65f6bbdceb624");
}

#[test]
fn a_history_is_bounded_and_forgets_the_quiet_and_the_gentle_first() {
    let mut history = History::default();
    let mut leak = evidence();
    history.push(Step::new(Rung::Terminate, &leak, Duration::ZERO));
    for second in 0..1_000 {
        history.push(Step::new(Rung::Reap, &leak, Duration::from_secs(second)));
    }
    assert_eq!(history.len(), 256);
    assert_eq!(
        history
            .steps()
            .filter(|s| s.rung == Rung::Terminate)
            .count(),
        1
    );
    for pid in 1_000..9_000 {
        leak.holder.pid = pid;
        history.push(Step::new(
            Rung::Reap,
            &leak,
            Duration::from_secs(u64::from(pid)),
        ));
    }
    assert_eq!(history.len(), history.steps().count());
    assert!(history.len() <= 4_096, "{}", history.len());
    assert!(history.steps().any(|step| step.holder.pid == 8_999));
    assert!(!history.steps().any(|step| step.holder.pid == 77));
}

#[test]
fn a_holder_is_looked_at_at_its_own_rate() {
    use crate::policy::Threshold;
    let mut history = History::default();
    let leak = evidence();
    let look = |history: &History, rate: f64, room: Option<u64>, least: u32, now: u64| {
        let pace = Pace {
            rate_per_second: rate,
            headroom: room,
        };
        let threshold = Threshold {
            min_zombies: Some(least),
            limit_used_percent: None,
        };
        next_look(history, leak.holder, pace, &threshold, at(now)).as_secs()
    };
    assert_eq!(
        look(&history, 1_000.0, Some(30_000), 1, 1_000),
        1,
        "as often as it may be"
    );
    assert_eq!(
        look(&history, 1.0, Some(50), 1, 1_000),
        1,
        "a small container"
    );
    assert_eq!(
        look(&history, 1.0, Some(5_000), 1, 1_000),
        100,
        "a fiftieth of the room"
    );
    assert_eq!(
        look(&history, 1.0, Some(5_000), 200, 1_000),
        200,
        "the threshold"
    );
    assert_eq!(
        look(&history, 0.001, Some(30_000), 1, 1_000),
        300,
        "never rarer"
    );
    assert_eq!(look(&history, 0.0, Some(0), 1, 1_000), 1, "at the limit");
    assert_eq!(
        look(&history, 0.0, Some(9), 1, 1_000),
        300,
        "never seen to leak"
    );
    history.push(Step::new(Rung::Reap, &leak, at(1_000).uptime));
    assert_eq!(look(&history, 0.0, Some(9), 1, 1_001), 1, "just reaped");
    assert_eq!(
        look(&history, 0.0, Some(9), 1, 1_060),
        30,
        "quiet for a minute"
    );
    assert_eq!(look(&history, 0.0, Some(9), 1, 9_000), 300);
}
