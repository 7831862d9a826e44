//! Which containers will end on their stop signal.

use maud::{Markup, html};
use sexton_core::audit::{ExitSignal, Mark};
use sexton_core::text::leak::{how_sure, place};
use sexton_core::text::{duration, plural};

use crate::document::with_code;
use crate::view::View;

/// More than anybody reads.
const SHOWN: usize = 50;

/// Nothing where no audit was made.
pub(super) fn section(view: &View<'_>) -> Markup {
    let all = &view.report.exit_signals;
    let mut wanting: Vec<&ExitSignal> = all
        .iter()
        .filter(|found| found.mark() != Mark::Ends)
        .collect();
    // The worst verdict first, and of these the longest wait.
    wanting.sort_by_key(|found| {
        let grace = found.grace.as_ref().map(|grace| grace.seconds);
        (found.mark(), std::cmp::Reverse(grace))
    });
    let fine = all.len() - wanting.len();
    html! {
        @if !all.is_empty() {
            section {
                div.heading {
                    h2 id="exits" { "Exit signals" }
                    p.muted { (plural(fine as u64, "container ends", "containers end")) " on their stop signal" }
                }
                @if wanting.is_empty() {
                    p.empty { "No container sits out its grace period." }
                } @else {
                    div.leaks { @for found in wanting.iter().take(SHOWN) { (exit(found)) } }
                }
                @if wanting.len() > SHOWN {
                    p.muted { (wanting.len() - SHOWN) " more: " code { "sexton audit" } " shows them all." }
                }
            }
        }
    }
}

fn exit(found: &ExitSignal) -> Markup {
    let (class, what) = match found.mark() {
        Mark::Killed => ("bad", "will be killed"),
        Mark::EndsUnheard => ("warn", "ends, and loses work"),
        Mark::Unknown => ("warn", "cannot be told"),
        Mark::Ends => ("good", "ends"),
    };
    html! {
        article.exit {
            h3 { (place(Some(&found.container))) }
            p {
                b.(class) { (what) }
                @if let (Mark::Killed, Some(grace)) = (found.mark(), &found.grace) {
                    " after " (duration(grace.seconds))
                }
                " · " (found.stop_signal.name) " · " (how_sure(found.confidence))
            }
            p { (with_code(&found.summary)) }
            details {
                summary { "Facts, and what to change" }
                div.more {
                    section {
                        h4 { "Facts" }
                        ul {
                            li { "Main process " code { (found.main.command_line.join(" ")) } " (pid " (found.main.id.pid) ")." }
                            @for fact in &found.facts { li { (with_code(fact)) } }
                            @for note in &found.notes { li { (with_code(note)) } }
                        }
                    }
                    @for cure in &found.cures {
                        section {
                            h4 { "Cure" }
                            p { (with_code(&cure.text)) }
                            @if let Some(code) = &cure.code {
                                pre tabindex="0" { code { (code.trim_end().replace('\t', "    ")) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
