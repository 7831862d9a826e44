//! One process, and those below it that a signal may be passed on to.

use std::ops::ControlFlow;

use sexton_core::audit::{Process, Signals, VARIABLES, looks_below};

use super::members::{Group, Member};
use super::{awaited, texts};
use crate::facts::{call_name, recognise};
use crate::holder;
use crate::leak::in_seconds;
use crate::notes::Notes;
use crate::proc::{self, Status, bounds};
use crate::{Error, Scanner, lossy};

/// Threads whose masks are read.
const MAX_THREADS: usize = 512;
/// Children of one process that are looked at.
const MAX_CHILDREN: usize = 32;
/// A shell in an init in a shell…
const DEEPEST: usize = 6;
/// Processes of one container that are looked at.
const MOST: usize = 256;
/// Bytes at the end of a command line's first page that tell a title from arguments.
const PAGE: usize = 4096;
/// `CAP_KILL` of the kernel's include/uapi/linux/capability.h.
const CAP_KILL: u32 = 5;

/// How processes of one container are read.
pub(super) struct Reader<'a> {
    pub(super) scanner: &'a Scanner,
    pub(super) group: &'a Group,
    /// The time, in ticks since the machine was started.
    pub(super) now: u64,
    /// The signal that will come.
    pub(super) number: u8,
    /// What its runtime started, until the first has been read, which is that.
    arguments: Option<Vec<String>>,
    /// Processes that may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        scanner: &'a Scanner,
        group: &'a Group,
        now: u64,
        number: u8,
        arguments: Option<Vec<String>>,
    ) -> Self {
        Self {
            scanner,
            group,
            now,
            number,
            arguments,
            left: MOST,
        }
    }

    /// A process and what hangs on it; `None` when it has ended.
    pub(super) fn read(
        &mut self,
        member: Member,
        notes: &mut Notes,
    ) -> Result<Option<Process>, Error> {
        self.read_at(member, 0, notes)
    }

    fn read_at(
        &mut self,
        member: Member,
        depth: usize,
        notes: &mut Notes,
    ) -> Result<Option<Process>, Error> {
        let (scanner, number) = (self.scanner, self.number);
        let Some(process) = scanner.proc.process(member.pid)? else {
            return Ok(None);
        };
        let known = holder::read(
            &scanner.proc,
            &process,
            &scanner.hierarchies,
            scanner.host,
            notes,
        )?;
        let Some(known) = known else {
            return Ok(None);
        };
        let (Some(stat), Some(status)) = (process.stat()?, process.status()?) else {
            return Ok(None);
        };
        // The pid may have gone to another process.
        if stat.start_ticks != member.start_ticks {
            return Ok(None);
        }
        let (program, _) = recognise(&process, &known, notes);
        let call = notes.take(process.read("syscall"));
        let age = self.now.saturating_sub(stat.start_ticks);
        let age = in_seconds(age, rustix::param::clock_ticks_per_second());
        let mut found = Process {
            id: known.id,
            inner_pid: known.inner_pid(),
            name: known.name,
            command_line: known.command_line,
            executable: known.executable,
            program,
            state: known.state,
            signals: signals(&process, &status, notes),
            process_group: stat.process_group,
            age_seconds: age,
            call: call.map(|call| call_name(&call)),
            environment: environment(&process, notes),
            uids: status.uids,
            may_kill: status.effective_capabilities >> CAP_KILL & 1 == 1,
            // What is behind it is told later (`hand_down`).
            started_as: self.arguments.take(),
            rewrote_title: rewrote_title(&process),
            texts: Vec::new(),
            children: Vec::new(),
        };
        found.texts = texts::of(&process, &found, number);
        if !looks_below(&found, number) || depth >= DEEPEST {
            return Ok(Some(found));
        }
        let children = self.group.children(member.pid);
        if children.len() > MAX_CHILDREN {
            notes.push(format!(
                "only {MAX_CHILDREN} of the {} children of {} were looked at",
                children.len(),
                found.name
            ));
        }
        for child in children.into_iter().take(MAX_CHILDREN) {
            if self.left == 0 {
                notes.push(format!("only {MOST} of its processes were looked at"));
                break;
            }
            self.left = self.left.saturating_sub(1);
            let child = self.read_at(child, depth.saturating_add(1), notes);
            found.children.extend(notes.take(child));
        }
        Ok(Some(found))
    }
}

/// A title that is written over arguments leaves a run of NUL behind it. An empty last argument
/// leaves two.
fn rewrote_title(process: &proc::Process) -> bool {
    let beginning = process.beginning("cmdline", PAGE).ok().flatten();
    beginning.is_some_and(|(bytes, _)| bytes.ends_with(&[0, 0, 0]))
}

fn signals(process: &proc::Process, status: &Status, notes: &mut Notes) -> Signals {
    let tasks = notes.take(process.tasks()).unwrap_or_default();
    let mut blocked = Vec::new();
    for tid in tasks.into_iter().take(MAX_THREADS) {
        let file = notes.take(process.read(&format!("task/{tid}/status")));
        let thread = file.and_then(|bytes| Status::parse(&bytes).ok());
        blocked.extend(thread.map(|thread| thread.blocked));
    }
    let awaited = awaited::by(process, &blocked, notes);
    // While a thread is in sigtimedwait the kernel shows what it waits for as not blocked.
    Signals {
        ignored: status.ignored,
        caught: status.caught,
        awaited,
        blocked,
        pending: status.shared_pending,
        later: None,
    }
}

/// The few variables that bear on a signal; no other is kept.
fn environment(process: &proc::Process, notes: &mut Notes) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let read = process.for_each_part("environ", 0, bounds::ENVIRONMENT, |entry| {
        let mut parts = entry.splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next())
            && VARIABLES.iter().any(|known| known.as_bytes() == name)
            && found.len() < VARIABLES.len()
        {
            found.push((lossy(name), lossy(value)));
        }
        ControlFlow::Continue(())
    });
    notes.take(read);
    found
}
