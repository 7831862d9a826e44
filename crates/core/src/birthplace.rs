//! Where in its program a holder starts its children: filled by `explain --trace`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most places of one holder in a report.
pub const MOST: usize = 32;
/// Most calls of one place in a report.
pub const CALLS: usize = 32;

/// A place in the code that started children while the holder was watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Birthplace {
    /// Whether it is certain that the first of `calls` is the place. Where not, `calls` are what
    /// was seen, and may lack the function that started the child.
    pub known: bool,
    /// The place, and the calls that led to it: from the first one outside the standard library
    /// outwards. Of several ways to the place it is the first that was seen. At most 32.
    pub calls: Vec<Frame>,
    /// Children that were started here.
    pub started: u64,
    /// How many of them are zombies, and have been for some time.
    pub standing: u64,
    /// How many of them run, or ended so late that their parent had no time to wait for them.
    pub running: u64,
    /// How many of them are gone: they were waited for, or the kernel removed them because their
    /// parent ignores SIGCHLD.
    pub gone: u64,
    /// Seconds since the first of those that stand was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// The function, as its language names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The file of the source, as the program was told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in `file`, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The file of code, as the process sees it.
    pub module: String,
    /// The place in `module`, in bytes from its beginning.
    pub offset: u64,
}

impl fmt::Display for Frame {
    /// `crawl.py:83 in fetch`, `fetch in /usr/bin/crawl`, `/usr/bin/crawl+0x1139`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line, &self.function) {
            (Some(file), Some(line), Some(function)) => write!(f, "{file}:{line} in {function}"),
            (Some(file), Some(line), None) => write!(f, "{file}:{line}"),
            (_, _, Some(function)) => write!(f, "{function} in {}", self.module),
            _ => write!(f, "{}+{:#x}", self.module, self.offset),
        }
    }
}
