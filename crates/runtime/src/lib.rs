//! Container runtimes: names of containers and pods, and how to stop one.
//!
//! The kernel tells which container a zombie lies in; what the container is called, which pod
//! it belongs to, how long its grace period is and who starts it again, only its runtime knows.
//! [`Runtimes`] asks all that are found on the node:
//!
//! ```no_run
//! # fn main() -> Result<(), sexton_runtime::Error> {
//! use std::{path::Path, time::Duration};
//! use sexton_runtime::{Runtimes, Then};
//!
//! let mut runtimes = Runtimes::find(Path::new("/"), &[]);
//! runtimes.refresh();
//! for (name, error) in runtimes.notes() {
//!     eprintln!("{name}: {error}");
//! }
//! # let id = "";
//! if let Some(workload) = runtimes.by_id(id) {
//!     println!("{:?} of {:?}", workload.name, workload.pod);
//! }
//! let mut ending = runtimes.end(id, Duration::from_secs(30), Then::StartAgain)?;
//! while ending.poll(Duration::from_millis(100)).is_none() {
//!     // Other work.
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything is synchronous, bounded in time, and done by the calling thread alone: at the
//! limit of PIDs there is no other. No connection outlives its call, so a runtime that was
//! restarted is met again at the next one. As the calls run an executor of their own, they may
//! not be made from inside an asynchronous task.

pub mod client;
mod cri;
mod docker;
mod error;
mod files;
mod http;
mod pending;
mod podman;
mod runtimes;
mod signal;

use std::time::Duration;

use sexton_core::Workload;

pub use cri::Cri;
pub use docker::Docker;
pub use error::Error;
pub use pending::Pending;
pub use podman::Podman;
pub use runtimes::Runtimes;

/// How long a runtime may take to answer, if nobody says otherwise. A healthy one takes a few
/// milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// How much longer than the grace period a stop may take: after SIGKILL the runtime has to see
/// the end, and tear down mounts and cgroups on a node that is short of everything.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What is to become of a container that is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It stays ended, as far as the runtime is concerned.
    Stay,
    /// It is started again. Under Kubernetes the kubelet does that, by the pod's restart policy
    /// and after its back-off, as a container with **another id**. Docker and Podman do it
    /// themselves, whatever the restart policy says, with the **same id** and another pid; a
    /// mere stop would count as the user's own wish there, and keep them from starting it.
    StartAgain,
}

/// A container runtime of this node.
pub trait Runtime: Send {
    /// What to call it: `containerd`, `crio`, `docker`, `podman`.
    fn name(&self) -> &str;

    /// All containers that run now.
    ///
    /// # Errors
    /// When it is away, or does not answer within its deadline. What is asked of single
    /// containers and fails or takes too long is only missing from them, till the next time.
    fn workloads(&mut self) -> Result<Vec<Workload>, Error>;

    /// One container, read anew; `None` where it does not run, or never did. Its id must be
    /// whole.
    ///
    /// # Errors
    /// As [`Runtime::workloads`].
    fn workload(&mut self, id: &str) -> Result<Option<Workload>, Error> {
        let all = self.workloads()?;
        Ok(all.into_iter().find(|workload| workload.id == id))
    }

    /// Begins to end a container: its stop signal, `grace`, SIGKILL. Never its pod. Hooks
    /// (`preStop`) are not run: those are the kubelet's business.
    ///
    /// One that has ended already, or is not known, is no error: it does not run.
    ///
    /// containerd sends the stop signal once in a container's life, and takes one that it failed
    /// to send for sent: after a call that was refused or taken back, another with a grace
    /// period waits for all of it, and kills. At the limit of PIDs it is refused, since the
    /// runtime has to start a program to send a signal: reap first.
    ///
    /// # Errors
    /// When the runtime cannot be asked. What happens later is the result of the [`Pending`].
    fn end(&mut self, id: &str, grace: Duration, then: Then) -> Result<Pending, Error>;

    /// Ends a container, and waits until it has ended: up to `grace` and [`PATIENCE`].
    ///
    /// # Errors
    /// When the runtime is away, refuses, or the container has not ended in that time.
    fn stop(&mut self, id: &str, grace: Duration) -> Result<(), Error> {
        self.end(id, grace, Then::Stay)?.wait()
    }
}
