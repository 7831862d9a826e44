//! Attacks of a process in a container that nobody trusts: none may blind, kill, starve or
//! misdirect Sexton. One file a kind of attack; `docs/security.md` says which promise each holds.

#![allow(clippy::unwrap_used)]

#[path = "../agent/agent.rs"]
#[allow(dead_code)] // the tests of the agent use all of it
mod agent;
mod identity;
#[path = "../command/sexton.rs"]
#[allow(dead_code)] // the tests of the command use all of it
mod sexton;
