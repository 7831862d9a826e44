//! Real situations for Sexton's tests: cgroups, containers, programs that leak.
//!
//! Everything is a guard: what it made is gone when it is dropped, after a panic too. What a
//! killed run left behind is swept by the next one. All names begin with [`PREFIX`], and
//! nothing else on the machine is touched.
//!
//! A situation that this machine cannot make is a [`Skip`] with its reason, which [`require`]
//! prints, so that a test that did not run never passes in silence:
//!
//! ```no_run
//! # use sexton_lab::{Container, Layout, Leak, Runtime, require};
//! # fn test() {
//! let Some(runc) = require(Runtime::find("runc")) else { return };
//! let container = Container::builder(&runc)
//!     .layout(Layout::Kubepods)
//!     .pids_limit(50)
//!     .start(&Leak::new().program());
//! println!("{} {}", container.id(), container.pid());
//! # }
//! ```
//!
//! Failures that no machine ought to show are panics with a message, as in any test.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

pub mod cgroup;
pub mod cluster;
pub mod container;
pub mod containerd;
mod hierarchies;
mod names;
pub mod process;
pub mod program;
mod skip;
mod sweep;

pub use cgroup::Cgroup;
pub use cluster::Cluster;
pub use container::{Container, Layout, Runtime};
pub use containerd::{Containerd, Pod, PodContainer};
pub use hierarchies::Hierarchies;
pub use names::{PREFIX, unique};
pub use process::{
    Running, identity, live_children_of, patience, wait_until, wait_until_it_catches, zombies_of,
};
pub use program::{Leak, Program};
pub use skip::{Skip, require, require_root};
pub use sweep::sweep;

use std::fs::File;

/// Held while a test makes more than 1,000 processes: `pid_max` may be 32,768 for the whole
/// machine, and two storms at once would starve it. Released on drop.
///
/// The file is shared with whatever else storms on this machine: `flock /tmp/sexton-storm.lock`.
///
/// # Panics
/// When the lock file cannot be made.
#[must_use]
pub fn storm_lock() -> File {
    let path = std::env::temp_dir().join("sexton-storm.lock");
    // Opened for reading where another user made it: flock(2) asks for no more.
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .or_else(|_| File::open(&path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.lock()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file
}
