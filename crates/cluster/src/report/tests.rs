//! What the cluster is told is small, and stays the same while nothing of note happens.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use proptest::prelude::*;
use serde_json::json;
use sexton_core::policy::Mode;
use sexton_core::{ProcessId, Report};

use super::*;

/// A leak of so many, of process `pid` called `holder`.
fn leak(pid: u32, holder: &str, zombies: u64) -> sexton_core::Leak {
    serde_json::from_value(json!({
        "holder": {
            "pid": pid, "startTicks": 100, "nsPids": [pid], "name": holder, "commandLine": [holder],
            "parentPid": 1, "uid": 0, "threads": 1, "state": "sleeping", "frozen": false,
            "namespaceInit": false, "holdsAs": "parent", "sigchld": "default",
            "sigchldBlocked": false,
        },
        "zombies": zombies, "inspected": zombies,
        "commands": [{"name": "true", "count": zombies}],
        "ages": {"started": {"lastMinute": 0, "lastTenMinutes": 0, "lastHour": 0}},
        "sample": [],
    }))
    .unwrap()
}

/// A container of this pod of a Deployment.
fn container(namespace: &str, pod: &str, name: &str, owner: &str) -> sexton_core::Container {
    serde_json::from_value(json!({
        "id": "3f2a9c".repeat(10), "runtime": "containerd", "name": name,
        "pod": {"uid": "u-1", "name": pod, "namespace": namespace},
        "owner": {"kind": "Deployment", "name": owner},
        "cgroup": "/kubepods/u-1/3f2a9c",
    }))
    .unwrap()
}

fn in_pod(leak: sexton_core::Leak, name: &str) -> sexton_core::Leak {
    let pod = format!("{name}-7d9f4b5c6-x2x9z");
    sexton_core::Leak {
        container: Some(container("shop", &pod, "app", name)),
        ..leak
    }
}

fn forecast(seconds_left: u64) -> sexton_core::Forecast {
    serde_json::from_value(json!({
        "trend": if seconds_left == 0 { "limitReached" } else { "growing" },
        "ratePerSecond": 1.0, "basis": "", "limit": "cgroupPids", "scope": "",
        "secondsLeft": seconds_left, "confidence": "high",
    }))
    .unwrap()
}

fn cause(id: &str) -> sexton_core::Cause {
    serde_json::from_value(json!({
        "id": id, "title": "", "confidence": "high", "facts": [], "now": [],
        "cure": {"text": ""}, "sources": [],
    }))
    .unwrap()
}

fn report(leaks: Vec<sexton_core::Leak>) -> Report {
    serde_json::from_value(json!({
        "apiVersion": "sexton.dev/v1alpha1", "kind": "ZombieReport",
        "node": {"name": "node1", "kernel": "6.18.0", "bootId": "", "cgroups": "v2"},
        "scannedAt": "2026-11-24T12:00:00Z",
        "zombies": leaks.iter().map(|leak| leak.zombies).sum::<u64>(),
        "leaks": leaks, "limits": [],
        "scan": {"method": "walk", "micros": 1, "cgroups": 1, "processesRead": 1},
    }))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_478_400 + second).unwrap()
}

/// Tells of `report`, as everything else is, so many seconds later.
fn told(report: &Report, before: Option<&Status>, second: i64) -> Status {
    condense(&Seen {
        agent_version: "0.1.0",
        report,
        dealings: &HashMap::new(),
        policies: &[],
        hindrance: None,
        before,
        now: at(second),
    })
}

fn size(status: &Status) -> usize {
    serde_json::to_vec(status).unwrap().len()
}

fn condition<'a>(status: &'a Status, type_: &str) -> &'a Condition {
    let found = status.conditions.iter().find(|one| one.type_ == type_);
    found.unwrap()
}

/// How often the status changes while a leak takes these sizes one after the other.
fn changes(sizes: impl Iterator<Item = u64>) -> usize {
    let mut before: Option<Status> = None;
    let mut changes = 0;
    let mut report = report(vec![in_pod(leak(77, "crawler", 1), "crawler")]);
    for (second, zombies) in (0..).zip(sizes) {
        report.leaks[0].zombies = zombies;
        let now = told(&report, before.as_ref(), second);
        changes += usize::from(before.as_ref() != Some(&now));
        before = Some(now);
    }
    changes
}

#[test]
fn a_leak_that_grows_to_thirty_thousand_is_told_of_fifteen_times_at_most() {
    let changes = changes((1..=3_000).chain((3_000..=30_000).step_by(10)));
    assert!((10..=15).contains(&changes), "{changes}");
}

#[test]
fn a_count_that_saws_about_a_border_is_told_of_once() {
    for border in [2, 5, 10, 20, 100, 1_000, 10_000] {
        let saw = |n: u64| border - 1 + n % 3;
        // The lower one may come first.
        let changes = changes((0..1_000).map(saw));
        assert!(changes <= 2, "{border}: {changes}");
    }
    // One that is reaped down to nothing again and again is told of each time: that is news.
    assert_eq!(changes([50, 0, 50, 0].into_iter()), 4);
}

#[test]
fn the_worst_comes_first_and_is_named() {
    let mut near = in_pod(leak(1, "small", 300), "small");
    near.forecast = Some(forecast(60));
    let status = told(
        &report(vec![
            in_pod(leak(2, "large", 9_000), "large"),
            near,
            leak(3, "cron", 30),
        ]),
        None,
        0,
    );
    let holders: Vec<&str> = status.leaks.iter().map(|l| l.holder.as_str()).collect();
    assert_eq!(holders, ["small", "large", "cron"]);
    assert_eq!(status.worst.as_deref(), Some("shop/Deployment/small"));
    assert_eq!(status.zombies, 5_000, "9,330 rounded down");
    assert_eq!(status.forecast.as_ref().unwrap().within, "10m");
    let leaking = condition(&status, ZOMBIE_LEAK);
    assert_eq!(
        (leaking.status.as_str(), leaking.reason.as_str()),
        ("True", "LimitNear")
    );
    assert_eq!(
        leaking.message,
        "5000 or more zombies of 3 processes, worst: small in shop/Deployment/small; \
         pids.max is reached within 10m"
    );
    let host = told(&report(vec![leak(3, "cron", 30)]), None, 0);
    assert_eq!(host.worst.as_deref(), Some("host/cron"));
    assert_eq!(condition(&host, ZOMBIE_LEAK).reason, "FewZombies");
}

#[test]
fn children_that_have_just_ended_are_no_leak() {
    let holder = leak(77, "crawler", 3).holder.id;
    let watched = |seconds| {
        let dealing = Dealing {
            watched: Duration::from_secs(seconds),
            ..Dealing::default()
        };
        HashMap::from([(holder, dealing)])
    };
    let status = |dealings: &HashMap<ProcessId, Dealing>, zombies| {
        condense(&Seen {
            agent_version: "0.1.0",
            report: &report(vec![leak(77, "crawler", zombies)]),
            dealings,
            policies: &[],
            hindrance: None,
            before: None,
            now: at(0),
        })
    };
    let young = status(&watched(10), 3);
    assert_eq!((young.zombies, young.leaks.len()), (0, 0));
    assert_eq!(status(&watched(30), 3).zombies, 2);
    assert_eq!(
        status(&watched(0), 40).zombies,
        20,
        "so many at once are one"
    );
}

#[test]
fn a_forecast_that_has_become_unclear_is_kept_and_one_that_is_over_is_not() {
    let with = |forecast: sexton_core::Forecast| {
        let mut leak = leak(77, "crawler", 300);
        leak.forecast = Some(forecast);
        report(vec![leak])
    };
    let first = told(&with(forecast(3_000)), None, 0);
    assert_eq!(first.forecast.as_ref().unwrap().within, "1h");
    let mut unclear = forecast(3_000);
    unclear.trend = sexton_core::forecast::Trend::Unknown;
    assert_eq!(told(&with(unclear), Some(&first), 10), first);
    let mut over = forecast(3_000);
    over.trend = sexton_core::forecast::Trend::NotGrowing;
    assert_eq!(told(&with(over), Some(&first), 20).forecast, None);
}

#[test]
fn a_condition_keeps_its_time_until_it_turns() {
    let leaking = report(vec![leak(77, "crawler", 200)]);
    let first = told(&leaking, None, 0);
    let more = report(vec![leak(77, "crawler", 600)]);
    let second = told(&more, Some(&first), 60);
    let since = |status: &Status| condition(status, ZOMBIE_LEAK).last_transition_time.clone();
    assert_eq!(since(&first).0, at(0));
    assert_eq!(since(&second), since(&first));
    let third = told(&report(vec![]), Some(&second), 120);
    assert_eq!(since(&third).0, at(120));
    assert_eq!(
        condition(&third, ZOMBIE_LEAK).message,
        "no zombies that stay"
    );

    let paused = Hindrance {
        reason: "Paused".to_owned(),
        message: "by /run/sexton/pause".to_owned(),
    };
    let status = condense(&Seen {
        agent_version: "0.1.0",
        report: &leaking,
        dealings: &HashMap::new(),
        policies: &[],
        hindrance: Some(&paused),
        before: Some(&first),
        now: at(180),
    });
    let ready = condition(&status, READY);
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Paused")
    );
    assert_eq!(condition(&first, READY).status, "True");

    // After a look that failed the figures stay, and are said to be old.
    let failed = Hindrance {
        reason: "LookFailed".to_owned(),
        message: "the figures are of an earlier look".to_owned(),
    };
    let old = hindered(&first, &failed, at(240));
    let ready = condition(&old, READY);
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "LookFailed")
    );
    assert_eq!(old.leaks, first.leaks);
    assert_eq!(since(&old), since(&first));
    assert_eq!(hindered(&old, &failed, at(300)), old);
}

#[test]
fn containers_of_one_owner_that_will_not_end_are_told_once() {
    let signal = |pod: &str, verdict: &str| {
        let container = container("shop", pod, "app", "web");
        json!({
            "container": container,
            "main": {"pid": 7, "startTicks": 1, "innerPid": 1, "name": "sh", "commandLine": []},
            "stopSignal": {"number": 15, "name": "SIGTERM", "source": ""},
            "sharedPidNamespace": false, "verdict": verdict, "confidence": "high",
            "summary": "", "facts": [],
        })
    };
    let mut report = report(vec![]);
    report.exit_signals = ["a", "b", "c"]
        .map(|pod| serde_json::from_value(signal(pod, "killed")).unwrap())
        .into();
    let ends = serde_json::from_value(signal("d", "ends")).unwrap();
    report.exit_signals.push(ends);
    let status = told(&report, None, 0);
    assert_eq!(status.exit_signal_count, 2, "3 rounded down");
    let [one] = status.exit_signals.as_slice() else {
        panic!("{:?}", status.exit_signals);
    };
    assert_eq!(one.owner.as_deref(), Some("Deployment/web"));
    assert_eq!(one.pod, None);
}

#[test]
fn policies_that_are_refused_come_first() {
    let policies: Vec<PolicyState> = (0..40)
        .map(|n| PolicyState {
            name: format!("policy-{n:02}"),
            observed_generation: Some(1),
            followed_generation: None,
            mode: Mode::Enforce,
            state: if n == 39 {
                Adherence::Refused
            } else {
                Adherence::Following
            },
            message: None,
        })
        .collect();
    let status = condense(&Seen {
        agent_version: "0.1.0",
        report: &report(vec![]),
        dealings: &HashMap::new(),
        policies: &policies,
        hindrance: None,
        before: None,
        now: at(0),
    });
    assert_eq!(status.policies.len(), MOST_POLICIES);
    assert_eq!(status.policies[0].name, "policy-39");
    assert_eq!(status.policies[1].name, "policy-00");
}

/// As on a node of a large cluster on a bad day: every leak in its own pod, all told.
#[test]
fn thirty_two_leaks_with_names_as_they_are_fit() {
    let policy = Dealing {
        watched: Duration::from_secs(3_600),
        policy: Some("default-reap".to_owned()),
        step: Some(Step {
            rung: Rung::Reap,
            outcome: "succeeded".to_owned(),
        }),
    };
    let leaks: Vec<sexton_core::Leak> = (0..32)
        .map(|n| {
            let mut leak = in_pod(
                leak(30_000 + n, "crawler-worker", 4_000),
                "checkout-crawler",
            );
            leak.causes = vec![cause("go-start-without-wait")];
            leak.forecast = Some(forecast(20_000));
            leak
        })
        .collect();
    let dealings = leaks.iter().map(|leak| (leak.holder.id, policy.clone()));
    let status = condense(&Seen {
        agent_version: "0.1.0",
        report: &report(leaks.clone()),
        dealings: &dealings.collect(),
        policies: &[],
        hindrance: None,
        before: None,
        now: at(0),
    });
    assert_eq!(status.leaks.len(), 32);
    assert!(size(&status) <= LARGEST);
    // The lesser ones are without details, the first ones have them.
    assert!(status.leaks[..4].iter().all(|leak| leak.step.is_some()));
    let with_cause = status.leaks.iter().filter(|leak| leak.cause.is_some());
    assert!(with_cause.count() >= 8);
}

/// Names as long as they can be, of characters that take three bytes each.
fn anything() -> impl Strategy<Value = Report> {
    let name = || {
        prop_oneof![
            "[a-z]{1,10}",
            "[a-z]{63}",
            "[a-z.]{253}",
            "漢{63}",
            "\\PC{0,80}"
        ]
    };
    let one = (
        1_u32..60,
        name(),
        prop_oneof![0_u64..5, 0_u64..40_000],
        (name(), name(), name(), name()),
        any::<bool>(),
        proptest::option::of(0_u64..1_000_000),
    );
    proptest::collection::vec(one, 0..64).prop_map(|leaks| {
        let leaks = leaks.into_iter().enumerate().map(
            |(n, (pid, holder, zombies, (namespace, pod, app, owner), contained, left))| {
                let pid = pid * 64 + u32::try_from(n).unwrap();
                sexton_core::Leak {
                    container: contained.then(|| container(&namespace, &pod, &app, &owner)),
                    forecast: left.map(forecast),
                    causes: vec![cause("go-start-without-wait")],
                    ..leak(pid, &holder, zombies)
                }
            },
        );
        report(leaks.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn it_is_bounded_whatever_there_is(report in anything()) {
        let status = told(&report, None, 0);
        prop_assert!(size(&status) <= LARGEST, "{}", size(&status));
        prop_assert!(status.leaks.len() <= MOST_LEAKS);
        // What is told of each leak is bounded too, so a few always have room.
        prop_assert!(status.leaks.len() >= 8.min(status.leak_count as usize));
        let lasting = report.leaks.iter().filter(|leak| leak.zombies > 0).count();
        prop_assert_eq!(status.leaks.is_empty(), lasting == 0);
    }

    #[test]
    fn the_same_is_told_in_the_same_words(report in anything()) {
        let first = told(&report, None, 0);
        prop_assert_eq!(told(&report, Some(&first), 600), first);
    }

    /// The second look sees one zombie more or less everywhere: at most the first changes.
    #[test]
    fn a_little_less_changes_nothing(report in anything()) {
        let first = told(&report, None, 0);
        let mut less = report.clone();
        for leak in &mut less.leaks {
            leak.zombies -= u64::from(leak.zombies > 2);
        }
        prop_assert_eq!(told(&less, Some(&first), 10), first);
    }
}
