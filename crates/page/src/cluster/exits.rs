//! Which containers will not end on their stop signal; those of one owner together.

use std::collections::BTreeMap;

use maud::{Markup, html};
use sexton_core::audit::Mark;
use sexton_core::text::{count, plural};

use super::{ClusterExit, ClusterNode};

/// More than anybody reads.
const SHOWN: usize = 50;

/// What makes two containers the same finding.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    verdict: Mark,
    namespace: &'a str,
    whose: &'a str,
    container: &'a str,
    process: &'a str,
    signal: &'a str,
}

/// Nothing where all of them end, or nobody looked.
pub(super) fn section(nodes: &[&ClusterNode]) -> Markup {
    let mut kinds: BTreeMap<Kind<'_>, u64> = BTreeMap::new();
    for exit in nodes.iter().flat_map(|node| &node.exit_signals) {
        *kinds.entry(kind(exit)).or_default() += 1;
    }
    let mut kinds: Vec<(Kind<'_>, u64)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, n)| (kind.verdict, std::cmp::Reverse(*n)));
    let total: u64 = nodes.iter().map(|node| node.exit_signal_count).sum();
    html! {
        @if !kinds.is_empty() {
            section {
                div.heading {
                    h2 id="exits" { "Exit signals" }
                    p.muted { (plural(total, "container", "containers")) " or more will not end on their stop signal" }
                }
                table {
                    thead { tr {
                        th scope="col" { "Verdict" }
                        th scope="col" { "Whose" }
                        th scope="col" { "Containers" }
                        th scope="col" { "Process" }
                        th scope="col" { "Signal" }
                    } }
                    tbody { @for (kind, n) in kinds.iter().take(SHOWN) { (row(kind, *n)) } }
                }
                @if kinds.len() > SHOWN {
                    p.muted.after { (count((kinds.len() - SHOWN) as u64)) " more: " code { "kubectl sexton audit -A" } " shows them all." }
                }
            }
        }
    }
}

fn kind(exit: &ClusterExit) -> Kind<'_> {
    let (namespace, pod) = exit.place.split_once('/').unwrap_or(("", &exit.place));
    Kind {
        verdict: exit.verdict,
        namespace,
        whose: exit.owner.as_deref().unwrap_or(pod),
        container: &exit.container,
        process: &exit.process,
        signal: &exit.signal,
    }
}

fn row(kind: &Kind<'_>, n: u64) -> Markup {
    let (class, what) = match kind.verdict {
        Mark::Killed => ("bad", "will be killed"),
        Mark::EndsUnheard => ("warn", "ends, and loses work"),
        Mark::Unknown => ("warn", "cannot be told"),
        Mark::Ends => ("good", "ends"),
    };
    html! {
        tr {
            td data-label="Verdict" { b.(class) { (what) } }
            td data-label="Whose" { span {
                @if !kind.namespace.is_empty() { (kind.namespace) "/" } b { (kind.whose) } " " small { (kind.container) }
            } }
            td data-label="Containers" { (count(n)) }
            td data-label="Process" { (kind.process) }
            td data-label="Signal" { (kind.signal) }
        }
    }
}
