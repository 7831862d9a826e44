//! How it came to this.

use maud::{Markup, html};
use sexton_core::text::leak::place;
use sexton_core::text::{count, short_ids};
use sexton_core::{ProcessId, limit::first_of};

use crate::plot::{Line, Plot};
use crate::view::{Sample, View};

/// Lines that can be told apart: colours and dashes are in the style sheet.
const LINES: usize = 5;
/// Marks that do not hide the lines.
const MARKS: usize = 40;

pub(super) fn section(view: &View<'_>) -> Markup {
    let (Some(first), Some(last)) = (view.history.first(), view.history.last()) else {
        return html! {};
    };
    if first.at == last.at {
        return html! {};
    }
    let plots = [zombies(view, first, last), room(view, first, last)];
    html! {
        section {
            div.heading { h2 id="history" { "History" } }
            div.plots { @for plot in plots.into_iter().flatten() { (plot.draw()) } }
        }
    }
}

fn zombies<'a>(view: &View<'_>, first: &Sample, last: &Sample) -> Option<Plot<'a>> {
    let history = view.history;
    let most = history.iter().map(|sample| sample.zombies).max()?;
    let mut lines = vec![Line {
        label: "all zombies".to_owned(),
        points: history.iter().map(|s| (s.at, s.zombies)).collect(),
        class: "total".to_owned(),
        filled: true,
    }];
    if view.report.leaks.len() > 1 {
        lines.extend(leaks(view));
    }
    let marks = view
        .actions
        .iter()
        .filter(|action| action.enforced && (first.at..=last.at).contains(&action.at))
        .take(MARKS)
        .map(|a| {
            (
                a.at,
                format!("{} {}, {}: {}", a.rung, a.whom, a.place, a.detail),
            )
        })
        .collect();
    Some(Plot {
        title: "Zombies",
        description: format!(
            "Zombies over time: {} at first, {} at last, {} at most.",
            count(first.zombies),
            count(last.zombies),
            count(most)
        ),
        span: (first.at, last.at),
        lines,
        marks,
    })
}

/// The largest leaks that there are now. One that a sample does not name was too small then, or
/// not there.
fn leaks(view: &View<'_>) -> impl Iterator<Item = Line> {
    let counted = |sample: &Sample, id: ProcessId| {
        sample
            .leaks
            .iter()
            .find(|(leak, _)| *leak == id)
            .map_or(0, |(_, n)| *n)
    };
    view.report
        .leaks
        .iter()
        .take(LINES)
        .enumerate()
        .map(move |(i, leak)| Line {
            label: format!(
                "{} {}, {}",
                leak.holder.name,
                leak.holder.id.pid,
                place(leak.container.as_ref())
            ),
            points: view
                .history
                .iter()
                .map(|sample| (sample.at, counted(sample, leak.holder.id)))
                .collect(),
            class: format!("l{i}"),
            filled: false,
        })
}

fn room<'a>(view: &View<'_>, first: &Sample, last: &Sample) -> Option<Plot<'a>> {
    let points: Vec<(u64, u64)> = view
        .history
        .iter()
        .filter_map(|s| Some((s.at, s.headroom?)))
        .collect();
    let least = points.iter().map(|(_, room)| *room).min()?;
    let limit = first_of(&view.report.limits);
    Some(Plot {
        title: "Room below the node's tightest limit",
        description: format!(
            "Room over time: {} at last, {} at least. At 0 fork fails.",
            points
                .last()
                .map_or_else(String::new, |(_, room)| count(*room)),
            count(least)
        ),
        span: (first.at, last.at),
        lines: vec![Line {
            label: limit.map_or_else(
                || "room".to_owned(),
                |limit| format!("left of {}, {}", limit.kind.name(), short_ids(&limit.scope)),
            ),
            points,
            class: "room".to_owned(),
            filled: true,
        }],
        marks: vec![],
    })
}
