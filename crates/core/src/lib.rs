//! What Sexton knows and how it judges, free of any way to look or to act.
//!
//! This crate has no clock, no I/O, no threads: the [`report`] is filled by `sexton-scan`,
//! judged here, and drawn by whoever wants to show it. Keeping it pure is what lets the
//! same code decide in a terminal, in the agent and in a laptop's kubectl plugin.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod audit;
pub mod cause;
pub mod forecast;
pub mod holder;
pub mod ladder;
pub mod limit;
pub mod policy;
pub mod protect;
pub mod report;
pub mod signal;
pub mod text;
pub mod workload;

pub use audit::{ExitSignal, Verdict};
pub use cause::{Cause, Confidence};
pub use forecast::Forecast;
pub use holder::{Holder, ProcessId, SigchldAction, State};
pub use limit::{Limit, LimitKind, LimitUser};
pub use report::{Container, Leak, Pod, Report, Runtime, Zombie};
pub use workload::{Owner, RestartPolicy, Tenure, Workload};
