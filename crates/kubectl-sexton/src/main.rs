//! `kubectl sexton`: the zombies of a cluster, from wherever kubectl works.
//!
//! It reads what the agents publish, and what it does, it does by the agent of the node through
//! `pods/exec`: the caller's own rights decide, and nothing here has any of its own.

#![forbid(unsafe_code)]
#![allow(unreachable_pub)] // a binary has no outside

mod audit;
mod check;
mod cli;
mod complete;
mod connect;
mod error;
mod explain;
mod leaks;
mod limits;
mod named;
mod nodes;
mod output;
mod page;
mod pod;
mod policy;
mod probes;
mod reap;
mod remote;
mod seen;
mod status;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use error::Error;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().map(PathBuf::from);
    if name.is_some_and(|name| name.file_stem().is_some_and(|stem| stem == complete::NAME)) {
        return complete::answer(words);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // As kubectl does: 1 for what was asked wrongly, 0 for help.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", output::safe_lines(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Error> {
    // One thread is plenty for one person's requests.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Cli {
        connection,
        command,
    } = cli;
    runtime.block_on(async {
        match command {
            Command::Check(args) => check::run(args, &connection).await,
            Command::Status(args) => status::run(args, &connection).await,
            Command::Nodes(args) => nodes::run(args, &connection).await,
            Command::Leaks(args) => leaks::run(args, &connection).await,
            Command::Explain(args) => explain::run(args, &connection).await,
            Command::Limits(args) => limits::run(args, &connection).await,
            Command::Audit(args) => audit::run(args, &connection).await,
            Command::Reap(args) => reap::run(args, &connection).await,
            Command::Policy(args) => policy::run(args, &connection).await,
            Command::Page(args) => page::run(args, &connection).await,
            Command::Completion(args) => complete::script(&args),
            Command::Man(args) => complete::man(&args),
            Command::Version(_) => {
                println!("kubectl-sexton {}", env!("CARGO_PKG_VERSION"));
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}
