//! A panic is a defect of Sexton's own: it costs what was being worked on, and is said and counted.
//!
//! What one holder's data may reach runs inside [`caught`]. A thread that ends all the same
//! ([`thread`]) ends the agent with a clear error: who started it starts it anew, whole.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::fault;
use super::wake::Bell;
use crate::error::Error;

/// Panics of all threads since the start.
static PANICS: AtomicU64 = AtomicU64::new(0);
/// The first thread that a panic has ended, and the panic's message.
static LOST: Mutex<Option<(&str, String)>> = Mutex::new(None);

/// From now on each panic is counted, and said in the agent's log.
pub fn start() {
    set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let what = message(info.payload());
        tracing::error!(place, "a defect in Sexton itself, please report it: {what}");
    }));
}

/// How many panics there were, caught or not.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Does `work`; a panic in it is an error with its message.
///
/// Whatever `work` may have left half changed is for the caller to replace: that is what makes
/// the `AssertUnwindSafe` right.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

/// Starts a thread of the agent. A panic that it does not catch by itself is found by [`check`].
///
/// # Errors
/// There is no room for a thread.
pub fn thread(
    name: &'static str,
    bell: Option<Bell>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let work = move || {
        let work = || {
            fault::panic_at("thread", name);
            work();
        };
        if let Err(what) = caught(work) {
            lose(name, what);
            if let Some(bell) = bell {
                bell.ring();
            }
        }
    };
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.stack_size(1 << 20).spawn(work).map(drop)
}

/// Takes note of a thread that is gone.
pub fn lose(name: &'static str, what: String) {
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    lost.get_or_insert((name, what));
}

/// Whether all threads are there.
///
/// # Errors
/// One is not.
pub fn check() -> Result<(), Error> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some((thread, what)) => Err(Error::Thread { thread, what }),
        None => Ok(()),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        let number = 3;
        let fell: Result<(), _> = caught(|| panic!("of {number}"));
        assert_eq!(fell, Err("of 3".to_owned()));
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
    }
}
