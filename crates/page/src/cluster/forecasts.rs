//! When limits are reached: what comes first stands first.

use maud::{Markup, html};
use sexton_core::text::count;

use super::{ClusterNode, Outlook, Within};

/// The steps of a report.
const STEPS: [Within; 6] = [
    Within::Reached,
    Within::Seconds(600),
    Within::Seconds(3_600),
    Within::Seconds(6 * 3_600),
    Within::Seconds(86_400),
    Within::Seconds(7 * 86_400),
];
/// Shown of each.
const SHOWN: usize = 6;

/// Who reaches a limit.
struct Due<'a> {
    outlook: Outlook,
    whose: &'a str,
    node: &'a str,
}

/// Nothing where no limit comes near.
pub(super) fn section(nodes: &[&ClusterNode]) -> Markup {
    let due = due(nodes);
    html! {
        @if !due.is_empty() {
            section {
                div.heading { h2 id="forecasts" { "Forecasts" } p.muted { "when the first limit is reached" } }
                ol.steps {
                    @for (i, step) in STEPS.iter().enumerate() {
                        @let here: Vec<&Due<'_>> = due.iter().filter(|due| place(due.outlook.within) == i).collect();
                        li.(step.level().class()) {
                            h3 { @match step { Within::Reached => "now", step => { "within " (step) } } }
                            @if here.is_empty() {
                                p.muted { "none" }
                            } @else {
                                ul { @for due in here.iter().take(SHOWN) {
                                    li { (due.whose) " " small { (due.outlook.limit.name()) ", " (due.node) } }
                                } }
                                @if here.len() > SHOWN { p.muted { "and " (count((here.len() - SHOWN) as u64)) " more" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The step that a forecast belongs to; what is further than the last belongs to the last.
fn place(within: Within) -> usize {
    let step = STEPS.iter().position(|step| within <= *step);
    step.unwrap_or(STEPS.len() - 1)
}

/// What is held reaches nothing.
fn ahead(outlook: Option<Outlook>) -> Option<Outlook> {
    outlook.filter(|outlook| outlook.within != Within::Held)
}

/// Every leak with a forecast, and every node whose own comes from none of its leaks.
fn due<'a>(nodes: &[&'a ClusterNode]) -> Vec<Due<'a>> {
    let mut due: Vec<Due<'a>> = Vec::new();
    for node in nodes {
        let mut told = false;
        for leak in &node.leaks {
            let Some(outlook) = ahead(leak.forecast) else {
                continue;
            };
            told |= node.forecast == Some(outlook);
            due.push(Due {
                outlook,
                whose: &leak.place,
                node: &node.name,
            });
        }
        if let Some(outlook) = ahead(node.forecast).filter(|_| !told) {
            due.push(Due {
                outlook,
                whose: "the node",
                node: &node.name,
            });
        }
    }
    due.sort_by_key(|due| (due.outlook.within, due.whose, due.node));
    due
}
