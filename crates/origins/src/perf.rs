//! perf's events and their rings, and what else the kernel alone can tell: the one unsafe module.
#![allow(unsafe_code, reason = "the ring is memory that the kernel writes")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes for records. The kernel asks for a power of two of pages; the largest page has 64 KiB.
const DATA: usize = 512 << 10;
/// `data_head` and `data_tail` of `struct perf_event_mmap_page`.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

const TRACEPOINT: u64 = 2;
/// `struct perf_event_attr` up to `sample_max_stack`: Linux 4.8 and later.
const ATTR_SIZE: u64 = 112;
const SAMPLE_TID_TIME_CALLCHAIN: u64 = 1 << 1 | 1 << 2 | 1 << 5;
/// The registers and the stack of the program, too.
const SAMPLE_REGS_STACK: u64 = 1 << 12 | 1 << 13;
/// AX to IP, and R8 to R15, as `asm/perf_regs.h` of x86 numbers them.
const REGISTERS: u64 = 0x1ff | 0xff << 16;
/// Bytes of the stack: the frames of a C library and of a few callers. A multiple of 8.
const STACK: u64 = 16 << 10;
const DISABLED: u64 = 1;
const INHERIT: u64 = 1 << 1;
/// Records of forks too: they alone tell a thread from a process.
const TASK: u64 = 1 << 13;
const NO_KERNEL_FRAMES: u64 = 1 << 21;
/// Threads alone inherit, children do not: Linux 5.13 and later.
const INHERIT_THREAD: u64 = 1 << 35;
const CLOEXEC: libc::c_ulong = 1 << 3;
const ENABLE: libc::c_ulong = 0x2400;
const SET_OUTPUT: libc::c_ulong = 0x2405;

/// Opens the tracepoint for one thread, and the threads that it will start, on one CPU. With
/// `stack`, records have what unwinding needs.
pub(crate) fn open(tracepoint: u64, thread: u32, cpu: u32, stack: bool) -> io::Result<OwnedFd> {
    let mut attr = [0_u64; 14];
    attr[0] = TRACEPOINT | ATTR_SIZE << 32;
    attr[1] = tracepoint;
    attr[2] = 1;
    attr[3] = SAMPLE_TID_TIME_CALLCHAIN;
    // At each record whoever polls is woken.
    attr[6] = 1;
    if stack {
        attr[3] |= SAMPLE_REGS_STACK;
        attr[10] = REGISTERS;
        attr[11] = STACK;
    }
    attr[5] = DISABLED | INHERIT | TASK | NO_KERNEL_FRAMES | INHERIT_THREAD;
    let (thread, cpu) = (number(thread)?, number(cpu)?);
    // SAFETY: the kernel reads ATTR_SIZE bytes of `attr`, which is as long, and keeps nothing.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            attr.as_ptr(),
            thread,
            cpu,
            -1,
            CLOEXEC,
        )
    };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call gave us this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Starts to record.
pub(crate) fn enable(event: &OwnedFd) -> io::Result<()> {
    control(event, ENABLE, 0)
}

/// Lets an event write into the ring of another of the same CPU.
pub(crate) fn share(event: &OwnedFd, ring: &OwnedFd) -> io::Result<()> {
    control(event, SET_OUTPUT, ring.as_raw_fd())
}

fn control(event: &OwnedFd, what: libc::c_ulong, argument: i32) -> io::Result<()> {
    // SAFETY: both requests take a number and touch none of our memory.
    let done = unsafe { libc::ioctl(event.as_raw_fd(), what, argument) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Whether two processes have one memory, as a child of vfork and its parent have until the child
/// executes its program or ends.
pub(crate) fn share_memory(a: u32, b: u32) -> bool {
    const VM: libc::c_int = 1;
    let (Ok(a), Ok(b)) = (number(a), number(b)) else {
        return false;
    };
    // SAFETY: kcmp takes numbers alone, and only compares.
    let differ = unsafe { libc::syscall(libc::SYS_kcmp, a, b, VM, 0_u64, 0_u64) };
    differ == 0
}

fn number(n: u32) -> io::Result<i32> {
    i32::try_from(n).map_err(io::Error::other)
}

/// The ring of one event.
pub(crate) struct Ring {
    base: NonNull<u8>,
    /// Size of the first page, which has the counters.
    page: usize,
}

impl Ring {
    pub(crate) fn map(event: &OwnedFd) -> io::Result<Self> {
        let page = rustix::param::page_size();
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory in use.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                page.saturating_add(DATA),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("no memory"))?;
        Ok(Self { base, page })
    }

    /// Takes all bytes that were recorded since the last time.
    pub(crate) fn take(&self, into: &mut Vec<u8>) {
        let head = self.counter(HEAD).load(Ordering::Acquire);
        let mut tail = self.counter(TAIL).load(Ordering::Relaxed);
        while tail != head {
            #[allow(clippy::cast_possible_truncation, reason = "only the low bits matter")]
            let at = (tail as usize) & DATA.saturating_sub(1);
            let wanted = usize::try_from(head.wrapping_sub(tail)).unwrap_or(DATA);
            let length = wanted.min(DATA.saturating_sub(at));
            // SAFETY: `at + length <= DATA`, so it lies in the mapping, behind its first page;
            // the kernel does not write between tail and head until the tail moves.
            let part = unsafe {
                std::slice::from_raw_parts(self.base.as_ptr().add(self.page).add(at), length)
            };
            into.extend_from_slice(part);
            tail = tail.wrapping_add(length as u64);
        }
        self.counter(TAIL).store(tail, Ordering::Release);
    }

    fn counter(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: both offsets lie in the first page and are multiples of 8; the kernel and we
        // use them as atomic words, and the mapping lives as long as `self`.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` made, and no borrow of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.page.saturating_add(DATA)) };
    }
}
