//! `sexton npd`: a custom plugin of node-problem-detector.
//!
//! Its protocol: exit status 0 is no problem, 1 a problem, anything else unknown; the message is
//! what stands on standard output, of which the first 80 bytes are kept
//! (`max_output_length`, pkg/custompluginmonitor of node-problem-detector).

use std::io::Write;
use std::process::ExitCode;

use sexton_core::limit::first_of;
use sexton_core::text::{count, leak::place, limit};
use sexton_core::{Leak, Limit};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output::text;
use crate::{cli, output};

const PROBLEM: u8 = 1;
const UNKNOWN: u8 = 2;
/// Holders whose own limits are looked at: the largest, which reach them first.
const LOOKED_AT: usize = 8;

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: &cli::Npd, paths: Roots) -> Result<ExitCode, Error> {
    let (status, message) = match look(args, paths) {
        Ok(None) => (0, "no significant zombies".to_owned()),
        Ok(Some(problem)) => (PROBLEM, problem),
        // The detector reads standard output alone.
        Err(error) => (UNKNOWN, error.to_string()),
    };
    let mut out = output::stdout();
    writeln!(out, "{}", cut(&text::safe(&message), args.max_output))?;
    out.flush()?;
    Ok(ExitCode::from(status))
}

/// The worst problem, in words that still say it when they are cut off.
fn look(args: &cli::Npd, paths: Roots) -> Result<Option<String>, Error> {
    let mut scanner = scanner(paths)?;
    let mut report = scanner.scan(&sexton_scan::Options::default())?;
    let nodes = sexton_scan::limits::of_node(&scanner, Some(report.zombies));
    if report.zombies > 0
        && let Some((limit, used)) = used_up(&nodes, args.used)
    {
        let zombies = zombies(report.zombies);
        return Ok(Some(format!(
            "{} {used}% used; {zombies}",
            limit.kind.name()
        )));
    }
    let mut worst = None;
    let pass = Pass::new(&scanner, &nodes);
    for leak in report.leaks.iter_mut().take(LOOKED_AT) {
        let limits = pass.of_holder(leak);
        if let Some((limit, used)) = used_up(&limits, args.used)
            && worst.as_ref().is_none_or(|(most, _)| used > *most)
        {
            let name = limit.kind.name();
            worst = Some((used, format!("{name} {used}% used: {}", whose(leak))));
        }
    }
    if let Some((_, problem)) = worst {
        return Ok(Some(problem));
    }
    let large = report.leaks.first().filter(|leak| leak.zombies >= args.min);
    Ok(large.map(whose).or_else(|| full(&scanner, nodes)))
}

/// A limit at which fork fails, though zombies are not what fills it.
fn full(scanner: &Scanner, nodes: Vec<Limit>) -> Option<String> {
    let of_cgroups = sexton_scan::limits::of_cgroups(scanner, 100);
    let mut reached = nodes.into_iter().chain(of_cgroups);
    let limit = reached.find(Limit::is_reached)?;
    let name = limit.kind.name();
    Some(match &limit.users[..] {
        [] => format!("{name} 100% used"),
        users => format!("{name} 100% used: {}", limit::users(users)),
    })
}

/// The limit that is reached first, if so much of it is used.
fn used_up(limits: &[Limit], threshold: u8) -> Option<(&Limit, u8)> {
    let limit = first_of(limits)?;
    let used = limit.used_percent()?;
    (used >= threshold).then_some((limit, used))
}

fn whose(leak: &Leak) -> String {
    let (zombies, holder) = (zombies(leak.zombies), &leak.holder);
    let place = place(leak.container.as_ref());
    format!("{zombies} of {} ({}), {place}", holder.name, holder.id.pid)
}

fn zombies(number: u64) -> String {
    match number {
        1 => "1 zombie".to_owned(),
        _ => format!("{} zombies", count(number)),
    }
}

/// The first `most` bytes, without a broken character at the end.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
