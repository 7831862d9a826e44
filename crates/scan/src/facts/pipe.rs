//! A holder that reads a pipe, and waits for its child only after the end of file: the end does
//! not come as long as any process holds the other end, though the child has ended.

use sexton_core::cause::HeldPipe;

use super::namespace::Member;
use crate::notes::Notes;
use crate::proc::Process;
use crate::{Error, Scanner};

/// A read keeps the holder from one wait, so it explains no more zombies than a few.
pub(super) const FEW: u64 = 4;
/// Processes that are asked for the pipe, open files of each, and holders that are named.
const MAX_PROCESSES: usize = 4_096;
const MAX_FILES: usize = 256;
const MAX_NAMED: usize = 4;

/// The first pipe that the holder reads from `fds`, if other processes can write to it and the holder
/// itself cannot.
pub(super) fn held(
    scanner: &Scanner,
    holder: &Process,
    fds: &[u32],
    members: Option<&[Member]>,
    notes: &mut Notes,
) -> Result<Option<HeldPipe>, Error> {
    // What a command says never comes in on standard input. Both ends of a socket pair have
    // names of their own, so of those nothing is told.
    let mut names = (fds.iter().filter(|fd| **fd != 0))
        .filter_map(|fd| notes.take(holder.open_name(*fd)))
        .filter(|name| name.starts_with("pipe:["));
    let Some(name) = names.next() else {
        return Ok(None);
    };
    let pids = match members {
        Some(members) => members.iter().map(|member| member.pid).collect(),
        None => scanner.proc().pids()?,
    };
    // What is hidden of others is no news about this holder.
    let mut others = Notes::of_viewer(scanner.viewer.sees_all);
    let mut writers = Vec::new();
    for pid in pids.into_iter().take(MAX_PROCESSES) {
        let Some(process) = others.take(scanner.proc().process(pid)) else {
            continue;
        };
        if !writes_to(&process, &name, &mut others) {
            continue;
        }
        if pid == holder.pid() {
            return Ok(None);
        }
        if let Some(stat) = others
            .take(process.stat())
            .filter(|_| writers.len() < MAX_NAMED)
        {
            writers.push(format!("{} (pid {pid})", stat.comm.to_lossy()));
        }
    }
    Ok((!writers.is_empty()).then_some(HeldPipe { name, writers }))
}

fn writes_to(process: &Process, pipe: &str, notes: &mut Notes) -> bool {
    let fds = notes.take(process.fds(MAX_FILES)).unwrap_or_default();
    fds.into_iter().any(|fd| {
        notes.take(process.open_name(fd)).as_deref() == Some(pipe)
            && notes
                .take(process.beginning(&format!("fdinfo/{fd}"), 64))
                .is_some_and(|(info, _)| is_for_writing(&info))
    })
}

/// `flags:` of `fdinfo`, in octal: the last two bits are 1 or 2 for a file that can be written.
fn is_for_writing(info: &[u8]) -> bool {
    let lines = info.split(|byte| *byte == b'\n');
    let flags = lines
        .filter_map(|line| line.strip_prefix(b"flags:"))
        .find_map(|value| u32::from_str_radix(str::from_utf8(value.trim_ascii()).ok()?, 8).ok());
    flags.is_some_and(|flags| flags & 3 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_for_writing() {
        assert!(is_for_writing(b"pos:\t0\nflags:\t01\nmnt_id:\t15\n"));
        assert!(is_for_writing(b"pos:\t0\nflags:\t02004002\nmnt_id:\t15\n"));
        assert!(!is_for_writing(b"pos:\t0\nflags:\t02000000\nmnt_id:\t15\n"));
        assert!(!is_for_writing(b"pos:\t0\nflags:\tx\n"));
        assert!(!is_for_writing(b""));
    }
}
