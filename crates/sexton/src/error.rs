//! What can go wrong in the command itself: one clear sentence and exit status 2.

use std::io;
use std::path::PathBuf;

use sexton_core::text;

/// An error of the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TARGET cannot be read.
    #[error("TARGET '{target}': {why}")]
    Target { target: String, why: &'static str },
    /// Nothing on the node bears that name.
    #[error("{0}")]
    NoSuchTarget(String),
    /// A name that several things bear; `choices` has a line for each, safe to print.
    #[error("'{target}' may be {count} things; name one of them:\n  {choices}")]
    Ambiguous {
        target: String,
        count: usize,
        choices: String,
    },
    /// Scanning failed.
    #[error(transparent)]
    Scan(#[from] sexton_scan::Error),
    /// Reaping failed.
    #[error(transparent)]
    Reap(#[from] sexton_reap::Error),
    /// The forks of a process cannot be watched.
    #[error(transparent)]
    Origins(#[from] sexton_origins::Error),
    /// The forks of a process may not be watched.
    #[error(
        "the forks of process {pid} are not watched: {refusal}{}",
        or_with(refusal)
    )]
    Unwatched {
        pid: u32,
        refusal: sexton_reap::Refusal,
    },
    /// The demo cannot run here.
    #[error("the demo cannot run here: {0}")]
    Demo(String),
    /// What is wrong with them has been told, with file and line.
    #[error("the policies cannot be followed as they are")]
    Policies,
    /// The agent cannot take part in the cluster.
    #[error(transparent)]
    Cluster(#[from] sexton_cluster::Error),
    /// The agent's settings cannot be read.
    #[error("{}: {cause}", path.display())]
    Config { path: PathBuf, cause: String },
    /// The agent cannot serve its page there.
    #[error("cannot listen on {address}: {}", text::os(cause))]
    Listen {
        address: std::net::SocketAddr,
        cause: io::Error,
    },
    /// A thread of the agent has ended, and the agent is not whole without it.
    #[error(
        "a defect in Sexton ended the agent's thread '{thread}': {what}; start the agent again, and please report it"
    )]
    Thread { thread: &'static str, what: String },
    /// A file cannot be written.
    #[error("{}: {}", path.display(), text::os(cause))]
    File { path: PathBuf, cause: io::Error },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {}", text::os(.0))]
    Output(#[from] io::Error),
}

/// What overrides a refusal.
fn or_with(refusal: &sexton_reap::Refusal) -> String {
    let flag = refusal.overridden_by();
    flag.map_or_else(String::new, |flag| format!("; {flag} overrides it"))
}

impl Error {
    /// The reader of our output has gone, as `head` does: no error worth a word.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}
