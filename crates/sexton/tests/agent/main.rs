//! The agent on this machine: real containers that leak, policies in files, faults.

#![allow(clippy::unwrap_used)]

mod agent;
mod faults;
mod held;
mod limits;
mod policies;
mod rules;
mod serving;
