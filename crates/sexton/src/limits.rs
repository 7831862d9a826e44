//! `sexton limits`: what fork will fail on.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::Style;
use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::limit::{Unit, first_of, first_of_threads};
use sexton_core::text::limit;
use sexton_core::{Container, Limit};
use sexton_scan::{Scanner, limits};

use crate::cli::{self, Output};
use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::table::{Column, Table};
use crate::output::{self, BAD, DIM, HEADING, leak, nearness, text};
use crate::target::{Meant, Target};

/// From so many percent a limit is shown by `--all`.
const HALF: u8 = 50;

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
    /// The limits, in the order in which the kernel checks them; with `--all` the fullest first.
    pub limits: Vec<Limit>,
    /// What makes fork fail beside limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Document {
    fn of(limits: Vec<Limit>) -> Self {
        Self {
            api_version: sexton_core::report::API_VERSION,
            kind: "Limits",
            pid: None,
            name: None,
            container: None,
            limits,
            notes: vec![],
        }
    }
}

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Limits, paths: Roots) -> Result<ExitCode, Error> {
    let cli::Limits {
        target,
        pid,
        container,
        pod,
        user,
        all,
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
    let document = match all {
        true => Document::of(limits::of_all(&scanner, HALF)?),
        false => read(&mut scanner, pid, user)?,
    };
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document)?,
    }
    let first = document.limits.iter().find(|limit| limit.first);
    let reached = first.is_some_and(Limit::is_reached);
    Ok(ExitCode::from(u8::from(reached)))
}

fn read(scanner: &mut Scanner, pid: Option<u32>, user: Option<u32>) -> Result<Document, Error> {
    let Some(pid) = pid else {
        return Ok(Document::of(limits::of_machine(scanner)?));
    };
    let gone = || Error::NoSuchTarget(format!("there is no process {pid}"));
    let holder = scanner.holder(pid)?.ok_or_else(gone)?;
    Ok(Document {
        pid: Some(pid),
        name: Some(holder.name),
        container: scanner.container_of(pid)?,
        notes: seccomp(scanner, pid).into_iter().collect(),
        ..Document::of(limits::of_process_as(scanner, pid, user)?.ok_or_else(gone)?)
    })
}

/// `EPERM` is no limit.
fn seccomp(scanner: &Scanner, pid: u32) -> Option<String> {
    let status = scanner.proc().process(pid).ok()??.status().ok()??;
    (status.seccomp > 0).then(|| {
        "The process has a seccomp filter. If fork fails with EPERM, \"Operation not permitted\", \
         the filter forbids it, and no limit is reached."
            .to_owned()
    })
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
        notes,
    } = document;
    if let Some(pid) = pid {
        let name = name.as_deref().unwrap_or("?");
        let place = leak::place(container.as_ref());
        let title = format!("What fork can fail on in {name} (pid {pid}, {place}):");
        lines.line(HEADING, &title)?;
        lines.gap()?;
    }
    if limits.is_empty() {
        let text = format!("Less than {HALF}% of every limit of this node is used.");
        lines.line(Style::new(), &text)?;
        return lines.out.flush();
    }
    table(limits).write(&mut lines.out, Some(lines.width))?;
    if let Some(first) = limits.iter().find(|limit| limit.first) {
        lines.gap()?;
        let style = if first.is_reached() {
            BAD
        } else {
            Style::new()
        };
        lines.line(style, &verdict(first))?;
        if let Some(text) = beside(first, limits) {
            lines.line(Style::new(), &text)?;
        }
    }
    who_fills(&mut lines, limits)?;
    if limits.iter().any(|limit| limit.zombies > Some(0)) {
        let command = match container {
            Some(container) => format!("sexton scan container/{}", container.short_id()),
            None => "sexton scan".to_owned(),
        };
        lines.line(DIM, &format!("Who holds the zombies: {command}"))?;
    }
    for limit in limits {
        let Some(note) = &limit.note else { continue };
        let note = format!("{}: {note}", limit::name(limit));
        lines.hanging(2, "*", Style::new(), &note)?;
    }
    for note in notes {
        lines.hanging(2, "*", Style::new(), note)?;
    }
    lines.out.flush()
}

/// The largest users of each limit that matters: of that which is reached first, and of those that
/// are half full.
fn who_fills<W: Write>(lines: &mut Lines<W>, limits: &[Limit]) -> io::Result<()> {
    for limit in limits {
        let matters = limit.first || limit.used_percent() >= Some(HALF);
        if matters && !limit.users.is_empty() {
            let users = limit::users(&limit.users);
            let text = format!("Most of {} is taken by: {users}", limit::name(limit));
            lines.line(Style::new(), &text)?;
        }
    }
    Ok(())
}

/// What the limit that is marked as the first means.
fn verdict(first: &Limit) -> String {
    match first.headroom() {
        Some(0) => limit::reached(first),
        Some(left) => format!(
            "Reached first: {}, with room for {}.",
            limit::name(first),
            more(left)
        ),
        None => format!("Reached first: {}.", limit::name(first)),
    }
}

/// The other half, where threads and `fork` do not end at the same limit.
fn beside(first: &Limit, limits: &[Limit]) -> Option<String> {
    if first.kind.threads_only() {
        let fork = first_of(limits)?;
        let room = more(fork.headroom()?);
        return Some(format!(
            "fork has room for {room}, until {}.",
            limit::name(fork)
        ));
    }
    let threads = first_of_threads(limits)?;
    let room = more(threads.headroom()?);
    Some(format!(
        "Threads alone end earlier: {}, with room for {room}.",
        limit::name(threads)
    ))
}

fn more(left: u64) -> String {
    format!("{} more", text::count(left))
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
        let show: fn(u64) -> String = match limit.kind.unit() {
            Unit::Bytes => text::bytes,
            Unit::Tasks | Unit::Mappings => text::count,
        };
        let figure = |n: Option<u64>, none: &str| plain(n.map_or_else(|| none.to_owned(), show));
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
            figure(
                limit.zombies,
                if limit.counts_zombies() { "?" } else { "-" },
            ),
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
