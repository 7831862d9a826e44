//! The knowledge base as `build.rs` compiled it in from `knowledge/*.toml`.

use super::condition::Condition;
use super::facts::Facts;
use super::words::Tier;
use crate::Confidence;

/// One cause that is known.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name of its file without `.toml`; stable.
    pub id: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// What it is about.
    pub tier: Tier,
    /// All must hold.
    pub when: &'static [Condition],
    /// None may hold.
    pub unless: &'static [Condition],
    /// How sure it is when nothing of `rules` holds.
    pub confidence: Confidence,
    /// The first whose conditions all hold says how sure it is.
    pub rules: &'static [Rule],
    /// Templates of facts, see [`super::text`].
    pub facts: &'static [&'static str],
    /// Templates of steps.
    pub now: &'static [&'static str],
    /// How to end it for good.
    pub cure: StaticCure,
    /// Where others met it.
    pub sources: &'static [&'static str],
    /// The test that makes the situation for real, or why there is none.
    pub test: &'static str,
}

/// A confidence and when it holds.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// How sure.
    pub confidence: Confidence,
    /// All must hold.
    pub when: &'static [Condition],
}

/// [`super::Cure`] as static data.
#[derive(Clone, Copy, Debug)]
pub struct StaticCure {
    /// What to change.
    pub text: &'static str,
    /// Language of `code`.
    pub language: Option<&'static str>,
    /// An example that can be pasted.
    pub code: Option<&'static str>,
}

impl Entry {
    /// How surely this is the cause; `None` where it is not.
    pub(super) fn fits(&self, facts: &Facts) -> Option<Confidence> {
        if !all(self.when, facts) || self.unless.iter().any(|c| c.holds(facts)) {
            return None;
        }
        let rule = self.rules.iter().find(|rule| all(rule.when, facts));
        Some(rule.map_or(self.confidence, |rule| rule.confidence))
    }
}

fn all(conditions: &[Condition], facts: &Facts) -> bool {
    conditions.iter().all(|condition| condition.holds(facts))
}

/// All entries, by id.
#[must_use]
pub fn entries() -> &'static [Entry] {
    compiled::ENTRIES
}

#[allow(clippy::all, unused_imports)]
mod compiled {
    use super::super::condition::Condition;
    use super::super::words::*;
    use super::{Entry, Rule, StaticCure};
    use crate::{Confidence, SigchldAction};

    include!(concat!(env!("OUT_DIR"), "/knowledge.rs"));
}
