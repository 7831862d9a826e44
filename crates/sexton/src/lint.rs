//! `sexton lint`: what will not end, or leave zombies, before it runs.

use std::io::{self, Write};
use std::process::ExitCode;

use sexton_lint::{Document, Severity, checkstyle, github, gitlab, rule, sarif};

use crate::ERROR;
use crate::cli::{self, LintOutput};
use crate::error::Error;
use crate::output::{self, BAD, DIM, GOOD, WARN, text};

/// Lines are cut here when they are shown.
const SHOWN: usize = 120;

/// Runs the command.
pub fn run(args: &cli::Lint) -> Result<ExitCode, Error> {
    let (sources, unread) = sexton_lint::read(&args.files);
    let mut document = sexton_lint::lint(&sources);
    document.unread.splice(0..0, unread);
    let least = match args.severity {
        cli::LintSeverity::Info => Severity::Info,
        cli::LintSeverity::Warning => Severity::Warning,
        cli::LintSeverity::Error => Severity::Error,
    };
    document.findings.retain(|found| found.severity >= least);
    match args.output {
        LintOutput::Text => draw(&document, &sources)?,
        LintOutput::Json => output::json(&document)?,
        LintOutput::Sarif => output::json(&sarif(&document, env!("CARGO_PKG_VERSION")))?,
        LintOutput::Gitlab => output::json(&gitlab(&document))?,
        LintOutput::Github => print(&github(&document))?,
        LintOutput::Checkstyle => print(&checkstyle(&document))?,
    }
    if args.output != LintOutput::Json && args.output != LintOutput::Text {
        for unread in &document.unread {
            let line = format!("{}: {}", unread.file.display(), unread.message);
            anstream::eprintln!("{}", text::safe(&line));
        }
    }
    Ok(if !document.unread.is_empty() {
        ExitCode::from(ERROR)
    } else {
        ExitCode::from(u8::from(!document.findings.is_empty()))
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut out = output::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One line a finding, which editors and CI read, then the line of the file with a mark below.
fn draw(document: &Document, sources: &[sexton_lint::Source]) -> io::Result<()> {
    let mut out = output::stdout();
    for found in &document.findings {
        let style = match found.severity {
            Severity::Info => DIM,
            Severity::Warning => WARN,
            Severity::Error => BAD,
        };
        let place = format!("{}:{}:{}", found.file.display(), found.line, found.column);
        let kind = output::paint(style, &format!("{} {}", found.severity.name(), found.rule));
        writeln!(
            out,
            "{}: {kind} {}",
            text::safe(&place),
            text::safe(&found.message)
        )?;
        let source = sources.iter().find(|source| source.path == found.file);
        let index = usize::try_from(found.line.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(line) = source.and_then(|source| source.text.lines().nth(index)) {
            let shown: String = line.chars().take(SHOWN).collect();
            let column = usize::try_from(found.column.saturating_sub(1)).unwrap_or(usize::MAX);
            writeln!(out, "  {}", text::safe(&shown.replace('\t', " ")))?;
            if column < SHOWN {
                writeln!(out, "  {}{}", " ".repeat(column), output::paint(style, "^"))?;
            }
        }
        if let Some(rule) = rule(found.rule) {
            writeln!(out, "  {}", output::paint(DIM, &rule.page()))?;
        }
    }
    for unread in &document.unread {
        let line = format!("{}: not read: {}", unread.file.display(), unread.message);
        writeln!(out, "{}", output::paint(BAD, &text::safe(&line)))?;
    }
    let files = text::plural(document.files, "file", "files");
    let count = u64::try_from(document.findings.len()).unwrap_or(u64::MAX);
    let verdict = match count {
        0 => output::paint(GOOD, &format!("{files}, nothing found.")),
        count => {
            let findings = text::plural(count, "finding", "findings");
            output::paint(BAD, &format!("{files}, {findings}."))
        }
    };
    writeln!(out, "{verdict}")?;
    out.flush()
}
