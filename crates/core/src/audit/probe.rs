//! Commands that the kubelet runs in a container by a clock: exec probes and preStop hooks. What
//! their own words tell.

use super::facts::base_name;
use super::words;
use crate::text::duration;

/// An exec probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `exec.command`
    pub command: Vec<String>,
    /// `timeoutSeconds`, 1 where it is not said.
    pub timeout_seconds: u64,
}

impl Probe {
    /// What is wrong with it, one sentence each, with what to change.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let timeout = self.timeout_seconds;
        let slept = words::slept(&self.command);
        let sleeps = (slept >= timeout).then(|| {
            format!(
                "It sleeps for {} and is killed after its timeoutSeconds of {}: what it has started \
                 may stay behind. Raise timeoutSeconds, or do not sleep.",
                duration(slept),
                duration(timeout)
            )
        });
        let own = own_time_out(&self.command).filter(|own| *own >= timeout);
        let own = own.map(|own| {
            let how = if own == timeout {
                "the same, so the two race"
            } else {
                "longer, so it never takes effect"
            };
            format!(
                "Its own time-out of {} and its timeoutSeconds of {}: {how}, and what it has started \
                 may stay behind as a zombie. Make its own the shorter.",
                duration(own),
                duration(timeout)
            )
        });
        let behind = starts_in_the_background(&self.command).then(|| {
            "It starts a process in the background, which outlives it and comes to PID 1 of the \
             container. Wait for it, or start it elsewhere."
                .to_owned()
        });
        sleeps.into_iter().chain(own).chain(behind).collect()
    }
}

/// What is wrong with a preStop hook of this command, or this `sleep`.
#[must_use]
pub fn pre_stop_finding(command: &[String], sleep: Option<u64>, grace: u64) -> Option<String> {
    let slept = sleep.unwrap_or_else(|| words::slept(command));
    (slept > 0 && slept >= grace).then(|| {
        format!(
            "It sleeps for {}, and the grace period is {}: the stop signal comes when the time is \
             over. Raise terminationGracePeriodSeconds, or sleep for less.",
            duration(slept),
            duration(grace)
        )
    })
}

/// The time-out that a command gives itself: `timeout 5 …`, `--timeout=5`, `curl -m 5`,
/// `redis-cli -t 5`.
fn own_time_out(command: &[String]) -> Option<u64> {
    let text = command.join(" ");
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || ";&|\"'()=".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let says = |word: &str| {
        base_name(word) == "timeout"
            || matches!(
                word,
                "--timeout"
                    | "--max-time"
                    | "--connect-timeout"
                    | "--wait"
                    | "-m"
                    | "-t"
                    | "-T"
                    | "-w"
            )
    };
    words
        .iter()
        .enumerate()
        .filter(|(_, word)| says(word))
        .find_map(|(at, _)| {
            // `timeout -s KILL 5`: the first word after it that is a time.
            let rest = words.iter().skip(at + 1).take(3);
            rest.filter_map(|word| words::seconds(word)).next()
        })
}

/// A lone `&`, or a program that does nothing else.
fn starts_in_the_background(command: &[String]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(timeout_seconds: u64, command: &[&str]) -> Vec<String> {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Probe {
            command,
            timeout_seconds,
        }
        .findings()
    }

    #[test]
    fn a_time_out_of_its_own_that_is_not_shorter_is_told() {
        for command in [
            &["timeout", "-s", "KILL", "5", "redis-cli", "ping"][..],
            &["sh", "-c", "curl -m 5 http://x/ && true"],
            &["pg_isready", "--timeout=5"],
        ] {
            let told = found(5, command);
            assert!(
                told.len() == 1 && told[0].contains("race"),
                "{command:?} {told:?}"
            );
            assert!(found(4, command)[0].contains("never takes effect"));
            assert!(found(6, command).is_empty());
        }
    }

    #[test]
    fn what_sleeps_or_stays_behind_is_told() {
        assert!(found(1, &["sh", "-c", "sleep 2; ok"])[0].contains("sleeps for 2s"));
        assert!(found(3, &["sh", "-c", "sleep 2; ok"]).is_empty());
        assert!(found(1, &["sh", "-c", "check & "])[0].contains("background"));
        for fine in ["a && b", "a 2>&1", "a &>/dev/null", "a & wait $!"] {
            assert!(found(1, &["sh", "-c", fine]).is_empty(), "{fine}");
        }
        // No shell reads it.
        assert!(found(1, &["curl", "http://x/?a&b"]).is_empty());
    }

    #[test]
    fn a_hook_as_long_as_the_grace_period_is_told() {
        let hook = ["sh", "-c", "sleep 30"].map(str::to_owned);
        assert!(pre_stop_finding(&hook, None, 30).is_some());
        assert!(pre_stop_finding(&hook, None, 60).is_none());
        assert!(pre_stop_finding(&[], Some(10), 10).is_some());
        assert!(pre_stop_finding(&["true".to_owned()], None, 0).is_none());
    }
}
