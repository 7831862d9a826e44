//! The program against real processes: in PID namespaces of their own, as a subreaper, at a
//! terminal. What a rival does too is checked on the rival as well, so that the check itself
//! is right; where it does not, the name of the test says so, and that it really does not is
//! checked too. Rivals that are not installed are skipped, and said to be.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod catatonit;
mod command;
mod dumb_init;
mod ending;
mod job;
mod kill_after;
mod once;
mod orphans;
mod pty;
mod reaping;
mod refused;
mod signals;
mod steering;
mod subject;
mod telling;
mod tini;
mod tty;
mod until_all;
