//! Alerts, runbooks and dashboard: current, and sound to Prometheus' own tool.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

use sexton_deploy::monitoring::Monitoring;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_is_made_from_the_source_is_current() {
    let files = Monitoring::read().unwrap().files();
    for (path, content) in &files {
        let written = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(&written == content, "{path}: make generate");
    }
    let runbooks = std::fs::read_dir(root().join("docs/runbooks")).unwrap();
    for file in runbooks.map(|file| file.unwrap().file_name()) {
        let path = format!("docs/runbooks/{}", file.to_string_lossy());
        let made = files.iter().any(|(made, _)| *made == path);
        assert!(
            made || path.ends_with("/causes"),
            "{path}: of an alert that is gone"
        );
    }
}

#[test]
fn every_alert_is_one_that_somebody_can_act_upon() {
    for alert in Monitoring::read().unwrap().alerts {
        assert!(alert.name.starts_with("Sexton"), "{}", alert.name);
        assert!(
            !alert.look.is_empty() && !alert.act.is_empty(),
            "{}",
            alert.name
        );
        assert!(alert.summary.len() < 200, "{}", alert.name);
    }
}

#[test]
fn promtool_finds_the_rules_sound_and_sees_each_of_them_fire() {
    let promtool = |words: [&str; 3]| {
        let output = Command::new("promtool")
            .args(words)
            .current_dir(root())
            .output();
        let Ok(output) = output else {
            println!(
                "SKIP: promtool_finds_the_rules_sound_and_sees_each_of_them_fire: no promtool here (package prometheus)"
            );
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    };
    promtool(["check", "rules", "charts/sexton/files/rules.yaml"]);
    promtool(["test", "rules", "deploy/monitoring/rules.test.yaml"]);
    let tests = std::fs::read_to_string(root().join("deploy/monitoring/rules.test.yaml")).unwrap();
    for alert in Monitoring::read().unwrap().alerts {
        assert!(tests.contains(&alert.name), "{} has no test", alert.name);
    }
}
