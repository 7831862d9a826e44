//! The `sexton` command. One module a subcommand; `docs/design.md` says how the parts fit.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![allow(unreachable_pub)] // a binary has no outside

mod agent;
mod audit;
mod cli;
mod clock;
mod crds;
mod demo;
mod doctor;
mod ending;
mod error;
mod evidence;
mod explain;
mod foresee;
mod identity;
mod limits;
mod lint;
mod man;
mod node;
mod npd;
mod output;
mod policy;
mod reached;
mod reap;
mod resume;
mod scan;
mod schema;
mod target;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use error::Error;

/// Exit status of every error; 1 is an answer ("zombies found").
const ERROR: u8 = 2;
/// Exit status when a rule forbids what was asked for.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    if let Some(code) = demo::actor::play() {
        return code;
    }
    let Cli { roots, command } = Cli::parse();
    match run(command, roots) {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let message = error.to_string();
            let message = match error {
                // Its lines were made safe one by one.
                Error::Ambiguous { .. } => message.into(),
                _ => output::text::safe(&message),
            };
            let mark = output::paint(output::BAD, "error:");
            anstream::eprintln!("{mark} {message}");
            ExitCode::from(ERROR)
        }
    }
}

fn run(command: Command, roots: node::Roots) -> Result<ExitCode, Error> {
    match command {
        Command::Scan(args) => scan::run(args, roots),
        Command::Limits(args) => limits::run(args, roots),
        Command::Explain(args) => explain::run(args, roots),
        Command::Reap(args) => reap::run(args, roots),
        Command::Audit(args) => audit::run(args, roots),
        Command::Agent(given) => agent::run(given, roots),
        Command::Resume(args) => resume::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args, roots),
        Command::Lint(args) => lint::run(&args),
        Command::Policy(args) => policy::run(args, roots),
        Command::Npd(args) => npd::run(&args, roots),
        Command::Schema(args) => schema::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Completions(args) => man::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}
