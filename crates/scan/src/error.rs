//! What can go wrong while looking.

use std::io;
use std::path::{Path, PathBuf};

use crate::proc::Malformed;

/// Why something could not be read.
///
/// A process that ends in the middle is not an error: functions that look at one return
/// `Ok(None)` for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused, or the file is not there.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file has not the form that its manual page gives.
    #[error("cannot read {}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected of it.
        what: Malformed,
    },
}

impl Error {
    pub(crate) fn io(path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    /// The reader lacks a privilege: more could be seen as root, or without `hidepid`.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}
