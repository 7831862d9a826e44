//! x86-64: the entry, the system call instruction, the numbers.
//!
//! All that differs between architectures is in this file. Another one needs a file of this
//! shape: `entry!`, `syscall`, `number`, and the functions that the compiler takes for granted.

/// Defines `_start`, which hands the first stack pointer (argc, argv, envp: the x86-64 psABI,
/// "Process Initialization") to a function that does not return.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        /// Where the kernel starts the program.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn _start() -> ! {
            core::arch::naked_asm!(
                "xor ebp, ebp",
                "mov rdi, rsp",
                "and rsp, -16",
                "call {main}",
                "ud2",
                main = sym $main,
            )
        }
    };
}

/// Makes one system call; the result is the kernel's: a value, or a negated errno.
///
/// # Safety
/// As for the call that is made: pointers must be valid for what the kernel does with them.
#[inline(always)]
pub(super) unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers rax, rcx and r11 only; the caller vouches for the call.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// System call numbers (arch/x86/entry/syscalls/syscall_64.tbl). Only calls that newer
/// architectures have too: `openat` and not `open`, `clone` and not `fork`.
pub(super) mod number {
    pub(in super::super) const READ: usize = 0;
    pub(in super::super) const WRITE: usize = 1;
    pub(in super::super) const CLOSE: usize = 3;
    pub(in super::super) const LSEEK: usize = 8;
    pub(in super::super) const MMAP: usize = 9;
    pub(in super::super) const RT_SIGACTION: usize = 13;
    pub(in super::super) const RT_SIGPROCMASK: usize = 14;
    pub(in super::super) const IOCTL: usize = 16;
    pub(in super::super) const GETPID: usize = 39;
    pub(in super::super) const CLONE: usize = 56;
    pub(in super::super) const EXECVE: usize = 59;
    pub(in super::super) const WAIT4: usize = 61;
    pub(in super::super) const KILL: usize = 62;
    pub(in super::super) const CHDIR: usize = 80;
    pub(in super::super) const SETPGID: usize = 109;
    pub(in super::super) const GETPPID: usize = 110;
    pub(in super::super) const SETSID: usize = 112;
    pub(in super::super) const GETPGID: usize = 121;
    pub(in super::super) const GETSID: usize = 124;
    pub(in super::super) const RT_SIGPENDING: usize = 127;
    pub(in super::super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(in super::super) const RT_SIGQUEUEINFO: usize = 129;
    pub(in super::super) const PRCTL: usize = 157;
    pub(in super::super) const GETDENTS64: usize = 217;
    pub(in super::super) const CLOCK_GETTIME: usize = 228;
    pub(in super::super) const EXIT_GROUP: usize = 231;
    pub(in super::super) const WAITID: usize = 247;
    pub(in super::super) const OPENAT: usize = 257;
    pub(in super::super) const PPOLL: usize = 271;
    pub(in super::super) const PIDFD_SEND_SIGNAL: usize = 424;
    pub(in super::super) const PIDFD_OPEN: usize = 434;
    pub(in super::super) const CLOSE_RANGE: usize = 436;
}

/// The compiler calls these by name wherever it copies, fills or compares memory; in other
/// programs they come from the C library.
#[cfg(all(panic = "abort", not(test)))]
mod memory {
    use core::arch::asm;

    /// memcpy(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        // SAFETY: the caller's pointers are valid for `count` bytes; the flag is clear by ABI.
        unsafe {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _,
                 inout("rsi") from => _, options(nostack, preserves_flags));
        }
        to
    }

    /// memmove(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if to.addr().wrapping_sub(from.addr()) >= count {
            // SAFETY: a copy upwards never overwrites what it has yet to read.
            return unsafe { memcpy(to, from, count) };
        }
        // SAFETY: both ranges are `count` > 0 bytes; copied from the end, flag set back.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") count => _,
                 inout("rdi") to.add(count).sub(1) => _,
                 inout("rsi") from.add(count).sub(1) => _, options(nostack));
        }
        to
    }

    /// memset(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
        // SAFETY: the caller's pointer is valid for `count` bytes.
        unsafe {
            asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _,
                 in("eax") byte, options(nostack, preserves_flags));
        }
        to
    }

    /// memcmp(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        let mut at = 0;
        while at < count {
            // SAFETY: `at` < `count`, for which the caller vouches.
            let (x, y) = unsafe { (a.add(at).read(), b.add(at).read()) };
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            at += 1;
        }
        0
    }

    /// bcmp(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        // SAFETY: the same contract.
        unsafe { memcmp(a, b, count) }
    }

    /// strlen(3).
    ///
    /// # Safety
    /// As in C.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        // SAFETY: the text ends with a NUL, and is read no further.
        while unsafe { text.add(length).read() } != 0 {
            length += 1;
        }
        length
    }
}
