//! Reaps one process and prints the outcome as JSON: the tracer of the tests, in a process of
//! its own so that it can be killed.
//!
//! Usage: `reaper PID [settle seconds] [again and again: loop]`

use std::{env, ops::ControlFlow, process::ExitCode, time::Duration};

use sexton_reap::{Error, Options, execute, plan};
use sexton_scan::{Roots, Scanner};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let pid: u32 = arguments
        .next()
        .and_then(|argument| argument.parse().ok())
        .expect("the first argument is a pid");
    let settle = arguments.next().and_then(|argument| argument.parse().ok());
    let again = arguments.next().is_some();
    loop {
        match reap(pid, settle.unwrap_or(0)) {
            Ok(()) if again => {}
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("reaper: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
}

fn reap(pid: u32, settle: u64) -> Result<(), Error> {
    let mut scanner = Scanner::new(Roots::default())?;
    let options = Options {
        settle: Duration::from_secs(settle),
        allow_host: true,
        ..Options::default()
    };
    let Some(holder) = scanner.holder(pid)? else {
        eprintln!("reaper: no process {pid}");
        return Ok(());
    };
    let Some(plan) = plan(&mut scanner, holder.id, &options)? else {
        return Ok(());
    };
    let outcome = execute(scanner.proc(), &plan, |_| ControlFlow::Continue(()))?;
    println!(
        "{}",
        serde_json::to_string(&outcome).map_err(|_| Error::Refused(sexton_reap::Refusal::Gone))?
    );
    Ok(())
}
