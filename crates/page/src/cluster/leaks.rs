//! Whose zombies, the most urgent first.

use std::cmp::Reverse;

use maud::{Markup, html};
use sexton_core::text::{count, plural};

use super::{ClusterLeak, ClusterNode, Full, Within};
use crate::document::with_code;

/// More than anybody reads.
const SHOWN: usize = 100;

/// Nothing where there are none.
pub(super) fn section(nodes: &[&ClusterNode]) -> Markup {
    let mut all: Vec<(&str, &ClusterLeak)> = nodes
        .iter()
        .flat_map(|node| node.leaks.iter().map(|leak| (node.name.as_str(), leak)))
        .collect();
    all.sort_by_key(|(node, leak)| {
        let within = leak.forecast.map_or(Within::Held, |f| f.within);
        (within, Reverse(leak.zombies), &leak.place, *node)
    });
    let rest = all.get(SHOWN..).unwrap_or_default();
    html! {
        @if !all.is_empty() {
            section {
                div.heading { h2 id="leaks" { "Leaks" } p.muted { "the most urgent first" } }
                table {
                    thead { tr {
                        th scope="col" { "Zombies" }
                        th scope="col" { "Pod" }
                        th scope="col" { "Holder" }
                        th scope="col" { "Why" }
                        th scope="col" { "Full" }
                        th scope="col" { "Policy" }
                    } }
                    tbody { @for (node, leak) in all.iter().take(SHOWN) { (row(node, leak)) } }
                }
                @if !rest.is_empty() {
                    p.muted.after {
                        (plural(rest.len() as u64, "more leak", "more leaks")) ": "
                        code { "kubectl sexton leaks -A" } " shows them all."
                    }
                }
            }
        }
    }
}

fn row(node: &str, leak: &ClusterLeak) -> Markup {
    let ClusterLeak {
        place,
        container,
        owner,
        holder,
        pid,
        zombies,
        command,
        cause,
        forecast,
        protected,
        policy,
        step,
    } = leak;
    html! {
        tr {
            td.dead data-label="Zombies" { b { (count(*zombies)) } }
            td data-label="Pod" { span {
                b { (place) } @if let Some(container) = container { " " (container) }
                br;
                small { @if let Some(owner) = owner { (owner) " · " } (node) }
            } }
            td data-label="Holder" { span {
                (holder) " " small.whole { "pid " (pid) }
                @if let Some(command) = command { br; small { "ended: " (command) } }
            } }
            td data-label="Why" {
                @match cause {
                    Some(cause) => { span { (with_code(cause)) } }
                    None => { span.muted { "not looked into yet" } }
                }
            }
            td data-label="Full" { (Full(*forecast)) }
            td.word data-label="Policy" { span {
                @if *protected { "never touched" } @else { (policy.as_deref().unwrap_or("–")) }
                @if let Some(step) = step { br; small { (step) } }
            } }
        }
    }
}
