//! What was done, for people and for `-o json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::report::Exit;
use sexton_core::{ProcessId, Zombie};

use crate::{LeftBecause, Refusal};

/// What came of a reap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReapOutcome {
    /// Whose zombies.
    pub holder: ProcessId,
    /// Taken by the holder's being made to wait.
    pub taken: u64,
    /// Gone after the nudge, before the holder was made to wait.
    pub nudged: u64,
    /// Gone by themselves: the holder waited for them, or their pids belong to others by now.
    pub gone: u64,
    /// What stays, and why.
    pub left: Vec<Left>,
    /// The exit statuses that were taken, most frequent first. The program will not see them.
    pub statuses: Vec<Status>,
    /// Of those taken, the ones that could have been others: the holder has more than one thread,
    /// and while they were taken a process was created somewhere on the machine. Had the holder
    /// waited by itself in those microseconds, and got the same pid for a new child that ended at
    /// once, then that child was taken, and its status is not among these.
    #[serde(default)]
    pub unverified: u64,
    /// How often a thread was borrowed.
    pub visits: u64,
    /// How the work ended.
    pub end: End,
    /// Longest time for which a thread was borrowed, in microseconds: from the request to stop
    /// until the last zombie of that visit was seen gone.
    pub longest_borrowing_micros: u64,
    /// 99 of 100 borrowings were no longer than this, in microseconds.
    pub p99_borrowing_micros: u64,
    /// All borrowings together, in microseconds.
    pub borrowed_micros: u64,
    /// Wall time in microseconds.
    pub micros: u64,
    /// What became of the tail of the holder's vdso.
    pub trace: Trace,
}

/// Zombies that stay for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Why.
    #[serde(flatten)]
    pub because: LeftBecause,
    /// How many.
    pub count: u64,
}

/// How many zombies of one command ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `comm` of the ended process.
    pub command: String,
    /// How it ended; `None` where the kernel hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// How many.
    pub count: u64,
}

/// How a reap ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "how")]
pub enum End {
    /// All that was planned has been tried.
    #[error("all were tried")]
    Complete,
    /// Whoever asked for it said that it is enough.
    #[error("it was called off in the middle")]
    CalledOff,
    /// The holder ended, and not of what was done to it.
    #[error("the holder ended in the middle")]
    HolderEnded,
    /// The holder ended in a visit, or right after one, as a program does that dies of it; or it
    /// is not known how. What that visit did does not count.
    #[error("the holder ended while it was made to wait, {}", died(*.exit, *.dumps_core))]
    HolderDied {
        /// How it ended; `None` where that is not known: it is still writing its core, or somebody
        /// had waited for it before it could be read, on Linux before 6.15.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        /// It writes a core: a fault ends it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dumps_core: bool,
    },
    /// Something that was not so before, or is seen only while a thread stands still.
    #[error("no further: {refusal}")]
    Refused {
        /// What.
        refusal: Box<Refusal>,
    },
    /// The holder called `execve`: it is another program now.
    #[error("the holder replaced its program (execve) in the middle; run the reap again")]
    HolderReplaced,
    /// SIGSTOP and the like.
    #[error("the holder was stopped in the middle; continue it with `kill -CONT`")]
    HolderStopped,
    /// Autoreap: there is something that is not to be replaced.
    #[error("the holder set up an action of its own for SIGCHLD in the middle")]
    SigchldChanged,
    /// Somebody else traces it, or the permission went away.
    #[error("the holder may not be traced: another tracer has it, or permission is missing")]
    Denied,
    /// No thread of the holder could be borrowed for as long as was waited.
    #[error("no thread could be borrowed within {seconds} s: {why}")]
    NoThread {
        /// How long was waited.
        seconds: u64,
        /// What they do.
        why: String,
    },
    /// The borrowed thread did not come back to its call, so the code may still be in use.
    #[error("thread {thread} was not seen back in its call; its next signal or call ends that")]
    ThreadAway {
        /// Its id.
        thread: u32,
    },
    /// A thread did not stop; it stays traced until it does ([`crate::let_go`]), or until Sexton exits.
    #[error(
        "thread {thread} did not stop in time (uninterruptible sleep); it is let go as soon as it does"
    )]
    ThreadStuck {
        /// Its id.
        thread: u32,
    },
}

/// A holder that ended while it was acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderDeath {
    /// How it ended; `None` where that is not known.
    pub how: Option<Exit>,
    /// It may have died of a visit: nothing else is to be touched until someone has looked.
    pub by_us: bool,
    /// That a fault ended it is known. Without, it may as well have ended by itself.
    pub certain: bool,
}

impl End {
    /// How the holder ended, if it did.
    #[must_use]
    pub fn holder_death(&self) -> Option<HolderDeath> {
        match self {
            Self::HolderDied { exit, dumps_core } => Some(HolderDeath {
                how: *exit,
                by_us: true,
                certain: exit.is_some() || *dumps_core,
            }),
            Self::HolderEnded => Some(HolderDeath {
                how: None,
                by_us: false,
                certain: true,
            }),
            _ => None,
        }
    }
}

fn died(exit: Option<Exit>, dumps_core: bool) -> String {
    match exit {
        Some(exit @ Exit::Signal(_)) => format!(
            "killed by {}. Sexton may have caused this: report it",
            sexton_core::text::leak::exit(exit)
        ),
        Some(exit @ Exit::Code(_)) => {
            format!("by itself ({})", sexton_core::text::leak::exit(exit))
        }
        None if dumps_core => {
            "by a fault: it writes a core. Sexton may have caused this: report it".to_owned()
        }
        None => "and it is not known how. Sexton may have caused this: look at its logs".to_owned(),
    }
}

/// What became of the place of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Trace {
    /// Nothing was written.
    Untouched,
    /// Written, and cleared again.
    Cleared,
    /// Left behind with a mark, by which the next visit knows it: the kernel does not allow to
    /// clear it without stopping the holder again, or a thread may still be in it. It harms
    /// nothing.
    Marked,
}

/// How far a reap has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Zombies dealt with so far.
    pub done: u64,
    /// All that were planned.
    pub total: u64,
    /// Visits so far.
    pub visits: u64,
}

/// Counts one more.
pub(crate) fn add_one(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// Counts the statuses of `zombies`, most frequent first.
pub(crate) fn statuses<'a>(zombies: impl Iterator<Item = &'a Zombie>) -> Vec<Status> {
    let mut counts = std::collections::BTreeMap::<(&str, Option<Exit>), u64>::new();
    for zombie in zombies {
        add_one(counts.entry((&zombie.name, zombie.exit)).or_default());
    }
    let mut statuses: Vec<_> = counts
        .into_iter()
        .map(|((command, exit), count)| Status {
            command: command.to_owned(),
            exit,
            count,
        })
        .collect();
    statuses.sort_by_key(|status| std::cmp::Reverse(status.count));
    statuses
}

/// Counts reasons.
pub(crate) fn left(reasons: impl Iterator<Item = LeftBecause>) -> Vec<Left> {
    let mut counts = std::collections::BTreeMap::<LeftBecause, u64>::new();
    for because in reasons {
        add_one(counts.entry(because).or_default());
    }
    counts
        .into_iter()
        .map(|(because, count)| Left { because, count })
        .collect()
}
