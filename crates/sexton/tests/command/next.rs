//! Each answer ends with the command that comes next, and that command works.

use sexton_lab::{Container, Leak};

use crate::sexton::{Answer, sexton};
use crate::situation::{leaking, quiet, runtime};

/// The command that an answer names after `words`.
fn next(answer: &Answer, words: &str) -> Option<Vec<String>> {
    let mut lines = answer.stdout.lines();
    let command = lines.find_map(|line| line.strip_prefix(words))?;
    let command = command.trim().strip_prefix("sexton ")?;
    Some(command.split(' ').map(str::to_owned).collect())
}

fn run(command: &[String]) -> Answer {
    sexton(command.iter().map(String::as_str))
}

#[test]
fn from_the_limit_to_the_reap_each_command_names_the_next() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 4);
    let pid = container.pid().to_string();

    let limits = sexton(["limits", &pid]);
    let scan = next(&limits, "Who holds the zombies:").expect("limits names the scan");
    let scan = run(&scan).expect(1);
    let mut explain = next(&scan, "Why, and the cure:").expect("scan names explain");
    assert_eq!(explain[1], pid);
    explain.extend(["--sample", "0"].map(str::to_owned));
    let explain = run(&explain).expect(0);
    let mut reap = next(&explain, "What a reap would take:").expect("explain names the reap");
    reap.extend(["--settle", "0"].map(str::to_owned));
    let planned = run(&reap).expect(0);
    assert!(
        planned.stdout.contains("Add --yes to do it."),
        "{planned:?}"
    );
    reap.push("--yes".to_owned());
    let done = run(&reap).expect(0);
    let why = next(&done, "Why they stayed, and the cure:").expect("the reap names explain");
    assert_eq!(why, ["explain", &pid]);
}

#[test]
fn nothing_comes_next_where_there_is_nothing_to_do() {
    let Some(runtime) = runtime() else { return };
    let container = quiet(&runtime);
    let pid = container.pid().to_string();
    let id = container.id();

    let commands: [&[&str]; 3] = [
        &["scan", "--container", id],
        &["explain", &pid, "--sample", "0"],
        &["reap", id, "--yes"],
    ];
    for args in commands {
        let answer = sexton(args.iter().copied());
        assert!(!answer.stdout.contains(": sexton "), "{args:?}: {answer:?}");
    }
}
