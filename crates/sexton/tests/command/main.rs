//! The command as its users run it, on real containers. One file a subcommand or a promise.
//!
//! All tests are one program: each links the same few crates, and one link is enough.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

mod at_the_limit;
mod audit;
mod cannot_end;
mod crds;
mod doctor;
mod explain;
mod forecast;
mod help;
mod inside_a_container;
mod limits;
mod next;
mod npd;
mod policy;
mod reap;
mod refusals;
mod scan;
mod schema;
mod sexton;
mod situation;
mod target;
mod terminal;
mod trace;
mod unprivileged;
mod watch;
