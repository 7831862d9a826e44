//! What was told of a holder once need not be told again at each step: a later one refers to the
//! first. Each file is readable by itself, so after a rotation all is told in full again.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use sexton_core::text::plural;

use super::BeforeAndAfter;
use super::entry::{After, Again, Before, Intent, Likewise, StepOutcome};

/// Holders that can be referred to; one that acts rarely is told in full.
const MOST: usize = 128;

/// What stands in full in the file, oldest first. The one who writes and the one who reads keep
/// the same.
#[derive(Default)]
pub(super) struct Told(VecDeque<Full>);

struct Full {
    intent: Intent,
    outcome: Option<StepOutcome>,
}

impl Told {
    /// A new file was begun.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// An intent stands in the file in full.
    pub(super) fn intent(&mut self, intent: &Intent) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Full {
            intent: intent.clone(),
            outcome: None,
        });
    }

    /// An outcome stands in the file in full.
    pub(super) fn outcome(&mut self, outcome: &StepOutcome) {
        if let Some(full) = self.0.iter_mut().find(|full| full.intent.id == outcome.id) {
            full.outcome = Some(outcome.clone());
        }
    }

    /// The line for an intent: short where a reader gets the same from it.
    pub(super) fn line_of(&self, intent: &Intent) -> Before {
        let mut full = self.0.iter().rev().map(|full| &full.intent);
        let first = full.find(|first| first.holder == intent.holder);
        let again = first.and_then(|first| {
            let again = Again {
                id: intent.id.clone(),
                of: number(&first.id)?.to_owned(),
                zombies: intent.zombies,
                fingerprint: intent.fingerprint,
            };
            let read = self.read_again(&again)?;
            let same = Intent {
                time: intent.time.clone(),
                ..read.clone()
            };
            (same == *intent && is_about(&read.time, &intent.time)).then_some(again)
        });
        match again {
            Some(again) => Before::Again(again),
            None => Before::Full(Box::new(intent.clone())),
        }
    }

    /// The line for the outcome of an intent that refers to the one with number `of`.
    pub(super) fn line_of_outcome(
        &self,
        intent: &Intent,
        of: &str,
        outcome: &StepOutcome,
    ) -> After {
        let likewise = outcome.zombies.and_then(|zombies| {
            let likewise = Likewise {
                id: outcome.id.clone(),
                of: of.to_owned(),
                millis: outcome.uptime_millis.checked_sub(intent.uptime_millis)?,
                verdict: outcome.verdict,
                count: zombies.before,
            };
            let read = self.read_likewise(&likewise, intent)?;
            let same = StepOutcome {
                time: outcome.time.clone(),
                // What it says beyond the numbers is how long the visits took.
                detail: outcome.detail.clone(),
                ..read.clone()
            };
            (same == *outcome && is_about(&read.time, &outcome.time)).then_some(likewise)
        });
        match likewise {
            Some(likewise) => After::Again(likewise),
            None => After::Full(outcome.clone()),
        }
    }

    /// The intent that a short line means; `None` where the one that it refers to is not there.
    pub(super) fn read_again(&self, again: &Again) -> Option<Intent> {
        let first = &self.find(&again.id, &again.of)?.intent;
        let uptime_millis = uptime(&again.id)?;
        let since = uptime_millis.checked_sub(first.uptime_millis)?;
        Some(Intent {
            id: again.id.clone(),
            time: later(&first.time, since)?,
            uptime_millis,
            zombies: again.zombies,
            fingerprint: again.fingerprint,
            ..first.clone()
        })
    }

    /// The outcome that a short line means.
    pub(super) fn read_likewise(
        &self,
        likewise: &Likewise,
        intent: &Intent,
    ) -> Option<StepOutcome> {
        let first = self.find(&likewise.id, &likewise.of)?.outcome.as_ref()?;
        let zombies = likewise.count;
        let mut statuses = first.statuses.clone();
        match statuses.as_mut_slice() {
            [] => {}
            [one] => one.count = zombies,
            _ => return None,
        }
        Some(StepOutcome {
            id: likewise.id.clone(),
            time: later(&intent.time, likewise.millis)?,
            uptime_millis: intent.uptime_millis.checked_add(likewise.millis)?,
            detail: format!("{}, as before", plural(zombies, "zombie", "zombies")),
            zombies: Some(BeforeAndAfter {
                before: zombies,
                left: 0,
            }),
            statuses,
            ..first.clone()
        })
    }

    /// The one with this number, of the agent that wrote `id`.
    fn find(&self, id: &str, of: &str) -> Option<&Full> {
        let agent = agent(id)?;
        let mut all = self.0.iter().rev();
        all.find(|full| {
            number(&full.intent.id) == Some(of) && self::agent(&full.intent.id) == Some(agent)
        })
    }
}

/// An id is the time since boot in milliseconds, the agent's pid and a number, in hexadecimal.
pub(super) fn id(uptime_millis: u64, number: u64) -> String {
    format!("{uptime_millis:x}-{:x}-{number:x}", std::process::id())
}

fn uptime(id: &str) -> Option<u64> {
    u64::from_str_radix(id.split('-').next()?, 16).ok()
}

fn agent(id: &str) -> Option<&str> {
    id.split('-').nth(1)
}

fn number(id: &str) -> Option<&str> {
    id.split('-').nth(2)
}

fn later(time: &str, millis: u64) -> Option<String> {
    let time: Timestamp = time.parse().ok()?;
    let later = time.checked_add(Duration::from_millis(millis)).ok()?;
    Some(format!("{later:.0}"))
}

/// The same moment, in whole seconds: so not where the clock was set in between.
fn is_about(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (one.parse::<Timestamp>(), other.parse::<Timestamp>()) else {
        return false;
    };
    one.as_second().abs_diff(other.as_second()) <= 1
}
