//! How the agent does.

use maud::{Markup, html};
use sexton_core::text::time::rfc3339;

use super::ago;
use crate::view::{AgentState, Mode, View};

fn words(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observing",
        Mode::DryRun => "dry run",
        Mode::Enforce => "enforcing",
    }
}

/// What the agent may do, in a word or two.
pub(super) fn chips(agent: &AgentState) -> Markup {
    let class = match agent.mode {
        Mode::Observe => "calm",
        Mode::DryRun => "warn",
        Mode::Enforce => "good",
    };
    html! {
        p.chips {
            @if agent.read_only.is_some() { span.chip.warn { "read only" } }
            @else if agent.paused.is_some() { span.chip.warn { "paused" } }
            @else { span.chip.(class) { (words(agent.mode)) } }
        }
    }
}

pub(super) fn section(view: &View<'_>) -> Markup {
    let agent = view.agent;
    html! {
        section {
            div.heading { h2 id="agent" { "Agent" } }
            @if agent.policies.is_empty() {
                p.empty { "No policy: it observes and never acts." }
            } @else {
                table {
                    thead { tr {
                        th scope="col" { "Policy" }
                        th scope="col" { "Allows" }
                        th scope="col" { "State" }
                        th scope="col" { "From" }
                    } }
                    tbody { @for policy in &agent.policies {
                        tr {
                            td data-label="Policy" { b { (policy.name) } }
                            td data-label="Allows" { (words(policy.mode)) }
                            td data-label="State" {
                                @match &policy.refused {
                                    Some(why) => { span { b.bad { "refused" } " " small { (why) } } }
                                    None => { b.good { "followed" } }
                                }
                            }
                            td data-label="From" { code { (policy.source) } }
                        }
                    } }
                }
            }
            (problems(agent, view.now))
            @if !view.report.notes.is_empty() {
                h3.sub { "Notes" }
                ul.problems { @for note in &view.report.notes { li { (note) } } }
            }
        }
    }
}

/// What went wrong.
pub(super) fn problems(agent: &AgentState, now: u64) -> Markup {
    html! {
        @if !agent.problems.is_empty() {
            h3.sub { "Problems" }
            ul.problems { @for problem in &agent.problems {
                @let at = rfc3339(problem.at);
                li { time datetime=(at) title=(at) { (ago(now, problem.at)) } " " (problem.what) }
            } }
        }
    }
}
