//! The page of one node.

use std::collections::BTreeSet;

use maud::{Markup, html};
use sexton_core::forecast::Trend;
use sexton_core::limit::first_of;
use sexton_core::report::Method;
use sexton_core::text::leak::place;
use sexton_core::text::{count, duration, millis, plural, short_ids};
use sexton_core::{Leak, Limit, Report};

use crate::document::{document, mark};
use crate::gauge::{Level, gauge, legend};
use crate::leak::{leak, worst_first};
use crate::view::{AgentState, View};

mod actions;
mod agent;
mod endings;
mod exits;
mod history;

/// One HTML document that shows a node.
///
/// Serve it with [`crate::csp`] as its `Content-Security-Policy`.
#[must_use]
pub fn node(view: &View<'_>) -> String {
    let report = view.report;
    let title = match report.zombies {
        0 => format!("{} · Sexton", report.node.name),
        n => format!(
            "{} · {} · Sexton",
            plural(n, "zombie", "zombies"),
            report.node.name
        ),
    };
    let leaks = worst_first(&report.leaks);
    let body = html! {
        header.top {
            div.inner { (head(view)) }
        }
        main.inner {
            (alarms(view, &leaks))
            (summary(report, &leaks))
            (limits(view, &leaks))
            (list(view, &leaks))
            (history::section(view))
            (actions::section(view))
            (endings::section(view))
            (exits::section(view))
            (agent::section(view))
        }
        footer.inner {
            p {
                "Sexton " (view.agent.version) ". Read only: nothing on this page acts. "
                a href="report" { "Report as JSON" } " · " a href="metrics" { "Metrics" }
            }
        }
    };
    document(&title, view.refresh, &body)
}

/// The page of a node at which the last look failed: there are no figures to show.
#[must_use]
pub fn look_failed(why: &str, agent: &AgentState, now: u64) -> String {
    /// Seconds until the browser asks again.
    const REFRESH: u32 = 10;
    let body = html! {
        header.top {
            div.inner { div.title { (mark()) h1 { "Sexton" } (agent::chips(agent)) } }
        }
        main.inner {
            p.alarm.bad role="alert" {
                b { "The last look failed. " } (why) ". There are no current figures; the next look "
                "is made within " (duration(agent.interval_seconds)) "."
            }
            (agent_alarms(agent))
            section { (agent::problems(agent, now)) }
        }
    };
    document("Look failed · Sexton", Some(REFRESH), &body)
}

fn head(view: &View<'_>) -> Markup {
    let Report { node, scan, .. } = view.report;
    let AgentState {
        scanned,
        interval_seconds,
        ..
    } = view.agent;
    let how = match scan.method {
        Method::Quiet => "quiet scan",
        Method::Census => "census",
        Method::Walk => "full walk",
    };
    html! {
        div.title {
            (mark())
            div {
                h1 { (node.name) }
                p.muted { "Linux " (node.kernel) }
            }
            (agent::chips(view.agent))
        }
        p.scan {
            span {
                "Scanned " time datetime=(view.report.scanned_at) { (ago(view.now, *scanned)) }
                ", every " (duration(*interval_seconds))
            }
            span { (how) ", " (millis(scan.micros)) ", " (plural(scan.processes_read, "process", "processes")) " read" }
            @match view.refresh {
                Some(seconds) => { span { "refreshes every " (duration(seconds.into())) " · " a href="?hold" { "pause" } } }
                None => { span { "refresh is paused · " a href="?" { "resume" } } }
            }
        }
    }
}

/// `4s ago`. A moment of a clock that was set back since is now.
fn ago(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// What must not be overlooked.
fn alarms(view: &View<'_>, leaks: &[&Leak]) -> Markup {
    let View { now, agent, .. } = view;
    let age = now.saturating_sub(agent.scanned);
    // Two scans may be late by chance.
    let stale = agent.interval_seconds > 0 && age > 3 * agent.interval_seconds + 10;
    let reached = reached(view, leaks);
    html! {
        @if stale {
            p.alarm.bad role="alert" {
                b { "Stale. " } "The last scan is " (duration(age)) " old; it ought to come every "
                (duration(agent.interval_seconds)) "."
            }
        }
        @for (whose, limit) in &reached {
            p.alarm.bad role="alert" {
                b { (limit.kind.name()) " of " (whose) " is reached. " }
                "fork fails there with EAGAIN, “Resource temporarily unavailable”."
            }
        }
        (agent_alarms(agent))
    }
}

/// Why the agent does not act.
fn agent_alarms(agent: &AgentState) -> Markup {
    html! {
        @if let Some(why) = &agent.read_only {
            p.alarm.warn { b { "Read only. " } "This agent looks and does not act: " (why) }
        }
        @if let Some(why) = &agent.paused {
            p.alarm.warn { b { "Paused. " } (why) }
        }
    }
}

/// Every limit that is full, once, with a name for whom it counts.
fn reached<'a>(view: &View<'a>, leaks: &[&'a Leak]) -> Vec<(String, &'a Limit)> {
    tightest(view, leaks)
        .into_iter()
        .chain(
            view.report
                .limits
                .iter()
                .map(|limit| (short_ids(&limit.scope), limit)),
        )
        .filter(|(_, limit)| limit.headroom() == Some(0) && limit.counts_zombies())
        .collect()
}

/// Of each leaking container the limit that it reaches first, unless that is one of the node;
/// nearest first.
fn tightest<'a>(view: &View<'a>, leaks: &[&'a Leak]) -> Vec<(String, &'a Limit)> {
    let node = view.report.limits.iter();
    let mut seen: BTreeSet<_> = node
        .map(|limit| (limit.kind, limit.scope.as_str()))
        .collect();
    let mut found: Vec<_> = leaks
        .iter()
        .filter_map(|leak| {
            let first = first_of(view.limits.get(&leak.holder.id)?)?;
            Some((place(leak.container.as_ref()), first))
        })
        .filter(|(_, limit)| seen.insert((limit.kind, limit.scope.as_str())))
        .collect();
    found.sort_by_key(|(_, limit)| limit.headroom());
    found
}

/// The few figures that a glance is for.
fn summary(report: &Report, leaks: &[&Leak]) -> Markup {
    if leaks.is_empty() {
        return html! {
            section.rest {
                svg viewBox="0 0 24 24" aria-hidden="true" { path d="M4.5 12.5l5 5 10-11" {} }
                div {
                    h2 { "No zombies." }
                    p { "Every process that ended on this node has been waited for." }
                }
            }
        };
    }
    let containers: BTreeSet<_> = leaks
        .iter()
        .filter_map(|l| l.container.as_ref())
        .map(|c| &c.id)
        .collect();
    let soonest = leaks
        .iter()
        .filter_map(|leak| Some((leak.forecast.as_ref()?.seconds_left?, *leak)))
        .min_by_key(|(left, _)| *left);
    let trends = leaks.iter().filter_map(|leak| leak.forecast.as_ref());
    let held = trends.map(|f| f.trend).any(|trend| trend == Trend::Held);
    let room = first_of(&report.limits);
    html! {
        section.summary aria-label="Summary" {
            div.tile {
                p.label { "Zombies" }
                p.value { (count(report.zombies)) }
                p { "held by " (plural(leaks.len() as u64, "process", "processes")) " in "
                    (plural(containers.len() as u64, "container", "containers")) }
            }
            div.tile {
                p.label { "First limit" }
                @match soonest {
                    Some((0, leak)) => {
                        p.value.bad { "full" }
                        p { (whose_limit(leak)) }
                    }
                    Some((left, leak)) => {
                        p.value { "in " (duration(left)) }
                        p { (whose_limit(leak)) }
                    }
                    None => {
                        p.value { "–" }
                        p { @if held { "what grows is taken as it comes" } @else { "no leak is seen to grow" } }
                    }
                }
            }
            div.tile {
                p.label { "Room on the node" }
                @match room {
                    Some(limit) => {
                        p.value.(Level::of(limit).class()) { (limit.headroom().map_or_else(|| "?".to_owned(), count)) }
                        p { "more tasks below " (limit.kind.name()) }
                    }
                    None => { p.value { "?" } p { "no limit could be read" } }
                }
            }
        }
    }
}

fn whose_limit(leak: &Leak) -> Markup {
    let forecast = leak.forecast.as_ref();
    let kind = forecast
        .and_then(|f| f.limit)
        .map_or("a limit", sexton_core::LimitKind::name);
    html! { (kind) ", " (place(leak.container.as_ref())) }
}

fn limits(view: &View<'_>, leaks: &[&Leak]) -> Markup {
    const SHOWN: usize = 6;
    let mut node: Vec<&Limit> = view.report.limits.iter().collect();
    node.sort_by_key(|limit| !limit.first);
    let containers = tightest(view, leaks);
    html! {
        section {
            div.heading { h2 id="limits" { "Limits" } (legend()) }
            h3.sub { "Of the node" }
            ul.gauges { @for limit in node { (gauge(limit, None)) } }
            @if !containers.is_empty() {
                h3.sub { "Of what leaks, nearest first" }
                ul.gauges {
                    @for (whose, limit) in containers.iter().take(SHOWN) {
                        (gauge(limit, Some(whose)))
                    }
                }
            }
        }
    }
}

fn list(view: &View<'_>, leaks: &[&Leak]) -> Markup {
    const SHOWN: usize = 100;
    let rest = leaks.get(SHOWN..).unwrap_or_default();
    html! {
        @if !leaks.is_empty() {
            section {
                div.heading { h2 id="leaks" { "Leaks" } p.muted { "the most urgent first" } }
                div.leaks {
                    @for one in leaks.iter().take(SHOWN) {
                        (leak(one, view.limits.get(&one.holder.id).map_or(&[], Vec::as_slice)))
                    }
                }
                @if !rest.is_empty() {
                    p.muted {
                        (plural(rest.len() as u64, "more leak", "more leaks")) " with "
                        (plural(rest.iter().map(|l| l.zombies).sum(), "zombie", "zombies"))
                        ": " code { "sexton scan" } " shows them all."
                    }
                }
            }
        }
    }
}
