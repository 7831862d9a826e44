//! Documents and lines on standard output.

use std::io::{self, Write};

use serde::Serialize;
use sexton_core::text::safe;

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
