//! A leak that the policies take as it comes is held: nothing is foretold of it, and nobody is
//! woken. The alert is tested with what a real agent serves.

use std::process::Command;

use serde_json::Value;
use sexton_lab::{Container, Leak, Runtime, require, wait_until};

use crate::agent::{Agent, Place};

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";
const DRY_RUN: &str = "  settle: 100ms\n";
/// So many looks stand for as many minutes: what the alert asks for is that it lasts.
const LOOKS: usize = 12;

/// About three a second, and room for a few minutes.
fn leak() -> Option<Container> {
    let runtime = require(Runtime::any())?;
    let leak = Leak::new().interval_ms(300).program();
    Some(Container::builder(&runtime).pids_limit(900).start(&leak))
}

/// The value of a family for this container; `None` where there is no such series.
fn of_container(metrics: &str, family: &str, container: &Container) -> Option<f64> {
    let id = &container.id()[..12];
    metrics
        .lines()
        .find(|line| line.starts_with(&format!("{family}{{")) && line.contains(id))
        .and_then(|line| line.rsplit(' ').next()?.parse().ok())
}

fn forecast(agent: &Agent, container: &Container) -> Value {
    let (status, answer) = agent.get("/report");
    // Before the first look there is no report.
    if status == 503 {
        return Value::Null;
    }
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let report: Value = serde_json::from_str(body).expect("a report");
    let mut leaks = report["leaks"].as_array().expect("leaks").iter();
    let leak = leaks.find(|leak| leak["holder"]["pid"] == container.pid());
    leak.map_or(Value::Null, |leak| leak["forecast"].clone())
}

/// What a scraper sees of one family, look after look, as `promtool` takes it.
fn recorded(agent: &Agent, container: &Container) -> String {
    let series = "sexton_forecast_seconds";
    let values: Vec<String> = (0..LOOKS)
        .map(|_| {
            agent.looks(1);
            of_container(&agent.get("/metrics").1, series, container)
                .map_or_else(|| "_".to_owned(), |value| value.to_string())
        })
        .collect();
    values.join(" ")
}

/// How many alerts `SextonPidsRunOut` fire in the end; `None` without promtool.
fn firing(place: &Place, values: &str) -> Option<bool> {
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../charts/sexton/files/rules.yaml"
    );
    let alerts = r#"ALERTS{alertname="SextonPidsRunOut", alertstate="firing"}"#;
    let file = place.path().join("recorded.test.yaml");
    let holds = |samples: &str| {
        let text = format!(
            "rule_files: ['{rules}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    \
             input_series:\n      - series: 'sexton_forecast_seconds{{node=\"n\", \
             namespace=\"a\", pod=\"b\", container=\"c\"}}'\n        values: '{values}'\n    \
             promql_expr_test:\n      - expr: 'count({alerts})'\n        eval_time: {}m\n        \
             exp_samples: {samples}\n",
            LOOKS - 1
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new("promtool")
            .args(["test", "rules"])
            .arg(&file)
            .output();
        output.ok().map(|output| output.status.success())
    };
    let (fires, quiet) = (holds("[{value: 1}]")?, holds("[]")?);
    assert_ne!(fires, quiet, "promtool takes the file: {values}");
    Some(fires)
}

#[test]
fn what_is_taken_as_it_comes_is_held_and_wakes_nobody() {
    let Some(container) = leak() else { return };
    let place = Place::new();
    place.covers("take", &container, ENFORCE);
    let agent = place.agent();
    let held = wait_until("it is held", || {
        let forecast = forecast(&agent, &container);
        (forecast["trend"] == "held").then_some(forecast)
    });
    assert!(held["ratePerSecond"].as_f64().unwrap() > 0.5, "{held}");
    assert!(held["secondsLeft"].is_null(), "{held}");
    assert!(held["secondsLeftUnheld"].as_u64().unwrap() > 10, "{held}");
    let metrics = agent.get("/metrics").1;
    let rate = of_container(&metrics, "sexton_held_zombies_per_second", &container);
    assert!(rate.is_some_and(|rate| rate > 0.5), "{metrics}");
    let values = recorded(&agent, &container);
    println!("held: {values}");
    match firing(&place, &values) {
        Some(fires) => assert!(!fires, "{values}"),
        None => println!("SKIP: the alert: no promtool here (package prometheus)"),
    }
    // No longer: what is foretold comes back.
    std::fs::create_dir_all(place.path().join("run")).unwrap();
    std::fs::write(place.path().join("run/pause"), "").unwrap();
    wait_until("it grows", || {
        let forecast = forecast(&agent, &container);
        (forecast["trend"] == "growing").then_some(())
    });
}

#[test]
fn what_is_only_rehearsed_is_foretold_and_wakes_somebody() {
    let Some(container) = leak() else { return };
    let place = Place::new();
    place.covers("dry", &container, DRY_RUN);
    let agent = place.agent();
    wait_until("it is foretold", || {
        let metrics = agent.get("/metrics").1;
        of_container(&metrics, "sexton_forecast_seconds", &container)
    });
    assert_eq!(forecast(&agent, &container)["trend"], "growing");
    let values = recorded(&agent, &container);
    println!("dry run: {values}");
    match firing(&place, &values) {
        Some(fires) => assert!(fires, "{values}"),
        None => println!("SKIP: the alert: no promtool here (package prometheus)"),
    }
}

#[test]
fn a_dozen_that_stand_still_are_not_foretold() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let leak = Leak::new().count(12).then_sleep().program();
    let container = Container::builder(&runtime).pids_limit(60).start(&leak);
    container.wait_for_line(0, |line| line == "done");
    let agent = Place::new().agent();
    let still = wait_until("it is seen to stand still", || {
        let forecast = forecast(&agent, &container);
        (forecast["trend"] == "notGrowing").then_some(forecast)
    });
    assert!(still["secondsLeft"].is_null(), "{still}");
    let metrics = agent.get("/metrics").1;
    let left = of_container(&metrics, "sexton_forecast_seconds", &container);
    assert_eq!(left, None, "{metrics}");
}
