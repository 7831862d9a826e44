//! What a diagnosis rests on: [`gather`] reads it from the live system.
//!
//! Everything here may vanish or be hidden at any moment. What cannot be read is unknown, and
//! a note says why; only a `/proc` that cannot be listed is an error.

mod elf;
mod namespace;
mod origins;
mod program;
mod threads;

use sexton_core::Leak;
use sexton_core::cause::{
    Answer, Blocked, Facts, First, FirstProcess, Language, Origins, Program, Session, Sigchld,
};

use crate::notes::Notes;
use crate::proc::Process;
use crate::{Error, Scanner};

pub(crate) use program::recognise;
pub(crate) use threads::call_name;

/// Looks at a leak's holder, its zombies and its PID namespace.
///
/// Reads only. Costs milliseconds, and a look at each process of the node where the holder is
/// in a PID namespace of its own.
pub fn gather(scanner: &mut Scanner, leak: &Leak) -> Result<Facts, Error> {
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
    let (program, native) = program::recognise(&process, &leak.holder, &mut notes);
    facts.program = program;
    let threads = threads::look(&process, native, &mut notes);
    facts.calls = threads.calls;
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

    facts.origins = origins::judge(
        scanner,
        &process,
        &stat,
        leak,
        &origins::Circumstances {
            job_control: facts.program.language == Language::Shell,
            never_waited: facts.waited() == Answer::No,
            live_children: around.live_children,
        },
        &mut notes,
    )?;
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
        first: FirstProcess {
            kind: First::Unknown,
            pid: None,
            command_line: String::new(),
        },
        shared_pid_namespace: Answer::Unknown,
        origins: Origins {
            direct: 0,
            adopted: 0,
            unknown: 0,
            session: Session::Unknown,
            same_name: false,
            killed: false,
            evidence: Vec::new(),
        },
        waited_faults: None,
        calls: Vec::new(),
        sigchld: Sigchld {
            blocked: Blocked::Unknown,
            pending: false,
        },
        drivers: Vec::new(),
        misplaced_inits: Vec::new(),
        notes: Vec::new(),
    }
}

/// `task/TID/NAME`, with a note when it is refused.
fn read_task(process: &Process, tid: u32, name: &str, notes: &mut Notes) -> Option<Vec<u8>> {
    notes.take(process.read(&format!("task/{tid}/{name}")))
}
