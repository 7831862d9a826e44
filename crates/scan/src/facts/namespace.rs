//! The holder's PID namespace: its PID 1, and who else lives there.

use sexton_core::cause::{Answer, First, FirstProcess, driver_of, kind_of_first};
use sexton_core::{Leak, SigchldAction};

use crate::notes::Notes;
use crate::proc::Process;
use crate::{Error, Scanner, Seen, lossy};

/// Characters of PID 1's command line that are kept.
const COMMAND_SHOWN: usize = 100;

pub(super) struct Around {
    pub(super) first: FirstProcess,
    pub(super) shared: Answer,
    pub(super) inits: Vec<String>,
    pub(super) drivers: Vec<String>,
    /// The processes of the namespace; `None` where they were not looked for.
    pub(super) members: Option<Vec<Member>>,
}

/// A process of the namespace. Zombies are among them where the kernel still shows their
/// namespace.
pub(super) struct Member {
    pub(super) pid: u32,
    /// It is a zombie.
    pub(super) ended: bool,
    pub(super) name: String,
    pub(super) start_ticks: u64,
    pub(super) inner_pid: u32,
    pub(super) threads: u32,
    /// `cminflt`: 0 where it has never waited for a child.
    pub(super) waited_faults: u64,
    pub(super) sigchld: SigchldAction,
    command_line: Vec<String>,
    executable: Option<String>,
}

pub(super) fn look(scanner: &mut Scanner, leak: &Leak, notes: &mut Notes) -> Result<Around, Error> {
    let mut around = Around {
        first: FirstProcess {
            kind: First::Unknown,
            pid: None,
            command_line: String::new(),
        },
        shared: Answer::Unknown,
        inits: Vec::new(),
        drivers: Vec::new(),
        members: None,
    };
    let Some(inode) = leak.holder.pid_namespace else {
        notes.push("the holder's PID namespace is hidden: its PID 1 is not known");
        return Ok(around);
    };
    // What is hidden of others is no news in a note about this holder.
    let mut others = Notes::of_viewer(scanner.viewer.sees_all);
    let members = members(scanner, inode, &mut others)?;
    let mut found = Vec::new();
    for &pid in &members {
        let Some(process) = others.take(scanner.proc.process(pid)) else {
            continue;
        };
        let Some(member) = read(&process, &mut others) else {
            continue;
        };
        if let Some(driver) = driver_of(&member.name, &member.command_line.join(" ")) {
            around.drivers.push(format!("{driver} (pid {pid})"));
        }
        let kind = kind_of_first(member.executable.as_deref(), &member.command_line);
        if member.inner_pid == 1 {
            around.first = FirstProcess {
                kind,
                pid: Some(pid),
                command_line: shown(&member.command_line.join(" ")),
            };
        } else if kind == First::Init {
            around.inits.push(format!("{} (pid {pid})", member.name));
        }
        found.push(member);
    }
    // Of the machine's own namespace only PID 1 was looked at.
    around.members = (members != [1]).then_some(found);
    if let Some(pid) = around.first.pid {
        around.shared = is_shared(scanner, leak, pid, &mut others);
    }
    scanner.notes.count(&others);
    Ok(around)
}

/// Live processes in a PID namespace, itself and not those below it. The machine's own is not
/// walked: of it only PID 1 is of interest.
fn members(scanner: &Scanner, inode: u64, notes: &mut Notes) -> Result<Vec<u32>, Error> {
    let proc = scanner.proc();
    let mut is_in = |pid: u32| {
        let process = notes.take(proc.process(pid));
        process.and_then(|process| notes.take(process.ns_inode("pid"))) == Some(inode)
    };
    if is_in(1) {
        return Ok(vec![1]);
    }
    let mut found = proc.pids()?;
    found.retain(|pid| is_in(*pid));
    Ok(found)
}

fn read(process: &Process, notes: &mut Notes) -> Option<Member> {
    let stat = notes.take(process.stat())?;
    let status = notes.take(process.status())?;
    let command_line = notes.take(process.cmdline()).unwrap_or_default();
    let executable = notes.take(process.exe());
    Some(Member {
        pid: stat.pid,
        ended: stat.is_reapable_zombie(),
        name: stat.comm.to_lossy(),
        start_ticks: stat.start_ticks,
        threads: stat.threads,
        waited_faults: stat.children_minor_faults,
        sigchld: status.sigchld(),
        command_line: command_line.iter().map(|arg| lossy(arg)).collect(),
        executable: executable.map(|path| lossy(path.as_os_str().as_encoded_bytes())),
        inner_pid: status.ns_pids.last().copied().unwrap_or(0),
    })
}

/// PID 1 belongs to another container than the holder, or the holder's container lives in the
/// machine's own PID namespace.
fn is_shared(scanner: &Scanner, leak: &Leak, first: u32, notes: &mut Notes) -> Answer {
    let Some(own) = &leak.container else {
        return Answer::No;
    };
    let container = scanner.contained(first, &mut Seen::default(), notes);
    match notes.take(container) {
        Some(other) if other.id == own.id => Answer::No,
        _ => Answer::Yes,
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(COMMAND_SHOWN) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}
