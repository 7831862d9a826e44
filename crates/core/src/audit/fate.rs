//! A judgement on its way up from the process that decides.

use super::facts::Process;
use super::{MainProcess, Verdict};
use crate::cause::Cure;
use crate::{Confidence, signal};

/// What becomes of a process, and so of its container, when a signal comes.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    pub(super) confidence: Confidence,
    /// Why, in one sentence.
    pub(super) summary: String,
    pub(super) facts: Vec<String>,
    pub(super) cures: Vec<Cure>,
    pub(super) unheard: Vec<MainProcess>,
}

impl Fate {
    pub(super) fn new(
        verdict: Verdict,
        confidence: Confidence,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            verdict,
            confidence,
            summary: summary.into(),
            facts: Vec::new(),
            cures: Vec::new(),
            unheard: Vec::new(),
        }
    }

    pub(super) fn ends(confidence: Confidence, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Ends, confidence, summary)
    }

    pub(super) fn stays(confidence: Confidence, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Killed, confidence, summary)
    }

    pub(super) fn unknown(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, Confidence::Low, summary)
    }

    #[must_use]
    pub(super) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    #[must_use]
    pub(super) fn facts(mut self, facts: impl IntoIterator<Item = String>) -> Self {
        self.facts.extend(facts);
        self
    }

    #[must_use]
    pub(super) fn cures(mut self, cures: impl IntoIterator<Item = Cure>) -> Self {
        self.cures.extend(cures);
        self
    }

    #[must_use]
    pub(super) fn unheard<'a>(mut self, processes: impl IntoIterator<Item = &'a Process>) -> Self {
        self.unheard
            .extend(processes.into_iter().map(Process::brief));
        self
    }
}

/// `app (pid 7) catches SIGTERM (SigCgt of /proc/7/status).`
pub(super) fn mask(process: &Process, number: u8, verb: &str, field: &str) -> String {
    let (called, pid) = (process.called(), process.id.pid);
    let name = signal::name(number);
    format!("{called} {verb} {name} ({field} of /proc/{pid}/status).")
}

/// Why the default action is none for PID 1.
pub(super) const DROPPED: &str = "It is PID 1 of its PID namespace: the kernel drops signals to \
     PID 1 that have no handler, those from outside too (pid_namespaces(7)).";
