//! The custom resources in a real API server: what it refuses, what it shows, and how a node's
//! report gets there and stays there.

#![allow(clippy::unwrap_used)]

mod crd;
mod publish;
mod server;
