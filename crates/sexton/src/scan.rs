//! `sexton scan`: one look at the node, or one after another.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::Style;
use sexton_core::forecast::{History, Trend};
use sexton_core::{Leak, LimitKind, ProcessId, Report};
use sexton_scan::Scanner;

use crate::cli::{self, ScanOutput};
use crate::error::Error;
use crate::output::table::{Column, Table, terminal_width};
use crate::output::{self, BAD, DIM, WARN, leak, paint, text};
use crate::{roots, target};

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Scan, paths: cli::Roots) -> Result<ExitCode, Error> {
    let cli::Scan {
        pid,
        container,
        pod,
        min,
        full,
        watch,
        interval,
        count,
        output,
    } = args;
    let filter = Filter {
        pid,
        container,
        pod,
        min,
    };
    let mut scanner = Scanner::new(roots(paths))?;
    let options = sexton_scan::Options {
        full,
        ..Default::default()
    };
    if watch {
        return Watch {
            scanner,
            options,
            filter,
            output,
            histories: HashMap::new(),
        }
        .run(interval, count);
    }
    let report = look(&mut scanner, &options, &filter)?;
    match output {
        ScanOutput::Json => output::json(&report)?,
        ScanOutput::Name => names(&report)?,
        ScanOutput::Table | ScanOutput::Wide => {
            let mut out = output::stdout();
            draw(&mut out, &report, View::of(output, false))?;
            out.flush()?;
        }
    }
    Ok(ExitCode::from(u8::from(report.zombies > 0)))
}

/// Which leaks a person wants to see.
struct Filter {
    pid: Option<u32>,
    container: Option<String>,
    pod: Option<String>,
    min: u64,
}

impl Filter {
    fn admits(&self, leak: &Leak, holder: Option<u32>) -> bool {
        let Self {
            pid,
            container,
            pod,
            min,
        } = self;
        let place = leak.container.as_ref();
        leak.zombies >= *min
            && (pid.is_none() || holder == Some(leak.holder.id.pid))
            && container
                .as_ref()
                .is_none_or(|id| place.is_some_and(|c| target::is_container(c, id)))
            && pod
                .as_ref()
                .is_none_or(|name| place.is_some_and(|c| target::is_pod(c, name)))
    }
}

/// One scan, with only the leaks that were asked for.
fn look(
    scanner: &mut Scanner,
    options: &sexton_scan::Options,
    filter: &Filter,
) -> Result<Report, Error> {
    let mut report = scanner.scan(options)?;
    let holder = match filter.pid {
        Some(pid) => Some(target::holder_of(scanner, pid)?),
        None => None,
    };
    report.leaks.retain(|leak| filter.admits(leak, holder));
    report.zombies = report.leaks.iter().map(|leak| leak.zombies).sum();
    Ok(report)
}

fn names(report: &Report) -> io::Result<()> {
    let mut out = output::stdout();
    for leak in &report.leaks {
        writeln!(out, "{}", leak.holder.id.pid)?;
    }
    out.flush()
}

/// One look after another.
struct Watch {
    scanner: Scanner,
    options: sexton_scan::Options,
    filter: Filter,
    output: ScanOutput,
    histories: HashMap<ProcessId, History>,
}

impl Watch {
    fn run(mut self, interval: Duration, count: Option<u64>) -> Result<ExitCode, Error> {
        let redraw = io::stdout().is_terminal();
        let began = Instant::now();
        let mut looks = 0;
        loop {
            let mut report = look(&mut self.scanner, &self.options, &self.filter)?;
            self.forecast(&mut report, began.elapsed())?;
            match self.output {
                ScanOutput::Json => output::json_line(&report)?,
                ScanOutput::Name => names(&report)?,
                ScanOutput::Table | ScanOutput::Wide => {
                    let mut screen = vec![];
                    draw(&mut screen, &report, View::of(self.output, true))?;
                    let mut out = output::stdout();
                    if redraw {
                        // Home, then each line cleared to its end, then all below: no flicker.
                        out.write_all(b"\x1b[H")?;
                        for line in screen.split_inclusive(|&b| b == b'\n') {
                            out.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
                            out.write_all(b"\x1b[K\n")?;
                        }
                        out.write_all(b"\x1b[J")?;
                    } else {
                        out.write_all(&screen)?;
                        out.write_all(b"\n")?;
                    }
                    out.flush()?;
                }
            }
            looks += 1;
            if count == Some(looks) {
                return Ok(ExitCode::from(u8::from(report.zombies > 0)));
            }
            std::thread::sleep(interval);
        }
    }

    fn forecast(&mut self, report: &mut Report, at: Duration) -> Result<(), Error> {
        self.histories
            .retain(|id, _| report.leaks.iter().any(|leak| leak.holder.id == *id));
        for leak in &mut report.leaks {
            let history = self.histories.entry(leak.holder.id).or_default();
            history.push(at, leak.zombies);
            let limits = sexton_scan::limits::of_process(&self.scanner, leak.holder.id.pid)?
                .unwrap_or_default();
            leak.forecast = Some(history.forecast(&limits, &leak.ages.started));
        }
        Ok(())
    }
}

/// How a report is drawn.
#[derive(Clone, Copy)]
struct View {
    wide: bool,
    rates: bool,
}

impl View {
    fn of(output: ScanOutput, rates: bool) -> Self {
        Self {
            wide: output == ScanOutput::Wide,
            rates,
        }
    }
}

fn draw(out: &mut impl Write, report: &Report, view: View) -> io::Result<()> {
    if report.leaks.is_empty() {
        writeln!(out, "No zombies on {}.", text::safe(&report.node.name))?;
    } else {
        table(report, view).write(out, (!view.wide).then(|| terminal_width().min(100)))?;
        writeln!(out)?;
        writeln!(
            out,
            "{} held by {} on {}.",
            text::plural(report.zombies, "zombie", "zombies"),
            text::plural(report.leaks.len() as u64, "process", "processes"),
            text::safe(&report.node.name),
        )?;
    }
    node_limits(out, report)?;
    if let Some(worst) = report.leaks.iter().find(|leak| leak.protected.is_none())
        && !view.rates
    {
        let pid = worst.holder.id.pid;
        writeln!(
            out,
            "{}",
            paint(DIM, &format!("Why, and the cure: sexton explain {pid}"))
        )?;
    }
    for note in &report.notes {
        writeln!(
            out,
            "{}",
            paint(WARN, &format!("Note: {}", text::safe(note)))
        )?;
    }
    Ok(())
}

fn table(report: &Report, view: View) -> Table {
    let mut columns = vec![
        Column::figure("ZOMBIES"),
        Column::figure("HOLDER"),
        Column::flexible("COMMAND", 12),
        Column::flexible("CONTAINER", 14),
        Column::flexible("ENDED", 12),
        Column::figure("OLDEST"),
    ];
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
    columns.push(Column::flexible("STATE", 6));
    let mut table = Table::new(&columns);
    for leak in &report.leaks {
        table.row(row(leak, view));
    }
    table
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
        plain(leak::place(leak)),
        plain(leak::ended(&leak.commands, most)),
        plain(age),
    ];
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
    match (forecast.trend, forecast.seconds_left) {
        (Trend::Unknown, _) => ("…".to_owned(), plain("watching")),
        (Trend::LimitReached, _) => (
            text::rate(forecast.rate_per_second),
            ("none: limit reached".to_owned(), BAD),
        ),
        (Trend::Growing, Some(left)) => {
            let style = if left < 3_600 { BAD } else { WARN };
            (
                text::rate(forecast.rate_per_second),
                (text::duration(left), style),
            )
        }
        (Trend::Growing, None) => (text::rate(forecast.rate_per_second), plain("no limit")),
        (Trend::NotGrowing, _) => (text::rate(forecast.rate_per_second), plain("not growing")),
    }
}

fn node_limits(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for limit in report
        .limits
        .iter()
        .filter(|limit| limit.kind == LimitKind::PidMax)
    {
        if let (Some(used), Some(max)) = (limit.used, limit.limit) {
            let percent = text::percent(used, max);
            let line = format!(
                "The node uses {} of {} PIDs ({percent}%).",
                text::count(used),
                text::count(max)
            );
            let style = match percent {
                90.. => BAD,
                70.. => WARN,
                _ => Style::new(),
            };
            writeln!(out, "{}", paint(style, &line))?;
        }
    }
    Ok(())
}
