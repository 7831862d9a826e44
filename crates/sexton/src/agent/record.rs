//! The audit log: what the agent was about to do, and what came of it.
//!
//! JSON lines, only ever appended to. An intent is on the disk before the action begins
//! (`fdatasync(2)`), with room for the outcome set aside beside it (`fallocate(2)`), so that a
//! disk that fills up in between loses no outcome. Where an intent cannot be written nothing is
//! done. A later step on the same holder is written in a few words ([`short`]). An agent that was killed in between finds its open intents at the next start and closes
//! them as interrupted.

mod entry;
mod file;
mod fit;
mod short;

pub use entry::{Action, BeforeAndAfter, Intent, StepOutcome, StepVerdict};
pub use file::{Error, File};

use std::path::Path;

use entry::{After, Before, Entry};
use short::Told;

/// Actions that are remembered from the log; of all others only the file tells.
const REMEMBERED: usize = 1_024;

/// What was found in the log when it was opened.
#[derive(Debug, Default)]
pub struct Past {
    /// The last actions of this boot, oldest first, each with its outcome; those that an agent was
    /// killed over are closed as [`StepVerdict::Interrupted`]. Without command lines and statuses.
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
    /// What stands in the file in full.
    told: Told,
    /// Intents without an outcome so far, each with the number of the intent that it refers to.
    open: Vec<(Intent, Option<String>)>,
}

impl Log {
    /// Opens or makes the log, and closes what an earlier agent left open.
    ///
    /// # Errors
    /// The file cannot be made, read or written.
    pub fn open(path: &Path, boot: &str, now: &Stamp) -> Result<(Self, Past), Error> {
        let mut file = File::open(path)?;
        let mut reader = Reader::new(boot);
        file.read_back(|line| reader.line(line))?;
        let Reader { mut past, open, .. } = reader;
        for intent in open {
            let outcome = StepOutcome {
                id: intent.id.clone(),
                time: now.time.clone(),
                uptime_millis: now.uptime_millis,
                verdict: StepVerdict::Interrupted,
                detail: "the agent ended before the outcome was known".to_owned(),
                zombies: None,
                new_container: None,
                statuses: vec![],
            };
            file.append(&Entry::Outcome(After::Full(outcome.clone())), true)?;
            past.interrupted += 1;
            past.add(intent, outcome, boot);
        }
        past.actions
            .sort_by_key(|action| action.intent.uptime_millis);
        Ok((Self::new(file), past))
    }

    fn new(file: File) -> Self {
        Self {
            file,
            sequence: 0,
            told: Told::default(),
            open: vec![],
        }
    }

    /// A name for the next action that no other of this log bears.
    pub fn next_id(&mut self, now: &Stamp) -> String {
        self.sequence += 1;
        short::id(now.uptime_millis, self.sequence)
    }

    /// Writes what is about to be done. Only when this has returned may it be done.
    ///
    /// # Errors
    /// It is not safely on the disk: the action must not be taken.
    pub fn intend(&mut self, intent: &Intent) -> Result<(), Error> {
        if self.file.rotate_when_large()? {
            self.told.forget();
        }
        // The intent, its outcome, and those that are still to come.
        self.file.set_room_aside(2 + self.open.len() as u64)?;
        let line = self.told.line_of(intent);
        let of = match &line {
            Before::Again(again) => Some(again.of.clone()),
            Before::Full(_) => None,
        };
        self.file.append(&Entry::Intent(line), true)?;
        if of.is_none() {
            self.told.intent(intent);
        }
        self.open.push((intent.clone(), of));
        Ok(())
    }

    /// Writes what came of it.
    ///
    /// # Errors
    /// It could not be written; the room set aside makes that an error of the disk itself.
    pub fn conclude(&mut self, outcome: &StepOutcome) -> Result<(), Error> {
        let at = self.open.iter().position(|(i, _)| i.id == outcome.id);
        let line = match at.map(|at| &self.open[at]) {
            Some((intent, Some(of))) => self.told.line_of_outcome(intent, of, outcome),
            _ => After::Full(outcome.clone()),
        };
        self.file.append(&Entry::Outcome(line), true)?;
        self.told.outcome(outcome);
        if let Some(at) = at {
            self.open.swap_remove(at);
        }
        Ok(())
    }
}

/// Reads a log from its beginning.
struct Reader<'a> {
    boot: &'a str,
    told: Told,
    open: Vec<Intent>,
    past: Past,
}

impl<'a> Reader<'a> {
    fn new(boot: &'a str) -> Self {
        Self {
            boot,
            told: Told::default(),
            open: vec![],
            past: Past::default(),
        }
    }

    fn line(&mut self, line: &[u8]) {
        if self.entry(line).is_none() {
            self.past.unreadable += 1;
        }
    }

    fn entry(&mut self, line: &[u8]) -> Option<()> {
        match serde_json::from_slice(line).ok()? {
            // One of another boot is closed, too, though its pids mean nothing any more.
            Entry::Intent(Before::Full(intent)) => {
                self.told.intent(&intent);
                self.open.push(*intent);
            }
            Entry::Intent(Before::Again(again)) => self.open.push(self.told.read_again(&again)?),
            Entry::Outcome(After::Full(outcome)) => {
                self.told.outcome(&outcome);
                // Its intent may stand in a file that is not read any more.
                if let Some(intent) = self.close(&outcome.id) {
                    self.past.add(intent, outcome, self.boot);
                }
            }
            Entry::Outcome(After::Again(likewise)) => {
                if let Some(intent) = self.close(&likewise.id) {
                    let outcome = self.told.read_likewise(&likewise, &intent)?;
                    self.past.add(intent, outcome, self.boot);
                }
            }
        }
        Some(())
    }

    fn close(&mut self, id: &str) -> Option<Intent> {
        let at = self.open.iter().position(|intent| intent.id == id)?;
        Some(self.open.remove(at))
    }
}

impl Past {
    /// Adds an action of this boot. Those that ended something are dropped last: their rates are
    /// counted over hours.
    fn add(&mut self, mut intent: Intent, mut outcome: StepOutcome, boot: &str) {
        if intent.boot != boot {
            return;
        }
        if self.actions.len() >= REMEMBERED {
            let gentle = |action: &Action| !action.intent.rung.disrupts();
            self.actions
                .remove(self.actions.iter().position(gentle).unwrap_or(0));
        }
        intent.command_line = vec![];
        outcome.statuses = vec![];
        self.actions.push(Action {
            intent,
            outcome: Some(outcome),
        });
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
