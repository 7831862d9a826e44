//! System calls, typed. Nothing here decides anything.
//!
//! There is no C library below: a call returns the kernel's answer, and the only state is the
//! kernel's. See section 2 of the manual for each.

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "sexton-init knows the system calls of x86-64 only; \
     add a file of the shape of sys/x86_64.rs for this architecture"
);

use core::ffi::CStr;
use core::ptr::{null, null_mut};

use crate::errno::Errno;
use arch::number;

/// A process's id, as this process's PID namespace counts.
pub(crate) type Pid = i32;
/// A file descriptor.
pub(crate) type Fd = i32;

/// Signals, bit n−1 for signal n, as the kernel keeps them (`_NSIG` is 64).
pub(crate) type SignalSet = u64;
/// Every signal; KILL and STOP are left out by the kernel itself.
pub(crate) const ALL_SIGNALS: SignalSet = !0;

/// What came with a signal: the first fields of `siginfo_t`, padded to its 128 bytes.
#[repr(C, align(8))]
pub(crate) struct SignalInfo {
    pub(crate) signal: i32,
    pub(crate) errno: i32,
    /// Where it came from: `SI_USER` and friends.
    pub(crate) code: i32,
    pad: i32,
    /// The sender, or the child that is meant; 0: one outside this PID namespace, or none.
    pub(crate) pid: Pid,
    rest: [u32; 27],
}

impl SignalInfo {
    /// Sent by the kernel itself: from a terminal, to its whole foreground group.
    pub(crate) const FROM_KERNEL: i32 = 0x80;
    /// Sent by sigqueue(3), with a value.
    pub(crate) const QUEUED: i32 = -1;

    /// A process has sent it, not the kernel (`SI_FROMUSER`).
    pub(crate) fn is_from_process(&self) -> bool {
        self.code <= 0
    }

    /// Never inlined: the code that clears it would be there for each wait.
    #[inline(never)]
    pub(crate) const fn empty() -> Self {
        Self {
            signal: 0,
            errno: 0,
            code: 0,
            pad: 0,
            pid: 0,
            rest: [0; 27],
        }
    }
}

/// `struct sigaction` as the kernel has it.
#[repr(C)]
struct SignalAction {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: SignalSet,
}

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

/// The kernel's size of a signal set.
const SET_SIZE: usize = size_of::<SignalSet>();

macro_rules! syscall {
    ($number:expr $(, $argument:expr)*) => {{
        let mut arguments = [0usize; 6];
        let given = [$($argument as usize),*];
        arguments[..given.len()].copy_from_slice(&given);
        Errno::check(arch::syscall($number, arguments))
    }};
}

/// Numbers go to the kernel sign-extended, as C would pass them.
#[inline(always)]
const fn word(value: i32) -> usize {
    #[expect(clippy::cast_sign_loss, reason = "the kernel takes the low 32 bits")]
    {
        value as isize as usize
    }
}

#[inline(always)]
fn narrow(value: usize) -> i32 {
    // Pids and descriptors fit by the kernel's own limits.
    i32::try_from(value).unwrap_or(-1)
}

/// exit_group(2).
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: takes no pointer.
        let _ = unsafe { syscall!(number::EXIT_GROUP, word(code)) };
    }
}

pub(crate) fn getpid() -> Pid {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::GETPID, 0usize) }.map_or(0, narrow)
}

pub(crate) fn getppid() -> Pid {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::GETPPID, 0usize) }.map_or(0, narrow)
}

/// The process group of this process.
pub(crate) fn getpgrp() -> Pid {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::GETPGID, 0usize) }.map_or(0, narrow)
}

/// The session of this process.
pub(crate) fn getsid() -> Pid {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::GETSID, 0usize) }.map_or(0, narrow)
}

pub(crate) fn setsid() -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::SETSID, 0usize) }.map(drop)
}

/// Puts this process into a group of its own.
pub(crate) fn lead_group() -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::SETPGID, 0usize, 0usize) }.map(drop)
}

/// fork(2): 0 in the child.
pub(crate) fn fork() -> Result<Pid, Errno> {
    const SIGCHLD: usize = 17;
    // SAFETY: without CLONE_VM the child has its own copy of all memory and goes on from
    // here on its copy of the stack; there are no threads and no locks.
    unsafe { syscall!(number::CLONE, SIGCHLD) }.map(narrow)
}

/// execve(2); returns only if it failed.
///
/// # Safety
/// `argv` and `envp` are arrays of C strings that end with a null pointer.
pub(crate) unsafe fn exec(path: &CStr, argv: *const *const u8, envp: *const *const u8) -> Errno {
    // SAFETY: the path is a C string, the caller vouches for the arrays.
    match unsafe { syscall!(number::EXECVE, path.as_ptr(), argv, envp) } {
        Ok(_) => Errno(0),
        Err(error) => error,
    }
}

const WNOHANG: usize = 1;
/// Also children that have stopped (`WUNTRACED`, `WSTOPPED`).
const WSTOPPED: usize = 2;
/// Children made by clone(2) with another exit signal as well.
const WALL: usize = 0x4000_0000;

/// Whether this child has ended; it stays there to be waited for.
pub(crate) fn has_ended(child: Pid) -> bool {
    const P_PID: usize = 1;
    const WEXITED: usize = 4;
    const WNOWAIT: usize = 0x0100_0000;
    let mut info = SignalInfo::empty();
    // SAFETY: the kernel writes 128 bytes of information; the resource usage is not asked for.
    let asked = unsafe {
        syscall!(
            number::WAITID,
            P_PID,
            word(child),
            &raw mut info,
            WEXITED | WNOHANG | WNOWAIT | WALL,
            null::<u8>()
        )
    };
    asked.is_ok() && info.pid != 0
}

/// Takes one change of a child, or of any (−1): its pid and wait status. `Ok(None)`: children,
/// but no news.
pub(crate) fn wait(pid: Pid) -> Result<Option<(Pid, i32)>, Errno> {
    let mut status = 0i32;
    // SAFETY: the kernel writes one int; the resource usage is not asked for.
    let pid = unsafe {
        syscall!(
            number::WAIT4,
            word(pid),
            &raw mut status,
            WNOHANG | WSTOPPED | WALL,
            null::<u8>()
        )
    }?;
    Ok((pid != 0).then(|| (narrow(pid), status)))
}

pub(crate) fn kill(pid: Pid, signal: u8) -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::KILL, word(pid), signal) }.map(drop)
}

/// rt_sigqueueinfo(2): passes a queued signal on with its value and its first sender.
pub(crate) fn queue(pid: Pid, signal: u8, info: &SignalInfo) -> Result<(), Errno> {
    // SAFETY: the kernel reads 128 bytes, the size of the struct.
    unsafe {
        syscall!(
            number::RT_SIGQUEUEINFO,
            word(pid),
            signal,
            core::ptr::from_ref(info)
        )
    }
    .map(drop)
}

/// Replaces the signal mask and gives the former one.
pub(crate) fn set_mask(set: SignalSet) -> SignalSet {
    const SIG_SETMASK: usize = 2;
    let mut old: SignalSet = 0;
    // SAFETY: the kernel reads one set and writes another, each of the given size.
    let _ = unsafe {
        syscall!(
            number::RT_SIGPROCMASK,
            SIG_SETMASK,
            &raw const set,
            &raw mut old,
            SET_SIZE
        )
    };
    old
}

/// Signals that wait to be taken.
pub(crate) fn pending() -> SignalSet {
    let mut set: SignalSet = 0;
    // SAFETY: the kernel writes a set of the given size.
    let _ = unsafe { syscall!(number::RT_SIGPENDING, &raw mut set, SET_SIZE) };
    set
}

/// Whether a signal is ignored.
pub(crate) fn is_ignored(signal: u8) -> bool {
    let mut action = SignalAction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    // SAFETY: the kernel writes one struct; null changes nothing.
    let _ = unsafe {
        syscall!(
            number::RT_SIGACTION,
            signal,
            null::<u8>(),
            &raw mut action,
            SET_SIZE
        )
    };
    action.handler == 1
}

/// Sets a signal to be ignored, or to its default action. Handlers are never set.
pub(crate) fn ignore(signal: u8, ignored: bool) {
    let action = SignalAction {
        handler: usize::from(ignored),
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    // SAFETY: the kernel reads one struct; no handler is installed, so none can run.
    let _ = unsafe {
        syscall!(
            number::RT_SIGACTION,
            signal,
            &raw const action,
            null_mut::<u8>(),
            SET_SIZE
        )
    };
}

/// Sleeps until one of the signals is there, and takes it. Without a timeout (milliseconds)
/// nothing else ever wakes it. `EAGAIN`: the time is over. `EINTR`: stopped and continued.
pub(crate) fn wait_signal(
    set: SignalSet,
    info: &mut SignalInfo,
    timeout: Option<u64>,
) -> Result<u8, Errno> {
    let time = timeout.map(|milliseconds| TimeSpec {
        seconds: i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX),
        nanoseconds: i64::try_from(milliseconds % 1000 * 1_000_000).unwrap_or(0),
    });
    let time = time.as_ref().map_or(null(), core::ptr::from_ref);
    // SAFETY: the kernel reads the set and the time and writes 128 bytes of information.
    let signal = unsafe {
        syscall!(
            number::RT_SIGTIMEDWAIT,
            &raw const set,
            core::ptr::from_mut(info),
            time,
            SET_SIZE
        )
    }?;
    Ok(u8::try_from(signal).unwrap_or(0))
}

/// Milliseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    clock(CLOCK_MONOTONIC)
}

/// The clock by which `/proc/PID/stat` says when a process was started, in its ticks of a
/// hundredth of a second (`USER_HZ` of x86-64 and aarch64).
pub(crate) fn start_ticks() -> u64 {
    const CLOCK_BOOTTIME: usize = 7;
    clock(CLOCK_BOOTTIME) / 10
}

/// Milliseconds of a clock.
fn clock(id: usize) -> u64 {
    let mut time = TimeSpec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: the kernel writes one struct.
    let _ = unsafe { syscall!(number::CLOCK_GETTIME, id, &raw mut time) };
    u64::try_from(time.seconds).unwrap_or(0) * 1000
        + u64::try_from(time.nanoseconds).unwrap_or(0) / 1_000_000
}

/// How a file is opened; always close-on-exec, and never as a controlling terminal.
#[derive(Clone, Copy)]
pub(crate) enum Open {
    Read,
    ReadWrite,
    /// To write at the end; never waits, neither for a FIFO's reader nor for room in it.
    Append,
    Directory,
}

pub(crate) fn open(path: &CStr, how: Open) -> Result<Fd, Errno> {
    const AT_FDCWD: i32 = -100;
    const COMMON: usize = 0o2_000_000 | 0o400; // O_CLOEXEC | O_NOCTTY
    // The generic numbers, which x86-64 and aarch64 share but for O_DIRECTORY; getdents64 says
    // ENOTDIR without it.
    let flags = match how {
        Open::Read | Open::Directory => 0,
        Open::ReadWrite => 2,
        Open::Append => 1 | 0o2000 | 0o4000,
    };
    // SAFETY: the path is a C string; nothing is created, so there is no mode.
    unsafe {
        syscall!(
            number::OPENAT,
            word(AT_FDCWD),
            path.as_ptr(),
            flags | COMMON
        )
    }
    .map(narrow)
}

pub(crate) fn close(fd: Fd) {
    // SAFETY: takes no pointer; no safe type of this crate owns a descriptor twice.
    let _ = unsafe { syscall!(number::CLOSE, word(fd)) };
}

/// Closes every descriptor from `first` on; kernels before 5.9 cannot, and keep them.
pub(crate) fn close_from(first: Fd) {
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall!(number::CLOSE_RANGE, word(first), u32::MAX, 0usize) };
}

pub(crate) fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    unsafe { syscall!(number::READ, word(fd), buffer.as_mut_ptr(), buffer.len()) }
}

pub(crate) fn write(fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most the slice's length.
    unsafe { syscall!(number::WRITE, word(fd), bytes.as_ptr(), bytes.len()) }
}

/// Waits until a descriptor can be written to without waiting, so many milliseconds at most;
/// false: it cannot.
pub(crate) fn wait_writable(fd: Fd, milliseconds: u32) -> bool {
    /// `struct pollfd`.
    #[repr(C)]
    struct Asked {
        fd: Fd,
        events: i16,
        answer: i16,
    }
    const POLLOUT: i16 = 4;
    let mut asked = Asked {
        fd,
        events: POLLOUT,
        answer: 0,
    };
    let time = TimeSpec {
        seconds: 0,
        nanoseconds: i64::from(milliseconds) * 1_000_000,
    };
    // SAFETY: the kernel reads one struct of either kind and writes the answer into the first;
    // no mask is given.
    let ready = unsafe {
        syscall!(
            number::PPOLL,
            &raw mut asked,
            1usize,
            &raw const time,
            null::<u8>(),
            SET_SIZE
        )
    };
    // An error is for write(2) to tell.
    ready != Ok(0)
}

/// The length of a file that can be sought in.
pub(crate) fn length(fd: Fd) -> Result<usize, Errno> {
    const SEEK_END: usize = 2;
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::LSEEK, word(fd), 0usize, SEEK_END) }
}

/// getdents64(2): fills the buffer with entries of a directory; 0 at its end.
pub(crate) fn entries(fd: Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    unsafe {
        syscall!(
            number::GETDENTS64,
            word(fd),
            buffer.as_mut_ptr(),
            buffer.len()
        )
    }
}

/// Memory of zeros that is never given back (mmap(2)); `None`: there is none. Pages that are not
/// written to cost nothing. What is needed rarely is better here than in the program's own data,
/// of which the kernel writes to a page at the start.
pub(crate) fn zeros(words: usize) -> Option<&'static mut [u64]> {
    const READ_AND_WRITE: usize = 1 | 2;
    const PRIVATE_AND_ANONYMOUS: usize = 2 | 0x20;
    let size = words.checked_mul(size_of::<u64>())?;
    // SAFETY: no address is asked for, so no memory in use is replaced.
    let address = unsafe {
        syscall!(
            number::MMAP,
            0usize,
            size,
            READ_AND_WRITE,
            PRIVATE_AND_ANONYMOUS,
            word(-1),
            0usize
        )
    }
    .ok()?;
    let first = core::ptr::with_exposed_provenance_mut(address);
    // SAFETY: the kernel gave this range to this call alone, aligned to a page and zeroed, which
    // is a valid u64 each; it is never unmapped.
    Some(unsafe { core::slice::from_raw_parts_mut(first, words) })
}

pub(crate) fn chdir(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a C string.
    unsafe { syscall!(number::CHDIR, path.as_ptr()) }.map(drop)
}

/// Makes orphans below this process its children (PR_SET_CHILD_SUBREAPER).
pub(crate) fn become_subreaper() -> Result<(), Errno> {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::PRCTL, PR_SET_CHILD_SUBREAPER, 1usize) }.map(drop)
}

/// Whether this process is a subreaper already.
pub(crate) fn is_subreaper() -> bool {
    const PR_GET_CHILD_SUBREAPER: usize = 37;
    let mut answer = 0i32;
    // SAFETY: the kernel writes one int.
    let _ = unsafe { syscall!(number::PRCTL, PR_GET_CHILD_SUBREAPER, &raw mut answer) };
    answer != 0
}

/// Has this process get a signal when its parent dies (PR_SET_PDEATHSIG).
pub(crate) fn signal_on_parent_death(signal: u8) -> Result<(), Errno> {
    const PR_SET_PDEATHSIG: usize = 1;
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::PRCTL, PR_SET_PDEATHSIG, signal) }.map(drop)
}

/// A process, held so that its number cannot come to mean another (Linux 5.3).
pub(crate) fn pidfd_open(pid: Pid) -> Result<Fd, Errno> {
    // SAFETY: takes no pointer.
    unsafe { syscall!(number::PIDFD_OPEN, word(pid), 0usize) }.map(narrow)
}

pub(crate) fn pidfd_signal(fd: Fd, signal: u8) -> Result<(), Errno> {
    // SAFETY: null asks for the information that kill(2) would send.
    unsafe {
        syscall!(
            number::PIDFD_SEND_SIGNAL,
            word(fd),
            signal,
            null::<u8>(),
            0usize
        )
    }
    .map(drop)
}

/// The foreground process group of a terminal.
pub(crate) fn foreground(tty: Fd) -> Result<Pid, Errno> {
    const TIOCGPGRP: usize = 0x540f;
    let mut group = 0i32;
    // SAFETY: the kernel writes one int.
    unsafe { syscall!(number::IOCTL, word(tty), TIOCGPGRP, &raw mut group) }?;
    Ok(group)
}

/// Sets the foreground process group of a terminal. With TTOU blocked this never stops.
pub(crate) fn set_foreground(tty: Fd, group: Pid) -> Result<(), Errno> {
    const TIOCSPGRP: usize = 0x5410;
    // SAFETY: the kernel reads one int.
    unsafe { syscall!(number::IOCTL, word(tty), TIOCSPGRP, &raw const group) }.map(drop)
}

/// Makes a terminal the controlling one of this session.
pub(crate) fn take_terminal(tty: Fd) -> Result<(), Errno> {
    const TIOCSCTTY: usize = 0x540e;
    // SAFETY: the argument is a number: 0, do not steal from another session.
    unsafe { syscall!(number::IOCTL, word(tty), TIOCSCTTY, 0usize) }.map(drop)
}

/// Gives up the controlling terminal.
pub(crate) fn leave_terminal(tty: Fd) -> Result<(), Errno> {
    const TIOCNOTTY: usize = 0x5422;
    // SAFETY: takes no argument.
    unsafe { syscall!(number::IOCTL, word(tty), TIOCNOTTY) }.map(drop)
}
