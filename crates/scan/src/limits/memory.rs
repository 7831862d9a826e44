//! Limits of memory that stop threads: `pthread_create` gives `EAGAIN` where the stack of the new
//! thread does not fit, whatever the kernel said (glibc, nptl/pthread_create.c; musl does so, too).
//!
//! A limit that is not set has no line here.

use std::ops::ControlFlow;

use sexton_core::{Limit, LimitKind};

use super::{number, source};
use crate::proc::{Proc, Process, Status, resource_limit};

/// capabilities(7)
const CAP_IPC_LOCK: u64 = 1 << 14;
/// `ARCH_STACK_DEFAULT_SIZE` of glibc: where `RLIMIT_STACK` is unlimited.
const STACK_WITHOUT_LIMIT: u64 = 2 << 20;
/// What the kernel itself maps into a process (vdso, vvar) cannot be locked.
const NEVER_LOCKED: u64 = 256 << 10;
/// `OVERCOMMIT_NEVER` of include/uapi/linux/mman.h.
const OVERCOMMIT_NEVER: u64 = 2;

/// What a process has taken, in bytes.
struct Memory {
    mapped: u64,
    data: u64,
    locked: u64,
}

/// What the next thread takes for its stack.
struct Stack {
    bytes: u64,
    /// It was seen at a thread that there is; else it is what glibc takes unless told otherwise.
    seen: bool,
}

/// Those that are set for the process, and that of the machine where it binds.
pub(super) fn limits(proc: &Proc, process: &Process, status: &Status) -> Vec<Limit> {
    // Of a kernel thread and of a zombie there is no memory to be told.
    let Some(memory) = text(process, "status").as_deref().and_then(Memory::parse) else {
        return Vec::new();
    };
    let Some(set) = text(process, "limits") else {
        return Vec::new();
    };
    let soft = |name: &str| resource_limit(&set, name)?.soft;
    let stack = youngest_stack(process).unwrap_or_else(|| Stack {
        bytes: soft("Max stack size").unwrap_or(STACK_WITHOUT_LIMIT),
        seen: false,
    });
    let page = rustix::param::page_size() as u64;
    let with_guard = stack.bytes.saturating_add(page);
    let of_process = |kind: LimitKind, name: &str, used: u64, each: u64| {
        Some(Limit {
            used: Some(used),
            limit: Some(soft(name)?),
            each,
            note: Some(stack.note()),
            ..Limit::new(
                kind,
                format!("process {}", process.pid()),
                format!("{} of process {}", kind.name(), process.pid()),
            )
        })
    };
    let mut limits = Vec::new();
    limits.extend(of_process(
        LimitKind::AddressSpace,
        "Max address space",
        memory.mapped,
        with_guard,
    ));
    limits.extend(of_process(
        LimitKind::Data,
        "Max data size",
        memory.data,
        stack.bytes,
    ));
    // Only what is mapped after mlockall(MCL_FUTURE) is held to it, and that call shows in nothing
    // but its effect.
    let all_locked =
        memory.locked > 0 && memory.locked.saturating_add(NEVER_LOCKED) >= memory.mapped;
    if all_locked && status.effective_capabilities & CAP_IPC_LOCK == 0 {
        limits.extend(of_process(
            LimitKind::LockedMemory,
            "Max locked memory",
            memory.locked,
            with_guard,
        ));
    }
    limits.extend(committed(proc, &memory, &stack));
    limits
}

/// `__vm_enough_memory` of mm/util.c. A stack is charged when it is made writable.
fn committed(proc: &Proc, memory: &Memory, stack: &Stack) -> Option<Limit> {
    let name = "sys/vm/overcommit_memory";
    if number(proc, name)? != OVERCOMMIT_NEVER {
        return None;
    }
    let meminfo = proc.read("meminfo").ok()??;
    let kept = |name: &str| number(proc, name).unwrap_or(0).saturating_mul(1024);
    // Kept for root and for the user's other programs.
    let for_root = kept("sys/vm/admin_reserve_kbytes");
    let for_user = kept("sys/vm/user_reserve_kbytes").min(memory.mapped / 32);
    Some(Limit {
        used: Some(kibibytes(&meminfo, "Committed_AS")?),
        limit: Some(kibibytes(&meminfo, "CommitLimit")?),
        reserved: for_root.saturating_add(for_user),
        each: stack.bytes,
        note: Some(format!(
            "{}; with vm.overcommit_memory 2, where fork fails with ENOMEM",
            stack.note()
        )),
        ..Limit::new(LimitKind::Committed, "node", source(proc, name))
    })
}

impl Memory {
    fn parse(status: &[u8]) -> Option<Self> {
        Some(Self {
            mapped: kibibytes(status, "VmSize")?,
            data: kibibytes(status, "VmData")?,
            locked: kibibytes(status, "VmLck")?,
        })
    }
}

impl Stack {
    fn note(&self) -> String {
        let kib = self.bytes >> 10;
        let whence = if self.seen {
            "as its youngest thread has"
        } else {
            "RLIMIT_STACK, which glibc takes where the program does not say another size"
        };
        format!(
            "for threads only: the next needs {kib} KiB for its stack ({whence}), and \
             pthread_create gives EAGAIN when there is no room"
        )
    }
}

/// The stack of the youngest thread: the mapping that its stack pointer lies in, if it has a guard
/// below. Newer kernels and libraries have guards that are no mapping; then it is not known.
fn youngest_stack(process: &Process) -> Option<Stack> {
    let tids = process.tasks().ok()??;
    let tid = tids.into_iter().max().filter(|tid| *tid != process.pid())?;
    let call = text(process, &format!("task/{tid}/syscall"))?;
    let call = str::from_utf8(&call).ok()?;
    // Number, arguments, stack pointer, program counter; only `running` of one that runs.
    let pointer = hexadecimal(
        call.split_ascii_whitespace()
            .nth_back(1)?
            .strip_prefix("0x")?,
    )?;
    let (mut guard_end, mut found) = (None, None);
    let read = process.for_each_line("maps", |line| {
        let Some((start, end, rights)) = mapping(line) else {
            return ControlFlow::Continue(());
        };
        if (start..end).contains(&pointer) {
            found = (guard_end == Some(start) && rights.starts_with("rw"))
                .then(|| end.saturating_sub(start));
            return ControlFlow::Break(());
        }
        guard_end = rights.starts_with("---").then_some(end);
        ControlFlow::Continue(())
    });
    read.ok()??;
    found.map(|bytes| Stack { bytes, seen: true })
}

/// Beginning, end and rights of a line of `maps`.
fn mapping(line: &[u8]) -> Option<(u64, u64, &str)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let range = str::from_utf8(fields.next()?).ok()?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let rights = str::from_utf8(fields.next()?).ok()?;
    (start < end).then_some((start, end, rights))
}

fn hexadecimal(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

/// The bytes of a line `NAME:  N kB`.
fn kibibytes(text: &[u8], name: &str) -> Option<u64> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        let value = str::from_utf8(value).ok()?.trim().strip_suffix("kB")?;
        value.trim().parse::<u64>().ok()?.checked_mul(1024)
    })
}

fn text(process: &Process, name: &str) -> Option<Vec<u8>> {
    process.read(name).ok().flatten()
}
