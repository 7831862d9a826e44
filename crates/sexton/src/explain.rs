//! `sexton explain`: why the zombies stay, what to do now, and the cure.

mod trace;

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::Style;
use sexton_core::cause::Cure;
use sexton_core::forecast::History;
use sexton_core::{Cause, Confidence, Leak, ProcessId, Report, protect};
use sexton_scan::proc::Proc;
use sexton_scan::{Scanner, facts};

use crate::cli::{self, Output};
use crate::ending;
use crate::error::Error;
use crate::foresee::foresee;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::progress::Progress;
use crate::output::{self, DIM, GOOD, HEADING, WARN, leak, paint, text};
use crate::reached::{self, reached};
use crate::target::{self, Meant, Target};
use trace::Trace;

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Explain, paths: Roots) -> Result<ExitCode, Error> {
    let cli::Explain {
        target,
        sample,
        yes,
        settle,
        trace,
        allow_host,
        output,
    } = args;
    let named = target;
    let target: Target = named.parse()?;
    let mut scanner = scanner(paths)?;
    let began = Instant::now();
    // Who asks for one that has only just begun to end is told so, too.
    let mut report = scanner.scan(&sexton_scan::Options {
        ending_for: Duration::ZERO,
        ..Default::default()
    })?;
    let mut meant = Meant::one(&mut scanner, &target, Some(&report))?;
    target::keep(&mut scanner, &mut report, std::slice::from_mut(&mut meant))?;
    report.reached = reached(&scanner, std::slice::from_ref(&meant))?;
    for pid in meant.first_processes() {
        if report
            .cannot_end
            .iter()
            .all(|ending| ending.first.id.pid != pid)
        {
            report.cannot_end.extend(scanner.kept_from_dying(pid)?);
        }
    }
    let steps = ending::free(
        &mut scanner,
        &report.cannot_end,
        &ending::How {
            settle,
            allow_host,
            yes,
        },
    )?;
    if report.leaks.is_empty() {
        match output {
            Output::Json => output::json(&report)?,
            Output::Text => {
                let text = format!("{} holds no zombies.", meant.subject());
                let mut lines = Lines::new(output::stdout());
                if report.cannot_end.is_empty() {
                    lines.line(Style::new(), &text)?;
                }
                cannot_end(&mut lines, &report, &steps)?;
                reached::draw(&mut lines, &report.reached)?;
                lines.out.flush()?;
            }
        }
        return Ok(ExitCode::from(u8::from(report.cannot_end.is_empty())));
    }
    let before: HashMap<ProcessId, facts::Before> = (report.leaks.iter())
        .filter_map(|leak| {
            let holder = leak.holder.id;
            Some((holder, facts::begin(&mut scanner, holder)?))
        })
        .collect();
    let mut traced = None;
    if let (Some(time), Some(leak)) = (trace, report.leaks.first()) {
        let trace = Trace::begin(&mut scanner, &leak.holder, time, allow_host)?;
        traced = Some((leak.holder.id, trace));
    }
    let time = sample.max(trace.unwrap_or_default());
    let (histories, beside) = watch(
        &mut scanner,
        &meant,
        &mut report,
        (began, time),
        |proc, pause| match &mut traced {
            Some((_, trace)) => trace.pause(proc, pause),
            None => {
                std::thread::sleep(pause);
                Ok(())
            }
        },
    )?;
    let mut forks = HashMap::new();
    if let Some((holder, trace)) = traced {
        let mut leaks = report.leaks.iter_mut();
        if let Some(leak) = leaks.find(|leak| leak.holder.id == holder) {
            let seen = trace.end(scanner.proc(), leak)?;
            forks.insert(holder, seen);
        }
        if report.leaks.len() > 1 {
            let note = format!(
                "the trace watched process {} alone: it holds most",
                holder.pid
            );
            report.notes.push(note);
        }
    }
    foresee(&scanner, &mut report, beside, |id| histories.get(&id));
    for leak in &mut report.leaks {
        let holder = leak.holder.id;
        let before = before.get(&holder).copied();
        let forks = forks.remove(&holder).unwrap_or_default();
        let facts = facts::gather_since(&mut scanner, leak, before, &forks)?;
        trace::doubt(leak, facts.program.language);
        leak.causes = sexton_core::cause::diagnose(&facts);
        let told = |note: &String| report.notes.contains(note) || leak.notes.contains(note);
        let new: Vec<String> = facts.notes.into_iter().filter(|n| !told(n)).collect();
        report.notes.extend(new);
    }
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => {
            let mut lines = Lines::new(output::stdout());
            cannot_end(&mut lines, &report, &steps)?;
            for leak in &report.leaks {
                draw(&mut lines, leak)?;
            }
            reached::draw(&mut lines, &report.reached)?;
            if let Some(command) = reap_of(&report.leaks, &named) {
                lines.line(DIM, &format!("What a reap would take: {command}"))?;
            }
            for note in &report.notes {
                lines.line(WARN, &format!("Note: {note}"))?;
            }
            lines.out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command that comes next: of one leak by its pid, of several by the name they were asked
/// for with. `None` where nothing of it may be reaped.
fn reap_of(leaks: &[Leak], named: &str) -> Option<String> {
    let mut free = leaks.iter().filter(|leak| leak.protected.is_none());
    let target = match (free.next()?, free.next()) {
        (leak, None) => leak.holder.id.pid.to_string(),
        _ => named.to_owned(),
    };
    let on_host = |leak: &Leak| protect::is_host_process(leak.container.as_ref());
    let allow = if leaks.iter().any(on_host) {
        " --allow-host"
    } else {
        ""
    };
    Some(format!("sexton reap {target}{allow}"))
}

fn cannot_end<W: Write>(
    lines: &mut Lines<W>,
    report: &Report,
    steps: &[ending::Step],
) -> io::Result<()> {
    for ending in &report.cannot_end {
        ending::draw(lines, ending)?;
    }
    ending::draw_steps(lines, steps)
}

/// Counts the zombies of each leak again and again for as long as `time`; leaves the last
/// look that found any in `report`. `idle` lets time pass between two looks.
/// The second value are the other leaks of that look.
fn watch(
    scanner: &mut Scanner,
    meant: &Meant,
    report: &mut Report,
    (began, time): (Instant, Duration),
    mut idle: impl FnMut(&Proc, Duration) -> Result<(), Error>,
) -> Result<(HashMap<ProcessId, History>, Vec<Leak>), Error> {
    let mut histories: HashMap<ProcessId, History> = HashMap::new();
    let mut beside = vec![];
    let mut record = |report: &Report, at: Duration| {
        for leak in &report.leaks {
            histories
                .entry(leak.holder.id)
                .or_default()
                .push(at, leak.zombies);
        }
    };
    record(report, Duration::ZERO);
    let mut progress = Progress::with("Watching", |millis| text::duration(millis.div_ceil(1_000)));
    let total = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let pause = (time / 20).clamp(Duration::from_millis(100), Duration::from_secs(2));
    let end = Instant::now() + time;
    while Instant::now() + pause <= end {
        idle(scanner.proc(), pause)?;
        let mut seen = scanner.scan(&sexton_scan::Options::default())?;
        record(&seen, began.elapsed());
        let concerns = |leak: &Leak| meant.concerns(leak);
        let others = seen.leaks.iter().filter(|leak| !concerns(leak));
        let others: Vec<Leak> = others.cloned().collect();
        seen.retain(concerns);
        if !seen.leaks.is_empty() {
            // What was found out about the target holds for the later looks, too.
            seen.notes = std::mem::take(&mut report.notes);
            seen.reached = std::mem::take(&mut report.reached);
            seen.cannot_end = std::mem::take(&mut report.cannot_end);
            *report = seen;
            beside = others;
        }
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        progress.at(
            total.saturating_sub(u64::try_from(left).unwrap_or(0)),
            total,
        );
    }
    Ok((histories, beside))
}

fn draw<W: Write>(lines: &mut Lines<W>, leak: &Leak) -> io::Result<()> {
    let holder = &leak.holder;
    let zombies = text::plural(leak.zombies, "zombie", "zombies");
    let mut title = format!("{zombies} of {} (pid {}", holder.name, holder.id.pid);
    if holder.inner_pid() != holder.id.pid {
        title += &format!(", {} in its container", holder.inner_pid());
    }
    title += &format!("), {}", leak::place(leak.container.as_ref()));
    lines.line(HEADING, &title)?;
    lines.field("command", &leak::command(leak))?;
    lines.field("ended", &leak::ended(&leak.commands, 6))?;
    if let Some(oldest) = leak.ages.oldest_seconds {
        lines.field("oldest", &format!("at most {}", text::duration(oldest)))?;
    }
    let state = leak::holder_state(leak);
    if !state.is_empty() {
        lines.field("holder", &state.join(", "))?;
    }
    if let Some(protected) = &leak.protected {
        lines.field(
            "protected",
            &format!("{protected}: Sexton never touches it"),
        )?;
    }
    if let Some(forecast) = &leak.forecast {
        lines.field("forecast", &leak::outlook(forecast))?;
    }
    trace::draw(lines, &leak.origins)?;
    for note in &leak.notes {
        lines.line(WARN, &format!("Note: {note}"))?;
    }
    for (i, cause) in leak.causes.iter().enumerate() {
        lines.gap()?;
        if i == 0 {
            draw_cause(lines, cause)?;
        } else {
            heading(lines, "Also", Style::new(), cause)?;
        }
    }
    lines.gap()
}

/// The title of a cause, how sure it is, and its id.
fn heading<W: Write>(
    lines: &mut Lines<W>,
    mark: &str,
    style: Style,
    cause: &Cause,
) -> io::Result<()> {
    lines.hanging(6, mark, style, &cause.title)?;
    let style = match cause.confidence {
        Confidence::High => GOOD,
        Confidence::Medium => WARN,
        Confidence::Low => DIM,
    };
    writeln!(
        lines.out,
        "      {}, {}",
        paint(style, leak::how_sure(cause.confidence)),
        paint(DIM, &text::safe(&cause.id))
    )
}

fn draw_cause<W: Write>(lines: &mut Lines<W>, cause: &Cause) -> io::Result<()> {
    let Cause {
        id: _,
        title: _,
        confidence: _,
        facts,
        now,
        cure,
        sources,
    } = cause;
    heading(lines, "Why", HEADING, cause)?;
    for fact in facts {
        lines.item("-", fact)?;
    }
    writeln!(lines.out, "\nNow")?;
    for (i, step) in now.iter().enumerate() {
        lines.item(&format!("{}.", i + 1), step)?;
    }
    let Cure {
        text: advice,
        language: _,
        code,
    } = cure;
    writeln!(lines.out, "\nCure")?;
    lines.hanging(6, "", Style::new(), advice)?;
    if let Some(code) = code {
        lines.gap()?;
        for line in code.trim_end().lines() {
            let line = line.replace('\t', "    ");
            writeln!(
                lines.out,
                "{}",
                format!("          {}", text::safe(&line)).trim_end()
            )?;
        }
    }
    if !sources.is_empty() {
        lines.gap()?;
        lines.hanging(6, "", DIM, &format!("Met before: {}", sources.join("; ")))?;
    }
    Ok(())
}
