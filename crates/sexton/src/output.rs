//! What a person sees: safe text, tables, progress.

pub mod lines;
pub mod progress;
pub mod table;
pub mod text;

pub use sexton_core::text::leak;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use sexton_core::Limit;
use sexton_core::limit::Nearness;

/// Headings of tables and of sections.
pub const HEADING: Style = Style::new().bold();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What ought to be looked at.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What can be skipped.
pub const DIM: Style = Style::new().dimmed();

/// How a limit is drawn that is so near.
pub fn nearness(limit: &Limit) -> Style {
    match limit.nearness() {
        Nearness::Far => Style::new(),
        Nearness::Filling => WARN,
        Nearness::NearlyFull => BAD,
    }
}

/// Standard output, without colour where it is no terminal or `NO_COLOR` is set.
///
/// It is locked once and buffered: a table is written in one go.
pub fn stdout() -> impl Write {
    io::BufWriter::new(anstream::stdout().lock())
}

/// `text` in `style`; [`anstream`] takes the colour away where it is not wanted.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes one document as pretty JSON and a newline.
///
/// # Errors
/// Standard output cannot be written.
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes one document as one line of JSON, for output that goes on (`--watch`).
///
/// # Errors
/// Standard output cannot be written.
pub fn json_line(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}
