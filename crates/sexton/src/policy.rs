//! `sexton policy`: checks policies, and says which of them would do what.

mod check;
pub mod evidence;
mod explain;

use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sexton_core::ladder::Now;

use crate::cli;
use crate::error::Error;
use crate::schema;

pub use explain::Document as ExplainDocument;
pub use sexton_policyfile::Check as CheckDocument;

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
