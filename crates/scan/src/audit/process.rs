//! One process, and those below it that a signal may be passed on to.

use std::ops::ControlFlow;

use sexton_core::audit::{INIT_VARIABLES, Process, Signals, passes_signals_on};
use sexton_core::cause::{First, Language, kind_of_first};

use super::awaited;
use super::members::{Group, Member};
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

/// A process, and whether the cgroup freezer holds it.
pub(super) struct Read {
    pub(super) process: Process,
    pub(super) frozen: bool,
}

/// `None` when it has ended.
///
/// # Errors
/// Its identity cannot be read.
pub(super) fn read(
    scanner: &Scanner,
    group: &Group,
    member: Member,
    now: u64,
    notes: &mut Notes,
) -> Result<Option<Read>, Error> {
    read_at(scanner, group, member, now, 0, notes)
}

fn read_at(
    scanner: &Scanner,
    group: &Group,
    member: Member,
    now: u64,
    depth: usize,
    notes: &mut Notes,
) -> Result<Option<Read>, Error> {
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
        age_seconds: in_seconds(
            now.saturating_sub(stat.start_ticks),
            rustix::param::clock_ticks_per_second(),
        ),
        call: call.map(|call| call_name(&call)),
        environment: Vec::new(),
        children: Vec::new(),
    };
    let kind = kind_of_first(found.executable.as_deref(), &found.command_line);
    if passes_signals_on(&found) {
        found.environment = environment(&process, notes);
    }
    let has_command = kind == First::Init
        || kind == First::Shell
        || found.program.language == Language::Shell
        || passes_signals_on(&found);
    if has_command && depth < DEEPEST {
        for child in group.children(member.pid).into_iter().take(MAX_CHILDREN) {
            let child = read_at(scanner, group, child, now, depth.saturating_add(1), notes);
            found
                .children
                .extend(notes.take(child).map(|child| child.process));
        }
    }
    Ok(Some(Read {
        process: found,
        frozen: known.frozen,
    }))
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
    }
}

/// The few variables that inits read; no other is kept.
fn environment(process: &proc::Process, notes: &mut Notes) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let read = process.for_each_part("environ", 0, bounds::ENVIRONMENT, |entry| {
        let mut parts = entry.splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next())
            && INIT_VARIABLES.iter().any(|known| known.as_bytes() == name)
            && found.len() < INIT_VARIABLES.len()
        {
            found.push((lossy(name), lossy(value)));
        }
        ControlFlow::Continue(())
    });
    notes.take(read);
    found
}
