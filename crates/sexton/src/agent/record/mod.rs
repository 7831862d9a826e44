//! The audit log: what the agent was about to do, and what came of it.
//!
//! JSON lines, only ever appended to. An intent is on the disk before the action begins
//! (`fdatasync(2)`), with room for the outcome set aside beside it (`fallocate(2)`), so that a
//! disk that fills up in between loses no outcome. Where an intent cannot be written nothing is
//! done. An agent that was killed in between finds its open intents at the next start and closes
//! them as interrupted.

mod entry;
mod file;

pub use entry::{Action, BeforeAndAfter, Entry, Intent, Outcome, Verdict};
pub use file::{Error, File};

use std::path::Path;

/// What was found in the log when it was opened.
#[derive(Debug, Default)]
pub struct Past {
    /// Actions of this boot, oldest first, each with its outcome; those that an agent was killed
    /// over are closed as [`Verdict::Interrupted`].
    pub actions: Vec<Action>,
    /// How many were closed just now.
    pub interrupted: usize,
    /// Lines that are not entries: torn by a crash of the machine, or written by others.
    pub unreadable: usize,
}

/// The log with what it told when it was opened.
pub struct Log {
    file: File,
    sequence: u64,
}

impl Log {
    /// Opens or makes the log, and closes what an earlier agent left open.
    ///
    /// # Errors
    /// The file cannot be made, read or written.
    pub fn open(path: &Path, boot: &str, now: &Stamp) -> Result<(Self, Past), Error> {
        let mut file = File::open(path)?;
        let mut past = Past::default();
        let mut open: Vec<Intent> = vec![];
        for line in file.read_back()? {
            match serde_json::from_slice(&line) {
                Ok(Entry::Outcome(outcome)) => {
                    if let Some(at) = open.iter().position(|intent| intent.id == outcome.id) {
                        past.actions.push(Action {
                            intent: open.remove(at),
                            outcome: Some(outcome),
                        });
                    }
                }
                // One of another boot is closed, too, though its pids mean nothing any more.
                Ok(Entry::Intent(intent)) => open.push(*intent),
                Err(_) => past.unreadable += 1,
            }
        }
        past.actions.retain(|action| action.intent.boot == boot);
        for intent in open {
            let outcome = Outcome {
                id: intent.id.clone(),
                time: now.time.clone(),
                uptime_millis: now.uptime_millis,
                verdict: Verdict::Interrupted,
                detail: "the agent ended before the outcome was known".to_owned(),
                zombies: None,
                new_container: None,
                statuses: vec![],
            };
            file.append(&Entry::Outcome(outcome.clone()), true)?;
            past.interrupted += 1;
            if intent.boot == boot {
                past.actions.push(Action {
                    intent,
                    outcome: Some(outcome),
                });
            }
        }
        past.actions
            .sort_by_key(|action| action.intent.uptime_millis);
        Ok((Self { file, sequence: 0 }, past))
    }

    /// A name for the next action that no other of this log bears.
    pub fn next_id(&mut self, now: &Stamp) -> String {
        self.sequence += 1;
        format!(
            "{:x}-{:x}-{:x}",
            now.uptime_millis,
            std::process::id(),
            self.sequence
        )
    }

    /// Writes what is about to be done. Only when this has returned may it be done.
    ///
    /// # Errors
    /// It is not safely on the disk: the action must not be taken.
    pub fn intend(&mut self, intent: &Intent) -> Result<(), Error> {
        self.file.rotate_when_large()?;
        self.file.set_room_aside()?;
        self.file
            .append(&Entry::Intent(Box::new(intent.clone())), true)
    }

    /// Writes what came of it.
    ///
    /// # Errors
    /// It could not be written; the room set aside makes that an error of the disk itself.
    pub fn conclude(&mut self, outcome: &Outcome) -> Result<(), Error> {
        self.file.append(&Entry::Outcome(outcome.clone()), true)
    }
}

/// One moment by two clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// RFC 3339, UTC: for people. It may jump.
    pub time: String,
    /// Milliseconds since boot (`CLOCK_BOOTTIME`): for the ladder. It never goes back.
    pub uptime_millis: u64,
}

#[cfg(test)]
mod tests;
