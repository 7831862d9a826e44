//! `sexton lint`: exit statuses and forms.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sexton::{sexton, validates};

fn lint(folder: &Path, more: &[&str]) -> crate::sexton::Answer {
    let folder = folder.to_string_lossy().into_owned();
    let args = ["lint", folder.as_str()];
    sexton(args.into_iter().chain(more.iter().copied()))
}

#[test]
fn a_finding_is_told_in_every_form() {
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    fs::write(
        dir.path().join("Dockerfile"),
        "FROM debian:12\nCMD [\"server\"]\n",
    )
    .expect("a file");
    lint(dir.path(), &[]).expect(0);
    fs::write(
        dir.path().join("Dockerfile"),
        "FROM debian:12\nCMD migrate && server\n",
    )
    .expect("a file");
    let text = lint(dir.path(), &[]).expect(1).stdout;
    assert!(text.contains("Dockerfile:2:1: warning SX101"), "{text}");
    assert!(text.contains("\n  CMD migrate && server\n  ^\n"), "{text}");
    let document = lint(dir.path(), &["-o", "json"]).expect(1).json();
    validates("lint", &document);
    assert_eq!(document["findings"][0]["rule"], "SX101");
    let sarif = lint(dir.path(), &["-o", "sarif"]).expect(1).json();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    let index = result["ruleIndex"].as_u64().expect("an index") as usize;
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"][index]["id"],
        result["ruleId"]
    );
    let gitlab = lint(dir.path(), &["-o", "gitlab"]).expect(1).json();
    assert_eq!(gitlab[0]["location"]["lines"]["begin"], Value::from(2));
    let github = lint(dir.path(), &["-o", "github"]).expect(1).stdout;
    assert!(github.starts_with("::warning file="), "{github}");
    let checkstyle = lint(dir.path(), &["-o", "checkstyle"]).expect(1).stdout;
    assert!(
        checkstyle.contains("source=\"sexton.SX101\""),
        "{checkstyle}"
    );
    lint(dir.path(), &["--severity", "error"]).expect(0);
}

#[test]
fn a_name_cannot_give_a_workflow_a_command() {
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    let name = "x\n::error::y.dockerfile";
    fs::write(dir.path().join(name), "FROM a\nCMD a && b\n").expect("a file");
    let github = lint(dir.path(), &["-o", "github"]).expect(1).stdout;
    assert_eq!(github.lines().count(), 1, "{github}");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    sexton(["lint", "/nonexistent/Dockerfile"]).expect(2);
    sexton(["lint"]).expect(2);
}
