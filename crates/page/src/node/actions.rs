//! What was done.

use maud::{Markup, html};
use sexton_core::text::time::rfc3339;

use super::ago;
use crate::view::{Action, ActionOutcome, Mode, View};

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        section {
            div.heading { h2 id="actions" { "Actions" } p.muted { "newest first" } }
            @if view.actions.is_empty() {
                p.empty {
                    @match view.agent.mode {
                        Mode::Observe => "None: no policy asks for more than a look.",
                        Mode::DryRun => "None so far, not even in a dry run.",
                        Mode::Enforce => "None so far: nothing called for one.",
                    }
                }
            } @else {
                table {
                    thead { tr {
                        th scope="col" { "When" }
                        th scope="col" { "Rung" }
                        th scope="col" { "Holder" }
                        th scope="col" { "Policy" }
                        th scope="col" { "Mode" }
                        th scope="col" { "ActionOutcome" }
                    } }
                    tbody { @for action in view.actions { (row(view.now, action)) } }
                }
            }
        }
    }
}

fn row(now: u64, action: &Action) -> Markup {
    let at = rfc3339(action.at);
    let class = match action.outcome {
        ActionOutcome::Done => "good",
        ActionOutcome::Partly | ActionOutcome::Refused => "warn",
        ActionOutcome::Failed => "bad",
        ActionOutcome::Running | ActionOutcome::Planned => "calm",
    };
    html! {
        tr {
            td data-label="When" { time datetime=(at) title=(at) { (ago(now, action.at)) } }
            td data-label="Rung" { b { (action.rung) } }
            td data-label="Holder" { span { (action.whom) br; small { (action.place) } } }
            td data-label="Policy" { (action.policy.as_deref().unwrap_or("–")) }
            td data-label="Mode" { @if action.enforced { "enforced" } @else { "dry run" } }
            td data-label="ActionOutcome" { span { b.(class) { (action.outcome.word()) } " " small { (action.detail) } } }
        }
    }
}
