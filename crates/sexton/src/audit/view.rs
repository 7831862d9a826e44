//! How an audit looks in a terminal.

use std::io::{self, Write};

use anstyle::Style;
use sexton_core::audit::{Mark, ProbeFinding};
use sexton_core::cause::Cure;
use sexton_core::{Confidence, Container, ExitSignal, Report, Verdict};

use crate::output::lines::Lines;
use crate::output::table::{Column, Table};
use crate::output::{self, BAD, DIM, GOOD, HEADING, WARN, leak, paint, text};

/// All containers, one a row.
pub fn table(report: &Report, wide: bool) -> io::Result<()> {
    let mut lines = Lines::new(output::stdout());
    let node = &report.node.name;
    let found = &report.exit_signals;
    if found.is_empty() {
        lines.line(Style::new(), &format!("No containers on {node}."))?;
    } else {
        let width = (!wide).then_some(lines.width);
        rows(found, wide).write(&mut lines.out, width)?;
        lines.gap()?;
        lines.line(Style::new(), &totals(found, node))?;
    }
    if let Some(worst) = found.iter().find(|f| f.mark() != Mark::Ends) {
        let id = worst.container.short_id();
        lines.line(DIM, &format!("Why, and the cure: sexton audit {id}"))?;
    }
    notes(&mut lines, report)
}

fn totals(found: &[ExitSignal], node: &str) -> String {
    let count = |mark| found.iter().filter(|f| f.mark() == mark).count() as u64;
    let all = text::plural(found.len() as u64, "container", "containers");
    let parts: Vec<String> = [
        (count(Mark::Killed), "will be killed after the grace period"),
        (
            count(Mark::EndsUnheard),
            "will end, with processes in them killed unheard",
        ),
        (count(Mark::Unknown), "cannot be told"),
        (count(Mark::Ends), "will end on the signal"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", text::count(count)))
    .collect();
    format!("{all} on {node}: {}.", parts.join(", "))
}

fn rows(found: &[ExitSignal], wide: bool) -> Table {
    let mut columns = vec![
        Column::text("VERDICT"),
        Column::text("SIGNAL"),
        Column::figure("GRACE"),
        Column::figure("PID"),
        Column::flexible("CONTAINER", 14),
    ];
    if wide {
        columns.extend(["COMMAND", "SURE", "RUNTIME", "CONTAINER ID"].map(Column::text));
    }
    columns.push(Column::flexible("WHY", 20));
    let mut table = Table::new(&columns);
    let rows = if wide {
        found.iter().map(|found| vec![found]).collect()
    } else {
        alike(found)
    };
    for alike in rows {
        let found = alike[0];
        let plain = |text: String| (text, Style::new());
        let container = &found.container;
        let grace = found.grace.as_ref();
        let mut cells = vec![
            (word(found), style(found.mark())),
            plain(found.stop_signal.name.clone()),
            plain(grace.map_or_else(|| "?".to_owned(), |grace| text::duration(grace.seconds))),
            plain(found.main.id.pid.to_string()),
            plain(whose(&alike)),
        ];
        if wide {
            let runtime = leak::runtime(container.runtime).unwrap_or("-");
            cells.extend([
                plain(found.main.command_line.join(" ")),
                plain(sure(found.confidence).to_owned()),
                plain(runtime.to_owned()),
                plain(container.id.clone()),
            ]);
        }
        cells.push(plain(found.summary.clone()));
        table.row(cells);
    }
    table
}

/// Containers of one workload that are judged alike, in the order of the first of each.
fn alike(found: &[ExitSignal]) -> Vec<Vec<&ExitSignal>> {
    let mut groups: Vec<Vec<&ExitSignal>> = Vec::new();
    for found in found {
        let key = |found: &ExitSignal| {
            let workload = workload(&found.container)?;
            let signal = found.stop_signal.number;
            Some((workload, found.mark(), signal, found.summary.clone()))
        };
        let mine = key(found);
        match groups
            .iter_mut()
            .find(|group| mine.is_some() && key(group[0]) == mine)
        {
            Some(group) => group.push(found),
            None => groups.push(vec![found]),
        }
    }
    groups
}

/// Namespace, owner of the pod and name of the container; `None` where no owner is known.
fn workload(container: &Container) -> Option<String> {
    let owner = container.owner.as_ref()?;
    let namespace = container.pod.as_ref()?.namespace.as_deref().unwrap_or("");
    let name = container.name.as_deref().unwrap_or("");
    Some(format!("{namespace}/{owner} {name}"))
}

fn whose(alike: &[&ExitSignal]) -> String {
    let container = &alike[0].container;
    match workload(container) {
        Some(workload) if alike.len() > 1 => format!("{workload}, {} pods", alike.len()),
        _ => leak::place(Some(container)),
    }
}

/// Everything about each container.
pub fn details(report: &Report) -> io::Result<()> {
    let mut lines = Lines::new(output::stdout());
    for found in &report.exit_signals {
        detail(&mut lines, found)?;
        lines.gap()?;
    }
    notes(&mut lines, report)
}

/// Everything about one container.
pub fn detail<W: Write>(lines: &mut Lines<W>, found: &ExitSignal) -> io::Result<()> {
    let ExitSignal {
        container,
        main,
        stop_signal,
        grace,
        shared_pid_namespace,
        verdict,
        confidence,
        summary,
        facts,
        unheard,
        cures,
        probes,
        notes,
    } = found;
    let after = match (verdict, grace) {
        (Verdict::Killed, Some(grace)) => format!(
            "will be killed, {} after {}",
            text::duration(grace.seconds),
            stop_signal.name
        ),
        (Verdict::Killed, None) => "will be killed after its grace period".to_owned(),
        (Verdict::Unknown, _) => format!("may or may not end on {}", stop_signal.name),
        (Verdict::Ends, _) if !unheard.is_empty() => format!(
            "will end on {}, but {} killed unheard",
            stop_signal.name,
            text::plural(unheard.len() as u64, "process is", "processes are")
        ),
        (Verdict::Ends, _) => format!("will end on {}", stop_signal.name),
    };
    let title = format!("{}: {after}", leak::place(Some(container)));
    lines.line(HEADING, &title)?;
    let inner = match (shared_pid_namespace, main.inner_pid) {
        (true, inner) => format!("{inner} in a PID namespace that it shares"),
        (false, inner) => format!("PID {inner} of its container"),
    };
    lines.field(
        "main",
        &format!("{} (pid {}, {inner})", main.name, main.id.pid),
    )?;
    lines.field("command", &main.command_line.join(" "))?;
    lines.field(
        "signal",
        &format!(
            "{}: {}",
            stop_signal.name,
            text::short_ids(&stop_signal.source)
        ),
    )?;
    match grace {
        Some(grace) => {
            let source = text::short_ids(&grace.source);
            let seconds = text::duration(grace.seconds);
            lines.field("grace", &format!("{seconds}: {source}"))?;
        }
        None => lines.field("grace", "not known: no file on the node tells")?,
    }
    lines.gap()?;
    lines.hanging(6, "Why", style(found.mark()), summary)?;
    if *verdict != Verdict::Unknown {
        let sure = paint(DIM, leak::how_sure(*confidence));
        writeln!(lines.out, "      {sure}")?;
    }
    // The first fact is the stop signal, which stands above.
    for fact in facts.iter().skip(1) {
        lines.item("-", &text::short_ids(fact))?;
    }
    if !unheard.is_empty() {
        writeln!(lines.out, "\nNever told")?;
        for process in unheard {
            let command = process.command_line.join(" ");
            lines.item("-", &format!("pid {}: {command}", process.id.pid))?;
        }
    }
    if !cures.is_empty() {
        writeln!(lines.out, "\nCure")?;
        for (i, cure) in cures.iter().enumerate() {
            draw_cure(lines, i + 1, cure)?;
        }
    }
    if !probes.is_empty() {
        writeln!(lines.out, "\nProbes")?;
        for ProbeFinding { probe, finding } in probes {
            lines.item("-", &format!("{probe}: {finding}"))?;
        }
    }
    if *verdict == Verdict::Unknown {
        let id = container.short_id();
        lines.gap()?;
        lines.line(
            DIM,
            &format!("To see, on one that may be stopped: sexton audit --prove {id}"),
        )?;
    }
    for note in notes {
        lines.line(WARN, &format!("Note: {note}"))?;
    }
    Ok(())
}

fn draw_cure<W: Write>(lines: &mut Lines<W>, number: usize, cure: &Cure) -> io::Result<()> {
    let Cure {
        text: advice,
        language: _,
        code,
    } = cure;
    if number > 1 {
        lines.gap()?;
    }
    lines.item(&format!("{number}."), advice)?;
    let Some(code) = code else { return Ok(()) };
    lines.gap()?;
    for line in code.trim_end().lines() {
        let line = format!("             {}", text::safe(&line.replace('\t', "    ")));
        writeln!(lines.out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn notes<W: Write>(lines: &mut Lines<W>, report: &Report) -> io::Result<()> {
    for note in &report.notes {
        lines.line(WARN, &format!("Note: {note}"))?;
    }
    lines.out.flush()
}

/// A verdict in few words.
fn word(found: &ExitSignal) -> String {
    match found.mark() {
        Mark::Killed => "killed".to_owned(),
        Mark::EndsUnheard => format!(
            "ends, but {} killed",
            text::count(found.unheard.len() as u64)
        ),
        Mark::Unknown => "unknown".to_owned(),
        Mark::Ends => "ends".to_owned(),
    }
}

fn style(mark: Mark) -> Style {
    match mark {
        Mark::Killed => BAD,
        Mark::EndsUnheard | Mark::Unknown => WARN,
        Mark::Ends => GOOD,
    }
}

fn sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::audit::{Grace, MainProcess, StopSignal};
    use sexton_core::workload::Owner;
    use sexton_core::{Pod, ProcessId, Runtime};

    fn found(pod: &str, owner: Option<&str>, verdict: Verdict) -> ExitSignal {
        ExitSignal {
            container: Container {
                id: pod.to_owned(),
                runtime: Runtime::Containerd,
                name: Some("app".to_owned()),
                pod: Some(Pod {
                    uid: None,
                    name: Some(pod.to_owned()),
                    namespace: Some("shop".to_owned()),
                }),
                owner: owner.map(|name| Owner {
                    kind: "Deployment".to_owned(),
                    name: name.to_owned(),
                    api_version: None,
                    uid: None,
                }),
                cgroup: "/x".to_owned(),
            },
            main: MainProcess {
                id: ProcessId {
                    pid: 7,
                    start_ticks: 1,
                },
                inner_pid: 1,
                name: "app".to_owned(),
                command_line: vec!["app".to_owned()],
            },
            stop_signal: StopSignal::new(15, "a test"),
            grace: None::<Grace>,
            shared_pid_namespace: false,
            verdict,
            confidence: Confidence::High,
            summary: "why".to_owned(),
            facts: Vec::new(),
            unheard: Vec::new(),
            cures: Vec::new(),
            probes: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn pods_of_one_workload_that_are_judged_alike_are_one_row() {
        let all = [
            found("web-1", Some("web"), Verdict::Killed),
            found("web-2", Some("web"), Verdict::Killed),
            found("web-3", Some("web"), Verdict::Ends),
            found("bare", None, Verdict::Killed),
            found("bare", None, Verdict::Killed),
        ];
        let rows = alike(&all);
        let sizes: Vec<usize> = rows.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
        assert_eq!(whose(&rows[0]), "shop/Deployment/web app, 2 pods");
        assert_eq!(whose(&rows[1]), "shop/web-3 app");
    }
}
