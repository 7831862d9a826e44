//! The agent's link against a real API server: etcd and kube-apiserver alone, on this machine.
//!
//! Nobody runs the pods here: they are made with a `nodeName`, and their status is written as a
//! kubelet would.

#![allow(clippy::unwrap_used)]

mod condition;
mod events;
mod evict;
mod outage;
mod pods;
mod policies;
mod report;
mod world;
