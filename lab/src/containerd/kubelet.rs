//! `restartPolicy: Always`, without a kubelet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::PodContainer;

/// A container that is started again, as a new one, whenever it ends. That stops on drop; the
/// container goes with its pod.
#[derive(Debug)]
pub struct Kept {
    current: Arc<Mutex<PodContainer>>,
    done: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl PodContainer {
    /// Starts it again whenever it ends, at once: no back-off.
    ///
    /// # Panics
    /// When no thread can be had.
    #[must_use]
    pub fn keep_running(self) -> Kept {
        let current = Arc::new(Mutex::new(self));
        let done = Arc::new(AtomicBool::new(false));
        let (of_keeper, is_done) = (current.clone(), done.clone());
        let keeper = std::thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                let container = lock(&of_keeper).clone();
                // While containerd is away nothing is known, as for the kubelet.
                if container.try_is_running() != Ok(false) {
                    continue;
                }
                if let Ok(next) = container.try_start_again() {
                    *lock(&of_keeper) = next;
                }
            }
        });
        Kept {
            current,
            done,
            keeper: Some(keeper),
        }
    }
}

impl Kept {
    /// The one that was started last.
    #[must_use]
    pub fn current(&self) -> PodContainer {
        lock(&self.current).clone()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            // Its panic would have been a bug of the lab's; the test says more.
            let _ = keeper.join();
        }
    }
}

fn lock(current: &Mutex<PodContainer>) -> std::sync::MutexGuard<'_, PodContainer> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
