//! What a diagnosis rests on: [`gather`] reads it from the live system.
//!
//! Everything here may vanish or be hidden at any moment. What cannot be read is unknown, and
//! a note says why; only a `/proc` that cannot be listed is an error.

pub(crate) mod age;
mod asleep;
mod elf;
mod namespace;
mod numbers;
mod origins;
mod pipe;
mod program;
mod threads;

use std::collections::HashSet;
use std::ops::Range;

use sexton_core::cause::{
    Answer, Asleep, Blocked, Facts, First, FirstProcess, Language, Origins, Program, Session,
    Sigchld,
};
use sexton_core::{Leak, ProcessId};

use crate::notes::Notes;
use crate::proc::{Process, Status};
use crate::{Error, Scanner};

pub(crate) use program::recognise;
pub(crate) use threads::call_name;

/// Looks at a leak's holder, its zombies and its PID namespace.
///
/// Reads only. Costs milliseconds, and a look at each process of the node where the holder is
/// in a PID namespace of its own.
pub fn gather(scanner: &mut Scanner, leak: &Leak) -> Result<Facts, Error> {
    gather_since(scanner, leak, None, &Forks::default())
}

/// What is remembered of a holder from the first look at it, to see what it does itself.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    holder: ProcessId,
    faults: u64,
}

/// Begins to watch a holder. Nothing of ours may make it wait until [`gather_since`].
///
/// `None` where it has ended or cannot be read.
pub fn begin(scanner: &mut Scanner, holder: ProcessId) -> Option<Before> {
    let stat = scanner.proc.stat(holder.pid, &mut Vec::new()).ok()??;
    (stat.id() == holder).then_some(Before {
        holder,
        faults: stat.children_minor_faults,
    })
}

/// What a watch over the forks of a holder has seen.
#[derive(Clone, Debug, Default)]
pub struct Forks {
    /// Children that the holder itself started.
    pub born: HashSet<ProcessId>,
    /// Of what was started in this time, in ticks since boot, `born` has each child of the holder.
    /// Empty where some may be missing.
    pub whole: Range<u64>,
}

/// [`gather`] at the end of a time of watching.
///
/// # Errors
/// As [`gather`].
pub fn gather_since(
    scanner: &mut Scanner,
    leak: &Leak,
    before: Option<Before>,
    forks: &Forks,
) -> Result<Facts, Error> {
    let mut facts = unknown(leak);
    let mut notes = Notes::default();
    let process = notes.take(scanner.proc.process(leak.holder.id.pid));
    let stat = process
        .as_ref()
        .and_then(|process| notes.take(process.stat()))
        // The pid may have gone to another process since the scan.
        .filter(|stat| stat.id() == leak.holder.id);
    let Some((process, stat)) = process.zip(stat) else {
        facts.notes = notes.into_list();
        if facts.notes.is_empty() {
            facts.notes.push("the holder has ended".to_owned());
        }
        return Ok(facts);
    };
    facts.waited_faults = Some(stat.children_minor_faults);
    facts.seen_waiting = before.is_some_and(|before| {
        before.holder == stat.id() && before.faults < stat.children_minor_faults
    });
    facts.out_of_reach = process.exe().is_err_and(|error| error.is_denied());
    let (program, native) = program::recognise(&process, &leak.holder, &mut notes);
    facts.program = program;
    facts.starts_processes = program::starts_processes(&process, &leak.holder, &mut notes);
    let threads = threads::look(&process, native, &mut notes);
    facts.asleep = asleep::look(scanner, &process, leak, &threads.calls, &mut notes);
    facts.calls = threads.calls;
    facts.waits_for = threads.waits_for;
    facts.sigchld = threads.sigchld;

    let around = namespace::look(scanner, leak, &mut notes)?;
    facts.first = around.first;
    facts.shared_pid_namespace = around.shared;
    facts.misplaced_inits = around.inits;
    facts.drivers = around.drivers;
    facts.drivers.extend(
        leak.commands
            .iter()
            .filter_map(|c| sexton_core::cause::driver_of(&c.name, ""))
            .map(|driver| format!("{driver} (ended)")),
    );

    let judged = origins::judge(
        scanner,
        &process,
        &stat,
        leak,
        &origins::Circumstances {
            shell: facts.program.language == Language::Shell,
            starts_processes: facts.starts_processes,
            never_waited: facts.waited() == Answer::No,
            first_thread: threads.first_start,
            members: around.members.as_deref(),
            forks,
        },
        &mut notes,
    )?;
    facts.origins = judged.origins;
    facts.dead_seconds = age::dead_for(scanner, &judged.zombies, &mut notes);
    if leak.zombies <= pipe::FEW {
        let members = around.members.as_deref();
        facts.held_pipe = pipe::held(scanner, &process, &threads.reads, members, &mut notes)?;
    }
    scanner.notes.count(&notes);
    facts.notes = notes.into_list();
    Ok(facts)
}

/// What is known before anything was read.
fn unknown(leak: &Leak) -> Facts {
    Facts {
        leak: leak.clone(),
        program: Program {
            language: Language::Unknown,
            evidence: None,
        },
        starts_processes: Answer::Unknown,
        first: FirstProcess {
            kind: First::Unknown,
            pid: None,
            command_line: String::new(),
        },
        shared_pid_namespace: Answer::Unknown,
        origins: Origins {
            direct: 0,
            adopted: 0,
            inherited: 0,
            early: false,
            unknown: 0,
            session: Session::Unknown,
            same_name: false,
            killed: false,
            evidence: Vec::new(),
        },
        waited_faults: None,
        seen_waiting: false,
        dead_seconds: None,
        waits_for: Vec::new(),
        held_pipe: None,
        calls: Vec::new(),
        asleep: Asleep::default(),
        sigchld: Sigchld {
            blocked: Blocked::Unknown,
            pending: false,
            collector: None,
        },
        drivers: Vec::new(),
        misplaced_inits: Vec::new(),
        out_of_reach: false,
        notes: Vec::new(),
    }
}

/// What a thread's own `status` says.
fn task_status(process: &Process, tid: u32, notes: &mut Notes) -> Option<Status> {
    Status::parse(&read_task(process, tid, "status", notes)?).ok()
}

/// `task/TID/NAME`, with a note when it is refused.
fn read_task(process: &Process, tid: u32, name: &str, notes: &mut Notes) -> Option<Vec<u8>> {
    notes.take(process.read(&format!("task/{tid}/{name}")))
}
