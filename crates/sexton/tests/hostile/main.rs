//! Attacks of a process in a container that nobody trusts: none may blind, kill, starve or
//! misdirect Sexton. One file a kind of attack; `docs/security.md` says which promise each holds.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

#[path = "../agent/agent.rs"]
#[allow(dead_code)] // of the harness of the agent's own tests, a part is enough here
mod agent;
mod facts;
mod files;
mod latch;
mod load;
mod panic;
mod policies;
mod serving;
mod starve;
mod target;
