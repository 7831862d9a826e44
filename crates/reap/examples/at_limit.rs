//! Runs already when the limit is reached, as the agent does: prints its pid, waits for a line,
//! makes sure that it can start neither process nor thread, and then scans, plans, autoreaps and
//! reaps. Prints what came of it as JSON.
//!
//! Usage: `at_limit PID`

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::ops::ControlFlow;
use std::time::Duration;
use std::{env, fs, io, process, thread};

use serde_json::json;
use sexton_reap::{autoreap, execute, plan};
use sexton_scan::{Roots, Scanner};

fn main() {
    let pid: u32 = env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .expect("the argument is a pid");
    println!("{}", process::id());
    io::stdin()
        .read_line(&mut String::new())
        .expect("somebody speaks");

    let (process, thread) = (fork(), start_thread());
    // Counted by the kernel for this PID namespace, threads too.
    let last_pid = last_pid();
    let mut scanner = Scanner::new(Roots::default()).expect("/proc is there");
    let report = scanner
        .scan(&sexton_scan::Options::default())
        .expect("it scans");
    let leak = report.leaks.iter().find(|leak| leak.holder.id.pid == pid);
    let id = leak.expect("the scan finds the leak").holder.id;
    let options = autoreap::Options {
        allow_host: true,
        ..Default::default()
    };
    let set = autoreap::plan(&mut scanner, id, &options)
        .and_then(|plan| {
            let plan = plan.expect("it is there");
            autoreap::execute(scanner.proc(), &plan, || ControlFlow::Continue(()))
        })
        .expect("it is not refused");
    let options = sexton_reap::Options {
        settle: Duration::ZERO,
        allow_host: true,
        ..Default::default()
    };
    let reaped = plan(&mut scanner, id, &options)
        .and_then(|plan| {
            let plan = plan.expect("it is there");
            execute(scanner.proc(), &plan, |_| ControlFlow::Continue(()))
        })
        .expect("it is not refused");
    let started = last_pid != self::last_pid();
    println!(
        "{}",
        json!({
            "fork": process,
            "thread": thread,
            "started": started,
            "zombies": leak.map(|leak| leak.zombies),
            "set": set,
            "reaped": reaped,
        })
    );
}

fn fork() -> Option<i32> {
    // SAFETY: a child that ends at once.
    match unsafe { libc::fork() } {
        -1 => io::Error::last_os_error().raw_os_error(),
        // SAFETY: ends the child.
        0 => unsafe { libc::_exit(0) },
        _ => None,
    }
}

fn start_thread() -> Option<i32> {
    let started = thread::Builder::new().spawn(|| ());
    started.err().and_then(|error| error.raw_os_error())
}

fn last_pid() -> String {
    let loadavg = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let last = loadavg.split_ascii_whitespace().last();
    last.unwrap_or_default().to_owned()
}
