//! `sexton policy`: checks policies, and says which of them would do what.

mod check;
mod explain;

use std::process::ExitCode;

use crate::cli;
use crate::error::Error;
use crate::node::Roots;
use crate::schema;

pub use explain::Document as ExplainDocument;
pub use sexton_policyfile::Check as CheckDocument;

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Policy, paths: Roots) -> Result<ExitCode, Error> {
    match args.command {
        cli::PolicyCommand::Check(args) => check::run(&args),
        cli::PolicyCommand::Explain(args) => explain::run(args, paths),
        cli::PolicyCommand::Schema(_) => schema::run(&cli::Schema {
            document: cli::Document::Policy,
        }),
    }
}
