//! The custom resources in a real API server: what it refuses, what it shows, and how a node's
//! report gets there and stays there.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

mod crd;
mod publish;
mod server;
