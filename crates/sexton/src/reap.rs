//! `sexton reap`: the plan, and with `--yes` the deed.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anstyle::Style;
use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::report::CommandCount;
use sexton_core::{Container, Holder, ProcessId, Report};
use sexton_reap::autoreap::{self, Waiter};
use sexton_reap::{AgesFrom, End, LeftBecause, Nudge, Options, Plan, ReapOutcome, Refusal, Trust};
use sexton_scan::Scanner;

use crate::REFUSED;
use crate::cli::{self, Output};
use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::progress::Progress;
use crate::output::{self, BAD, DIM, GOOD, HEADING, WARN, leak, text};
use crate::target::{Meant, Target};

/// What `sexton reap -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the schema.
    pub api_version: &'static str,
    /// Always `Reap`.
    pub kind: &'static str,
    /// Nothing was done, since `--yes` was not given.
    pub dry_run: bool,
    /// A holder ended while it was made to wait: the holders after it were not touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<ProcessId>,
    /// One entry a holder.
    pub holders: Vec<Entry>,
}

/// What was planned for one holder, and what came of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What was planned: whom to take, whom to leave, or why nothing may be done.
    pub plan: Plan,
    /// What was done; absent in a dry run and where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ReapOutcome>,
    /// What was planned, and done, for its future children; absent without `--autoreap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoreap: Option<AutoreapEntry>,
}

/// The same of its future children.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoreapEntry {
    /// What was planned, or why nothing may be done.
    pub plan: autoreap::Plan,
    /// What was done; absent in a dry run and where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<autoreap::AutoreapOutcome>,
}

impl Entry {
    fn is_refused(&self) -> bool {
        let autoreap = self.autoreap.as_ref();
        self.plan.refusal.is_some() || autoreap.is_some_and(|it| it.plan.refusal.is_some())
    }

    /// What was asked for and could not be brought to its end.
    fn is_unfinished(&self) -> bool {
        let autoreap = self.autoreap.as_ref().and_then(|it| it.outcome.as_ref());
        self.left() > 0 || autoreap.is_some_and(|outcome| outcome.end != End::Complete)
    }

    /// The holder ended while something was done to it, and may have died of it.
    fn has_killed(&self) -> bool {
        let autoreap = self.autoreap.as_ref().and_then(|it| it.outcome.as_ref());
        let ends = [
            self.outcome.as_ref().map(|outcome| &outcome.end),
            autoreap.map(|outcome| &outcome.end),
        ];
        let mut deaths = ends.into_iter().flatten().filter_map(End::holder_death);
        deaths.any(|death| death.by_us)
    }

    /// Something would be done.
    fn has_work(&self) -> bool {
        let autoreap = self.autoreap.as_ref();
        self.plan.refusal.is_none() && !self.plan.take.is_empty()
            || autoreap.is_some_and(|it| it.plan.refusal.is_none())
    }

    /// Zombies that stay although they were asked for.
    fn left(&self) -> u64 {
        let left = self
            .outcome
            .as_ref()
            .map_or(&self.plan.left, |outcome| &outcome.left);
        left.iter().map(|left| left.count).sum()
    }
}

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Reap, paths: Roots) -> Result<ExitCode, Error> {
    let cli::Reap {
        target,
        yes,
        settle,
        no_nudge,
        autoreap,
        allow,
        output,
    } = args;
    let cli::Allow {
        allow_host,
        ignore_seccomp,
        though_it_waits,
    } = allow;
    let waiter = autoreap.map(|when| match when {
        cli::Autoreap::On => Waiter::Kernel,
        cli::Autoreap::Off => Waiter::Process,
    });
    let named: Target = target.parse()?;
    let mut scanner = scanner(paths)?;
    let report = scanner.scan(&sexton_scan::Options::default())?;
    let mut meant = Meant::one(&mut scanner, &named, Some(&report))?;
    // What a process elsewhere holds is not this target's to give.
    let outside = meant.find_outside(&mut scanner, &report)?;
    let options = Options {
        settle,
        allow_host,
        ignore_seccomp,
        nudge: !no_nudge,
        only: meant.zombie(),
    };
    let mut plans = plan(&mut scanner, &report, &meant, &options)?;
    // What has no zombies now can be kept from having any.
    if plans.is_empty()
        && waiter.is_some()
        && let Some(pid) = meant.pid()
        && let Some(holder) = scanner.holder(pid)?
    {
        plans.extend(sexton_reap::plan(&mut scanner, holder.id, &options)?);
    }
    let mut document = Document {
        api_version: sexton_core::report::API_VERSION,
        kind: "Reap",
        dry_run: !yes,
        stopped_at: None,
        holders: vec![],
    };
    for plan in plans {
        // A tool that may have killed once does not go on.
        let yes = yes && document.stopped_at.is_none();
        // First, so that nothing is born between the two.
        let mut autoreap = None;
        if let Some(waiter) = waiter {
            let options = autoreap::Options {
                waiter,
                allow_host,
                ignore_seccomp,
                though_it_waits,
            };
            autoreap = set(&mut scanner, &plan, &options, yes)?;
        }
        let mut entry = Entry {
            plan,
            outcome: None,
            autoreap,
        };
        if yes && !entry.has_killed() && entry.plan.refusal.is_none() {
            match execute(&scanner, &entry.plan) {
                Ok(done) => entry.outcome = Some(done),
                // Things changed between the plan and the deed.
                Err(sexton_reap::Error::Refused(refusal)) => entry.plan.refusal = Some(refusal),
                Err(error) => return Err(error.into()),
            }
        }
        if entry.has_killed() {
            document.stopped_at = Some(entry.plan.holder.id);
        }
        document.holders.push(entry);
    }
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document, &meant, &outside)?,
    }
    let has_failed = |entry: &Entry| entry.is_refused() || entry.has_killed();
    Ok(if document.holders.iter().any(has_failed) {
        ExitCode::from(REFUSED)
    } else {
        let unfinished = document.holders.iter().any(Entry::is_unfinished);
        ExitCode::from(u8::from(unfinished || !outside.is_empty()))
    })
}

fn plan(
    scanner: &mut Scanner,
    report: &Report,
    meant: &Meant,
    options: &Options,
) -> Result<Vec<Plan>, Error> {
    let mut plans = vec![];
    for leak in report.leaks.iter().filter(|leak| meant.covers(leak)) {
        // A holder that has ended since the scan has taken its zombies with it.
        plans.extend(sexton_reap::plan(scanner, leak.holder.id, options)?);
    }
    Ok(plans)
}

/// Autoreap for the holder of `plan`; `None` if it has ended.
fn set(
    scanner: &mut Scanner,
    plan: &Plan,
    options: &autoreap::Options,
    yes: bool,
) -> Result<Option<AutoreapEntry>, Error> {
    let Some(mut plan) = autoreap::plan(scanner, plan.holder.id, options)? else {
        return Ok(None);
    };
    let mut outcome = None;
    if yes && plan.refusal.is_none() {
        match autoreap::execute(scanner.proc(), &plan, || ControlFlow::Continue(())) {
            Ok(done) => outcome = Some(done),
            // Things changed between the plan and the deed.
            Err(sexton_reap::Error::Refused(refusal)) => plan.refusal = Some(refusal),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(AutoreapEntry { plan, outcome }))
}

fn execute(scanner: &Scanner, plan: &Plan) -> Result<ReapOutcome, sexton_reap::Error> {
    let mut progress = Progress::new(format!("Reaping for {}", plan.holder.id.pid));
    sexton_reap::execute(scanner.proc(), plan, |at| {
        progress.at(at.done, at.total);
        ControlFlow::Continue(())
    })
}

fn draw(document: &Document, meant: &Meant, outside: &[String]) -> io::Result<()> {
    let mut lines = Lines::new(output::stdout());
    if document.holders.is_empty() {
        let text = format!("{} holds no zombies.", meant.subject());
        lines.line(Style::new(), &text)?;
    }
    for note in outside {
        lines.line(WARN, &format!("Left: {note}; reap for that process"))?;
    }
    for Entry {
        plan,
        outcome,
        autoreap,
    } in &document.holders
    {
        let who = who(&plan.holder, plan.container.as_ref());
        match (&plan.refusal, outcome) {
            (Some(refusal), _) => refused(&mut lines, &who, refusal)?,
            (None, Some(outcome)) => {
                done(&mut lines, &who, outcome)?;
                left(&mut lines, &outcome.left, plan.settled_in_seconds)?;
                ended(&mut lines, &outcome.end)?;
                if outcome.taken > 0 && outcome.end.holder_death().is_none() {
                    let pid = outcome.holder.pid;
                    let next = format!("Why they stayed, and the cure: sexton explain {pid}");
                    lines.line(DIM, &next)?;
                }
            }
            (None, None) => planned(&mut lines, &who, plan)?,
        }
        if let Some(entry) = autoreap {
            // Refused for the same reason, it has been said.
            if plan.refusal.is_none() || entry.plan.refusal != plan.refusal {
                autoreaped(&mut lines, entry)?;
            }
        }
    }
    if let Some(holder) = document.stopped_at {
        let why = format!(
            "Stopped: process {} ended while it was made to wait. Holders after it were not touched.",
            holder.pid
        );
        lines.line(BAD, &why)?;
    }
    if document.dry_run && document.holders.iter().any(Entry::has_work) {
        lines.line(WARN, "Nothing was done. Add --yes to do it.")?;
    }
    lines.out.flush()
}

/// `crawler (pid 12345), shop/checkout app`.
fn who(holder: &Holder, container: Option<&Container>) -> String {
    let place = leak::place(container);
    format!("{} (pid {}), {place}", holder.name, holder.id.pid)
}

fn refused<W: Write>(lines: &mut Lines<W>, who: &str, refusal: &Refusal) -> io::Result<()> {
    lines.line(BAD, &format!("Refused: {who}"))?;
    lines.field("because", &refusal.to_string())?;
    match refusal.overridden_by() {
        Some(flag) => lines.field("override", flag),
        None => lines.field("override", "none"),
    }
}

/// A refusal in one line, with what overrides it.
pub fn why_refused(refusal: &Refusal) -> String {
    let how = refusal.overridden_by();
    let how = how.map_or_else(String::new, |flag| format!("; {flag} overrides it"));
    format!("refused: {refusal}{how}")
}

fn autoreaped<W: Write>(lines: &mut Lines<W>, entry: &AutoreapEntry) -> io::Result<()> {
    let AutoreapEntry { plan, outcome } = entry;
    if let Some(refusal) = &plan.refusal {
        return lines.field("autoreap", &why_refused(refusal));
    }
    let what = match (plan.waiter, outcome.as_ref().map(|outcome| &outcome.end)) {
        (Waiter::Kernel, None) => {
            "the kernel would wait for its future children (SA_NOCLDWAIT); a wait of its own would \
             find none"
        }
        (Waiter::Process, None) => "it would have to wait for its children itself again",
        (Waiter::Kernel, Some(End::Complete)) => {
            "the kernel waits for its future children from now on; --autoreap=off undoes it"
        }
        (Waiter::Process, Some(End::Complete)) => "it waits for its children itself again",
        (_, Some(end)) => &format!("not done: {end}"),
    };
    lines.field("autoreap", what)
}

fn planned<W: Write>(lines: &mut Lines<W>, who: &str, plan: &Plan) -> io::Result<()> {
    let count = plan.take.len() as u64;
    lines.line(
        HEADING,
        &format!("{who}: would take {}", of_all(count, &plan.left)),
    )?;
    if count > 0 {
        lines.field("ended", &leak::ended(&commands(plan), 6))?;
    }
    let nudge = match plan.nudge {
        Nudge::MayHelp => "SIGCHLD first: it has a handler for it",
        Nudge::NoHandler => "not sent: it has no handler for SIGCHLD",
        Nudge::Ignored => "not sent: it ignores SIGCHLD",
        Nudge::Blocked => "not sent: it blocks SIGCHLD",
        Nudge::NotWanted => "not sent: --no-nudge",
    };
    lines.field("nudge", nudge)?;
    if count > 0 {
        lines.field(
            "reap",
            "it is made to call wait4 for these pids and no others; its own later waits for them \
             will say that there is no such child",
        )?;
    }
    if plan.seccomp == Trust::Asked {
        lines.field(
            "seccomp",
            "its filters are asked when its thread stands still; if they do not allow wait4, \
             nothing is done",
        )?;
    }
    if plan.settle_seconds > 0 {
        let ground = match plan.ages_from {
            AgesFrom::Death => "since they last ran, which is when they ended",
            AgesFrom::Start => {
                "since they were started: this is all that the kernel tells of these"
            }
            AgesFrom::Nothing => "",
        };
        lines.field(
            "settle",
            &format!("{} {ground}", text::duration(plan.settle_seconds)),
        )?;
    }
    left(lines, &plan.left, plan.settled_in_seconds)
}

fn done<W: Write>(lines: &mut Lines<W>, who: &str, outcome: &ReapOutcome) -> io::Result<()> {
    let ReapOutcome {
        holder: _,
        taken,
        nudged,
        gone,
        left: stay,
        statuses,
        unverified,
        visits,
        end: _,
        longest_borrowing_micros,
        p99_borrowing_micros: _,
        borrowed_micros,
        micros,
        trace: _,
    } = outcome;
    let title = format!("{who}: took {}", of_all(*taken, stay));
    lines.line(if *taken > 0 { GOOD } else { HEADING }, &title)?;
    if *nudged > 0 {
        lines.field(
            "nudged",
            &format!("{} went on SIGCHLD alone", text::count(*nudged)),
        )?;
    }
    if *gone > 0 {
        lines.field(
            "gone",
            &format!(
                "{} were waited for by the holder itself",
                text::count(*gone)
            ),
        )?;
    }
    let statuses: Vec<String> = statuses
        .iter()
        .map(|status| {
            let exit = status
                .exit
                .map_or_else(|| "status hidden".to_owned(), leak::exit);
            format!("{} {exit} ×{}", status.command, text::count(status.count))
        })
        .collect();
    const SHOWN: usize = 8;
    if !statuses.is_empty() {
        let mut line = statuses[..statuses.len().min(SHOWN)].join(", ");
        if statuses.len() > SHOWN {
            line += &format!(
                " and {} more kinds (-o json has all)",
                statuses.len() - SHOWN
            );
        }
        lines.field("statuses", &line)?;
    }
    if *unverified > 0 {
        let line = format!(
            "{} could have been of other children with the same pid: the program has several \
             threads, and processes were created meanwhile",
            text::count(*unverified)
        );
        lines.field("unverified", &line)?;
    }
    if *visits > 0 {
        lines.field(
            "borrowed",
            &format!(
                "one thread, {}, {} at the longest, {} in all; {} from start to end",
                text::plural(*visits, "time", "times"),
                text::millis(*longest_borrowing_micros),
                text::millis(*borrowed_micros),
                text::millis(*micros)
            ),
        )?;
    }
    Ok(())
}

/// `6 of 196 zombies`, or `6 zombies` where none is left.
fn of_all(taken: u64, left: &[sexton_reap::Left]) -> String {
    let left: u64 = left.iter().map(|left| left.count).sum();
    let all = text::plural(taken.saturating_add(left), "zombie", "zombies");
    match left {
        0 => all,
        _ => format!("{} of {all}", text::count(taken)),
    }
}

fn ended<W: Write>(lines: &mut Lines<W>, end: &End) -> io::Result<()> {
    if *end == End::Complete {
        return Ok(());
    }
    let style = match end.holder_death() {
        Some(death) if death.by_us => BAD,
        _ => WARN,
    };
    lines.hanging(2, "", style, &end.to_string())
}

fn left<W: Write>(
    lines: &mut Lines<W>,
    left: &[sexton_reap::Left],
    settled_in_seconds: Option<u64>,
) -> io::Result<()> {
    for sexton_reap::Left { because, count } in left {
        let again = match (because, settled_in_seconds) {
            (LeftBecause::Young { .. }, Some(seconds)) => {
                format!("; again in {}, or --settle 0", text::duration(seconds))
            }
            _ => String::new(),
        };
        let count = text::count(*count);
        lines.field("left", &format!("{count}: {because}{again}"))?;
    }
    Ok(())
}

fn commands(plan: &Plan) -> Vec<CommandCount> {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for zombie in &plan.take {
        *counts.entry(&zombie.name).or_default() += 1;
    }
    let mut commands: Vec<CommandCount> = counts
        .into_iter()
        .map(|(name, count)| CommandCount {
            name: name.to_owned(),
            count,
        })
        .collect();
    commands.sort_by_key(|command| std::cmp::Reverse(command.count));
    commands
}
