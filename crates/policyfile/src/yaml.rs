//! YAML that a user names: a regular file of bounded length, and a tree of bounded size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_saphyr::{Error, Options};

use crate::node::{Node, Place};

/// No file of ours is that long.
const LARGEST_FILE: u64 = 1 << 20;
/// Keys and values in one tree, with what aliases repeat; a policy has about 50.
pub const MOST_NODES: usize = 20_000;
/// Levels of one tree; a policy has 6.
const DEEPEST: usize = 32;
/// Aliases are of use to a person who writes the same twice, not to a program that writes a bomb.
const MOST_ALIASES: usize = 100;
/// Nodes that all aliases together may repeat.
const MOST_REPEATED: usize = 5_000;

/// The text of a file. What is no regular file is not waited for: a FIFO has no end until someone
/// writes to it, and a device has none at all.
///
/// # Errors
/// It cannot be read, is no regular file, is larger than 1 MiB or not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    let file = open(path)?;
    // After it was opened: the name may stand for another file by now.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_from(file)
}

/// The text that comes from there.
///
/// # Errors
/// As [`read`].
pub fn read_from(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    // A file may grow meanwhile.
    from.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::other(format!("it is not UTF-8 (byte {at})"))
    })
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        // A socket cannot be opened at all.
        Err(rustix::io::Errno::NXIO) => Err(io::Error::other("it is not a regular file")),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// How YAML is read: with limits on what it becomes in memory, of which `nodes` are left.
#[must_use]
pub fn options(nodes: usize) -> Options {
    let nodes = nodes.min(MOST_NODES);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: nodes,
            max_events: 4 * MOST_NODES,
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: MOST_NODES,
            max_aliases: MOST_ALIASES,
            max_anchors: MOST_ALIASES,
            max_recorded_anchor_events: MOST_REPEATED,
            max_recorded_anchor_bytes: LARGEST_FILE as usize,
            max_total_scalar_bytes: LARGEST_FILE as usize,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_REPEATED,
        },
        // The place is told by us, and the text is in no message.
        with_snippet: false,
    }
}

/// The documents of a text that is no policy; of one that cannot be read, where and why.
///
/// # Errors
/// It is not YAML, or larger or deeper than [`options`] allow.
pub fn documents(text: &str) -> Result<Vec<Node>, (Place, String)> {
    serde_saphyr::from_multiple_with_options(text, options(MOST_NODES)).map_err(|error| {
        let message = if is_too_much(&error) {
            "it is too large or too deep to be read".to_owned()
        } else {
            said(&error)
        };
        (
            error.location().map_or(Place::default(), Place::from),
            message,
        )
    })
}

/// What is said of a tree that is larger than [`options`] allow.
pub(crate) const TOO_MUCH: &str = "this is too large or too deep for policies: all files together \
     may have 20,000 keys and values on at most 32 levels, with at most 100 anchors and aliases \
     that repeat at most 5,000 of them";

/// Whether one of the limits was reached.
pub(crate) fn is_too_much(error: &Error) -> bool {
    let mut error = error;
    while let Error::AliasError { error: inner, .. } | Error::WithSnippet { error: inner, .. } =
        error
    {
        error = inner;
    }
    match error {
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => true,
        // The parser's own limit on nested `[` and `{` comes as words alone.
        error => error.to_string().starts_with("recursion limit exceeded"),
    }
}

/// The error in words that a user of the file understands. The place is told elsewhere, and what
/// the library would have one set in a program is of no use to whoever wrote the file.
pub(crate) fn said(error: &Error) -> String {
    let mut inner = error;
    while let Error::WithSnippet { error, .. } = inner {
        inner = error;
    }
    if let Error::DuplicateMappingKey { key, .. } = inner {
        return match key {
            Some(key) => format!("the key `{key}` is there twice: leave one out"),
            None => "a key is there twice: leave one out".to_owned(),
        };
    }
    let message = error.without_snippet().to_string();
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

#[cfg(test)]
mod tests;
