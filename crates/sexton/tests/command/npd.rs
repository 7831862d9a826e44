//! `sexton npd`, called as node-problem-detector calls a custom plugin: by the path and the
//! arguments of its rule, with the exit status and the first bytes of standard output for answer.

use std::path::Path;
use std::process::Command;

use sexton_lab::{Container, Leak};

use crate::sexton::{Answer, SEXTON, answer, sexton};
use crate::situation::{full, leaking, runtime};

/// What `deploy/` says is to be pasted.
fn config() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/node-problem-detector/sexton.json");
    let text = std::fs::read_to_string(path).expect("it is in the repository");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The rule's arguments, with the paths of this machine for those of the detector's container.
fn as_the_rule_says(more: &[&str]) -> Answer {
    let config = config();
    let rule = &config["rules"][0];
    let args = rule["args"].as_array().expect("a list");
    let args = args.iter().filter_map(|arg| arg.as_str());
    let here = args.map(|arg| arg.replace("=/host/", "=/"));
    answer(Command::new(SEXTON).args(here).args(more))
}

/// The one line, which the detector must not have to cut.
fn message(answer: &Answer) -> &str {
    let line = answer.stdout.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "{answer:?}");
    let kept = config()["pluginConfig"]["max_output_length"].as_u64();
    assert!(line.len() as u64 <= kept.expect("a number"), "{answer:?}");
    line
}

#[test]
fn a_full_container_is_a_problem() {
    let Some(runtime) = runtime() else { return };
    let _container = full(&runtime, &Leak::new().program(), 40);
    let answer = as_the_rule_says(&[]).expect(1);
    assert!(message(&answer).contains("100% used"), "{answer:?}");
}

#[test]
fn so_many_zombies_of_one_holder_are_a_problem() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 30);
    let answer = as_the_rule_says(&["--min", "30"]).expect(1);
    let message = message(&answer);
    // Another test's may be larger, or at its limit.
    assert!(message.contains("zombies"), "{answer:?}");
    drop(container);
}

#[test]
fn a_process_tree_without_zombies_is_none() {
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        SEXTON,
        "npd",
    ]);
    let answer = answer(&mut command);
    if answer.stderr.contains("unshare failed") {
        println!("SKIP: no PID namespace can be made here: {}", answer.stderr);
        return;
    }
    let answer = answer.expect(0);
    let config = config();
    assert_eq!(message(&answer), config["conditions"][0]["message"]);
}

#[test]
fn what_cannot_be_seen_is_unknown_and_says_why_on_standard_output() {
    let answer = sexton(["npd", "--path-procfs", "/nonexistent"]).expect(2);
    assert!(message(&answer).contains("/nonexistent"), "{answer:?}");
}

#[test]
fn a_message_is_cut_between_two_characters() {
    let answer = sexton(["npd", "--path-procfs", "/üüüüüüüüüü", "--max-output", "20"]).expect(2);
    assert!(answer.stdout.trim_end().len() <= 20, "{answer:?}");
}
