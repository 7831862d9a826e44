//! Attacks of a process in a container that nobody trusts: none may blind, kill, starve or
//! misdirect Sexton. One file a kind of attack; `docs/security.md` says which promise each holds.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

mod facts;
