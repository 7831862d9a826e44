//! The API server and `sexton policy check` refuse the same.

use std::path::Path;

use kube::Api;
use kube::api::PostParams;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sexton_cluster::crd::ReapPolicy;
use sexton_core::policy::{Policy, validate};
use sexton_lab::{process::wait_until, require};

use crate::server::{Server, run};

/// The document, as a file holds it and as it is sent.
fn document(spec: &Value) -> Value {
    json!({
        "apiVersion": "sexton.dev/v1alpha1", "kind": "ReapPolicy",
        "metadata": {"name": "tried"}, "spec": spec,
    })
}

/// What `sexton policy check` finds: the fields, or what cannot be read at all.
fn checked(document: &Value) -> Result<(), String> {
    // An empty list is refused before types are read; see `says_nothing` of sexton's loader.
    if let Some(path) = empty_list("", document) {
        return Err(path);
    }
    let policy: Policy =
        serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let problems: Vec<String> = validate(&policy)
        .into_iter()
        .map(|problem| problem.field)
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join(" "))
    }
}

fn empty_list(path: &str, node: &Value) -> Option<String> {
    match node {
        Value::Array(list) if list.is_empty() => Some(path.to_owned()),
        Value::Array(list) => list.iter().find_map(|below| empty_list(path, below)),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, below)| empty_list(&format!("{path}.{name}"), below)),
        _ => None,
    }
}

/// What the API server says to it; nothing is kept. Strict, as kubectl asks for.
async fn sent(api: &Api<kube::core::DynamicObject>, document: &Value) -> Result<(), String> {
    let object: kube::core::DynamicObject = serde_json::from_value(document.clone()).unwrap();
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&parameters, &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 422 || status.code == 400 => {
            Err(status.message.clone())
        }
        Err(other) => panic!("{other}: {document}"),
    }
}

async fn policies(server: &Server) -> Api<kube::core::DynamicObject> {
    let resource = kube::core::ApiResource::erase::<ReapPolicy>(&());
    Api::all_with(server.client().await, &resource)
}

/// Each with the field that is wrong, below `spec`.
fn wrong() -> Vec<(&'static str, Value)> {
    let label = |label: Value, expressions: Value| json!({"selector": {"podSelector": {"matchLabels": label, "matchExpressions": expressions}}});
    let expressions =
        |list: Value| json!({"selector": {"podSelector": {"matchExpressions": list}}});
    let is = |operator: &str, values: &[&str]| {
        if values.is_empty() {
            json!({"key": "tier", "operator": operator})
        } else {
            json!({"key": "tier", "operator": operator, "values": values})
        }
    };
    let pods = "selector.podSelector.matchExpressions";
    let many = |of: Value, times: usize| Value::Array(vec![of; times]);
    let window = json!({"from": "01:00", "to": "02:00"});
    vec![
        // Spans.
        ("settle", json!({"settle": "0s"})),
        ("settle", json!({"settle": "99ms"})),
        ("settle", json!({"settle": "169h"})),
        ("settle", json!({"settle": "168h1ms"})),
        ("settle", json!({"settle": "999999999h"})),
        ("settle", json!({"settle": "30"})),
        ("settle", json!({"settle": ""})),
        ("settle", json!({"settle": "1d"})),
        ("settle", json!({"settle": "1.5s"})),
        ("settle", json!({"settle": "-5s"})),
        ("settle", json!({"settle": "5s "})),
        ("settle", json!({"settle": "1234567890s"})),
        ("settle", json!({"settle": 30})),
        ("settle", json!({"settle": "1s".repeat(17)})),
        (
            "disruption.escalateAfter",
            json!({"disruption": {"escalateAfter": "999ms"}}),
        ),
        (
            "disruption.gracePeriod",
            json!({"disruption": {"gracePeriod": "0s"}}),
        ),
        // Enums.
        ("mode", json!({"mode": "DryRun"})),
        ("maxRung", json!({"maxRung": "kill"})),
        ("autoreap", json!({"autoreap": "always"})),
        ("autoreap", json!({"autoreap": "any"})),
        ("autoreap", json!({"autoreap": "any", "maxRung": "reap"})),
        // Thresholds.
        ("threshold", json!({"threshold": {}})),
        (
            "threshold.minZombies",
            json!({"threshold": {"minZombies": 0}}),
        ),
        (
            "threshold.minZombies",
            json!({"threshold": {"minZombies": -1}}),
        ),
        (
            "threshold.minZombies",
            json!({"threshold": {"minZombies": 4_294_967_296_u64}}),
        ),
        (
            "threshold.limitUsedPercent",
            json!({"threshold": {"limitUsedPercent": 0}}),
        ),
        (
            "threshold.limitUsedPercent",
            json!({"threshold": {"limitUsedPercent": 101}}),
        ),
        (
            "disruption.threshold",
            json!({"disruption": {"threshold": {}}}),
        ),
        (
            "disruption.threshold.limitUsedPercent",
            json!({"disruption": {"threshold": {"limitUsedPercent": 101}}}),
        ),
        // Rates.
        (
            "rateLimits.perHolder.count",
            json!({"rateLimits": {"perHolder": {"count": 0, "per": "1m"}}}),
        ),
        (
            "rateLimits.perNode.count",
            json!({"rateLimits": {"perNode": {"count": 101, "per": "1m"}}}),
        ),
        (
            "rateLimits.perContainer.per",
            json!({"rateLimits": {"perContainer": {"count": 1, "per": "0s"}}}),
        ),
        (
            "rateLimits.perContainer.per",
            json!({"rateLimits": {"perContainer": {"count": 1}}}),
        ),
        (
            "disruption.rateLimits.perHolder.per",
            json!({"disruption": {"rateLimits": {"perHolder": {"count": 1, "per": "200h"}}}}),
        ),
        // Windows.
        (
            "windows[0].to",
            json!({"windows": [{"from": "06:00", "to": "06:00"}]}),
        ),
        (
            "windows[0].from",
            json!({"windows": [{"from": "24:00", "to": "06:00"}]}),
        ),
        (
            "windows[0].from",
            json!({"windows": [{"from": "24:01", "to": "06:00"}]}),
        ),
        (
            "windows[0].to",
            json!({"windows": [{"from": "01:00", "to": "6:00"}]}),
        ),
        ("windows[0].to", json!({"windows": [{"from": "01:00"}]})),
        (
            "windows[0].utcOffset",
            json!({"windows": [{"from": "01:00", "to": "06:00", "utcOffset": "+14:01"}]}),
        ),
        (
            "windows[0].utcOffset",
            json!({"windows": [{"from": "01:00", "to": "06:00", "utcOffset": "Europe/Berlin"}]}),
        ),
        (
            "windows[0].days[0]",
            json!({"windows": [{"from": "01:00", "to": "06:00", "days": ["Monday"]}]}),
        ),
        (
            "windows[0].days",
            json!({"windows": [{"from": "01:00", "to": "06:00", "days": many(json!("mon"), 8)}]}),
        ),
        (
            "windows[0].days",
            json!({"windows": [{"from": "01:00", "to": "06:00", "days": []}]}),
        ),
        ("windows", json!({"windows": []})),
        ("windows", json!({"windows": many(window.clone(), 33)})),
        (
            "disruption.windows[1].from",
            json!({"disruption": {"windows": [window, {"from": "24:00", "to": "01:00"}]}}),
        ),
        // Eviction.
        (
            "disruption.evict.allow",
            json!({"disruption": {"evict": {"allow": ["bare", "critical", "bare"]}}}),
        ),
        (
            "disruption.evict.allow[0]",
            json!({"disruption": {"evict": {"allow": ["mirror"]}}}),
        ),
        // Selectors.
        (
            "selector.namespaces",
            json!({"selector": {"namespaces": []}}),
        ),
        (
            "selector.namespaces[0]",
            json!({"selector": {"namespaces": [""]}}),
        ),
        (
            "selector.containers[1]",
            json!({"selector": {"containers": ["app", ""]}}),
        ),
        (
            "selector.containers[0]",
            json!({"selector": {"containers": ["a".repeat(256)]}}),
        ),
        (
            "selector.containers",
            json!({"selector": {"containers": many(json!("a"), 65)}}),
        ),
        (
            "selector.commands[0]",
            json!({"selector": {"commands": ["/bin/sh"]}}),
        ),
        (
            "selector.cgroups[0]",
            json!({"selector": {"cgroups": ["kubepods*"]}}),
        ),
        (
            "selector.namespaces[0]",
            json!({"selector": {"namespaces": ["ci-[0-9]"]}}),
        ),
        (
            "selector.cgroups[0]",
            json!({"selector": {"cgroups": ["/{a,b}"]}}),
        ),
        (
            "selector.hostProcesses[0]",
            json!({"selector": {"hostProcesses": ["cron*"]}}),
        ),
        (
            "selector.hostProcesses[0]",
            json!({"selector": {"hostProcesses": ["cro?"]}}),
        ),
        (
            "selector.hostProcesses[0]",
            json!({"selector": {"hostProcesses": ["/usr/sbin/cron"]}}),
        ),
        (
            "selector.hostProcesses[0]",
            json!({"selector": {"hostProcesses": [""]}}),
        ),
        // Processes of the host.
        (
            "maxRung",
            json!({"selector": {"hostProcesses": ["cron"]}, "maxRung": "autoreap"}),
        ),
        (
            "requireOptIn",
            json!({"selector": {"hostProcesses": ["cron"]}, "requireOptIn": true}),
        ),
        (
            "selector.hostProcesses",
            json!({"selector": {"hostProcesses": ["cron"], "namespaces": ["a"]}}),
        ),
        (
            "selector.hostProcesses",
            json!({"selector": {"hostProcesses": ["cron"], "containers": ["a"]}}),
        ),
        (
            "selector.hostProcesses",
            json!({"selector": {"hostProcesses": ["cron"], "commands": ["a"]}}),
        ),
        (
            "selector.hostProcesses",
            json!({"selector": {"hostProcesses": ["cron"], "cgroups": ["*"]}}),
        ),
        (
            "selector.hostProcesses",
            json!({"selector": {"hostProcesses": ["cron"], "podSelector": {"matchLabels": {"a": "b"}}}}),
        ),
        // Labels.
        (
            pods,
            expressions(json!([{"key": "tier", "operator": "In"}])),
        ),
        (
            pods,
            expressions(json!([{"key": "tier", "operator": "NotIn"}])),
        ),
        (
            pods,
            expressions(json!([{"key": "tier", "operator": "Exists", "values": ["x"]}])),
        ),
        (
            pods,
            expressions(json!([{"key": "", "operator": "Exists"}])),
        ),
        (
            pods,
            expressions(json!([{"key": "tier", "operator": "Equals"}])),
        ),
        (
            pods,
            expressions(json!([is("In", &["a".repeat(64).as_str()])])),
        ),
        (pods, expressions(many(is("Exists", &[]), 17))),
        (
            pods,
            label(json!({"tier": "web"}), json!([is("In", &["worker"])])),
        ),
        (
            pods,
            label(json!({"tier": "web"}), json!([is("NotIn", &["web"])])),
        ),
        (
            pods,
            label(json!({"tier": "web"}), json!([is("DoesNotExist", &[])])),
        ),
        (
            pods,
            expressions(json!([is("Exists", &[]), is("DoesNotExist", &[])])),
        ),
        (
            pods,
            expressions(json!([is("DoesNotExist", &[]), is("In", &["a"])])),
        ),
        (
            pods,
            expressions(json!([is("In", &["a", "b"]), is("NotIn", &["a", "b"])])),
        ),
        (
            pods,
            expressions(json!([is("NotIn", &["a"]), is("In", &["a"])])),
        ),
        (
            pods,
            expressions(json!([is("In", &["a"]), is("In", &["b"])])),
        ),
        // Unknown fields.
        ("selector.pods", json!({"selector": {"pods": ["a"]}})),
        ("dryRun", json!({"dryRun": true})),
    ]
}

#[test]
fn what_policy_check_refuses_the_api_server_refuses() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let api = policies(server).await;
        for (field, spec) in wrong() {
            let document = document(&spec);
            assert!(checked(&document).is_err(), "{document}");
            // Unknown fields are refused where strict validation is asked for, as kubectl does.
            let said = sent_strictly(server, &document).await.unwrap_err();
            let named = said.contains(&format!("spec.{field}"));
            assert!(named, "{document}: {said}");
            // Unknown ones apart, it does not take strictness.
            if !said.contains("unknown field") {
                let said = sent(&api, &document).await.unwrap_err();
                assert!(
                    !said.contains("evaluat") || field == "settle",
                    "{document}: {said}"
                );
            }
        }
    });
}

/// `fieldValidation=Strict`, which [`PostParams`] does not know.
async fn sent_strictly(server: &Server, document: &Value) -> Result<(), String> {
    let path = "/apis/sexton.dev/v1alpha1/reappolicies?dryRun=All&fieldValidation=Strict";
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(document).unwrap())
        .unwrap();
    let answer = server.client().await.request::<Value>(request).await;
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(other) => panic!("{other}: {document}"),
    }
}

#[test]
fn what_policy_check_finds_nothing_wrong_with_the_api_server_takes() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/policies");
    let mut documents = vec![
        json!({"apiVersion": "sexton.dev/v1alpha1", "kind": "ReapPolicy", "metadata": {"name": "a"}}),
        document(&json!({})),
        document(&json!({"settle": "100ms", "disruption": {"gracePeriod": "168h"}})),
        document(&json!({"settle": "1m1m", "selector": {"podSelector": {}}})),
        document(&json!({"selector": {"hostProcesses": ["cron"], "podSelector": {}}})),
        document(&json!({"autoreap": "any", "maxRung": "evict",
            "disruption": {"evict": {"allow": ["bare", "daemonSet", "critical"]}}})),
        document(&json!({"threshold": {"limitUsedPercent": 100, "minZombies": 4_294_967_295_u64}})),
        document(&json!({"windows": [{"from": "00:00", "to": "24:00"}]})),
        document(&json!({"selector": {"cgroups": ["?x", "*", format!("/{}", "a".repeat(1_023))]}})),
    ];
    for file in std::fs::read_dir(examples).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let found: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        documents.extend(found);
    }
    assert!(documents.len() >= 15, "the examples are there");
    run(async {
        let api = policies(server).await;
        for document in documents {
            assert_eq!(checked(&document), Ok(()), "{document}");
            assert_eq!(sent(&api, &document).await, Ok(()), "{document}");
            assert_eq!(sent_strictly(server, &document).await, Ok(()), "{document}");
        }
    });
}

/// What is left out is filled in with what the agent would have taken.
#[test]
fn the_defaults_of_both_are_the_same() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    run(async {
        let api = server.api::<ReapPolicy>().await;
        for (name, spec) in [
            ("empty", json!({})),
            (
                "some",
                json!({"selector": {"namespaces": ["a"]}, "disruption": {"gracePeriod": "5s"}}),
            ),
        ] {
            let mut document = document(&spec);
            document["metadata"]["name"] = json!(name);
            server.lab.apply(&document.to_string());
            let stored = api.get(name).await.unwrap();
            let read: Policy = serde_json::from_value(document).unwrap();
            assert_eq!(stored.to_policy(), read);
        }
        let shown = server.lab.kubectl(&["get", "reappolicies"]);
        let line = shown.lines().find(|line| line.starts_with("some")).unwrap();
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            columns[1..5],
            ["dryRun", "reap", "false", "[\"a\"]"],
            "{shown}"
        );
    });
}

#[test]
fn the_api_server_explains_every_field() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    // The server puts its OpenAPI document together in the background: a resource is served
    // seconds before it is explained.
    let explained = |arguments: &[&str]| {
        wait_until("the API server explains what it serves", || {
            let explain = [&["explain"], arguments].concat();
            server.lab.try_kubectl(&explain).ok()
        })
    };
    let spec = explained(&["--recursive", "reappolicy.spec"]);
    assert!(spec.contains("limitUsedPercent"), "{spec}");
    let mode = explained(&["rpol.spec.mode"]);
    assert!(mode.contains("- dryRun: Decide, record and tell"), "{mode}");
    let cause = explained(&["zr.status.leaks.cause"]);
    assert!(cause.contains("Why they stay"), "{cause}");
}

/// Values that are right or wrong, put together at random: the two agree on each.
fn any_spec() -> impl Strategy<Value = Value> {
    let one = |values: Vec<Value>| proptest::sample::select(values);
    let list = |values: Vec<Value>| {
        proptest::collection::vec(proptest::sample::select(values), 0..3).prop_map(Value::Array)
    };
    let names = || {
        list(vec![
            json!("a"),
            json!("b*"),
            json!("c?"),
            json!("/d"),
            json!(""),
        ])
    };
    let rungs = [
        "observe",
        "nudge",
        "reap",
        "autoreap",
        "terminate",
        "restart",
        "evict",
    ];
    let rungs = || one(rungs.map(|rung| json!(rung)).into());
    let spans = || {
        one(["1s", "60s", "50ms", "168h", "169h", "2m", "x"]
            .map(|s| json!(s))
            .into())
    };
    let expression = || {
        let operator = one(["In", "NotIn", "Exists", "DoesNotExist"]
            .map(|o| json!(o))
            .into());
        let values = one(vec![
            json!(null),
            json!(["x"]),
            json!(["y", "x"]),
            json!(["z"]),
        ]);
        let key = one(vec![json!("k"), json!("l")]);
        (key, operator, values).prop_map(|(key, operator, values)| {
            let mut one = json!({"key": key, "operator": operator});
            if !values.is_null() {
                one["values"] = values;
            }
            one
        })
    };
    let pods = (
        one(vec![json!(null), json!({"k": "x"}), json!({"l": "y"})]),
        proptest::collection::vec(expression(), 1..4).prop_map(Value::Array),
    )
        .prop_map(|(labels, expressions)| {
            let mut pods = json!({"matchExpressions": expressions});
            if !labels.is_null() {
                pods["matchLabels"] = labels;
            }
            pods
        });
    let times = || one(["00:00", "06:00", "24:00", "6:00"].map(|t| json!(t)).into());
    let windows = (times(), times()).prop_map(|(from, to)| json!([{"from": from, "to": to}]));
    let fields = (
        proptest::option::weighted(0.2, names()),
        proptest::option::weighted(0.2, names()),
        proptest::option::weighted(0.2, names()),
        proptest::option::weighted(0.2, names()),
        proptest::option::weighted(0.5, pods),
        proptest::option::weighted(0.5, rungs()),
        proptest::option::weighted(
            0.3,
            one(["never", "keepAlive", "any"].map(|a| json!(a)).into()),
        ),
        proptest::option::weighted(0.3, spans()),
        proptest::option::weighted(0.3, windows),
        proptest::option::weighted(0.2, one(vec![json!(true), json!(false)])),
    );
    fields.prop_map(|fields| {
        let (namespaces, commands, cgroups, host, pods, rung, autoreap, settle, windows, opt) =
            fields;
        let mut spec = json!({"selector": {}});
        let selector = &mut spec["selector"];
        for (name, value) in [
            ("namespaces", namespaces),
            ("commands", commands),
            ("cgroups", cgroups),
            ("hostProcesses", host),
            ("podSelector", pods),
        ] {
            if let Some(value) = value {
                selector[name] = value;
            }
        }
        for (name, value) in [
            ("maxRung", rung),
            ("autoreap", autoreap),
            ("settle", settle),
            ("windows", windows),
            ("requireOptIn", opt),
        ] {
            if let Some(value) = value {
                spec[name] = value;
            }
        }
        spec
    })
}

#[test]
fn the_two_agree_on_whatever_is_put_together_at_random() {
    let Some(server) = require(Server::shared()) else {
        return;
    };
    let mut runner = TestRunner::new(Config::default());
    let (mut taken, mut refused) = (0, 0);
    run(async {
        let api = policies(server).await;
        for _ in 0..500 {
            let spec = any_spec().new_tree(&mut runner).unwrap().current();
            let document = document(&spec);
            let (here, there) = (checked(&document), sent(&api, &document).await);
            assert_eq!(
                here.is_ok(),
                there.is_ok(),
                "{document}: {here:?}, {there:?}"
            );
            taken += u32::from(here.is_ok());
            refused += u32::from(here.is_err());
        }
    });
    assert!(
        taken > 50 && refused > 50,
        "{taken} taken, {refused} refused"
    );
}
