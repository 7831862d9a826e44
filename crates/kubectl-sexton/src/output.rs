//! Documents and lines on standard output.

use std::io::{self, Write};

use serde::Serialize;
use sexton_core::text::safe;
use unicode_width::UnicodeWidthStr;

use crate::cli::{Document, Format, Output};
use crate::error::Error;
use crate::table::Table;

/// Version of the documents that `-o json` prints.
const API_VERSION: &str = "sexton.dev/v1alpha1";

/// A list as the Kubernetes API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<T>,
}

impl<T: Serialize> List<T> {
    /// A list of this kind.
    pub fn new(kind: &'static str, items: Vec<T>) -> Self {
        Self {
            api_version: API_VERSION,
            kind,
            items,
        }
    }
}

/// A single document as the Kubernetes API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct One<T> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> One<T> {
    /// A document of this kind.
    pub fn new(kind: &'static str, content: T) -> Self {
        Self {
            api_version: API_VERSION,
            kind,
            content,
        }
    }
}

/// Prints a list in the format that was asked for. `table` is given whether it is to be wide.
///
/// # Errors
/// Standard output cannot be written.
pub fn list<T: Serialize>(
    format: Format,
    list: &List<T>,
    table: impl FnOnce(bool) -> Table,
    name: impl Fn(&T) -> String,
) -> Result<(), Error> {
    let wide = match format.output {
        Some(Output::Json) => return document(Document::Json, list),
        Some(Output::Yaml) => return document(Document::Yaml, list),
        Some(Output::Name) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for item in &list.items {
                writeln!(out, "{}", safe(&name(item)))?;
            }
            return Ok(out.flush()?);
        }
        Some(Output::Wide) => true,
        None => false,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    table(wide).write(&mut out, !format.no_headers, "")?;
    Ok(out.flush()?)
}

/// Prints one document.
///
/// # Errors
/// Standard output cannot be written.
pub fn document(format: Document, value: &impl Serialize) -> Result<(), Error> {
    let text = match format {
        Document::Json => serde_json::to_string_pretty(value)?,
        Document::Yaml => {
            serde_saphyr::to_string(value).map_err(|error| Error::Yaml(error.to_string()))?
        }
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(out.flush()?)
}

/// Lines in which nothing steers the terminal: a server's message may quote anything.
pub fn safe_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(safe).collect();
    lines.join("\n")
}

/// Text for people: as wide as the terminal, at most 100 columns.
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    terminal.map_or(100, |(width, _)| usize::from(width.0).clamp(40, 100))
}

/// `text` broken at spaces; what does not fit goes on below, `indent` columns from the left.
/// The first `indent` columns of `text` stay as they are.
pub fn hanging(text: &str, indent: usize, width: usize) -> Vec<String> {
    let start = text
        .char_indices()
        .nth(indent)
        .map_or(text.len(), |(at, _)| at);
    let mut line = text[..start].to_owned();
    let mut lines = Vec::new();
    let mut empty = true;
    for word in text[start..].split_whitespace() {
        if !empty && line.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hang() {
        assert_eq!(
            hanging("  why  one two three", 7, 14),
            ["  why  one two", "       three"]
        );
        assert_eq!(hanging("", 5, 10), [""]);
        assert_eq!(hanging("a b", 0, 80), ["a b"]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(safe_lines("a\x1b[2J\nb"), "a\\x1b[2J\nb");
    }
}
