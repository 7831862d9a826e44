//! All nodes at once, worst first: from one to thousands.

use std::cmp::Reverse;

use maud::{Markup, PreEscaped, html};
use sexton_core::limit::Nearness;
use sexton_core::text::{count, plural};

use super::{ClusterNode, Full, Within};
use crate::gauge::{Level, pct};

/// Up to so many a cell has the name and figures, up to so many a figure, beyond only a sign.
const ROOMY: usize = 60;
const NARROW: usize = 500;
/// Rows of the table below.
const ROWS: usize = 20;

/// How badly a node needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heat {
    /// Not at all.
    Quiet,
    /// It has zombies.
    Some,
    /// It is not known.
    Blind,
    /// A limit comes near within the day, or 70% are used.
    Warn,
    /// A limit comes near within the hour, or 90% are used.
    Bad,
}

impl Heat {
    pub(super) fn of(node: &ClusterNode) -> Self {
        let forecast = node.forecast.map(|outlook| outlook.within.level());
        let used = Nearness::of_percent(node.pids_used_percent).into();
        match forecast.unwrap_or(Level::Calm).max(used) {
            Level::Bad => Self::Bad,
            Level::Warn => Self::Warn,
            Level::Calm if node.trouble.is_some() => Self::Blind,
            Level::Calm if node.zombies > 0 => Self::Some,
            Level::Calm => Self::Quiet,
        }
    }

    const ALL: [Self; 5] = [Self::Bad, Self::Warn, Self::Blind, Self::Some, Self::Quiet];

    fn class(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Some => "some",
            Self::Blind => "blind",
            Self::Warn => "warm",
            Self::Bad => "hot",
        }
    }

    /// What tells it from the others without its colour.
    fn sign(self) -> &'static str {
        match self {
            Self::Quiet => "",
            Self::Some => "•",
            Self::Blind => "?",
            Self::Warn => "▲",
            Self::Bad => "!",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Quiet => "no zombies",
            Self::Some => "zombies, no limit near",
            Self::Blind => "incomplete data",
            Self::Warn => "limit within a day, or 70% used",
            Self::Bad => "limit within the hour, or 90% used",
        }
    }
}

/// All nodes in the order in which they need a person.
pub(super) fn worst_first(nodes: &[ClusterNode]) -> Vec<&ClusterNode> {
    let mut sorted: Vec<&ClusterNode> = nodes.iter().collect();
    sorted.sort_by_key(|node| {
        let within = node.forecast.map_or(Within::Held, |f| f.within);
        (
            Reverse(Heat::of(node)),
            within,
            Reverse((node.pids_used_percent, node.zombies)),
            &node.name,
        )
    });
    sorted
}

pub(super) fn section(nodes: &[&ClusterNode]) -> Markup {
    let class = match nodes.len() {
        n if n <= ROOMY => "roomy",
        n if n <= NARROW => "narrow",
        _ => "dense",
    };
    let quiet = nodes.partition_point(|node| Heat::of(node) > Heat::Quiet);
    // Of thousands the quiet ones must not push all else off the screen.
    let (large, tiny) = nodes.split_at(if class == "dense" { quiet } else { nodes.len() });
    html! {
        section {
            div.heading { h2 id="nodes" { "Nodes" } p.muted { "the worst first" } }
            @if nodes.is_empty() {
                p.empty { "No node is known." }
            } @else {
                (legend(nodes))
                ol.heat.(class) aria-label="Nodes, the worst first" {
                    @for (i, node) in large.iter().enumerate() { (cell(node, i, class)) }
                }
                @if !tiny.is_empty() {
                    ol.heat.tiny aria-label="Nodes without zombies" {
                        @for node in tiny { (cell(node, ROWS, "dense")) }
                    }
                }
                (table(nodes))
            }
        }
    }
}

fn legend(nodes: &[&ClusterNode]) -> Markup {
    let of = |heat| nodes.iter().filter(|node| Heat::of(node) == heat).count();
    html! {
        ul.legend.heats {
            @for heat in Heat::ALL {
                @let n = of(heat);
                @if n > 0 {
                    li { i.swatch.(heat.class()) aria-hidden="true" { (heat.sign()) } b { (count(n as u64)) } " " (heat.words()) }
                }
            }
        }
    }
}

/// Of 5,000 cells every byte counts, so those of which there is nothing to say are one element.
fn cell(node: &ClusterNode, rank: usize, size: &str) -> Markup {
    let heat = Heat::of(node);
    let class = heat.class();
    let title = title(node);
    let content = html! {
        @match size {
            "dense" => { (heat.sign()) }
            "narrow" => { (heat.sign()) @if node.zombies > 0 { " " (short(node.zombies)) } }
            _ => {
                b.name { (node.name) }
                span { (heat.sign()) " " (figures(node)) }
                (bar(node))
            }
        }
    };
    html! {
        @if rank < ROWS && heat > Heat::Quiet {
            li.(class) title=(title) { a href=(format!("#{}", anchor(rank))) { (content) } }
        } @else {
            li.(class) title=(title) { (content) }
        }
    }
}

fn figures(node: &ClusterNode) -> String {
    match (&node.trouble, node.forecast, node.zombies) {
        (_, Some(outlook), zombies) => {
            format!(
                "{}, {}",
                plural(zombies, "zombie", "zombies"),
                super::Soon(outlook.within)
            )
        }
        (Some(trouble), None, _) => trouble.word.to_owned(),
        (None, None, 0) => format!("PIDs {}%", node.pids_used_percent),
        (None, None, zombies) => plural(zombies, "zombie", "zombies"),
    }
}

/// What the first limit has used.
fn bar(node: &ClusterNode) -> Markup {
    let used = f64::from(node.pids_used_percent.min(100));
    html! {
        svg.bar aria-hidden="true" {
            rect.track width="100%" height="100%" {}
            rect.used width=(pct(used)) height="100%" {}
        }
    }
}

fn title(node: &ClusterNode) -> String {
    let mut title = node.name.clone();
    if let Some(trouble) = &node.trouble {
        title += &format!(": {}", trouble.word);
    }
    if node.zombies > 0 {
        title += &format!(": {}", plural(node.zombies, "zombie", "zombies"));
    }
    if let Some(outlook) = node.forecast {
        title += &format!(", {} {}", outlook.limit.name(), super::Soon(outlook.within));
    }
    if node.pids_used_percent > 0 {
        title += &format!(", PIDs {}%", node.pids_used_percent);
    }
    title
}

/// `950`, `1k`, `20k`: in a cell there is no room for more.
fn short(n: u64) -> String {
    match n {
        ..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{}k", n / 1_000),
        _ => format!("{}M", n / 1_000_000),
    }
}

/// By rank, since a name may be anything.
fn anchor(rank: usize) -> String {
    format!("node-{}", rank + 1)
}

/// Those that need a look, with all that is known of each.
fn table(nodes: &[&ClusterNode]) -> Markup {
    let wanting = nodes.iter().filter(|node| Heat::of(node) > Heat::Quiet);
    let total = wanting.clone().count();
    html! {
        @if total > 0 {
            table.after {
                thead { tr {
                    th scope="col" { "Node" }
                    th scope="col" { "Zombies" }
                    th scope="col" { "Holders" }
                    th scope="col" { "PIDs used" }
                    th scope="col" { "Full" }
                    th scope="col" { "Agent" }
                } }
                tbody { @for (rank, node) in wanting.take(ROWS).enumerate() {
                    tr id=(anchor(rank)) {
                        td data-label="Node" { span { (mark(Heat::of(node))) b { (node.name) } } }
                        td data-label="Zombies" { (count(node.zombies)) }
                        td data-label="Holders" { (count(node.leak_count)) }
                        td data-label="PIDs used" { (node.pids_used_percent) "%" }
                        td data-label="Full" { (Full(node.forecast)) }
                        td data-label="Agent" {
                            @match &node.trouble {
                                Some(trouble) => { span { b.warn { (trouble.word) } " " small { (trouble.why) } } }
                                None => { "ready" }
                            }
                        }
                    }
                } }
            }
            @if total > ROWS {
                p.muted.after { (count((total - ROWS) as u64)) " more: " code { "kubectl sexton nodes" } " shows them all." }
            }
        }
    }
}

fn mark(heat: Heat) -> Markup {
    let sign = match heat.sign() {
        "" => PreEscaped("&nbsp;"),
        sign => PreEscaped(sign),
    };
    html! { i.swatch.(heat.class()) aria-hidden="true" { (sign) } }
}
