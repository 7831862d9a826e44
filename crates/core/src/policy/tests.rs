//! Whom policies cover, which of them holds, and what they may not say.

use super::*;
use crate::report::Ages;
use crate::{Container, Leak, Pod, Runtime, Workload};

/// A leak in container `app` of pod `shop/checkout`, held by `crawler`.
pub(crate) fn leak() -> Leak {
    Leak {
        holder: crate::holder::fixture(77),
        container: Some(Container {
            id: "3f2a9c".repeat(10),
            runtime: Runtime::Containerd,
            name: Some("app".to_owned()),
            pod: Some(Pod {
                uid: Some("u-1".to_owned()),
                name: Some("checkout".to_owned()),
                namespace: Some("shop".to_owned()),
            }),
            owner: None,
            cgroup: "/kubepods/pod_u1/3f2a9c".to_owned(),
        }),
        protected: None,
        zombies: 40,
        inspected: 40,
        commands: Vec::new(),
        ages: Ages::default(),
        sample: Vec::new(),
        causes: Vec::new(),
        origins: Vec::new(),
        forecast: None,
        notes: Vec::new(),
    }
}

fn on_host() -> Leak {
    Leak {
        container: None,
        ..leak()
    }
}

fn workload(labels: &[(&str, &str)]) -> Workload {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Workload {
        labels: labels.iter().map(own).collect(),
        ..Workload::default()
    }
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns
        .iter()
        .map(|pattern| Glob::from(*pattern))
        .collect()
}

fn policy(name: &str, selector: Selector) -> Policy {
    Policy::new(
        name,
        PolicySpec {
            selector,
            ..PolicySpec::default()
        },
    )
}

fn covers(
    selector: &Selector,
    leak: &Leak,
    workload: Option<&Workload>,
) -> Result<Specificity, Miss> {
    selector.covers(&Subject::of(leak, workload))
}

fn specificity(asked: u32, exact: u32) -> Result<Specificity, Miss> {
    Ok(Specificity { asked, exact })
}

#[test]
fn nothing_asked_covers_every_container_and_no_process_of_the_host() {
    let all = Selector::default();
    assert_eq!(covers(&all, &leak(), None), specificity(0, 0));
    assert_eq!(covers(&all, &on_host(), None), Err(Miss::HostProcess));
}

#[test]
fn processes_of_the_host_are_covered_by_their_exact_names_alone() {
    let named = |name: &str| Selector {
        host_processes: vec![name.to_owned()],
        ..Selector::default()
    };
    assert_eq!(
        covers(&named("crawler"), &on_host(), None),
        specificity(1, 1)
    );
    assert_eq!(
        covers(&named("craw*"), &on_host(), None),
        Err(Miss::HostProcess)
    );
    assert_eq!(
        covers(&named("crawler"), &leak(), None),
        Err(Miss::NotHostProcess)
    );
}

#[test]
fn all_fields_must_fit_and_one_entry_of_each_list() {
    let selector = Selector {
        namespaces: globs(&["billing", "sh*"]),
        containers: globs(&["app"]),
        commands: globs(&["*"]),
        cgroups: globs(&["/kubepods/*"]),
        ..Selector::default()
    };
    // `*` asks for nothing; of the three others one names exactly.
    assert_eq!(covers(&selector, &leak(), None), specificity(3, 1));
    let other = Selector {
        containers: globs(&["sidecar"]),
        ..selector
    };
    assert_eq!(
        covers(&other, &leak(), None),
        Err(Miss::Differs {
            field: "containers".to_owned(),
            is: "app".to_owned()
        })
    );
}

#[test]
fn a_program_is_known_by_its_executable_and_by_its_own_name() {
    let by_name = |name: &str| Selector {
        commands: globs(&[name]),
        ..Selector::default()
    };
    let mut leak = leak();
    leak.holder.name = "worker-1".to_owned();
    leak.holder.executable = Some("/opt/crawler (deleted)".to_owned());
    assert!(covers(&by_name("crawler"), &leak, None).is_ok());
    assert!(covers(&by_name("worker-?"), &leak, None).is_ok());
    assert!(covers(&by_name("opt*"), &leak, None).is_err());
}

#[test]
fn labels_that_nobody_tells_do_not_fit() {
    let selector = Selector {
        pod_selector: PodSelector {
            match_labels: [("tier".to_owned(), "worker".to_owned())].into(),
            match_expressions: vec![Requirement {
                key: "canary".to_owned(),
                operator: Operator::DoesNotExist,
                values: vec![],
            }],
        },
        ..Selector::default()
    };
    let unknown = covers(&selector, &leak(), None);
    assert!(matches!(unknown, Err(Miss::NotKnown { .. })), "{unknown:?}");
    let worker = workload(&[("tier", "worker")]);
    assert_eq!(covers(&selector, &leak(), Some(&worker)), specificity(2, 2));
    let canary = workload(&[("tier", "worker"), ("canary", "")]);
    let missed = covers(&selector, &leak(), Some(&canary)).unwrap_err();
    assert!(missed.to_string().contains("!canary"), "{missed}");
}

#[test]
fn label_operators_are_those_of_kubernetes() {
    let with = |operator, values: &[&str]| PodSelector {
        match_expressions: vec![Requirement {
            key: "tier".to_owned(),
            operator,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        }],
        ..PodSelector::default()
    };
    for (operator, values, worker, none) in [
        (Operator::In, &["worker", "web"][..], true, false),
        (Operator::In, &["web"], false, false),
        (Operator::NotIn, &["worker"], false, true),
        (Operator::NotIn, &["web"], true, true),
        (Operator::Exists, &[], true, false),
        (Operator::DoesNotExist, &[], false, true),
    ] {
        let selector = Selector {
            pod_selector: with(operator, values),
            ..Selector::default()
        };
        let fits = |workload: &Workload| covers(&selector, &leak(), Some(workload)).is_ok();
        assert_eq!(
            fits(&workload(&[("tier", "worker")])),
            worker,
            "{operator:?} {values:?}"
        );
        assert_eq!(fits(&workload(&[])), none, "{operator:?} {values:?}");
    }
}

#[test]
fn the_narrowest_wins_and_a_tie_names_both() {
    let leak = leak();
    let subject = Subject::of(&leak, None);
    let namespace = |pattern: &str| Selector {
        namespaces: globs(&[pattern]),
        ..Selector::default()
    };
    let mut policies = vec![
        policy("all", Selector::default()),
        policy("exact", namespace("shop")),
        policy("pattern", namespace("sh*")),
        policy("elsewhere", namespace("billing")),
    ];
    let chosen = choose(&policies, &subject).unwrap().map(Policy::name);
    assert_eq!(chosen, Some("exact"));
    let order: Vec<&str> = verdicts(&policies, &subject)
        .iter()
        .map(|verdict| verdict.policy.name())
        .collect();
    assert_eq!(order, ["exact", "pattern", "all", "elsewhere"]);

    policies.push(policy(
        "by-name",
        Selector {
            containers: globs(&["app"]),
            ..Selector::default()
        },
    ));
    let tie = choose(&policies, &subject).unwrap_err();
    assert_eq!(tie.policies, ["by-name", "exact"]);
    assert!(tie.to_string().contains("by-name and exact"), "{tie}");

    assert_eq!(choose(&policies[3..4], &subject), Ok(None));
    assert_eq!(choose(&[], &subject), Ok(None));
}

#[test]
fn spans_are_read_and_written() {
    for (text, millis, written) in [
        ("30s", 30_000, "30s"),
        ("90s", 90_000, "1m30s"),
        ("1h30m", 5_400_000, "1h30m"),
        ("500ms", 500, "500ms"),
        ("0s", 0, "0s"),
        ("1m1m", 120_000, "2m"),
    ] {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.get().as_millis(), millis, "{text}");
        assert_eq!(span.to_string(), written);
    }
    for bad in [
        "",
        "30",
        "s",
        "5 m",
        "-5s",
        "1d",
        "1.5s",
        "5M",
        "1234567890s",
        "5s ",
    ] {
        assert!(bad.parse::<Span>().is_err(), "{bad:?}");
    }
    assert!("999999999h".parse::<Span>().is_ok());
}

#[test]
fn times_and_offsets_are_read() {
    for good in ["00:00", "23:59", "24:00"] {
        assert_eq!(good.parse::<TimeOfDay>().unwrap().to_string(), good);
    }
    for bad in ["24:01", "1:00", "12:60", "12.30", "", "12:3x", "1２:00"] {
        assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
    }
    for good in ["Z", "+08:00", "-03:30", "+14:00"] {
        assert_eq!(good.parse::<UtcOffset>().unwrap().to_string(), good);
    }
    for bad in ["", "UTC", "08:00", "+14:01", "+8:00", "±08:00"] {
        assert!(bad.parse::<UtcOffset>().is_err(), "{bad}");
    }
}

/// Seconds until open, at `hours` and `minutes` of Tuesday 2026-11-24, UTC.
fn opens(windows: &[Window], hours: i64, minutes: i64) -> u64 {
    next_open(windows, 1_795_478_400 + hours * 3_600 + minutes * 60).unwrap()
}

fn window(days: &[Day], from: &str, to: &str, offset: &str) -> Window {
    Window {
        days: days.to_vec(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        utc_offset: offset.parse().unwrap(),
    }
}

#[test]
fn windows_open_and_close_to_the_minute() {
    assert_eq!(opens(&[], 12, 0), 0);
    let day = [window(&[], "09:00", "17:00", "Z")];
    assert_eq!(opens(&day, 8, 59), 60);
    assert_eq!(opens(&day, 9, 0), 0);
    assert_eq!(opens(&day, 16, 59), 0);
    assert_eq!(opens(&day, 17, 0), 16 * 3_600);
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_opens() {
    let night = [window(&[Day::Mon], "22:00", "06:00", "Z")];
    assert_eq!(opens(&night, 5, 59), 0, "Monday's, on Tuesday morning");
    assert_eq!(
        opens(&night, 6, 0),
        (6 * 24 + 16) * 3_600,
        "next Monday, 22:00"
    );
    let whole = [window(&[Day::Tue], "00:00", "24:00", "Z")];
    assert_eq!(opens(&whole, 0, 0), 0);
    assert_eq!(opens(&whole, 23, 59), 0);
    assert_eq!(opens(&whole, 24, 0), 6 * 86_400);
}

#[test]
fn a_window_has_a_clock_of_its_own() {
    // 01:00 on Wednesday in UTC+8 is 17:00 on Tuesday in UTC.
    let east = [window(&[Day::Wed], "01:00", "02:00", "+08:00")];
    assert_eq!(opens(&east, 16, 59), 60);
    assert_eq!(opens(&east, 17, 30), 0);
    let west = [window(&[Day::Mon], "23:00", "24:00", "-03:30")];
    assert_eq!(opens(&west, 2, 30), 0, "23:00 on Monday at -03:30");
    assert_eq!(
        opens(&[east[0].clone(), west[0].clone()], 2, 30),
        0,
        "one is enough"
    );
}

#[test]
fn thresholds_are_met_by_either_and_always_at_the_limit() {
    let either = Threshold {
        min_zombies: Some(20),
        limit_used_percent: Some(50),
    };
    assert!(!either.is_met(19, Some(49)));
    assert!(either.is_met(20, None));
    assert!(either.is_met(1, Some(50)));
    assert!(either.is_met(1, Some(100)));
    let share = Threshold {
        min_zombies: None,
        limit_used_percent: Some(50),
    };
    assert!(!share.is_met(1_000, None), "an unknown share is not met");
}

fn fields(policy: &Policy) -> Vec<String> {
    validate(policy)
        .into_iter()
        .map(|problem| problem.field)
        .collect()
}

#[test]
fn a_plain_policy_is_valid() {
    assert_eq!(validate(&policy("all", Selector::default())), []);
}

#[test]
fn contradictions_are_found() {
    type Change = fn(&mut Policy);
    let cases: [(&str, Change); 25] = [
        ("apiVersion", |p| p.api_version = "v1".to_owned()),
        ("kind", |p| p.kind = "Policy".to_owned()),
        ("metadata.name", |p| p.metadata.name = "Big".to_owned()),
        ("metadata.name", |p| p.metadata.name = "-x".to_owned()),
        ("spec.settle", |p| p.spec.settle = Span::from_secs(0)),
        ("spec.settle", |p| p.spec.settle = Span::from_secs(700_000)),
        ("spec.threshold", |p| p.spec.threshold.min_zombies = None),
        ("spec.threshold.minZombies", |p| {
            p.spec.threshold.min_zombies = Some(0);
        }),
        ("spec.threshold.limitUsedPercent", |p| {
            p.spec.threshold.limit_used_percent = Some(101);
        }),
        ("spec.rateLimits.perHolder.count", |p| {
            p.spec.rate_limits.per_holder = Some(Rate::new(0, Span::from_secs(60)));
        }),
        ("spec.rateLimits.perNode.count", |p| {
            p.spec.rate_limits.per_node = Some(Rate::new(101, Span::from_secs(60)));
        }),
        ("spec.rateLimits.perContainer.per", |p| {
            p.spec.rate_limits.per_container = Some(Rate::new(1, Span::from_secs(0)));
        }),
        ("spec.windows[0].to", |p| {
            p.spec.windows = vec![window(&[], "06:00", "06:00", "Z")];
        }),
        ("spec.disruption.windows[1].from", |p| {
            let good = window(&[], "06:00", "07:00", "Z");
            p.spec.disruption.windows = vec![good, window(&[], "24:00", "06:00", "Z")];
        }),
        ("spec.disruption.escalateAfter", |p| {
            p.spec.disruption.escalate_after = Span::from_secs(0);
        }),
        ("spec.disruption.gracePeriod", |p| {
            p.spec.disruption.grace_period = Span::from_secs(0);
        }),
        ("spec.autoreap", |p| p.spec.autoreap = Autoreap::Any),
        ("spec.disruption.evict.allow", |p| {
            p.spec.disruption.evict.allow = vec![Spared::Bare];
        }),
        ("spec.disruption.evict.allow[1]", |p| {
            p.spec.max_rung = Rung::Evict;
            p.spec.disruption.evict.allow = vec![Spared::Bare, Spared::Bare];
        }),
        ("spec.selector.commands[0]", |p| {
            p.spec.selector.commands = globs(&["/bin/sh"]);
        }),
        ("spec.selector.cgroups[0]", |p| {
            p.spec.selector.cgroups = globs(&["kubepods*"]);
        }),
        ("spec.selector.containers[1]", |p| {
            p.spec.selector.containers = globs(&["app", ""]);
        }),
        ("spec.selector.namespaces[0]", |p| {
            p.spec.selector.namespaces = globs(&["ci-[0-9]"]);
        }),
        ("spec.selector.commands[1]", |p| {
            p.spec.selector.commands = globs(&["git", "{npm,npx}"]);
        }),
        ("spec.selector.hostProcesses[0]", |p| {
            p.spec.selector.host_processes = vec!["cron*".to_owned()];
        }),
    ];
    for (field, change) in cases {
        let mut policy = policy("all", Selector::default());
        change(&mut policy);
        assert_eq!(fields(&policy), [field]);
    }
}

#[test]
fn the_host_is_never_more_than_reaped_and_has_no_pods() {
    let mut policy = policy(
        "host",
        Selector {
            host_processes: vec!["cron".to_owned()],
            ..Selector::default()
        },
    );
    assert_eq!(fields(&policy), [""; 0]);
    policy.spec.max_rung = Rung::Autoreap;
    assert_eq!(fields(&policy), ["spec.maxRung"]);
    policy.spec.require_opt_in = true;
    policy.spec.selector.namespaces = globs(&["shop"]);
    assert_eq!(
        fields(&policy),
        [
            "spec.selector.hostProcesses",
            "spec.maxRung",
            "spec.requireOptIn"
        ]
    );
}

#[test]
fn label_requirements_that_no_pod_meets_are_found() {
    let requirement = |operator, values: &[&str]| Requirement {
        key: "tier".to_owned(),
        operator,
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    };
    let with = |label: Option<&str>, match_expressions| {
        policy(
            "labels",
            Selector {
                pod_selector: PodSelector {
                    match_labels: label
                        .map(|value| ("tier".to_owned(), value.to_owned()))
                        .into_iter()
                        .collect(),
                    match_expressions,
                },
                ..Selector::default()
            },
        )
    };
    use Operator::{DoesNotExist, Exists, In, NotIn};
    let at = "spec.selector.podSelector.matchExpressions";
    for (label, expressions, wrong) in [
        (
            None,
            vec![requirement(In, &[])],
            Some(format!("{at}[0].values")),
        ),
        (
            None,
            vec![requirement(Exists, &["x"])],
            Some(format!("{at}[0].values")),
        ),
        (
            Some("web"),
            vec![requirement(In, &["worker"])],
            Some(format!("{at}[0]")),
        ),
        (
            Some("web"),
            vec![requirement(NotIn, &["web"])],
            Some(format!("{at}[0]")),
        ),
        (
            Some("web"),
            vec![requirement(DoesNotExist, &[])],
            Some(format!("{at}[0]")),
        ),
        (Some("web"), vec![requirement(In, &["web", "x"])], None),
        (
            None,
            vec![requirement(Exists, &[]), requirement(DoesNotExist, &[])],
            Some(format!("{at}[1]")),
        ),
        (
            None,
            vec![
                requirement(In, &["a", "b"]),
                requirement(NotIn, &["a", "b"]),
            ],
            Some(format!("{at}[1]")),
        ),
        (
            None,
            vec![requirement(NotIn, &["a"]), requirement(In, &["a"])],
            Some(format!("{at}[1]")),
        ),
        (
            None,
            vec![requirement(In, &["a"]), requirement(In, &["b"])],
            Some(format!("{at}[1]")),
        ),
        (
            None,
            vec![requirement(In, &["a", "b"]), requirement(NotIn, &["a"])],
            None,
        ),
        (
            None,
            vec![requirement(NotIn, &["a"]), requirement(NotIn, &["b"])],
            None,
        ),
    ] {
        let policy = with(label, expressions);
        assert_eq!(
            fields(&policy),
            wrong.into_iter().collect::<Vec<_>>(),
            "{policy:?}"
        );
    }
}

#[test]
fn policies_that_cannot_stand_together_are_found() {
    let named = |name: &str, namespace: &str| {
        let namespaces = globs(&[namespace]);
        policy(
            name,
            Selector {
                namespaces,
                ..Selector::default()
            },
        )
    };
    let clashes = validate_all(&[
        named("a", "x"),
        named("b", "y"),
        named("c", "x"),
        named("b", "z"),
    ]);
    let found: Vec<(usize, usize, &str)> = clashes
        .iter()
        .map(|clash| (clash.policy, clash.other, clash.problem.field.as_str()))
        .collect();
    assert_eq!(found, [(2, 0, "spec.selector"), (3, 1, "metadata.name")]);
}

/// What an API server asks of a structural schema: every node a type, no alternatives of types.
#[test]
fn the_schema_is_structural() {
    fn walk(path: &str, node: &serde_json::Value) {
        let Some(object) = node.as_object() else {
            return;
        };
        assert!(!object.contains_key("anyOf"), "{path}: anyOf");
        assert!(!object.contains_key("$ref"), "{path}: $ref");
        let alternatives = object.get("oneOf").and_then(|list| list.as_array());
        match alternatives {
            // An enum with a description for each value: kube folds it.
            Some(list) => assert!(list.iter().all(|one| one["type"] == "string"), "{path}"),
            None => assert!(object["type"].is_string(), "{path}: {node}"),
        }
        for (name, below) in object
            .get("properties")
            .and_then(|p| p.as_object())
            .into_iter()
            .flatten()
        {
            assert!(
                below["description"].is_string(),
                "{path}.{name} has no description"
            );
            walk(&format!("{path}.{name}"), below);
        }
        if let Some(items) = object.get("items") {
            walk(&format!("{path}[]"), items);
        }
    }
    let settings =
        schemars::generate::SchemaSettings::openapi3().with(|s| s.inline_subschemas = true);
    let schema = settings
        .into_generator()
        .into_root_schema_for::<PolicySpec>();
    let mut schema = serde_json::to_value(schema).unwrap();
    schema.as_object_mut().unwrap().remove("components");
    walk("spec", &schema);
}

#[test]
fn what_is_written_is_read_again() {
    let mut written = policy("all", Selector::default());
    written.spec.windows = vec![window(&[Day::Sat], "01:00", "05:00", "+08:00")];
    written.spec.rate_limits.per_holder = Some(Rate::new(3, Span::from_secs(90)));
    let json = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), written);
    let short =
        r#"{"apiVersion":"sexton.dev/v1alpha1","kind":"ReapPolicy","metadata":{"name":"all"}}"#;
    let read: Policy = serde_json::from_str(short).unwrap();
    assert_eq!(read, policy("all", Selector::default()));
    assert_eq!(read.spec.mode, Mode::DryRun);
    assert_eq!(read.spec.settle, Span::from_secs(60));
    assert_eq!(read.spec.max_rung, Rung::Reap);
}
