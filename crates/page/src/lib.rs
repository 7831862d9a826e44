//! The page: HTML and SVG from a report, for the agent and for the kubectl plugin.
//!
//! Pure: no I/O, no clock. A page is one document without script and without any external
//! resource, so that it can be saved, mailed and looked at on a machine that has nothing else.
//! Everything that a process can choose (its name, its arguments) is hostile input:
//! [`document`](mod@document) is where it is made safe.

#![forbid(unsafe_code)]

pub mod cluster;
mod document;
mod gauge;
mod leak;
mod node;
mod plot;
mod timeline;
mod view;

pub use cluster::{ClusterView, cluster};
pub use document::csp;
pub use node::{look_failed, node};
pub use timeline::Timeline;
pub use view::{Action, ActionOutcome, AgentState, Mode, PolicyState, Problem, Sample, View};
