//! Sexton's part in a Kubernetes cluster: the custom resources, and what an agent says to and
//! hears from the API server.
//!
//! Nothing here is of Linux: the kubectl plugin, which runs on laptops, reads the same types.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![forbid(unsafe_code)]

pub mod crd;
pub mod publish;
pub mod report;

mod client;
mod error;
mod events;
mod evict;
mod link;
mod node_condition;
mod pause;
mod pods;
mod policies;
mod told;

pub use error::Error;
pub use events::{About, Event, Reason, Stage};
pub use evict::{End, Evicted, Eviction};
pub use link::{Cluster, Settings};
pub use policies::Policies;
