//! Where the holder's threads sleep, and whether SIGCHLD can reach one of them.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;

use sexton_core::cause::{Blocked, Call, Sigchld};
use syscalls::Sysno;

use super::{read_task, task_status};
use crate::audit::awaited;
use crate::notes::Notes;
use crate::proc::{Process, Stat};

/// Threads looked at; of programs with more, these tell enough.
const MAX_THREADS: usize = 512;

/// Bit of SIGCHLD (17) in a signal mask: signal n is bit n − 1.
const SIGCHLD_BIT: u64 = 1 << 16;

pub(super) struct Threads {
    pub(super) calls: Vec<Call>,
    /// Children by number that the main thread waits for, where it waits for no others.
    pub(super) waits_for: Vec<u32>,
    /// The open files that the main thread waits for input from.
    pub(super) reads: Vec<u32>,
    /// When the first of the other threads started, in ticks. `execve` ends all threads but the
    /// one that calls it, so what is younger than one is younger than the program.
    pub(super) first_start: Option<u64>,
    pub(super) sigchld: Sigchld,
}

/// Looks at the threads; `native` says that their calls have this architecture's numbers.
pub(super) fn look(process: &Process, native: bool, notes: &mut Notes) -> Threads {
    if !native {
        notes.push("a 32-bit program: the calls of its threads are not told");
    }
    let tasks = notes.take(process.tasks()).unwrap_or_default();
    let mut calls: HashMap<String, u32> = HashMap::new();
    let (mut seen, mut blocking, mut pending) = (0_usize, 0_usize, false);
    let (mut main, mut first_start) = (None, None);
    let (mut collecting, mut exposed) = (None, false);
    let mut masks = Vec::new();
    let mut readable = native;
    for &tid in tasks.iter().take(MAX_THREADS) {
        let (mut collects, mut awaits_input) = (false, false);
        if readable {
            match read_task(process, tid, "syscall", notes) {
                Some(call) => {
                    let name = call_name(&call);
                    collects = name == "rt_sigtimedwait";
                    awaits_input =
                        name == "read" || name.contains("poll") || name.contains("select");
                    let count = calls.entry(name).or_default();
                    *count = u32::saturating_add(*count, 1);
                    if tid == process.pid() {
                        main = Some(call);
                    }
                }
                // What is refused for one thread is refused for all; one note is enough.
                None => readable = false,
            }
        }
        if tid != process.pid() {
            let stat = read_task(process, tid, "stat", notes);
            let start = stat.and_then(|bytes| Some(Stat::parse(&bytes).ok()?.start_ticks));
            first_start = first_start.into_iter().chain(start).min();
        }
        if let Some(status) = task_status(process, tid, notes) {
            // Whom a signalfd serves is not shown: one that waits for input.
            if status.blocks_sigchld() && awaits_input && collecting.is_none() {
                collecting = Some(tid);
            }
            masks.push(status.blocked);
            // For as long as it sleeps, the kernel takes what sigwait waits for out of the mask
            // (kernel/signal.c, `do_sigtimedwait`).
            if collects && !status.blocks_sigchld() {
                collecting = Some(tid);
            } else if !status.blocks_sigchld() {
                exposed = true;
            }
            seen = seen.saturating_add(1);
            blocking = blocking.saturating_add(status.blocks_sigchld().into());
            pending |= (status.pending | status.shared_pending) & SIGCHLD_BIT != 0;
        }
    }
    let mut calls: Vec<Call> = calls
        .into_iter()
        .map(|(name, threads)| Call { name, threads })
        .collect();
    calls.sort_by(|a, b| b.threads.cmp(&a.threads).then_with(|| a.name.cmp(&b.name)));
    // Threads whose mask blocks the signal show that it is collected on purpose.
    let collector = collecting.filter(|_| {
        let shared = exposed && blocking > 0;
        shared && awaited::by(process, &masks, notes) & SIGCHLD_BIT != 0
    });
    let main = main.unwrap_or_default();
    Threads {
        waits_for: waits_for(&main).into_iter().collect(),
        reads: reads(process, &main, notes),
        first_start,
        calls,
        sigchld: Sigchld {
            blocked: match (blocking, seen) {
                (_, 0) => Blocked::Unknown,
                (0, _) => Blocked::None,
                (blocking, seen) if blocking == seen => Blocked::All,
                _ => Blocked::Some,
            },
            pending,
            collector,
        },
    }
}

/// The number and the arguments of a call, as `/proc/PID/syscall` gives them.
fn arguments(file: &[u8]) -> Option<(String, Vec<u64>)> {
    let text = str::from_utf8(file).ok()?;
    let rest = text.split_whitespace().skip(1);
    let arguments = rest.map_while(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    Some((call_name(file), arguments.collect()))
}

/// The one child that a wait is for.
fn waits_for(file: &[u8]) -> Option<u32> {
    /// `P_PID` of `waitid(2)`.
    const BY_PID: u64 = 1;
    let (name, arguments) = arguments(file)?;
    let wanted = match (name.as_str(), arguments.as_slice()) {
        ("wait4", [pid, ..]) => *pid,
        ("waitid", [kind, pid, ..]) if *kind & 0xffff_ffff == BY_PID => *pid,
        _ => return None,
    };
    // A pid_t has 32 bits; 0 and less stand for groups and for all.
    let low = u32::try_from(wanted & 0xffff_ffff).ok()?;
    i32::try_from(low).is_ok_and(|pid| pid > 0).then_some(low)
}

/// The open files that a thread waits for input from.
fn reads(process: &Process, file: &[u8], notes: &mut Notes) -> Vec<u32> {
    let one = reads_one(file).into_iter().collect();
    polled(file).map_or(one, |(address, length)| {
        let memory = notes.take(process.open_file("mem"));
        let mut list = vec![0; length];
        match memory.is_some_and(|memory| memory.read_exact_at(&mut list, address).is_ok()) {
            // struct pollfd: the file's number, then what is asked and what is answered.
            true => list
                .chunks_exact(POLLFD)
                .filter_map(|entry| Some(u32::from_ne_bytes(*entry.first_chunk()?)))
                .collect(),
            false => Vec::new(),
        }
    })
}

/// Bytes of a `struct pollfd`, and so many of them are read.
const POLLFD: usize = 8;
const MAX_POLLED: usize = 16;

/// Where the list of a `poll` is, and its length in bytes.
fn polled(file: &[u8]) -> Option<(u64, usize)> {
    let (name, arguments) = arguments(file)?;
    match (name.as_str(), arguments.as_slice()) {
        ("poll" | "ppoll", [address, count, ..]) => {
            let count = usize::try_from(*count).ok()?.min(MAX_POLLED);
            Some((*address, count.checked_mul(POLLFD)?))
        }
        _ => None,
    }
}

/// The open file of a read.
fn reads_one(file: &[u8]) -> Option<u32> {
    let (name, arguments) = arguments(file)?;
    let reading = ["read", "readv", "recvfrom", "recvmsg"];
    let fd = *arguments
        .first()
        .filter(|_| reading.contains(&name.as_str()))?;
    u32::try_from(fd & 0xffff_ffff).ok()
}

/// `/proc/PID/task/TID/syscall`: `running`, or the call's number (-1: blocked, but in no call)
/// and its arguments.
pub(crate) fn call_name(file: &[u8]) -> String {
    let text = String::from_utf8_lossy(file);
    let first = text.split_whitespace().next().unwrap_or("running");
    match first.parse::<i64>() {
        Err(_) | Ok(-1) => "running".to_owned(),
        // A call that is newer than the list is shown by its number.
        Ok(number) => usize::try_from(number)
            .ok()
            .and_then(Sysno::new)
            .map_or_else(
                || format!("syscall {number}"),
                |call| call.name().to_owned(),
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_name() {
        for (number, name) in [
            (libc::SYS_wait4, "wait4"),
            (libc::SYS_mount, "mount"),
            (libc::SYS_fsync, "fsync"),
            (libc::SYS_landlock_create_ruleset, "landlock_create_ruleset"),
        ] {
            assert_eq!(call_name(format!("{number} 0x0").as_bytes()), name);
        }
        assert_eq!(call_name(b"99999 0x0"), "syscall 99999");
        assert_eq!(call_name(b"-7 0x0"), "syscall -7");
        assert_eq!(call_name(b"-1 0x0"), "running");
        assert_eq!(call_name(b""), "running");
    }

    #[test]
    fn what_a_call_is_about() {
        let wait = |arguments: &str| {
            waits_for(format!("{} {arguments} 0x7ffd 0x7f00", libc::SYS_wait4).as_bytes())
        };
        assert_eq!(wait("0x2a 0x7ffe1 0x0 0x0 0x0 0x0"), Some(42));
        // -1, with and without the sign's extension; a group.
        assert_eq!(wait("0xffffffff 0x0 0x0 0x0 0x0 0x0"), None);
        assert_eq!(wait("0xffffffffffffffff 0x0 0x0 0x0 0x0 0x0"), None);
        assert_eq!(wait("0x0 0x0 0x0 0x0 0x0 0x0"), None);
        let waitid =
            |arguments: &str| waits_for(format!("{} {arguments}", libc::SYS_waitid).as_bytes());
        assert_eq!(waitid("0x1 0x2a 0x0"), Some(42));
        assert_eq!(waitid("0x0 0x0 0x0"), None);
        assert_eq!(waits_for(b"running"), None);
        let read = format!("{} 0x5 0x7ffd 0x1000 0x0 0x0 0x0", libc::SYS_read);
        assert_eq!(reads_one(read.as_bytes()), Some(5));
        assert_eq!(reads_one(b"-1 0x0 0x0"), None);
        assert_eq!(reads_one(b"\xff 0x1"), None);
        let poll = format!("{} 0x7ffd 0x2 0x0 0x0 0x0 0x0", libc::SYS_ppoll);
        assert_eq!(polled(poll.as_bytes()), Some((0x7ffd, 16)));
        let many = format!("{} 0x7ffd 0xffffffff 0x0", libc::SYS_ppoll);
        assert_eq!(polled(many.as_bytes()), Some((0x7ffd, 128)));
    }
}
