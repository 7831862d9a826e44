//! A thread that finds out why leaks stay.
//!
//! It reads executables, which may lie on a network file system that hangs; the thread that
//! looks and acts must never wait for that, so it only picks up what is known by now.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sexton_core::{Cause, Leak, ProcessId};
use sexton_scan::{Roots, Scanner, facts};

use super::wake::Bell;

/// Causes are asked for again after this time: a program may have been made to wait meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// Leaks that may wait for their turn.
const QUEUE: usize = 64;

/// What is known of the causes of the leaks.
pub struct Causes {
    ask: SyncSender<Leak>,
    answers: Receiver<(ProcessId, Vec<Cause>)>,
    known: HashMap<ProcessId, Known>,
}

struct Known {
    causes: Vec<Cause>,
    asked: Duration,
}

impl Causes {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no room for a thread, or `/proc` cannot be opened.
    pub fn start(roots: Roots, bell: Bell) -> Result<Self, crate::error::Error> {
        let (ask, questions) = sync_channel(QUEUE);
        let (answer, answers) = channel();
        let scanner = Scanner::new(roots)?;
        thread::Builder::new()
            .name("causes".to_owned())
            .stack_size(1 << 20)
            .spawn(move || diagnose(scanner, &questions, &answer, &bell))?;
        Ok(Self {
            ask,
            answers,
            known: HashMap::new(),
        })
    }

    /// Puts what is known into the leaks, and asks for what is not.
    pub fn fill(&mut self, leaks: &mut [Leak], now: Duration) {
        while let Ok((holder, causes)) = self.answers.try_recv() {
            if let Some(known) = self.known.get_mut(&holder) {
                known.causes = causes;
            }
        }
        self.known
            .retain(|holder, _| leaks.iter().any(|leak| leak.holder.id == *holder));
        for leak in leaks {
            let holder = leak.holder.id;
            match self.known.get(&holder) {
                Some(known) if now.saturating_sub(known.asked) < GOOD_FOR => {}
                _ => match self.ask.try_send(leak.clone()) {
                    Ok(()) => {
                        let known = self.known.entry(holder).or_insert(Known {
                            causes: vec![],
                            asked: now,
                        });
                        known.asked = now;
                    }
                    // The next look asks again.
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
                },
            }
            if let Some(known) = self.known.get(&holder) {
                leak.causes.clone_from(&known.causes);
            }
        }
    }
}

fn diagnose(
    mut scanner: Scanner,
    questions: &Receiver<Leak>,
    answer: &Sender<(ProcessId, Vec<Cause>)>,
    bell: &Bell,
) {
    while let Ok(leak) = questions.recv() {
        match facts::gather(&mut scanner, &leak) {
            Ok(facts) => {
                let causes = sexton_core::cause::diagnose(&facts);
                if answer.send((leak.holder.id, causes)).is_err() {
                    return;
                }
                bell.ring();
            }
            Err(error) => {
                tracing::warn!(holder = leak.holder.id.pid, %error, "no cause found");
            }
        }
    }
}
