//! Where the holder's threads sleep, and whether SIGCHLD can reach one of them.

use std::collections::HashMap;

use sexton_core::cause::{Blocked, Call, Sigchld};

use super::read_task;
use crate::notes::Notes;
use crate::proc::{Process, Status};

/// Threads looked at; of programs with more, these tell enough.
const MAX_THREADS: usize = 512;

/// Bit of SIGCHLD (17) in a signal mask: signal n is bit n − 1.
const SIGCHLD_BIT: u64 = 1 << 16;

/// Calls in which threads are found asleep. Others are shown by their number.
const NAMES: &[(i64, &str)] = &[
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_epoll_pwait2, "epoll_pwait2"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_pselect6, "pselect6"),
    (libc::SYS_read, "read"),
    (libc::SYS_readv, "readv"),
    (libc::SYS_write, "write"),
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend"),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait"),
    (libc::SYS_restart_syscall, "restart_syscall"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_io_uring_enter, "io_uring_enter"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork"),
];

pub(super) struct Threads {
    pub(super) calls: Vec<Call>,
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
    let mut readable = native;
    for &tid in tasks.iter().take(MAX_THREADS) {
        if readable {
            match read_task(process, tid, "syscall", notes) {
                Some(call) => {
                    let count = calls.entry(call_name(&call)).or_default();
                    *count = u32::saturating_add(*count, 1);
                }
                // What is refused for one thread is refused for all; one note is enough.
                None => readable = false,
            }
        }
        let status =
            read_task(process, tid, "status", notes).and_then(|bytes| Status::parse(&bytes).ok());
        if let Some(status) = status {
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
    Threads {
        calls,
        sigchld: Sigchld {
            blocked: match (blocking, seen) {
                (_, 0) => Blocked::Unknown,
                (0, _) => Blocked::None,
                (blocking, seen) if blocking == seen => Blocked::All,
                _ => Blocked::Some,
            },
            pending,
        },
    }
}

/// `/proc/PID/task/TID/syscall`: `running`, or the call's number (-1: blocked, but in no call)
/// and its arguments.
pub(crate) fn call_name(file: &[u8]) -> String {
    let text = String::from_utf8_lossy(file);
    let first = text.split_whitespace().next().unwrap_or("running");
    match first.parse::<i64>() {
        Err(_) | Ok(-1) => "running".to_owned(),
        Ok(number) => NAMES
            .iter()
            .find(|(known, _)| *known == number)
            .map_or_else(
                || format!("syscall {number}"),
                |(_, name)| (*name).to_owned(),
            ),
    }
}
