//! One process, and those below it that a signal may be passed on to.

use std::io::Read;

use sexton_core::audit::{Process, Signals, VARIABLES, looks_below};

use super::members::{Group, Member};
use super::{awaited, texts};
use crate::facts::{Notes, call_name, recognise};
use crate::holder;
use crate::proc::{self, Status};
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
const PAGE: u64 = 4096;
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
    /// Processes that may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scanner: &'a Scanner, group: &'a Group, now: u64, number: u8) -> Self {
        Self {
            scanner,
            group,
            now,
            number,
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
        let Some(known) = holder::read(&scanner.proc, &process, &scanner.hierarchies)? else {
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
        let age = self.now.saturating_sub(stat.start_ticks)
            / rustix::param::clock_ticks_per_second().max(1);
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
            started_as: None,
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
            notes.0.push(format!(
                "only {MAX_CHILDREN} of the {} children of {} were looked at",
                children.len(),
                found.name
            ));
        }
        for child in children.into_iter().take(MAX_CHILDREN) {
            if self.left == 0 {
                notes
                    .0
                    .push(format!("only {MOST} of its processes were looked at"));
                break;
            }
            self.left -= 1;
            found
                .children
                .extend(self.read_at(child, depth + 1, notes)?);
        }
        Ok(Some(found))
    }
}

/// A title that is written over arguments leaves a run of NUL behind it. An empty last argument
/// leaves two.
fn rewrote_title(process: &proc::Process) -> bool {
    let mut beginning = Vec::new();
    let file = process.open_file("cmdline").ok().flatten();
    let read = file.and_then(|file| file.take(PAGE).read_to_end(&mut beginning).ok());
    read.is_some() && beginning.ends_with(&[0, 0, 0])
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
    let Some(bytes) = notes.take(process.read("environ")) else {
        return Vec::new();
    };
    let variables = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let equals = memchr::memchr(b'=', entry)?;
        let name = lossy(&entry[..equals]);
        VARIABLES
            .contains(&name.as_str())
            .then(|| (name, lossy(&entry[equals + 1..])))
    });
    variables.collect()
}
