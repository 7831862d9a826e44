//! x86-64: how the code in the tail looks, and the kernel's rules for restarting a call.
//!
//! # Two doors
//! When a stop interrupts a system call, the kernel has put one of its internal results
//! (-512 … -516) into `rax`, kept the call's number in `orig_rax`, and decides only on the way
//! back to user mode: no signal, or a handler with `SA_RESTART`, and it sets `rax` to the
//! number of the call and `rip` two bytes back, onto the `syscall` instruction; a handler
//! without `SA_RESTART`, and it sets `rax` to `-EINTR` and leaves `rip` alone
//! (`arch/x86/kernel/signal.c`, `handle_signal` and `arch_do_signal_or_restart`).
//!
//! Sexton changes `rip` and nothing else, and leaves that decision to the kernel. `rip` points
//! two bytes into the code ([`RETURN_DOOR`]), so that a restart enters at [`RESTART_DOOR`] and
//! a return at [`RETURN_DOOR`]. The code does the same through both and ends as the kernel
//! decided: on the `syscall` instruction again, or after it with the result. A signal that comes
//! between the stop and the first instruction of the code thus has exactly its usual effect.
//!
//! # What the code may use
//! `mov`, `lea`, `jmp`, `jrcxz`, `syscall`: no flags, no stack, no floating point. It keeps no
//! state but registers, which it loads again from constants before it leaves, so it needs
//! nobody to clean up after it.

use crate::borrow::arch::{Encoded, Errand};
use crate::borrow::tail::Header;
use crate::bpf::Call;

/// The result of an interrupted call that a program sees.
const EINTR: i64 = -4;
/// Kernel-internal results, `include/linux/errno.h`; user mode never sees them.
const ERESTARTSYS: i64 = -512;
const ERESTARTNOINTR: i64 = -513;
const ERESTARTNOHAND: i64 = -514;
const ERESTART_RESTARTBLOCK: i64 = -516;

/// Number of `restart_syscall(2)`.
const RESTART_SYSCALL: u64 = libc::SYS_restart_syscall as u64;
/// Bytes of the kernel's signal set (`rt_sigaction(2)`, `sigsetsize`).
const SIGNAL_SET: u64 = 8;
/// `__WALL` waits for children of any kind, `WNOHANG` never sleeps.
const WAIT_OPTIONS: u32 = (libc::WNOHANG | libc::__WALL) as u32;

/// Bytes of the `syscall` instruction.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Code segment of 64-bit user mode (`__USER_CS`).
const USER_CS: u64 = 0x33;

/// Offset of the first instruction: here the thread arrives when its call is to be restarted.
pub(crate) const RESTART_DOOR: u64 = Header::SIZE as u64;
/// Two bytes on: here it arrives when its call returns to the program.
pub(crate) const RETURN_DOOR: u64 = RESTART_DOOR + SYSCALL.len() as u64;
/// No code is longer than this, header included; what remains of a tail holds pids.
pub(crate) const MAX_CODE: usize = 240;

/// General registers of a stopped thread.
pub(crate) type Registers = libc::user_regs_struct;

/// What the stopped thread was doing, as far as borrowing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It is in a system call made by a `syscall` instruction of 64-bit code.
    InCall,
    /// It is somewhere else; its registers must not be touched.
    Elsewhere,
}

/// Where `registers` stand. `before` are the two bytes before the instruction pointer.
pub(crate) fn stand(registers: &Registers, before: [u8; 2]) -> Stand {
    let in_call =
        registers.orig_rax.cast_signed() >= 0 && registers.cs == USER_CS && before == SYSCALL;
    if in_call {
        Stand::InCall
    } else {
        Stand::Elsewhere
    }
}

/// Where to find the two bytes for [`stand`].
pub(crate) fn before_pc(registers: &Registers) -> u64 {
    registers.rip.wrapping_sub(SYSCALL.len() as u64)
}

/// Instruction pointer.
pub(crate) fn pc(registers: &Registers) -> u64 {
    registers.rip
}

/// Stack pointer.
pub(crate) fn sp(registers: &Registers) -> u64 {
    registers.rsp
}

/// Number of the call that the thread is in.
pub(crate) fn call(registers: &Registers) -> u64 {
    registers.orig_rax
}

/// Arguments of that call.
pub(crate) fn arguments(registers: &Registers) -> [u64; 6] {
    let r = registers;
    [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]
}

/// The call came back with `EINTR`, which a program would notice.
pub(crate) fn was_interrupted(registers: &Registers) -> bool {
    registers.rax.cast_signed() == EINTR
}

/// The register to write, and its value, for the kernel to restart a call that gave `EINTR`
/// though no handler ran: it becomes a call that is restarted unless a handler runs
/// (`ERESTARTNOHAND`), which is what the caller of such a call expects.
pub(crate) fn restart_unless_handled(registers: &mut Registers) -> (usize, u64) {
    registers.rax = ERESTARTNOHAND.cast_unsigned();
    (std::mem::offset_of!(Registers, rax), registers.rax)
}

/// The call that the kernel makes again for the thread, of itself, when it goes on; `None` where
/// it goes on without.
pub(crate) fn call_again(registers: &Registers) -> Option<Call> {
    let number = match registers.rax.cast_signed() {
        ERESTART_RESTARTBLOCK => RESTART_SYSCALL,
        ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND => registers.orig_rax,
        _ => return None,
    };
    Some(call_of(number, registers.rip, arguments(registers)))
}

/// Where [`call_again`] must not be made: the register to write, and its value, for a milder end
/// of the call. What goes on through a block of the kernel's (`restart_syscall(2)`) is begun anew
/// instead; what cannot be made again at all gives `EINTR`.
pub(crate) fn end_otherwise(registers: &mut Registers) -> (usize, u64) {
    registers.rax = match registers.rax.cast_signed() {
        ERESTART_RESTARTBLOCK => ERESTARTNOHAND.cast_unsigned(),
        _ => EINTR.cast_unsigned(),
    };
    (std::mem::offset_of!(Registers, rax), registers.rax)
}

fn call_of(number: u64, pc: u64, arguments: [u64; 6]) -> Call {
    /// `linux/audit.h`
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    let [a, b, c, d, ..] = number.to_le_bytes();
    Call {
        number: u32::from_le_bytes([a, b, c, d]),
        arch: AUDIT_ARCH_X86_64,
        pc,
        arguments,
    }
}

/// The one write: where it goes, and the value, for code that lies at `tail`.
pub(crate) fn entry(tail: u64) -> (usize, u64) {
    (std::mem::offset_of!(Registers, rip), tail + RETURN_DOOR)
}

/// Writes header, code and table for `errand` into `out`, which is to lie at `tail`.
///
/// `out` must have room for [`MAX_CODE`] bytes and the table.
pub(crate) fn encode(
    out: &mut [u8],
    tail: u64,
    header: &Header,
    registers: &Registers,
    errand: Errand<'_>,
) -> Encoded {
    let result = registers.rax.cast_signed();
    // What `rax` will be when the kernel restarts the call …
    let restarted = match result {
        ERESTART_RESTARTBLOCK => RESTART_SYSCALL,
        _ => registers.orig_rax,
    };
    // … and when it does not: the result, or EINTR where a handler interrupted it.
    let returned = match result {
        ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND | ERESTART_RESTARTBLOCK => {
            EINTR.cast_unsigned()
        }
        _ => registers.rax,
    };
    let count = match errand {
        Errand::WaitFor(pids) => pids.len() as u64,
        // Nothing is counted.
        Errand::DefaultSigchld { .. } => 0,
    };

    let mut code = Code { out, at: 0 };
    code.bytes(&header.to_bytes(registers.rip - 2, registers.rip));
    debug_assert_eq!(code.at as u64, RESTART_DOOR);

    // restart:              jmp short 1f
    let to_restart = code.jump_short();
    // return:               mov r13, 1 << 32 | count     the upper half remembers the door
    code.mov(R13, 1 << 32 | count);
    //                       jmp short 2f
    let to_body = code.jump_short();
    // 1:                    mov r13, count
    code.land(to_restart);
    code.mov(R13, count);
    // 2:
    code.land(to_body);
    let (table, after_call) = match errand {
        Errand::WaitFor(_) => code.wait_for_each(),
        Errand::DefaultSigchld { .. } => code.set_sigchld(),
    };
    //                       everything back, rcx and rax last
    code.mov(R12, registers.r12);
    code.mov(RDI, registers.rdi);
    code.mov(RSI, registers.rsi);
    code.mov(RDX, registers.rdx);
    code.mov(R10, registers.r10);
    code.mov(R11, registers.r11);
    //                       mov rcx, r13                 zero if it came by `restart`
    code.bytes(&[0x4c, 0x89, 0xe9]);
    code.mov(R13, registers.r13);
    //                       jrcxz 3f
    let restart = code.jump_if_rcx_zero();
    code.mov(RCX, registers.rcx);
    code.mov(RAX, returned);
    //                       jmp [rip + header.return_to]
    code.jump_through(Header::RETURN_TO);
    // 3:
    code.land(restart);
    code.mov(RCX, registers.rcx);
    code.mov(RAX, restarted);
    //                       jmp [rip + header.restart_at]
    code.jump_through(Header::RESTART_AT);

    while !code.at.is_multiple_of(4) {
        code.bytes(&[0xcc]);
    }
    debug_assert!(code.at <= MAX_CODE);
    // table:
    let start = tail + code.at as u64;
    let distance = (code.at - (table + 4)) as u32;
    code.out[table..table + 4].copy_from_slice(&distance.to_le_bytes());
    match errand {
        //                   .long pid, …
        Errand::WaitFor(pids) => {
            for pid in pids {
                code.bytes(&pid.to_le_bytes());
            }
        }
        //                   the kernel's `struct sigaction`: handler, flags, restorer, mask
        Errand::DefaultSigchld { flags } => {
            for word in [libc::SIG_DFL as u64, flags, 0, 0] {
                code.bytes(&word.to_le_bytes());
            }
        }
    }
    // What the calls look like to a filter; the last two registers are as they were.
    let (r8, r9) = (registers.r8, registers.r9);
    let (number, arguments) = match errand {
        Errand::WaitFor(_) => (libc::SYS_wait4, [0, 0, u64::from(WAIT_OPTIONS), 0, r8, r9]),
        Errand::DefaultSigchld { .. } => (
            libc::SYS_rt_sigaction,
            [libc::SIGCHLD as u64, start, 0, SIGNAL_SET, r8, r9],
        ),
    };
    Encoded {
        length: code.at,
        call: call_of(number.cast_unsigned(), tail + after_call as u64, arguments),
    }
}

/// What a system call does when a stop interrupts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The kernel restarts it, with what is left of its timeout, and lets a handler that runs
    /// while the thread is borrowed interrupt it, as it would have.
    Restarts,
    /// The same, but a handler without `SA_RESTART` that runs while the thread is borrowed
    /// does not interrupt it: it is as if the signal had come just before the call.
    RestartsPlainly,
    /// The same where argument 0 is no socket, or one without a timeout. See `socket(7)`,
    /// `SO_RCVTIMEO`: with one, it gives `EINTR` and has to be rewound.
    ReadsDescriptor,
    /// It gives `EINTR` whether a handler ran or not (`signal(7)`, "never restarted"), so it is
    /// rewound; a relative timeout then begins anew.
    Rewound(Timeout),
}

/// Where a call that is rewound has its relative timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// It has none.
    Never,
    /// Milliseconds in this argument; negative means none.
    Milliseconds(usize),
    /// A `struct timespec` that this argument points to; null means none.
    Timespec(usize),
    /// `io_uring_enter(2)`: a `struct timespec` behind `struct io_uring_getevents_arg`.
    Ring,
}

/// The habit of a call, for those that are known not to do a part of their work and then report
/// it when they are interrupted (as `write` does). A thread in any other call is not borrowed.
///
/// `arguments` are those of the call.
pub(crate) fn habit(call: u64, arguments: &[u64; 6]) -> Option<Habit> {
    /// `futex(2)`: the operation without its flags, and one that gives up when interrupted.
    const FUTEX_COMMAND: u64 = 0x7f;
    const FUTEX_WAIT_REQUEUE_PI: u64 = 11;
    const MSG_WAITALL: u64 = libc::MSG_WAITALL as u64;

    let habit = match call.cast_signed() {
        libc::SYS_futex if arguments[1] & FUTEX_COMMAND == FUTEX_WAIT_REQUEUE_PI => return None,
        // These begin again through a block that the kernel keeps for them, or have put their
        // own signal mask in place of the program's, which blocks what they wait for.
        libc::SYS_nanosleep
        | libc::SYS_clock_nanosleep
        | libc::SYS_restart_syscall
        | libc::SYS_poll
        | libc::SYS_ppoll
        | libc::SYS_pselect6
        | libc::SYS_rt_sigsuspend => Habit::Restarts,
        // Most futexes are waited for in a loop; those with a timeout are of the kind above.
        libc::SYS_futex | libc::SYS_futex_waitv => Habit::Restarts,
        libc::SYS_select | libc::SYS_pause | libc::SYS_wait4 | libc::SYS_waitid => {
            Habit::RestartsPlainly
        }
        libc::SYS_mq_timedreceive | libc::SYS_msgrcv | libc::SYS_msgsnd | libc::SYS_flock => {
            Habit::RestartsPlainly
        }
        libc::SYS_recvfrom if arguments[3] & MSG_WAITALL != 0 => return None,
        libc::SYS_recvmsg if arguments[2] & MSG_WAITALL != 0 => return None,
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_accept
        | libc::SYS_accept4 => Habit::ReadsDescriptor,
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => Habit::Rewound(Timeout::Milliseconds(3)),
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => Habit::Rewound(Timeout::Timespec(3)),
        libc::SYS_rt_sigtimedwait => Habit::Rewound(Timeout::Timespec(2)),
        libc::SYS_io_getevents => Habit::Rewound(Timeout::Timespec(4)),
        libc::SYS_semop => Habit::Rewound(Timeout::Never),
        libc::SYS_io_uring_enter => Habit::Rewound(Timeout::Ring),
        _ => return None,
    };
    Some(habit)
}

/// A register's number in an instruction.
#[derive(Clone, Copy)]
struct Register(u8);
const RAX: Register = Register(0);
const RCX: Register = Register(1);
const RDX: Register = Register(2);
const RSI: Register = Register(6);
const RDI: Register = Register(7);
const R10: Register = Register(10);
const R11: Register = Register(11);
const R12: Register = Register(12);
const R13: Register = Register(13);

/// An assembler for the few instructions that are used.
struct Code<'a> {
    out: &'a mut [u8],
    at: usize,
}

/// A jump whose one-byte distance is not known yet: the place of that byte.
#[must_use]
struct Forward(usize);

impl Code<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// `mov register, value` in its shortest form, which leaves the flags alone.
    fn mov(&mut self, register: Register, value: u64) {
        let Register(number) = register;
        let (high, low) = (number >> 3, number & 7);
        if let Ok(value) = u32::try_from(value) {
            // mov r32, imm32 clears the upper half.
            if high == 1 {
                self.bytes(&[0x41]);
            }
            self.bytes(&[0xb8 | low]);
            self.bytes(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value.cast_signed()) {
            // mov r64, imm32 extends the sign.
            self.bytes(&[0x48 | high, 0xc7, 0xc0 | low]);
            self.bytes(&value.to_le_bytes());
        } else {
            // movabs r64, imm64
            self.bytes(&[0x48 | high, 0xb8 | low]);
            self.bytes(&value.to_le_bytes());
        }
    }

    /// `wait4` for each entry of the table, as many as the lower half of r13 says, and that half
    /// is zero in the end. Gives the place of the table's distance, and that after the call.
    fn wait_for_each(&mut self) -> (usize, usize) {
        //                   lea r12, [rip + table]
        self.bytes(&[0x4c, 0x8d, 0x25]);
        let table = self.at;
        self.bytes(&[0; 4]);
        //                   xor-free zeros: `xor` would change the flags
        //                   mov esi, 0                   no status
        self.mov(RSI, 0);
        //                   mov edx, WNOHANG | __WALL
        self.mov(RDX, u64::from(WAIT_OPTIONS));
        //                   mov r10d, 0                  no rusage
        self.mov(R10, 0);
        // loop:             mov edi, [r12]
        let start = self.at;
        self.bytes(&[0x41, 0x8b, 0x3c, 0x24]);
        //                   mov eax, SYS_wait4
        self.mov(RAX, libc::SYS_wait4.cast_unsigned());
        //                   syscall                      changes rax, rcx, r11
        self.bytes(&SYSCALL);
        let after_call = self.at;
        //                   lea r12, [r12 + 4]
        self.bytes(&[0x4d, 0x8d, 0x64, 0x24, 0x04]);
        //                   lea r13, [r13 - 1]
        self.bytes(&[0x4d, 0x8d, 0x6d, 0xff]);
        //                   mov ecx, r13d
        self.bytes(&[0x44, 0x89, 0xe9]);
        //                   jrcxz done
        let done = self.jump_if_rcx_zero();
        //                   jmp short loop
        self.jump_short_back(start);
        // done:
        self.land(done);
        (table, after_call)
    }

    /// `rt_sigaction(SIGCHLD, table, NULL, 8)`. Gives the same places.
    fn set_sigchld(&mut self) -> (usize, usize) {
        //                   mov edi, SIGCHLD
        self.mov(RDI, libc::SIGCHLD as u64);
        //                   lea rsi, [rip + table]
        self.bytes(&[0x48, 0x8d, 0x35]);
        let table = self.at;
        self.bytes(&[0; 4]);
        //                   mov edx, 0                   the former action has nowhere to go
        self.mov(RDX, 0);
        //                   mov r10d, 8
        self.mov(R10, SIGNAL_SET);
        //                   mov eax, SYS_rt_sigaction
        self.mov(RAX, libc::SYS_rt_sigaction.cast_unsigned());
        //                   syscall
        self.bytes(&SYSCALL);
        (table, self.at)
    }

    fn jump_short(&mut self) -> Forward {
        self.bytes(&[0xeb, 0]);
        Forward(self.at - 1)
    }

    fn jump_if_rcx_zero(&mut self) -> Forward {
        self.bytes(&[0xe3, 0]);
        Forward(self.at - 1)
    }

    fn land(&mut self, Forward(byte): Forward) {
        let distance = self.at - (byte + 1);
        self.out[byte] = i8::try_from(distance)
            .expect("the code is shorter than a short jump reaches")
            .cast_unsigned();
    }

    fn jump_short_back(&mut self, to: usize) {
        self.bytes(&[0xeb, 0]);
        let distance = self.at - to;
        self.out[self.at - 1] = (distance as u8).wrapping_neg();
    }

    /// `jmp [rip + …]` through eight bytes at offset `slot` of the header.
    fn jump_through(&mut self, slot: usize) {
        self.bytes(&[0xff, 0x25]);
        let back = (self.at + 4 - slot) as u32;
        self.bytes(&back.wrapping_neg().to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
