//! One process, and those below it that a signal may be passed on to.

use sexton_core::audit::{INIT_VARIABLES, Process, Signals, passes_signals_on};
use sexton_core::cause::{First, Language, kind_of_first};

use super::awaited;
use super::members::{Group, Member};
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

/// `None` when it has ended.
pub(super) fn read(
    scanner: &Scanner,
    group: &Group,
    member: Member,
    now: u64,
    notes: &mut Notes,
) -> Result<Option<Process>, Error> {
    read_at(scanner, group, member, now, 0, notes)
}

fn read_at(
    scanner: &Scanner,
    group: &Group,
    member: Member,
    now: u64,
    depth: usize,
    notes: &mut Notes,
) -> Result<Option<Process>, Error> {
    let Some(process) = scanner.proc.process(member.pid)? else {
        return Ok(None);
    };
    let known = holder::read(&scanner.proc, &process, &scanner.hierarchies, scanner.host)?;
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
    let age = now.saturating_sub(stat.start_ticks) / rustix::param::clock_ticks_per_second().max(1);
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
            found
                .children
                .extend(read_at(scanner, group, child, now, depth + 1, notes)?);
        }
    }
    Ok(Some(found))
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
    let Some(bytes) = notes.take(process.read("environ")) else {
        return Vec::new();
    };
    let variables = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let equals = memchr::memchr(b'=', entry)?;
        let name = lossy(&entry[..equals]);
        INIT_VARIABLES
            .contains(&name.as_str())
            .then(|| (name, lossy(&entry[equals + 1..])))
    });
    variables.collect()
}
