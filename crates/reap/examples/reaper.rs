//! Reaps one process and prints the outcome as JSON: the tracer of the tests, in a process of
//! its own so that it can be killed.
//!
//! Usage: `reaper PID [settle seconds] [again and again: loop]`,
//! or `reaper PID autoreap|undo` for its future children.

use std::env;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use sexton_core::ProcessId;
use sexton_reap::autoreap::{self, Waiter};
use sexton_reap::{Error, Options, execute, plan};
use sexton_scan::{Roots, Scanner};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let pid: u32 = arguments
        .next()
        .and_then(|argument| argument.parse().ok())
        .expect("the first argument is a pid");
    let what = arguments.next();
    let again = arguments.next().is_some();
    loop {
        let done = match what.as_deref() {
            Some("autoreap") => set(pid, Waiter::Kernel),
            Some("undo") => set(pid, Waiter::Process),
            settle => reap(
                pid,
                settle.and_then(|settle| settle.parse().ok()).unwrap_or(0),
            ),
        };
        match done {
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
    let Some(holder) = holder(&mut scanner, pid)? else {
        return Ok(());
    };
    let Some(plan) = plan(&mut scanner, holder, &options)? else {
        return Ok(());
    };
    let outcome = execute(scanner.proc(), &plan, |_| ControlFlow::Continue(()))?;
    print(&outcome)
}

fn set(pid: u32, waiter: Waiter) -> Result<(), Error> {
    let mut scanner = Scanner::new(Roots::default())?;
    let options = autoreap::Options {
        waiter,
        allow_host: true,
        though_it_waits: true,
        ..Default::default()
    };
    let Some(holder) = holder(&mut scanner, pid)? else {
        return Ok(());
    };
    let Some(plan) = autoreap::plan(&mut scanner, holder, &options)? else {
        return Ok(());
    };
    let outcome = autoreap::execute(scanner.proc(), &plan, || ControlFlow::Continue(()))?;
    print(&outcome)
}

fn holder(scanner: &mut Scanner, pid: u32) -> Result<Option<ProcessId>, Error> {
    let holder = scanner.holder(pid)?;
    if holder.is_none() {
        eprintln!("reaper: no process {pid}");
    }
    Ok(holder.map(|holder| holder.id))
}

fn print(outcome: &impl serde::Serialize) -> Result<(), Error> {
    println!(
        "{}",
        serde_json::to_string(outcome).map_err(|_| Error::Refused(sexton_reap::Refusal::Gone))?
    );
    Ok(())
}
