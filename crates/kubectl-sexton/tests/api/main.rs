//! The commands against a real API server: etcd and kube-apiserver alone, on this machine. The
//! reports are written by the test, as agents would.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)] // helpers of tests

mod check;
mod connection;
mod page;
mod plugin;
mod policy;
mod rights;
mod tables;
mod world;
