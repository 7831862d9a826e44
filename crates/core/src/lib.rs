//! What Sexton knows and how it judges, free of any way to look or to act.
//!
//! This crate has no clock, no I/O, no threads: the [`report`] is filled by `sexton-scan`,
//! judged here, and drawn by whoever wants to show it. Keeping it pure is what lets the
//! same code decide in a terminal, in the agent and in a laptop's kubectl plugin.
//!
//! A report that was saved by `sexton scan -o json` is read and judged on any machine:
//!
//! ```
//! use sexton_core::Report;
//! # let saved = r#"{"apiVersion": "sexton.dev/v1alpha1", "kind": "NodeReport",
//! #   "node": {"name": "n1", "kernel": "6.12", "bootId": "", "cgroups": "v2"},
//! #   "scannedAt": "2026-12-01T09:30:00Z", "zombies": 0, "leaks": [], "limits": [], "notes": [],
//! #   "scan": {"method": "walk", "micros": 0, "cgroups": 0, "processesRead": 0}}"#;
//! let report: Report = serde_json::from_str(saved)?;
//! for leak in &report.leaks {
//!     println!("{} holds {} zombies", leak.holder.name, leak.zombies);
//! }
//! # assert_eq!(report.zombies, 0);
//! # Ok::<(), serde_json::Error>(())
//! ```

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod audit;
pub mod birthplace;
pub mod cause;
pub mod check;
pub mod ending;
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
pub use birthplace::Birthplace;
pub use cause::{Cause, Confidence};
pub use ending::Ending;
pub use forecast::Forecast;
pub use holder::{Holder, ProcessId, SigchldAction, State};
pub use limit::{Limit, LimitKind, LimitUser};
pub use report::{Container, Leak, Pod, Report, Runtime, Zombie};
pub use workload::{Owner, RestartPolicy, Tenure, Workload};
