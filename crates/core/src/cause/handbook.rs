//! The knowledge base to read: `docs/causes.md`, and a runbook for each cause.

use std::fmt::Write as _;

use super::knowledge::{Entry, entries};
use super::words::Tier;
use crate::Confidence;

const MADE: &str = "Made from `crates/core/knowledge/*.toml` by `make generate`; do not edit.";

/// Markdown, by path below `docs/`: a list of all causes, surest kind first, and a page for each.
#[must_use]
pub fn handbook() -> Vec<(String, String)> {
    let mut list = format!(
        "# Causes that Sexton knows\n\n{MADE}\n\n\
         `sexton explain` names one of these, with the facts behind it.\n",
    );
    let mut pages = Vec::new();
    for (tier, heading) in [
        (Tier::State, "The parent cannot run"),
        (Tier::Signature, "Known programs"),
        (Tier::Runtime, "By language and runtime"),
        (Tier::Generic, "Whatever the program"),
    ] {
        let _ = write!(list, "\n## {heading}\n\n");
        for entry in entries().iter().filter(|entry| entry.tier == tier) {
            let path = format!("runbooks/causes/{}.md", entry.id);
            let _ = writeln!(list, "- [{}]({path}): {}", entry.id, entry.title);
            pages.push((path, page(entry)));
        }
    }
    pages.insert(0, ("causes.md".to_owned(), list));
    pages
}

fn page(entry: &Entry) -> String {
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
    let mut page = format!(
        "# {}\n\n{MADE} Words in braces stand for what Sexton finds.\n\n{}. Confidence: {}.\n\n\
         ## Now\n\n",
        entry.id,
        entry.title,
        sure.join(" to ")
    );
    // What is a placeholder alone says nothing before the node is seen.
    for step in (entry.now.iter()).filter(|step| !step.starts_with("{frees}")) {
        let _ = writeln!(page, "- {step}");
    }
    let _ = write!(page, "\n## For good\n\n{}\n", entry.cure.text);
    if let (Some(language), Some(code)) = (entry.cure.language, entry.cure.code) {
        let _ = write!(page, "\n```{language}\n{code}\n```\n");
    }
    let _ = write!(page, "\nSources: {}.\n", entry.sources.join("; "));
    page
}
