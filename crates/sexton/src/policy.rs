//! `sexton policy`: checks policies, and says which of them would do what.

mod check;
pub mod evidence;
mod explain;
pub mod load;
mod node;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::ladder::{Now, Rung};
use sexton_core::policy::Mode;

use crate::cli;
use crate::error::Error;
use crate::schema;
use load::Loaded;

pub use check::Document as CheckDocument;
pub use explain::Document as ExplainDocument;

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Policy, paths: cli::Roots) -> Result<ExitCode, Error> {
    match args.command {
        cli::PolicyCommand::Check(args) => check::run(&args),
        cli::PolicyCommand::Explain(args) => explain::run(args, paths),
        cli::PolicyCommand::Schema(_) => schema::run(&cli::Schema {
            document: cli::Document::Policy,
        }),
    }
}

/// The time in both clocks of the ladder.
pub fn now() -> Now {
    let uptime = clock_gettime(ClockId::Boottime);
    let unix = clock_gettime(ClockId::Realtime);
    Now {
        uptime: Duration::new(
            u64::try_from(uptime.tv_sec).unwrap_or(0),
            u32::try_from(uptime.tv_nsec).unwrap_or(0),
        ),
        unix: unix.tv_sec,
    }
}

/// A policy in a few words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The file that it was read from.
    pub file: PathBuf,
    /// The line on which it begins.
    pub line: u64,
    /// Whether its decisions are carried out.
    pub mode: Mode,
    /// The highest rung that it allows.
    pub max_rung: Rung,
}

impl From<&Loaded> for Summary {
    fn from(loaded: &Loaded) -> Self {
        let Loaded { policy, file, line } = loaded;
        Self {
            name: policy.name().to_owned(),
            file: file.clone(),
            line: *line,
            mode: policy.spec.mode,
            max_rung: policy.spec.max_rung,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            file,
            line,
            mode,
            max_rung,
        } = self;
        let mode = match mode {
            Mode::DryRun => "dry run",
            Mode::Enforce => "enforce",
        };
        let file = file.display();
        write!(f, "{name} ({mode}, up to {max_rung}), {file}:{line}")
    }
}
