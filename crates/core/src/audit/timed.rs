//! What the words of a command tell that has only so much time: an exec probe.

use super::facts::base_name;
use super::words;
use crate::cause::is_shell;

/// The file in its container that a command runs as a script: `/probe.sh`, `sh -e /probe.sh`.
#[must_use]
pub fn script_of(command: &[String]) -> Option<&str> {
    let mut words = command.iter().map(String::as_str);
    let mut first = words.next()?;
    if base_name(first) == "timeout" {
        first = words.find(|word| word.contains('/') || is_shell(base_name(word)))?;
    }
    if !is_shell(base_name(first)) {
        return first.contains('/').then_some(first);
    }
    let options: Vec<&str> = words
        .clone()
        .take_while(|word| word.starts_with('-'))
        .collect();
    let rest = words.nth(options.len())?;
    let is_text = options.iter().any(|word| word.ends_with('c'));
    // `sh -c /probe.sh`
    let is_path = rest.contains('/') && !rest.contains(|c: char| c.is_whitespace() || c == ';');
    (!is_text || is_path).then_some(rest)
}

/// The time-outs that a command gives itself: `timeout 5 …`, `--timeout=5`, `curl -m 5`,
/// `redis-cli -t 5`.
pub(super) fn own_time_outs(command: &[String]) -> Vec<u64> {
    let text = command.join(" ");
    let commands = text.split([';', '&', '|', '\n', '(', ')']);
    commands.filter_map(own_time_out).collect()
}

fn own_time_out(command: &str) -> Option<u64> {
    let words: Vec<&str> = command
        .split(|c: char| c.is_whitespace() || "\"'=".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let runs = |name: &str| words.iter().any(|word| base_name(word) == name);
    let says = |word: &str| {
        base_name(word) == "timeout"
            || LONG.contains(&word)
            || SHORT
                .iter()
                .any(|(program, option)| word == *option && runs(program))
    };
    words
        .iter()
        .enumerate()
        .filter(|(_, word)| says(word))
        .find_map(|(at, _)| first_time(&words[at + 1..]))
}

/// Options that say how long to wait, whatever the program.
const LONG: [&str; 6] = [
    "--timeout",
    "--max-time",
    "--connect-timeout",
    "--wait",
    "-connect-timeout",
    "-rpc-timeout",
];
/// Those of one letter mean something else elsewhere: `grep -m 1`, `psql -t`.
const SHORT: [(&str, &str); 8] = [
    ("curl", "-m"),
    ("redis-cli", "-t"),
    ("valkey-cli", "-t"),
    ("pg_isready", "-t"),
    ("wget", "-T"),
    ("nc", "-w"),
    ("ping", "-W"),
    ("ping", "-w"),
];

/// The time in `5 redis-cli …`, `-s 9 -k 1 5 …`.
fn first_time(words: &[&str]) -> Option<u64> {
    const OPTIONS: [&str; 4] = ["-s", "--signal", "-k", "--kill-after"];
    let mut words = words.iter();
    loop {
        let word = words.next()?;
        if OPTIONS.contains(word) {
            words.next();
        } else if !word.starts_with('-') {
            return words::seconds(word);
        }
    }
}

/// A lone `&`, or a program that does nothing else.
pub(super) fn starts_in_the_background(command: &[String]) -> bool {
    let text = command.join(" ");
    let lone = |at: usize| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        !before.ends_with(['&', '>', '<', '|']) && !after.starts_with(['&', '>'])
    };
    let waits = text.contains("wait");
    let is_text = command.iter().any(|word| word.contains(' '));
    let behind = is_text && !waits && text.match_indices('&').any(|(at, _)| lone(at));
    let mut words = text.split(|c: char| c.is_whitespace() || ";&|".contains(c));
    behind || words.any(|word| matches!(base_name(word), "nohup" | "setsid" | "daemonize"))
}
