//! Commands that are run in a container by a clock: exec probes, health checks and preStop hooks.
//! What their own words tell, and those of the script that they run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::base_name;
use super::timed::{own_time_outs, starts_in_the_background};
use super::words;
use crate::Leak;
use crate::text::{count, duration, plural};

/// An exec probe, as a pod's spec has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// `livenessProbe`, `readinessProbe`, `startupProbe`, Docker's `HEALTHCHECK`.
    pub name: String,
    /// The beginning of its container's id; empty where all are meant.
    #[serde(default)]
    pub container: String,
    /// `exec.command`
    pub command: Vec<String>,
    /// `timeoutSeconds`, 1 where it is not said.
    pub timeout_seconds: u64,
    /// What is in the [script](super::script_of) that it runs, where that was read.
    #[serde(skip)]
    pub script: Option<String>,
}

/// What is wrong with an exec probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeFinding {
    /// `livenessProbe`, `readinessProbe`, `startupProbe`, Docker's `HEALTHCHECK`.
    pub probe: String,
    /// One sentence, and what to change.
    pub finding: String,
}

impl Probe {
    /// What is wrong with it, one sentence each, with what to change.
    #[must_use]
    pub fn findings(&self) -> Vec<ProbeFinding> {
        let timeout = self.timeout_seconds;
        let slept = self.texts().map(|text| words::slept(&text));
        let slept = slept.fold(0, u64::saturating_add);
        let sleeps = (slept >= timeout).then(|| {
            format!(
                "It sleeps for {} and is killed after its timeoutSeconds of {}: what it has started \
                 may stay behind. Raise timeoutSeconds, or do not sleep.",
                duration(slept),
                duration(timeout)
            )
        });
        let mut own = self.texts().flat_map(|text| own_time_outs(&text));
        let own = own.find(|own| *own >= timeout).map(|own| {
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
        let behind = self.texts().any(|text| starts_in_the_background(&text));
        let behind = behind.then(|| {
            "It starts a process in the background, which outlives it and comes to PID 1 of the \
             container. Wait for it, or start it elsewhere."
                .to_owned()
        });
        let found = sleeps.into_iter().chain(own).chain(behind);
        found.map(|finding| self.found(finding)).collect()
    }

    /// How many zombies an hour it leaves, as far as those that stand bear the name of a command
    /// that it runs.
    #[must_use]
    pub fn zombies_an_hour(&self, leak: &Leak) -> Option<ProbeFinding> {
        const HOUR: u64 = 3600;
        let oldest = leak.ages.oldest_seconds?.max(1);
        let commands = leak.commands.iter();
        let mine: Vec<_> = commands
            .filter(|command| self.runs(&command.name))
            .collect();
        let all = mine
            .iter()
            .map(|command| command.count)
            .fold(0, u64::saturating_add);
        let first = mine.first()?;
        // Those of the last hour are told for all commands together.
        let an_hour = if oldest < HOUR {
            all.saturating_mul(HOUR) / oldest
        } else {
            all.saturating_mul(leak.ages.started.last_hour) / leak.zombies.max(1)
        };
        Some(self.found(format!(
            "It leaves about {} an hour: {} of `{}` stand, and the oldest was started {} ago.",
            plural(an_hour, "zombie", "zombies"),
            count(all),
            first.name,
            duration(oldest)
        )))
    }

    fn found(&self, finding: String) -> ProbeFinding {
        ProbeFinding {
            probe: self.name.clone(),
            finding,
        }
    }

    /// A command of this name is in its words; the kernel keeps 15 bytes of a name.
    fn runs(&self, name: &str) -> bool {
        const KEPT: usize = 15;
        let is_name = |word: &str| {
            let word = base_name(word);
            word == name || (name.len() == KEPT && word.starts_with(name))
        };
        self.texts().any(|words| {
            let text = words.join(" ");
            text.split(|c: char| c.is_whitespace() || ";&|\"'()$`".contains(c))
                .any(is_name)
        })
    }

    /// Its command, and its script as if it stood there.
    fn texts(&self) -> impl Iterator<Item = Vec<String>> {
        let script = self.script.as_deref().map(as_command);
        std::iter::once(self.command.clone()).chain(script)
    }
}

/// A script as the command that a shell takes it for.
pub(super) fn as_command(script: &str) -> Vec<String> {
    let lines = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let text: Vec<&str> = lines.collect();
    ["sh", "-c", &text.join("\n")].map(str::to_owned).to_vec()
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

#[cfg(test)]
mod tests {
    use super::super::script_of;
    use super::*;

    fn probe(timeout_seconds: u64, command: &[&str]) -> Probe {
        Probe {
            name: "livenessProbe".to_owned(),
            container: String::new(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout_seconds,
            script: None,
        }
    }

    fn found(timeout_seconds: u64, command: &[&str]) -> Vec<String> {
        let found = probe(timeout_seconds, command).findings();
        found.into_iter().map(|found| found.finding).collect()
    }

    #[test]
    fn a_script_is_judged_as_its_text() {
        for command in [
            &["/probe.sh"][..],
            &["sh", "-e", "/probe.sh"],
            &["bash", "-c", "/probe.sh"],
            &["timeout", "3", "/probe.sh"],
        ] {
            let mut probe = probe(5, command);
            assert_eq!(script_of(&probe.command), Some("/probe.sh"), "{command:?}");
            assert!(probe.findings().is_empty(), "{command:?}");
            let script = "#!/bin/sh\n# sleep 9 &\ntimeout -s 9 5 redis-cli ping\n";
            probe.script = Some(script.to_owned());
            assert!(probe.findings()[0].finding.contains("race"), "{command:?}");
            probe.script = Some("check &\nexit 0".to_owned());
            assert!(probe.findings()[0].finding.contains("background"));
            probe.script = Some("sleep 6".to_owned());
            assert!(probe.findings()[0].finding.contains("sleeps for 6s"));
        }
        for none in [&["sh", "-c", "a; b"][..], &["redis-cli", "ping"], &[]] {
            assert_eq!(script_of(&probe(1, none).command), None, "{none:?}");
        }
    }

    #[test]
    fn zombies_of_its_commands_are_counted_by_the_hour() {
        let mut leak = crate::policy::tests::leak();
        leak.zombies = 40;
        leak.commands = [("timeout", 30), ("other", 10)]
            .map(|(name, count)| crate::report::CommandCount {
                name: name.to_owned(),
                count,
            })
            .to_vec();
        leak.ages.oldest_seconds = Some(1800);
        let probe = probe(5, &["timeout", "5", "check"]);
        let told = |leak: &Leak| probe.zombies_an_hour(leak).map(|found| found.finding);
        assert!(told(&leak).is_some_and(|told| told.contains("about 60 zombies an hour")));
        leak.ages.oldest_seconds = Some(7200);
        leak.ages.started.last_hour = 20;
        assert!(told(&leak).is_some_and(|told| told.contains("about 15 zombies an hour")));
        leak.commands.remove(0);
        assert_eq!(told(&leak), None);
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
        // No time.
        assert!(found(1, &["sh", "-c", "curl -s http://x/ | grep -m 1 ok"]).is_empty());
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
