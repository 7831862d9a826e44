//! The commands against a real API server: etcd and kube-apiserver alone, on this machine. The
//! reports are written by the test, as agents would.

#![allow(clippy::unwrap_used)] // helpers of tests

mod connection;
mod page;
mod plugin;
mod policy;
mod rights;
mod tables;
mod world;
