//! Many holders at once, and a folder that is not the agent's.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sexton_lab::program::find;
use sexton_lab::{Running, Skip, require, require_root, wait_until};

use crate::sexton::sexton;

/// More than can have 4 KiB each of the MiB that all command lines of a report may take.
const HOLDERS: usize = 290;

/// Forks holders of one zombie each, with the long command line that this one has. They end when
/// the pipe from this one does.
const CROWD: &str = r#"
import os, signal, sys
ends, held = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(held)
        if os.fork() == 0: os._exit(0)
        os.read(ends, 1)
        os._exit(0)
print("ready", flush=True)
signal.pause()
"#;

#[test]
fn a_crowd_of_long_command_lines_shares_what_a_report_may_hold() {
    if require(require_root()).is_none() {
        return;
    }
    let long = "x".repeat(3_500);
    let python = find("python3").ok_or_else(|| Skip("there is no python3".to_owned()));
    let Some(python) = require(python) else {
        return;
    };
    let mut command = Command::new(python);
    command.args(["-c", CROWD, &HOLDERS.to_string(), &long]);
    let mut crowd = Running::start(command.stdout(Stdio::piped()));
    let mut line = String::new();
    let pipe = crowd.child().stdout.take().unwrap();
    BufReader::new(pipe).read_line(&mut line).unwrap();
    if line != "ready\n" {
        require::<()>(Err(Skip(format!("python3 said {line:?}"))));
        return;
    }
    let crowd_pid = crowd.pid();
    let report = wait_until("all of them leak", || {
        let report = sexton(["scan", "-o", "json"]).expect(1).json();
        let leaks = report["leaks"].as_array().unwrap();
        let of_crowd = |leak: &&serde_json::Value| leak["holder"]["parentPid"] == crowd_pid;
        (leaks.iter().filter(of_crowd).count() == HOLDERS).then_some(report)
    });
    let mut all = 0;
    for leak in report["leaks"].as_array().unwrap() {
        let words = leak["holder"]["commandLine"].as_array().unwrap();
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        all += words.iter().map(|word| word.len()).sum::<usize>();
        if leak["holder"]["parentPid"] == crowd_pid {
            assert_eq!(words[1], "-c", "the beginning is kept");
            assert!(
                words.last().unwrap().ends_with('…'),
                "what is cut is marked"
            );
        }
    }
    assert!(all <= 1 << 20, "{all} bytes");
}

#[test]
fn a_folder_that_is_not_there_is_not_taken_for_a_node_that_may_act() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("run");
    let missing = missing.to_str().unwrap();
    let answer = sexton(["resume", "--state-dir", missing]).expect(2);
    assert!(answer.stderr.contains(missing), "{answer:?}");
    sexton(["resume", "--state-dir", dir.path().to_str().unwrap()]).expect(1);
}
