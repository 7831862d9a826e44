//! `sexton limits`: what fork will fail on.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::Style;
use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::{Container, Limit};
use sexton_scan::Scanner;

use crate::cli::{self, Output};
use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::table::{Column, Table};
use crate::output::{self, BAD, HEADING, leak, nearness, text};
use crate::scanner;
use crate::target::{Meant, Target};

/// What `sexton limits -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the schema.
    pub api_version: &'static str,
    /// Always `Limits`.
    pub kind: &'static str,
    /// The process whose limits these are; absent for those of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its name (`comm`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The limits, in the order in which the kernel checks them.
    pub limits: Vec<Limit>,
}

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Limits, paths: cli::Roots) -> Result<ExitCode, Error> {
    let cli::Limits {
        target,
        pid,
        container,
        pod,
        output,
    } = args;
    let named = target.map(|target| target.parse()).transpose()?;
    let target = named.or_else(|| Target::of_options(pid, container, pod).next());
    let mut scanner = scanner(paths)?;
    // Of a zombie, those of the process that ought to wait for it.
    let pid = match target {
        Some(target) => Some(Meant::one(&mut scanner, &target, None)?.first_process()?),
        None => None,
    };
    let document = read(&mut scanner, pid)?;
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document)?,
    }
    let reached = document
        .limits
        .iter()
        .any(|limit| limit.headroom() == Some(0));
    Ok(ExitCode::from(u8::from(reached)))
}

fn read(scanner: &mut Scanner, pid: Option<u32>) -> Result<Document, Error> {
    let mut document = Document {
        api_version: sexton_core::report::API_VERSION,
        kind: "Limits",
        pid,
        name: None,
        container: None,
        limits: vec![],
    };
    let Some(pid) = pid else {
        document.limits = sexton_scan::limits::of_node(scanner, None);
        return Ok(document);
    };
    let gone = || Error::NoSuchTarget(format!("there is no process {pid}"));
    let holder = scanner.holder(pid)?.ok_or_else(gone)?;
    document.name = Some(holder.name);
    document.container = scanner.container_of(pid)?;
    document.limits = sexton_scan::limits::of_process(scanner, pid)?.ok_or_else(gone)?;
    Ok(document)
}

fn draw(document: &Document) -> io::Result<()> {
    let mut lines = Lines::new(output::stdout());
    let Document {
        api_version: _,
        kind: _,
        pid,
        name,
        container,
        limits,
    } = document;
    if let Some(pid) = pid {
        let name = name.as_deref().unwrap_or("?");
        let place = leak::place(container.as_ref());
        let title = format!("What fork can fail on in {name} (pid {pid}, {place}):");
        lines.line(HEADING, &title)?;
        lines.gap()?;
    }
    table(limits).write(&mut lines.out, Some(lines.width))?;
    if let Some(first) = limits.iter().find(|limit| limit.first) {
        lines.gap()?;
        let style = if first.headroom() == Some(0) {
            BAD
        } else {
            Style::new()
        };
        lines.line(style, &verdict(first))?;
    }
    for limit in limits {
        let Some(note) = &limit.note else { continue };
        let note = format!(
            "{} {}: {note}",
            limit.kind.name(),
            text::short_ids(&limit.scope)
        );
        lines.hanging(2, "*", Style::new(), &note)?;
    }
    lines.out.flush()
}

fn verdict(first: &Limit) -> String {
    let what = format!("{} of {}", first.kind.name(), text::short_ids(&first.scope));
    match first.headroom() {
        Some(0) => format!(
            "Reached: {what}: fork fails with EAGAIN, \"Resource temporarily unavailable\"."
        ),
        Some(left) => format!(
            "Reached first: {what}, with room for {} more.",
            text::count(left)
        ),
        None => format!("Reached first: {what}."),
    }
}

fn table(limits: &[Limit]) -> Table {
    let mut table = Table::new(&[
        Column::text("LIMIT"),
        Column::flexible("OF", 16),
        Column::figure("USED"),
        Column::figure("MAX"),
        Column::figure("LEFT"),
        Column::figure("USE%"),
        Column::figure("ZOMBIES"),
        Column::text(""),
    ]);
    for limit in limits {
        let plain = |text: String| (text, Style::new());
        let figure =
            |n: Option<u64>, none: &str| plain(n.map_or_else(|| none.to_owned(), text::count));
        let style = nearness(limit);
        table.row(vec![
            plain(limit.kind.name().to_owned()),
            plain(short_scope(&limit.scope)),
            figure(limit.used, "?"),
            figure(limit.limit, "-"),
            (
                limit.headroom().map_or_else(|| "-".to_owned(), text::count),
                style,
            ),
            (
                (limit.used_percent()).map_or_else(|| "-".to_owned(), |p| format!("{p}%")),
                style,
            ),
            figure(limit.zombies, "?"),
            plain(if limit.first { "← first" } else { "" }.to_owned()),
        ]);
    }
    table
}

/// A scope for a column: of a long cgroup path the last part, which tells it from the others.
fn short_scope(scope: &str) -> String {
    let scope = text::short_ids(scope);
    match scope
        .strip_prefix("cgroup ")
        .and_then(|path| path.rsplit_once('/'))
    {
        Some((above, last)) if above.matches('/').count() > 1 => format!("cgroup …/{last}"),
        _ => scope,
    }
}
