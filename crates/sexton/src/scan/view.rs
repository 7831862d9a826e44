//! How a report looks in a terminal.

use std::io::{self, Write};

use anstyle::Style;
use sexton_core::forecast::Trend;
use sexton_core::{Confidence, Leak, Limit, LimitKind, Report};

use crate::cli::ScanOutput;
use crate::foresee::FirstLimits;
use crate::output::lines::Lines;
use crate::output::table::{Column, Table, terminal_width};
use crate::output::{BAD, DIM, WARN, leak, nearness, text};
use crate::{ending, reached};

/// From so many columns on there is room for all of the table.
const ROOMY: usize = 110;

/// How a report is drawn.
#[derive(Clone, Copy)]
pub struct View {
    wide: bool,
    /// With rates and the time left, which only a watch knows.
    rates: bool,
}

impl View {
    /// For an output format; `rates` when there is a history.
    pub fn of(output: ScanOutput, rates: bool) -> Self {
        Self {
            wide: output == ScanOutput::Wide,
            rates,
        }
    }
}

impl View {
    /// With rates there is no room for ages in 80 columns.
    fn ages(self) -> bool {
        self.wide || !self.rates
    }
}

/// Draws `report` for people. `place`: what it was asked for, if not all of the node. `more`: so
/// many leaks were left out.
pub fn draw(
    out: &mut impl Write,
    report: &Report,
    firsts: &FirstLimits,
    view: View,
    place: &str,
    more: usize,
) -> io::Result<()> {
    let mut lines = Lines::new(out);
    let node = &report.node.name;
    if report.leaks.is_empty() {
        let where_ = match place {
            "" => format!("on {node}"),
            place => place.to_owned(),
        };
        lines.line(Style::new(), &format!("No zombies {where_}."))?;
    } else {
        let width = (!view.wide).then(terminal_width);
        table(report, firsts, view).write(&mut lines.out, width)?;
        if more > 0 {
            let more = text::plural(more as u64, "process holds", "processes hold");
            lines.line(
                DIM,
                &format!("{more} zombies, too, and are left out by --top."),
            )?;
        }
        lines.gap()?;
        let zombies = text::plural(report.zombies, "zombie", "zombies");
        let holders = report.leaks.len().saturating_add(more) as u64;
        let holders = text::plural(holders, "process", "processes");
        lines.line(
            Style::new(),
            &format!("{zombies} held by {holders} on {node}."),
        )?;
    }
    node_limits(&mut lines, report)?;
    ending::brief(&mut lines, &report.cannot_end)?;
    reached::draw(&mut lines, &report.reached)?;
    if let Some(worst) = report.leaks.iter().find(|leak| leak.protected.is_none())
        && !view.rates
    {
        let pid = worst.holder.id.pid;
        lines.line(DIM, &format!("Why, and the cure: sexton explain {pid}"))?;
    }
    for note in &report.notes {
        lines.line(WARN, &format!("Note: {note}"))?;
    }
    for leak in &report.leaks {
        for note in &leak.notes {
            let pid = leak.holder.id.pid;
            lines.line(WARN, &format!("Note on process {pid}: {note}"))?;
        }
    }
    Ok(())
}

fn table(report: &Report, firsts: &FirstLimits, view: View) -> Table {
    let mut columns = vec![
        Column::figure("ZOMBIES"),
        Column::figure("HOLDER"),
        Column::flexible("COMMAND", 10),
        Column::flexible("CONTAINER", 10),
        Column::flexible("ENDED", 8),
    ];
    if view.ages() {
        columns.push(Column::figure("OLDEST"));
    }
    if view.rates {
        columns.extend([Column::figure("RATE"), Column::text("LEFT")]);
    }
    if view.wide {
        columns.extend(
            [
                "UID",
                "INNER PID",
                "THREADS",
                "RUNTIME",
                "POD UID",
                "CONTAINER ID",
            ]
            .map(Column::text),
        );
    }
    columns.push(Column::flexible("STATE", 5));
    // Beside rates there is room for it in a wide terminal only; they say when it is reached.
    let limit = !view.rates || view.wide || terminal_width() >= ROOMY;
    if limit {
        columns.push(Column::text("FIRST LIMIT"));
    }
    let mut table = Table::new(&columns);
    for leak in &report.leaks {
        let mut row = row(leak, view);
        if limit {
            row.push(first_limit(firsts.get(&leak.holder.id)));
        }
        table.row(row);
    }
    table
}

/// What is left of the limit that is reached first: `12 pids.max`.
fn first_limit(limit: Option<&Limit>) -> (String, Style) {
    let (Some(limit), Some(left)) = (limit, limit.and_then(Limit::headroom)) else {
        return ("-".to_owned(), Style::new());
    };
    let text = format!("{} {}", text::count(left), limit.kind.name());
    (text, nearness(limit))
}

fn row(leak: &Leak, view: View) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let holder = &leak.holder;
    let most = if view.wide { usize::MAX } else { 2 };
    let age = leak
        .ages
        .oldest_seconds
        .map_or_else(|| "?".to_owned(), text::duration);
    let mut cells = vec![
        (text::count(leak.zombies), BAD),
        plain(holder.id.pid.to_string()),
        plain(if view.wide {
            leak::command(leak)
        } else {
            leak::short_command(leak)
        }),
        plain(leak::place(leak.container.as_ref())),
        plain(leak::ended(&leak.commands, most)),
    ];
    if view.ages() {
        cells.push(plain(age));
    }
    if view.rates {
        let (rate, left) = rate_and_left(leak);
        cells.extend([plain(rate), left]);
    }
    if view.wide {
        let container = leak.container.as_ref();
        let pod_uid = container
            .and_then(|c| c.pod.as_ref())
            .and_then(|pod| pod.uid.clone());
        let or_dash = |text: Option<String>| plain(text.unwrap_or_else(|| "-".to_owned()));
        cells.extend([
            plain(holder.uid.to_string()),
            plain(holder.inner_pid().to_string()),
            plain(holder.threads.to_string()),
            or_dash(
                container
                    .and_then(|c| leak::runtime(c.runtime))
                    .map(str::to_owned),
            ),
            or_dash(pod_uid),
            or_dash(container.map(|c| c.id.clone())),
        ]);
    }
    let state = leak::holder_state(leak);
    let style = if leak.protected.is_some() {
        WARN
    } else {
        Style::new()
    };
    cells.push((state.join(", "), style));
    cells
}

fn rate_and_left(leak: &Leak) -> (String, (String, Style)) {
    let Some(forecast) = &leak.forecast else {
        return (String::new(), (String::new(), Style::new()));
    };
    let plain = |text: &str| (text.to_owned(), Style::new());
    let about = if forecast.confidence == Confidence::Low {
        "~"
    } else {
        ""
    };
    match (forecast.trend, forecast.seconds_left) {
        (Trend::Unknown, _) => ("…".to_owned(), plain("watching")),
        (Trend::LimitReached, _) => (
            text::rate(forecast.rate_per_second),
            ("limit reached".to_owned(), BAD),
        ),
        (Trend::Growing, Some(left)) => {
            let style = if left < 3_600 { BAD } else { WARN };
            (
                text::rate(forecast.rate_per_second),
                (format!("{about}{}", text::duration(left)), style),
            )
        }
        (Trend::Growing, None) => (text::rate(forecast.rate_per_second), plain("no limit")),
        (Trend::Held, _) => (text::rate(forecast.rate_per_second), plain("held")),
        (Trend::NotGrowing, _) => (text::rate(forecast.rate_per_second), plain("not growing")),
    }
}

fn node_limits<W: Write>(lines: &mut Lines<W>, report: &Report) -> io::Result<()> {
    for limit in &report.limits {
        let (LimitKind::PidMax, Some(used), Some(max)) = (limit.kind, limit.used, limit.limit)
        else {
            continue;
        };
        let percent = limit.used_percent().unwrap_or(0);
        let style = nearness(limit);
        let (used, max) = (text::count(used), text::count(max));
        lines.line(
            style,
            &format!("The node uses {used} of {max} PIDs ({percent}%)."),
        )?;
    }
    Ok(())
}
