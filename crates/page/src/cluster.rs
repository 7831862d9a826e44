//! The page of a cluster.

mod exits;
mod forecasts;
mod heat;
mod leaks;
mod policies;
mod view;

use std::fmt;

use maud::{Markup, html};
use sexton_core::text::{count, duration, plural};

use crate::document::{document, mark};
use heat::{Heat, worst_first};

pub use view::{
    ClusterExit, ClusterLeak, ClusterNode, ClusterView, Outlook, PolicyTally, Trouble, Within,
};

/// Names in one sentence; the rest is counted.
const NAMED: usize = 5;

/// One HTML document that shows a cluster of one to thousands of nodes.
///
/// Serve it with [`crate::csp`] as its `Content-Security-Policy`.
#[must_use]
pub fn cluster(view: &ClusterView) -> String {
    let zombies: u64 = view.nodes.iter().map(|node| node.zombies).sum();
    let title = match zombies {
        0 => format!("{} · Sexton", view.name),
        n => format!(
            "{} · {} · Sexton",
            plural(n, "zombie", "zombies"),
            view.name
        ),
    };
    let nodes = worst_first(&view.nodes);
    let body = html! {
        header.top { div.inner { (head(view)) } }
        main.inner {
            (alarms(view, &nodes))
            (summary(view, &nodes, zombies))
            (heat::section(&nodes))
            (forecasts::section(&nodes))
            (leaks::section(&nodes))
            (exits::section(&nodes))
            (policies::section(view))
        }
        footer.inner {
            p {
                "kubectl sexton " (view.version) ". Read only: nothing on this page acts. Counts are \
                 rounded down to 1, 2, 5, 10, 20, 50…; exact ones are with "
                code { "kubectl sexton explain" } "."
            }
        }
    };
    document(&title, view.refresh, &body)
}

fn head(view: &ClusterView) -> Markup {
    let blind = view.nodes.iter().filter(|n| n.trouble.is_some()).count();
    html! {
        div.title {
            (mark())
            div {
                h1 { (view.name) }
                p.muted { (plural(view.nodes.len() as u64, "node", "nodes")) }
            }
            p.chips {
                @match blind {
                    0 => { span.chip.good { "all agents ready" } }
                    n => { span.chip.warn { (plural(n as u64, "node", "nodes")) " with incomplete data" } }
                }
            }
        }
        p.scan {
            span { "Read " (ago(view.now, view.read)) }
            @match view.refresh {
                Some(seconds) => { span { "refreshes every " (duration(seconds.into())) " · " a href="?hold" { "pause" } } }
                None => { span { "refresh is paused · " a href="?" { "resume" } } }
            }
        }
    }
}

fn ago(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// What must not be overlooked.
fn alarms(view: &ClusterView, nodes: &[&ClusterNode]) -> Markup {
    let reached: Vec<&ClusterNode> = nodes
        .iter()
        .copied()
        .filter(|node| node.forecast.is_some_and(|f| f.within == Within::Reached))
        .collect();
    let blind: Vec<&ClusterNode> = nodes
        .iter()
        .copied()
        .filter(|node| node.trouble.is_some())
        .collect();
    html! {
        @if !reached.is_empty() {
            p.alarm.bad role="alert" {
                b { "A limit is reached on " (plural(reached.len() as u64, "node", "nodes")) ". " }
                "fork fails there with EAGAIN, “Resource temporarily unavailable”: "
                (listed(&reached, |node| node.forecast.map(|f| f.limit.name().to_owned())))
            }
        }
        @if !blind.is_empty() {
            p.alarm.warn {
                b { (plural(blind.len() as u64, "node has", "nodes have")) " incomplete data. " }
                (listed(&blind, |node| node.trouble.as_ref().map(|t| t.word.to_owned())))
            }
        }
        @for policy in &view.policies {
            @let refusing: u64 = policy.refused.iter().map(|(_, nodes)| nodes).sum();
            @if refusing > 0 {
                p.alarm.warn {
                    b { "Policy " (policy.name) " is refused by " (plural(refusing, "node", "nodes")) ". " }
                    a href="#policies" { "Why" }
                }
            }
        }
        @for gap in &view.gaps {
            p.alarm.warn { (gap) }
        }
    }
}

/// The first few by name with a word each, and how many more there are.
fn listed(nodes: &[&ClusterNode], word: impl Fn(&ClusterNode) -> Option<String>) -> Markup {
    html! {
        @for (i, node) in nodes.iter().take(NAMED).enumerate() {
            @if i > 0 { ", " }
            (node.name)
            @if let Some(word) = word(node) { " (" (word) ")" }
        }
        @if nodes.len() > NAMED { " and " (count((nodes.len() - NAMED) as u64)) " more" }
        "."
    }
}

/// The few figures that a glance is for.
fn summary(view: &ClusterView, nodes: &[&ClusterNode], zombies: u64) -> Markup {
    let seen = nodes.iter().filter(|node| node.trouble.is_none()).count();
    let with = nodes.iter().filter(|node| node.zombies > 0).count() as u64;
    let leaks: u64 = nodes.iter().map(|node| node.leak_count).sum();
    if zombies == 0 && seen > 0 && seen == nodes.len() {
        return html! {
            section.rest {
                svg viewBox="0 0 24 24" aria-hidden="true" { path d="M4.5 12.5l5 5 10-11" {} }
                div {
                    h2 { "No zombies." }
                    p { "Every process that ended on " (plural(seen as u64, "this node", "these nodes")) " has been waited for." }
                }
            }
        };
    }
    let soonest = nodes
        .iter()
        .filter_map(|node| Some((node.forecast?, *node)))
        .min_by_key(|(outlook, _)| *outlook);
    html! {
        section.summary aria-label="Summary" {
            div.tile {
                p.label { "Zombies" }
                p.value { (count(zombies)) }
                p { "or more, held by " (plural(leaks, "process", "processes")) " on " (plural(with, "node", "nodes")) }
            }
            div.tile {
                p.label { "First limit" }
                @match soonest {
                    Some((Outlook { within: Within::Reached, limit }, node)) => {
                        p.value.bad { "full" }
                        p { (limit.name()) ", " (node.name) }
                    }
                    Some((Outlook { within, limit }, node)) => {
                        p.value.(within.level().class()) { (Soon(within)) }
                        p { (limit.name()) ", " (node.name) }
                    }
                    None => {
                        p.value { "–" }
                        p { "no leak is seen to come near one" }
                    }
                }
            }
            div.tile {
                p.label { "Nodes that need a look" }
                @let hot = nodes.iter().filter(|node| Heat::of(node) >= Heat::Warn).count();
                p.value { (count(hot as u64)) }
                p { "of " (count(view.nodes.len() as u64)) ", " (count(seen as u64)) " well seen" }
            }
        }
    }
}

/// A forecast in a cell of a table.
struct Full(Option<Outlook>);

impl maud::Render for Full {
    fn render(&self) -> Markup {
        html! {
            @match self.0 {
                Some(Outlook { within, limit }) => {
                    span { b.(within.level().class()) { (Soon(within)) } " " small { (limit.name()) } }
                }
                None => { span.muted { "–" } }
            }
        }
    }
}

/// `now`, `within 10m`, `held`.
struct Soon(Within);

impl fmt::Display for Soon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Within::Reached | Within::Held => write!(f, "{}", self.0),
            within => write!(f, "within {within}"),
        }
    }
}

impl maud::Render for Soon {
    fn render(&self) -> Markup {
        html! { (self.to_string()) }
    }
}
