//! The knowledge base as a page to read: `docs/causes.md`.

use std::fmt::Write as _;

use super::knowledge::{Entry, entries};
use super::words::Tier;
use crate::Confidence;

/// Markdown of all entries, surest kind first.
#[must_use]
pub fn handbook() -> String {
    let mut page = String::from(
        "# Causes that Sexton knows\n\n\
         Made from `crates/core/knowledge/*.toml` by `cargo run -p sexton-core --example causes`; \
         do not edit.\n\n\
         `sexton explain` names one of these, with the facts behind it. Words in braces stand \
         for what it finds.\n",
    );
    for (tier, heading) in [
        (Tier::State, "The parent cannot run"),
        (Tier::Signature, "Known programs"),
        (Tier::Runtime, "By language and runtime"),
        (Tier::Generic, "Whatever the program"),
    ] {
        let _ = write!(page, "\n## {heading}\n");
        for entry in entries().iter().filter(|entry| entry.tier == tier) {
            write_entry(&mut page, entry);
        }
    }
    page
}

fn write_entry(page: &mut String, entry: &Entry) {
    let mut sure: Vec<Confidence> = entry.rules.iter().map(|rule| rule.confidence).collect();
    sure.push(entry.confidence);
    sure.sort();
    sure.dedup();
    let sure: Vec<_> = sure
        .iter()
        .map(|confidence| match confidence {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        })
        .collect();
    let _ = write!(
        page,
        "\n### {}\n\n{}. Confidence: {}.\n\nNow:\n\n",
        entry.id,
        entry.title,
        sure.join(" to ")
    );
    for step in entry.now {
        let _ = writeln!(page, "- {step}");
    }
    let _ = write!(page, "\nFor good: {}\n", entry.cure.text);
    if let (Some(language), Some(code)) = (entry.cure.language, entry.cure.code) {
        let _ = write!(page, "\n```{language}\n{code}\n```\n");
    }
    let _ = write!(page, "\nSources: {}.\n", entry.sources.join("; "));
}
