//! What can go wrong between Sexton and a container runtime.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sexton_core::text;

/// Why a runtime did not answer as asked.
///
/// None of them is worth more than names: containers are found, limits read and zombies reaped
/// without any runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket, or the connection broke: it is stopped, or restarts. The
    /// next call connects anew.
    #[error("{}: the runtime is away: {}", path.display(), text::os(source))]
    Away {
        /// Its socket.
        path: PathBuf,
        /// What the kernel or the connection said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took the call and did not answer in time.
    #[error("{}: {call} took longer than {after:?}", path.display())]
    TimedOut {
        /// Its socket.
        path: PathBuf,
        /// What was asked of it.
        call: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// It answered with an error.
    #[error("{}: {call} was refused: {message}", path.display())]
    Refused {
        /// Its socket.
        path: PathBuf,
        /// What was asked of it.
        call: &'static str,
        /// What it said.
        message: String,
    },
    /// It serves, but not the CRI, version 1: `disabled_plugins = ["cri"]`, as Docker's packages
    /// of containerd come, or a release before containerd 1.6 or CRI-O 1.20.
    #[error("{}: serves no CRI v1", path.display())]
    NoCri {
        /// Its socket.
        path: PathBuf,
    },
    /// No runtime has said that it has this container.
    #[error("no container runtime of this node knows {id}")]
    Unknown {
        /// The container's id.
        id: String,
    },
    /// It cannot be done with this runtime as it is set up here.
    #[error("{runtime}: {what}")]
    Unsupported {
        /// Its name.
        runtime: &'static str,
        /// What is missing, and how it would be had.
        what: &'static str,
    },
    /// A file of its state, or its answer, has not the form it ought to have.
    #[error("cannot read {}: {what}", path.display())]
    Malformed {
        /// The file or socket.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of its state could not be read, or the means to call it were not to be had.
    #[error("{}: {}", path.display(), text::os(source))]
    Io {
        /// The file, directory or socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn away(
        path: &Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Away {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
