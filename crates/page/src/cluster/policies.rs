//! The policies, and how many nodes follow each.

use maud::{Markup, html};
use sexton_core::policy::Mode;
use sexton_core::text::{count, plural};

use super::{ClusterView, PolicyTally};
use crate::gauge::{pct, share};

pub(super) fn section(view: &ClusterView) -> Markup {
    html! {
        section {
            div.heading { h2 id="policies" { "Policies" } }
            @if view.policies.is_empty() {
                p.empty { "No policy: the agents observe and never act." }
            } @else {
                table {
                    thead { tr {
                        th scope="col" { "Policy" }
                        th scope="col" { "Mode" }
                        th scope="col" { "Generation" }
                        th scope="col" { "Followed by" }
                        th scope="col" { "Refused or limited" }
                    } }
                    tbody { @for policy in &view.policies { (row(policy)) } }
                }
            }
        }
    }
}

fn row(policy: &PolicyTally) -> Markup {
    let PolicyTally {
        name,
        mode,
        generation,
        following,
        behind,
        refused,
        limited,
    } = policy;
    let refusing: u64 = refused.iter().map(|(_, nodes)| nodes).sum();
    let all = following + behind + refusing;
    let described = format!("{} of {}", count(*following), plural(all, "node", "nodes"));
    html! {
        tr {
            td data-label="Policy" { b { (name) } }
            td data-label="Mode" { @match mode { Mode::DryRun => "dry run", Mode::Enforce => "enforce" } }
            td data-label="Generation" { @match generation { Some(n) => (n), None => { span.muted { "from files" } } } }
            td.wide data-label="Followed by" { span {
                (described) @if *behind > 0 { ", " (count(*behind)) " not yet" }
                svg.bar role="img" aria-label=(described) {
                    rect.track width="100%" height="100%" {}
                    rect.good width=(pct(share(*following, all))) height="100%" {}
                    rect.zombies x=(pct(share(following + behind, all))) width=(pct(share(refusing, all))) height="100%" {}
                }
            } }
            td data-label="Refused" { span {
                @if refused.is_empty() && limited.is_empty() { span.muted { "–" } }
                @for (why, nodes) in refused { div { b.bad { (plural(*nodes, "node", "nodes")) } " " small { (why) } } }
                @for (why, nodes) in limited { div { b.warn { (plural(*nodes, "node", "nodes")) } " " small { (why) } } }
            } }
        }
    }
}
