//! What the metrics count.

use std::collections::BTreeMap;
use std::time::Duration;

use sexton_core::Report;

use super::record::{Intent, StepOutcome};

/// Upper bounds of the histogram of looks, in seconds: a quiet one takes one to four
/// milliseconds, one over 25,000 zombies sixty.
pub const BUCKETS: [f64; 10] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0,
];

/// Counters since the agent was started.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Looks made.
    pub looks: u64,
    /// How long they took together.
    pub looking: Duration,
    /// How many took no longer than each of [`BUCKETS`], and longer than the one before.
    pub buckets: [u64; BUCKETS.len()],
    /// Entries of `/proc` that were opened.
    pub processes_read: u64,
    /// Facts that could not be read, by name.
    pub unreadable: BTreeMap<String, u64>,
    /// By rung, verdict and mode.
    pub actions: BTreeMap<(String, &'static str, &'static str), u64>,
    /// By what failed.
    pub errors: BTreeMap<&'static str, u64>,
    /// Zombies that were taken.
    pub reaped: u64,
}

impl Numbers {
    /// A look was made.
    pub fn looked(&mut self, report: &Report, took: Duration) {
        self.looks += 1;
        self.looking += took;
        self.processes_read += report.scan.processes_read;
        for (fact, count) in &report.scan.unreadable_facts {
            *self.unreadable.entry(fact.clone()).or_default() += count;
        }
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
    }

    /// A step has its outcome.
    pub fn acted(&mut self, intent: &Intent, outcome: &StepOutcome) {
        let mode = match intent.mode {
            sexton_core::policy::Mode::DryRun => "dryRun",
            sexton_core::policy::Mode::Enforce => "enforce",
        };
        *self
            .actions
            .entry((intent.rung.to_string(), outcome.verdict.word(), mode))
            .or_default() += 1;
        if mode == "enforce"
            && let Some(zombies) = outcome.zombies
        {
            self.reaped += zombies.before.saturating_sub(zombies.left);
        }
    }

    /// Something went wrong.
    pub fn failed(&mut self, kind: &'static str) {
        *self.errors.entry(kind).or_default() += 1;
    }
}
