//! A thread that ends holders: SIGTERM, a grace period, SIGKILL. It takes half a minute at worst,
//! in which the thread that looks must not stand still.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sexton_core::ProcessId;
use sexton_reap::{Error, terminate};
use sexton_scan::{Roots, Scanner};

use super::wake::Bell;
use super::{fault, guard};

/// Gives work to the thread.
pub struct Ender {
    ask: Sender<(terminate::Plan, Duration)>,
    answers: Receiver<Ended>,
    stop: Arc<AtomicBool>,
}

/// A holder that was to be ended.
pub struct Ended {
    /// Who.
    pub holder: ProcessId,
    /// What became of it; the outer error is the message of a panic.
    pub result: Result<Result<terminate::TerminateOutcome, Error>, String>,
}

impl Ender {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no room for a thread, or `/proc` cannot be opened.
    pub fn start(roots: Roots, bell: Bell) -> Result<Self, crate::error::Error> {
        let (ask, questions) = channel::<(terminate::Plan, Duration)>();
        let (answer, answers) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut scanner = Scanner::new(roots.clone())?;
        guard::thread("ender", Some(bell.clone()), move || {
            while let Ok((plan, grace)) = questions.recv() {
                let holder = plan.holder.id;
                let result = guard::caught(|| {
                    fault::panic_at("ender", holder.pid);
                    terminate::execute(&mut scanner, &plan, grace, || {
                        if stopped.load(Ordering::Relaxed) {
                            ControlFlow::Break(())
                        } else {
                            ControlFlow::Continue(())
                        }
                    })
                });
                if result.is_err() {
                    match Scanner::new(roots.clone()) {
                        Ok(new) => scanner = new,
                        Err(error) => guard::lose("ender", format!("after a panic: {error}")),
                    }
                }
                if answer.send(Ended { holder, result }).is_err() {
                    return;
                }
                bell.ring();
            }
        })?;
        Ok(Self { ask, answers, stop })
    }

    /// Has a holder ended; the answer comes by [`Ender::ended`]. False where the thread is gone.
    pub fn end(&self, plan: terminate::Plan, grace: Duration) -> bool {
        self.ask.send((plan, grace)).is_ok()
    }

    /// The next that has ended, or could not be.
    pub fn ended(&self) -> Option<Ended> {
        self.answers.try_recv().ok()
    }

    /// Sends no signal any more.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
