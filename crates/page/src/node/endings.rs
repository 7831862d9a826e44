//! Containers that cannot end.

use maud::{Markup, html};
use sexton_core::Ending;

use crate::document::with_code;
use crate::view::View;

/// More than anybody reads.
const SHOWN: usize = 20;

/// Nothing where there are none.
pub(super) fn section(view: &View<'_>) -> Markup {
    let all = &view.report.cannot_end;
    html! {
        @if !all.is_empty() {
            section {
                div.heading {
                    h2 id="cannot-end" { "Containers that cannot end" }
                    p.muted { "something keeps their PID 1" }
                }
                div.leaks { @for found in all.iter().take(SHOWN) { (ending(found)) } }
                @if all.len() > SHOWN {
                    p.muted { (all.len() - SHOWN) " more: " code { "sexton scan" } " names them all." }
                }
            }
        }
    }
}

fn ending(found: &Ending) -> Markup {
    html! {
        article.exit {
            p { b.bad { (with_code(&found.title())) } }
            ul {
                @for holdup in &found.held_by {
                    li { (with_code(&holdup.fact())) " " (with_code(&holdup.cure())) }
                }
                @if found.more > 0 { li { (found.more) " more." } }
            }
            p.muted { (found.in_vain()) }
        }
    }
}
