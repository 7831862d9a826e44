//! Limits that make `fork`, `clone` and `pthread_create` fail with `EAGAIN`, "Resource
//! temporarily unavailable".
//!
//! The kernel checks them in `copy_process` (kernel/fork.c), in the order in which they are
//! listed here: `RLIMIT_NPROC`, `threads-max`, `pid_max` of each PID namespace, `pids.max` of
//! each cgroup from the innermost up. These count threads, and zombies until somebody has waited
//! for them.
//!
//! The others come last because they bind threads alone, before they are cloned at all:
//! `vm.max_map_count`, and the limits of memory, since `pthread_create` gives `EAGAIN` where there
//! is no room for the stack (`fork` says `ENOMEM`, as it does in a PID namespace whose first
//! process has ended). `SCHED_DEADLINE` is not here, under which fork fails with `EAGAIN`
//! whatever the numbers are (`sched(7)`).

mod all;
mod census;
mod levels;
mod memory;
mod nproc;
mod pass;
mod users;

use std::ops::ControlFlow;
use std::path::Path;

use sexton_core::limit::mark_first;
use sexton_core::{Limit, LimitKind};

use crate::proc::{Loadavg, Proc, Process, Status};
use crate::{Error, Scanner};
use census::Census;
use levels::{Hierarchy, Levels};
use nproc::{Count, Ids, Nproc};
use users::Users;

pub use all::{of_all, of_cgroups, of_machine};
pub use pass::Pass;

/// `RESERVED_PIDS` of kernel/pid.c: once the numbers have gone round, none below is given out.
const RESERVED_PIDS: u32 = 300;
/// `PROC_PID_INIT_INO` of include/linux/proc_ns.h: the PID namespace that the machine began with.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The limits of the whole machine.
///
/// `zombies` is how many there are on it, where the caller knows. What cannot be read is left
/// out: nothing here is worth failing a scan for.
#[must_use]
pub fn of_node(scanner: &Scanner, zombies: Option<u64>) -> Vec<Limit> {
    let mut limits = Vec::with_capacity(2);
    limits.extend(threads_max(scanner.proc(), zombies));
    limits.extend(pid_max(scanner.proc(), zombies, None));
    mark_first(&mut limits);
    limits
}

/// Every limit that can make process `pid` fail to fork or to start a thread, the one that is
/// reached first marked; `None` if there is no such process.
///
/// Reads the status of every process once, to count those of the same user: about 10 µs each.
/// What cannot be read is said in the notes. Of many holders in one look ask [`Pass`].
///
/// # Errors
/// `/proc` cannot be listed, or nothing is known of the process.
pub fn of_process(scanner: &Scanner, pid: u32) -> Result<Option<Vec<Limit>>, Error> {
    of_process_as(scanner, pid, None)
}

/// As [`of_process`], with the limit of `user` instead of that of the process's own: as it will
/// bind the process once that has called `setuid`.
///
/// # Errors
/// As there.
pub fn of_process_as(
    scanner: &Scanner,
    pid: u32,
    user: Option<u32>,
) -> Result<Option<Vec<Limit>>, Error> {
    let proc = scanner.proc();
    let Some(process) = proc.process(pid)? else {
        return Ok(None);
    };
    let Some(status) = process.status()? else {
        return Ok(None);
    };
    let census = Census::take(proc)?;
    let mut users = Users::new(scanner);
    let mut limits = Vec::new();
    limits.extend(
        Nproc::read(&process, &status, &Ids::read(proc), user).map(|read| {
            let counted = |nproc: Nproc| of_user(&census, proc, &process, &nproc, &mut users);
            read.map_or_else(|unread| *unread, counted)
        }),
    );
    let zombies = census.zombies();
    limits.extend(threads_max(proc, zombies));
    limits.extend(inner_pid_max(&process, &status));
    limits.extend(pid_max(proc, zombies, Some(&census)));
    limits.extend(levels::limits(scanner, &process, &mut Levels::default()));
    fill(scanner, &census, &mut limits, &mut users);
    limits.extend(max_map_count(proc, &process));
    limits.extend(memory::limits(proc, &process, &status));
    mark_first(&mut limits);
    Ok(Some(limits))
}

/// Names those who fill what all of the machine, or a cgroup, share.
fn fill(scanner: &Scanner, census: &Census, limits: &mut [Limit], users: &mut Users) {
    let all = users.of(&census.tasks());
    let hierarchy = Hierarchy::of(scanner);
    for limit in limits {
        match limit.kind {
            LimitKind::ThreadsMax | LimitKind::PidMax if limit.used.is_some() => {
                limit.users.clone_from(&all);
            }
            LimitKind::CgroupPids => {
                let directory = Path::new(&limit.source).parent().map(Path::to_owned);
                if let (Some(hierarchy), Some(directory)) = (&hierarchy, directory) {
                    hierarchy.fill(limit, &directory, users);
                }
            }
            _ => {}
        }
    }
}

/// The limit of a user, with the tasks that count against it.
fn of_user(
    census: &Census,
    proc: &Proc,
    process: &Process,
    nproc: &Nproc,
    users: &mut Users,
) -> Limit {
    let counted = census.of_user(proc, process, nproc.uid());
    let mut limit = nproc.limit(&Count::of(counted.as_ref()));
    if let Some(by) = nproc.binds().and_then(|_| nproc::changed_by(process)) {
        let others = limit.note.map_or(String::new(), |note| format!("; {note}"));
        limit.note = Some(format!("to change it: {by}{others}"));
    }
    if let Some(counted) = counted.filter(|_| limit.limit.is_some()) {
        limit.users = users.of(&counted.processes);
    }
    limit
}

fn threads_max(proc: &Proc, zombies: Option<u64>) -> Option<Limit> {
    let source = source(proc, "sys/kernel/threads-max");
    Some(Limit {
        used: all_tasks(proc),
        limit: Some(number(proc, "sys/kernel/threads-max")?),
        zombies,
        ..Limit::new(LimitKind::ThreadsMax, "node", source)
    })
}

/// `census` is what our `/proc` shows: all that is in its PID namespace.
fn pid_max(proc: &Proc, zombies: Option<u64>, census: Option<&Census>) -> Option<Limit> {
    let limit = number(proc, "sys/kernel/pid_max")?;
    let inner = !in_first_pid_namespace(proc) && pid_max_is_namespaced();
    let (used, zombies) = if inner {
        census.map(Census::seen).unzip()
    } else {
        (all_tasks(proc), zombies)
    };
    // A few hundred numbers matter only where few are left, and looking costs 300 paths.
    let near =
        used.is_some_and(|used| limit.saturating_sub(used) < (limit / 4).saturating_add(1_000));
    let scope = if inner { "own PID namespace" } else { "node" };
    Some(Limit {
        used,
        limit: Some(limit),
        reserved: if near { unused_below_reserved(proc) } else { 0 },
        zombies,
        note: inner.then(|| {
            "this is pid_max of the PID namespace that Sexton runs in; that of the node binds \
             too, and can be read only there"
                .to_owned()
        }),
        ..Limit::new(LimitKind::PidMax, scope, source(proc, "sys/kernel/pid_max"))
    })
}

/// From Linux 6.14 a PID namespace has a `pid_max` of its own beside those of all above it.
/// The file shows that of the *reader's* namespace whichever `/proc` it is opened through, so
/// that of another can be named but not read without starting a process in it.
fn inner_pid_max(process: &Process, status: &Status) -> Option<Limit> {
    if status.ns_pids.len() < 2 || !pid_max_is_namespaced() {
        return None;
    }
    // Which one it is is no more than its name here.
    let namespace = process.ns_inode("pid").ok().flatten();
    let scope = match namespace {
        Some(inode) => format!("PID namespace {inode}"),
        None => "inner PID namespace".to_owned(),
    };
    let source = "kernel.pid_max (inside the container)";
    Some(Limit {
        note: Some(
            "a namespace begins with 4194304 and shows its own value only inside; each pid also \
             takes one of every namespace above"
                .to_owned(),
        ),
        ..Limit::new(LimitKind::PidMax, scope, source)
    })
}

fn max_map_count(proc: &Proc, process: &Process) -> Option<Limit> {
    let limit = number(proc, "sys/vm/max_map_count")?;
    let mut note = "for threads only: each takes two mappings, its stack and the guard below it, \
                    and pthread_create gives EAGAIN when there is no room; fork is not affected"
        .to_owned();
    let used = match count_mappings(process) {
        // A kernel thread or a zombie: it has no memory that could hold a stack.
        Ok(None | Some(0)) => return None,
        Ok(used) => used,
        Err(e) if e.is_denied() => {
            note.push_str("; its mappings are hidden from this user");
            None
        }
        Err(e) => {
            note.push_str(&format!("; {e}"));
            None
        }
    };
    let scope = format!("process {}", process.pid());
    Some(Limit {
        used,
        limit: Some(limit),
        each: 2,
        note: Some(note),
        ..Limit::new(
            LimitKind::MaxMapCount,
            scope,
            source(proc, "sys/vm/max_map_count"),
        )
    })
}

/// One line a mapping, of which there may be 65,530. `[vsyscall]` is shown but is no mapping of
/// the process (`get_gate_vma`).
fn count_mappings(process: &Process) -> Result<Option<u64>, Error> {
    let mut lines = 0_u64;
    let read = process.for_each_line("maps", |line| {
        if !(line.starts_with(b"ffff") && line.ends_with(b" [vsyscall]")) {
            lines = lines.saturating_add(1);
        }
        ControlFlow::Continue(())
    })?;
    Ok(read.map(|()| lines))
}

/// A limit of which nothing is known but that there is one.
fn unread(kind: LimitKind, scope: String, source: String, why: &Error) -> Limit {
    Limit {
        note: Some(format!("not known: {why}")),
        ..Limit::new(kind, scope, source)
    }
}

/// Every task of the machine, whatever PID namespace we are in.
fn all_tasks(proc: &Proc) -> Option<u64> {
    let text = proc.read("loadavg").ok()??;
    Some(Loadavg::parse(&text).ok()?.tasks)
}

/// Numbers below 300 that nothing has: they are left aside, and 0 always is.
fn unused_below_reserved(proc: &Proc) -> u64 {
    // `/proc/N` answers for threads too, though only processes are listed.
    (0..RESERVED_PIDS)
        .filter(|pid| !proc.path().join(pid.to_string()).exists())
        .count() as u64
}

/// Unknown (a tree made for a test) is taken for the first.
fn in_first_pid_namespace(proc: &Proc) -> bool {
    proc.own_pid()
        .and_then(|pid| proc.process(pid).ok()??.ns_inode("pid").ok()?)
        .is_none_or(|inode| inode == FIRST_PID_NAMESPACE)
}

fn pid_max_is_namespaced() -> bool {
    kernel_version() >= (6, 14)
}

/// Major and minor number of the running kernel.
fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let mut numbers = uname
        .release()
        .to_bytes()
        .split(|byte| !byte.is_ascii_digit())
        .map(|digits| str::from_utf8(digits).ok()?.parse().ok());
    let mut next = || numbers.next().flatten().unwrap_or(0);
    (next(), next())
}

fn number(proc: &Proc, name: &str) -> Option<u64> {
    let text = proc.read(name).ok()??;
    str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn source(proc: &Proc, name: &str) -> String {
    proc.path().join(name).display().to_string()
}

#[cfg(test)]
mod tests;
