//! Attacks of a process in a container that nobody trusts: none may blind, kill, starve or
//! misdirect Sexton. One file a kind of attack; `docs/security.md` says which promise each holds.

#![allow(clippy::unwrap_used)]

mod target;
