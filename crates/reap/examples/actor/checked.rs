//! A system call that notices every change that is not its own: general registers, flags,
//! `xmm` registers, and the red zone below the stack pointer.

use std::arch::global_asm;

/// What the registers hold before and after the call.
#[repr(C, align(16))]
#[derive(Clone)]
pub(crate) struct Frame {
    before: Registers,
    after: Registers,
}

#[repr(C, align(16))]
#[derive(Clone, PartialEq, Eq, Debug)]
struct Registers {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 … r15, flags
    general: [u64; 16],
    xmm: [u128; 16],
    red_zone: [u64; 16],
}

// rdi: the frame. Its halves are 16*8 + 16*16 + 16*8 = 512 bytes each.
global_asm!(
    ".globl sexton_checked_syscall",
    "sexton_checked_syscall:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "pushfq",
    "sub rsp, 16",
    "mov [rsp], rdi",
    "mov rax, rdi",
    // Red zone, through rbx.
    ".set i, 0",
    ".rept 16",
    "mov rbx, [rax + 384 + 8 * i]",
    "mov [rsp - 8 - 8 * i], rbx",
    ".set i, i + 1",
    ".endr",
    // xmm
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movaps xmm\\n, [rax + 128 + 16 * \\n]",
    ".endr",
    // Flags by an addition that leaves carry, adjust and parity set, and then only movs.
    "mov rbx, [rax + 8]",
    "mov rdx, [rax + 24]",
    "mov rsi, [rax + 32]",
    "mov rdi, [rax + 40]",
    "mov rbp, [rax + 48]",
    "mov r8, [rax + 56]",
    "mov r9, [rax + 64]",
    "mov r10, [rax + 72]",
    "mov r12, [rax + 88]",
    "mov r13, [rax + 96]",
    "mov r14, [rax + 104]",
    "mov r15, [rax + 112]",
    "mov cl, -1",
    "add cl, 1",
    "mov rax, [rax]",
    "syscall",
    "2:",
    "mov [rsp + 8], rax",
    "mov rax, [rsp]",
    "lea rax, [rax + 512]",
    "mov [rax + 8], rbx",
    "mov [rax + 16], rcx",
    "mov [rax + 24], rdx",
    "mov [rax + 32], rsi",
    "mov [rax + 40], rdi",
    "mov [rax + 48], rbp",
    "mov [rax + 56], r8",
    "mov [rax + 64], r9",
    "mov [rax + 72], r10",
    "mov [rax + 80], r11",
    "mov [rax + 88], r12",
    "mov [rax + 96], r13",
    "mov [rax + 104], r14",
    "mov [rax + 112], r15",
    "mov rbx, [rsp + 8]",
    "mov [rax], rbx",
    ".set i, 0",
    ".rept 16",
    "mov rbx, [rsp - 8 - 8 * i]",
    "mov [rax + 384 + 8 * i], rbx",
    ".set i, i + 1",
    ".endr",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movaps [rax + 128 + 16 * \\n], xmm\\n",
    ".endr",
    "pushfq",
    "pop rbx",
    "mov [rax + 120], rbx",
    // Where rcx has to be.
    "lea rbx, [rip + 2b]",
    "mov [rax - 512 + 16], rbx",
    "add rsp, 16",
    "popfq",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

unsafe extern "C" {
    fn sexton_checked_syscall(frame: *mut Frame);
}

/// Makes the call; the result, or what was found changed.
pub(crate) fn syscall(number: i64, arguments: [u64; 6], salt: u64) -> Result<i64, String> {
    let word = |i: usize| {
        (salt ^ 0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(2 * i as u64 + 1)
            .rotate_left(i as u32)
    };
    let mut before = Registers {
        general: std::array::from_fn(word),
        xmm: std::array::from_fn(|i| u128::from(word(i + 20)) << 64 | u128::from(word(i + 40))),
        red_zone: std::array::from_fn(|i| word(i + 60)),
    };
    let general = &mut before.general;
    general[0] = number.cast_unsigned();
    for (at, argument) in [5, 4, 3, 9, 7, 8].into_iter().zip(arguments) {
        general[at] = argument;
    }
    let after = before.clone();
    let mut frame = Frame { before, after };
    // SAFETY: the frame is valid and aligned; the function keeps the C convention, and the
    // caller passes arguments that are right for the system call.
    unsafe { sexton_checked_syscall(&raw mut frame) };
    let Frame { before, mut after } = frame;
    let result = after.general[0].cast_signed();
    let flags = after.general[15];
    after.general[0] = before.general[0];
    // The kernel leaves the flags in r11; adjust, carry, parity and zero come from the addition.
    const EXPECTED: u64 = 1 | 1 << 2 | 1 << 4 | 1 << 6;
    const ARITHMETIC: u64 = EXPECTED | 1 << 7 | 1 << 11;
    if flags & ARITHMETIC != EXPECTED {
        return Err(format!("flags are {flags:#x}"));
    }
    if after.general[10] != flags {
        return Err(format!(
            "r11 is {:#x} with flags {flags:#x}",
            after.general[10]
        ));
    }
    after.general[10] = before.general[10];
    after.general[15] = before.general[15];
    if before.general != after.general {
        return Err(format!(
            "general registers: {:x?} {:x?}",
            before.general, after.general
        ));
    }
    if before.xmm != after.xmm {
        return Err(format!("xmm registers: {:x?} {:x?}", before.xmm, after.xmm));
    }
    if before.red_zone != after.red_zone {
        return Err("the red zone has changed".to_owned());
    }
    Ok(result)
}
