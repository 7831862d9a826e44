//! The agent on this machine: real containers that leak, policies in files, faults.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

mod agent;
mod ending;
mod faults;
mod held;
mod limits;
mod policies;
mod rules;
mod serving;
