//! A leak: whose zombies, how many, how fast, why, and what ends it.

use maud::{Markup, html};
use sexton_core::forecast::Trend;
use sexton_core::text::leak::{command, ended, holder_state, how_sure, outlook, place};
use sexton_core::text::{count, duration, rate};
use sexton_core::{Cause, Confidence, Forecast, Leak, Limit};

use crate::document::with_code;
use crate::gauge::{Level, gauge};

/// All leaks in the order in which they need a person: see [`urgency`].
pub(crate) fn worst_first(leaks: &[Leak]) -> Vec<&Leak> {
    let mut sorted: Vec<&Leak> = leaks.iter().collect();
    sorted.sort_by_key(|leak| (urgency(leak), std::cmp::Reverse(leak.zombies)));
    sorted
}

/// Seconds until its limit is reached where that is soon; all others are equal.
fn urgency(leak: &Leak) -> u64 {
    let left = leak.forecast.as_ref().and_then(|f| f.seconds_left);
    left.filter(|left| *left < SOON).unwrap_or(SOON)
}

/// Within a night.
const SOON: u64 = 12 * 3_600;
/// Before anybody has finished reading.
const AT_ONCE: u64 = 3_600;

/// The anchor of a leak; the same from one page to the next, until the holder ends.
fn anchor(leak: &Leak) -> String {
    let id = leak.holder.id;
    format!("leak-{}-{}", id.pid, id.start_ticks)
}

/// One leak. `limits` are those of its holder; empty where they are not known.
pub(crate) fn leak(leak: &Leak, limits: &[Limit]) -> Markup {
    let holder = &leak.holder;
    let anchor = anchor(leak);
    let cause = leak.causes.first();
    html! {
        article.leak id=(anchor) {
            header {
                p.count { b { (count(leak.zombies)) } " zombies" }
                div.who {
                    h3 { (title(leak)) }
                    p.where { (place(leak.container.as_ref())) }
                    p.ids {
                        "pid " (holder.id.pid)
                        @if holder.inner_pid() != holder.id.pid {
                            " (" (holder.inner_pid()) " inside)"
                        }
                        @for word in holder_state(leak) { " · " (word) }
                    }
                }
                dl {
                    div { dt { "Growth" } dd { (growth(leak.forecast.as_ref())) } }
                    div { dt { "Oldest" } dd { (leak.ages.oldest_seconds.map_or_else(|| "?".to_owned(), duration)) } }
                    div { dt { "Full" } dd { (full(leak.forecast.as_ref())) } }
                }
                p.cause {
                    @match cause {
                        Some(cause) => { (with_code(&cause.title)) " " (confidence(cause.confidence)) }
                        None => { span.muted { "Not looked into yet." } }
                    }
                }
            }
            details {
                summary { @if cause.is_some() { "Why, what to do now, the cure" } @else { "More" } }
                div.more id=(format!("{anchor}-more")) {
                    (about(leak, &anchor))
                    @if let Some(cause) = cause { (why(cause)) }
                    @if leak.causes.len() > 1 {
                        section {
                            h4 { "Also possible" }
                            ul { @for other in &leak.causes[1..] {
                                li { (with_code(&other.title)) " " (confidence(other.confidence)) }
                            } }
                        }
                    }
                    @if !limits.is_empty() {
                        section {
                            h4 { "Limits that bind it" }
                            ul.gauges { @for limit in limits { (gauge(limit, None)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The program and its first words; the whole command is in the details.
fn title(leak: &Leak) -> Markup {
    let holder = &leak.holder;
    let Some((program, rest)) = holder.command_line.split_first() else {
        return html! { "[" (holder.name) "]" };
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    html! { b { (name) } @for word in rest.iter().take(8) { " " (word) } }
}

fn growth(forecast: Option<&Forecast>) -> Markup {
    match forecast {
        Some(f) => match f.trend {
            Trend::Growing => html! { b { (rate(f.rate_per_second)) } },
            Trend::Held => html! { (rate(f.rate_per_second)) ", held" },
            Trend::LimitReached => html! { "at the limit" },
            Trend::NotGrowing if f.rate_per_second < 0.0 => html! { (rate(f.rate_per_second)) },
            Trend::NotGrowing => html! { "none" },
            Trend::Unknown => html! { "not clear" },
        },
        None => html! { "not watched" },
    }
}

/// When its first limit is full.
fn full(forecast: Option<&Forecast>) -> Markup {
    let Some(f) = forecast else {
        return html! { "?" };
    };
    let limit = f.limit.map_or("a limit", sexton_core::LimitKind::name);
    match (f.trend, f.seconds_left) {
        (Trend::LimitReached, _) => html! { b.bad { "now" } " " small { (limit) } },
        (Trend::Held, _) => html! {
            "held" @if let Some(left) = f.seconds_left_unheld { " " small { "else " (limit) " in " (duration(left)) } }
        },
        (_, Some(left)) => {
            let level = match left {
                ..AT_ONCE => Level::Bad,
                AT_ONCE..SOON => Level::Warn,
                SOON.. => Level::Calm,
            };
            html! { b.(level.class()) { "in " (duration(left)) } " " small { (limit) } }
        }
        _ => html! { "–" },
    }
}

/// How sure, as a chip: the word says it, dots show it.
fn confidence(sure: Confidence) -> Markup {
    let dots = match sure {
        Confidence::High => "●●●",
        Confidence::Medium => "●●○",
        Confidence::Low => "●○○",
    };
    html! { span.sure { span aria-hidden="true" { (dots) } " " (how_sure(sure)) } }
}

fn about(leak: &Leak, anchor: &str) -> Markup {
    html! {
        section {
            dl.about {
                dt { "Command" } dd { code { (command(leak)) } }
                @if let Some(container) = &leak.container {
                    dt { "Container" } dd { code { (container.id) } }
                }
                dt { "Ended" } dd { (ended(&leak.commands, 8)) }
                @if let Some(what) = &leak.protected {
                    dt { "Protected" } dd { (what) ": Sexton never touches it" }
                }
                @if let Some(forecast) = &leak.forecast {
                    dt { "Forecast" } dd { (outlook(forecast)) }
                }
                // A browser opens what a fragment points into, so this survives a refresh.
                dt { "Link" } dd { a href=(format!("#{anchor}-more")) { "this leak, opened" } }
            }
        }
    }
}

fn why(cause: &Cause) -> Markup {
    let Cause {
        id,
        title: _,
        confidence: _,
        facts,
        now,
        cure,
        sources,
    } = cause;
    html! {
        @if !facts.is_empty() {
            section {
                h4 { "Why" }
                ul { @for fact in facts { li { (with_code(fact)) } } }
            }
        }
        @if !now.is_empty() {
            section {
                h4 { "Now" }
                ol { @for step in now { li { (with_code(step)) } } }
            }
        }
        section {
            h4 { "Cure" }
            p { (with_code(&cure.text)) }
            @if let Some(code) = &cure.code {
                pre tabindex="0" { code { (code.trim_end().replace('\t', "    ")) } }
            }
            p.muted {
                code { (id) }
                @if !sources.is_empty() { " · met before: " (sources.join("; ")) }
            }
        }
    }
}
