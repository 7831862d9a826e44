//! What the agent shows: one snapshot a look, made by the thread that looks, read by the one that
//! serves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock;
use super::snapshot::Snapshot;

/// Without a look for so long, `/healthz` says that the agent hangs; for longer where looks are
/// rare.
const PATIENCE: Duration = Duration::from_secs(90);

/// Shared by the two threads.
pub struct Shared {
    snapshot: Mutex<Arc<Snapshot>>,
    /// When the last look ended, in milliseconds since boot.
    looked: AtomicU64,
    /// No look for so long, in milliseconds, means that the agent hangs.
    patience: AtomicU64,
}

impl Shared {
    /// Nothing yet, of an agent that looks every `interval`.
    pub fn new(interval: Duration) -> Self {
        let shared = Self {
            snapshot: Mutex::default(),
            looked: AtomicU64::new(clock::now().uptime_millis),
            patience: AtomicU64::new(0),
        };
        shared.look_every(interval);
        shared
    }

    /// From now on a look comes every `interval`.
    pub fn look_every(&self, interval: Duration) {
        let millis = PATIENCE.max(interval.saturating_mul(3)).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.patience.store(millis, Ordering::Relaxed);
    }

    /// The last one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().clone()
    }

    /// Puts a new one in its place, and says that the agent lives.
    pub fn publish(&self, snapshot: Snapshot) {
        *self.lock() = Arc::new(snapshot);
        self.looked
            .store(clock::now().uptime_millis, Ordering::Relaxed);
    }

    /// Whether a look was made of late.
    ///
    /// # Errors
    /// The sentence, where it was not.
    pub fn is_alive(&self) -> Result<(), String> {
        let looked = self.looked.load(Ordering::Relaxed);
        let since = clock::now().uptime_millis.saturating_sub(looked);
        if since <= self.patience.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(format!("no look for {} s", since / 1_000))
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Snapshot>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
