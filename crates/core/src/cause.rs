//! Why a leak stays.
//!
//! [`Facts`] hold what was seen; `knowledge/*.toml`, one file a cause, hold what is known;
//! [`diagnose`] puts the two together. The knowledge base is checked and compiled in by
//! `build.rs`, so a wrong entry does not build.

mod condition;
mod driver;
mod facts;
mod first;
mod handbook;
mod knowledge;
mod text;
mod words;

pub(crate) use condition::glob;
pub use driver::driver_of;
pub use facts::{Asleep, Call, Facts, FirstProcess, HeldPipe, Origins, Program, Sigchld, Thaw};
pub use first::{called_as, is_init, is_shell, kind_of_first};
pub use handbook::handbook;
pub use knowledge::{Entry, entries};
pub use text::fill_with;
pub use words::{Answer, Blocked, First, Hindrance, Language, Origin, Session, Tier};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::arguments::program_and_script;

/// How sure a judgement is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Confidence {
    /// One explanation among others.
    Low,
    /// The facts fit and nothing speaks against it.
    Medium,
    /// The facts leave no other explanation.
    High,
}

/// A cause with the facts that say so, and the cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Id of the entry of the knowledge base, stable: runbooks and alerts are named by it.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// How sure.
    pub confidence: Confidence,
    /// The facts, each one sentence with the place it was read from.
    pub facts: Vec<String>,
    /// What to do now, one step each.
    pub now: Vec<String>,
    /// The cure in the program's own language: text, then code.
    pub cure: Cure,
    /// Where others met it.
    pub sources: Vec<String>,
}

/// How to end a leak for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cure {
    /// What to change.
    pub text: String,
    /// Language of `code` as a Markdown fence names it: `go`, `python`, `dockerfile`, `yaml`…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// An example that can be pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// All causes that fit the facts, best first; never empty.
///
/// A cause of low confidence comes after every surer one. Of the others, one that names the
/// program comes before one that names its language, and that before a general one; the same
/// with more conditions before the one with fewer.
#[must_use]
pub fn diagnose(facts: &Facts) -> Vec<Cause> {
    told(facts, facts)
}

/// The same causes, told without arguments of commands, which may be secret.
#[must_use]
pub fn diagnose_without_arguments(facts: &Facts) -> Vec<Cause> {
    let mut shown = facts.clone();
    let holder = &mut shown.leak.holder;
    holder.command_line = program_and_script(&holder.command_line);
    let words = shown.first.command_line.split_whitespace();
    let words: Vec<String> = words.map(str::to_owned).collect();
    shown.first.command_line = program_and_script(&words).join(" ");
    told(facts, &shown)
}

/// The causes of `facts`, in the words of `shown`.
fn told(facts: &Facts, shown: &Facts) -> Vec<Cause> {
    let mut fits: Vec<_> = entries()
        .iter()
        .filter_map(|entry| Some((entry, entry.fits(facts)?)))
        .map(|(entry, fit)| match doubt(entry, facts) {
            _ if is_refuted(entry, facts) => (entry, Confidence::Low),
            Some(_) => (entry, fit.min(Confidence::Medium)),
            None => (entry, fit),
        })
        .collect();
    fits.sort_by_key(|(entry, confidence)| {
        std::cmp::Reverse((
            *confidence != Confidence::Low,
            entry.tier,
            *confidence,
            entry.when.len(),
        ))
    });
    // The one without conditions is the answer where there is no other.
    if fits.len() > 1 {
        fits.retain(|(entry, _)| !entry.when.is_empty());
    }
    fits.into_iter()
        .map(|(entry, confidence)| Cause {
            id: entry.id.to_owned(),
            title: entry.title.to_owned(),
            confidence,
            facts: text::fill_all(entry.facts, shown)
                .into_iter()
                .chain(doubt(entry, facts))
                .collect(),
            now: steps(entry, shown),
            cure: Cure {
                text: text::fill(entry.cure.text, shown)
                    .unwrap_or_else(|| entry.cure.text.to_owned()),
                language: entry.cure.language.map(str::to_owned),
                code: entry.cure.code.map(str::to_owned),
            },
            sources: entry.sources.iter().map(|s| (*s).to_owned()).collect(),
        })
        .collect()
}

/// It says that the holder does not wait, while what is seen keeps it from a wait that it means
/// to make. Orphans are another matter: a program may wait for what it started, and for no other.
fn is_refuted(entry: &Entry, facts: &Facts) -> bool {
    let says_why = entry.when.iter().any(|condition| condition.is_of_a_wait());
    !says_why && facts.is_kept_from_waiting() && facts.origins.origin() != Origin::Adopted
}

/// What keeps an entry's cause from being sure, however well the facts fit.
fn doubt(entry: &Entry, facts: &Facts) -> Option<String> {
    // That a process is stopped is true at once.
    (entry.tier != Tier::State).then(|| facts.doubt())?
}

/// The causes that are known stay in place of `new` ones that are less sure: after a reap the
/// kernel tells less of a holder than before it. What a holder's state tells does not outlast
/// that state.
#[must_use]
pub fn outlast(known: &[Cause], new: &[Cause]) -> bool {
    let (Some(known), Some(new)) = (known.first(), new.first()) else {
        return false;
    };
    let entry = entries().iter().find(|entry| entry.id == known.id);
    known.confidence > new.confidence && entry.is_some_and(|entry| entry.tier != Tier::State)
}

/// What to do now; of a holder that is never touched, or that is not this user's to touch, that
/// first.
fn steps(entry: &Entry, facts: &Facts) -> Vec<String> {
    let protected = facts.leak.protected.as_ref();
    let not_ours = facts.out_of_reach.then(|| {
        "Become root first: this user may neither see all of the parent nor reap for it.".to_owned()
    });
    protected
        .map(|what| format!("Leave it be: {what}. Sexton never touches it."))
        .or(not_ours)
        .into_iter()
        .chain(text::fill_all(entry.now, facts))
        .collect()
}

#[cfg(test)]
mod tests;
