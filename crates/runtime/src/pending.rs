//! Ending a container takes as long as its grace period; nobody is to stand still for it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// A container that is being ended.
///
/// It belongs to whoever looks at it: there is no thread behind it. Between two looks the
/// runtime goes on by itself. **Dropped before its end, the call is taken back**: containerd
/// then has sent the stop signal, and will not send SIGKILL.
pub struct Pending {
    // Dropped before what it runs on.
    call: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
    executor: Runtime,
}

impl Pending {
    pub(crate) fn new(
        executor: Runtime,
        call: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        Self {
            call: Box::pin(call),
            executor,
        }
    }

    /// Waits for the end for this long at most. `None`: not yet.
    ///
    /// Not to be asked again once it has given a result.
    pub fn poll(&mut self, at_most: Duration) -> Option<Result<(), Error>> {
        let call = &mut self.call;
        let looked = async { tokio::time::timeout(at_most, call).await };
        self.executor.block_on(looked).ok()
    }

    /// Waits for the end; it comes, or the call's own time limit.
    ///
    /// # Errors
    /// Those of [`Runtime::stop`](crate::Runtime::stop).
    pub fn wait(self) -> Result<(), Error> {
        self.executor.block_on(self.call)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// An executor of the calling thread's own. Made for one call, and gone with its connections
/// after it; that takes microseconds, and leaves nothing to go stale.
pub(crate) fn executor() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
}

/// What is left until `end`, not less than nothing.
pub(crate) fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}
