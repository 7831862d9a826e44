use super::*;

const HEADER: Header = Header {
    thread: 7,
    visit: 3,
    sp: 0x7ffc_0000_1000,
};

/// A thread in `call` with `result`, each register distinct and as wide as they come.
fn stopped(call: u64, result: i64) -> Registers {
    // SAFETY: the structure is plain integers.
    let mut registers: Registers = unsafe { std::mem::zeroed() };
    registers.orig_rax = call;
    registers.rax = result.cast_unsigned();
    registers.rip = 0x7f00_0000_2002;
    registers.rsp = HEADER.sp;
    registers.cs = USER_CS;
    registers.rdi = 0x1111_1111_1111_1111;
    registers.rsi = 0x2222_2222;
    registers.rdx = u64::MAX;
    registers.r10 = 0x8000_0000_0000_0000;
    registers.r11 = 0x246;
    registers.rcx = registers.rip;
    registers.r12 = 0xaaaa_aaaa_aaaa_aaaa;
    registers.r13 = 0;
    registers
}

fn code_of(registers: &Registers, errand: Errand<'_>) -> Vec<u8> {
    let mut out = vec![0; MAX_CODE + 4 * errand.calls() + 32];
    let encoded = encode(&mut out, 0x7f00_0000_5000, &HEADER, registers, errand);
    out.truncate(encoded.length);
    out
}

/// Every byte, checked once with a disassembler; a change here has to be checked so again.
#[test]
fn the_code_is_as_it_was_checked() {
    let code = code_of(
        &stopped(35, ERESTART_RESTARTBLOCK),
        Errand::WaitFor(&[100, 0x0001_0203]),
    );
    #[rustfmt::skip]
    let expected: &[u8] = &[
        // header: mark, thread, visit, sp, return_to, restart_at
        b'S', b'E', b'X', b'T', b'O', b'N', 1, b'\n',
        7, 0, 0, 0, 3, 0, 0, 0,
        0x00, 0x10, 0x00, 0x00, 0xfc, 0x7f, 0x00, 0x00,
        0x02, 0x20, 0x00, 0x00, 0x00, 0x7f, 0x00, 0x00,
        0x00, 0x20, 0x00, 0x00, 0x00, 0x7f, 0x00, 0x00,
        // 28: jmp short 36
        0xeb, 0x0c,
        // 2a: movabs r13, 0x1_0000_0002
        0x49, 0xbd, 2, 0, 0, 0, 1, 0, 0, 0,
        // 34: jmp short 3c
        0xeb, 0x06,
        // 36: mov r13d, 2
        0x41, 0xbd, 2, 0, 0, 0,
        // 3c: lea r12, [rip + 0x95] (d8)
        0x4c, 0x8d, 0x25, 0x95, 0, 0, 0,
        // 43: mov esi, 0
        0xbe, 0, 0, 0, 0,
        // 48: mov edx, 0x4000_0001
        0xba, 1, 0, 0, 0x40,
        // 4d: mov r10d, 0
        0x41, 0xba, 0, 0, 0, 0,
        // 53: mov edi, [r12]
        0x41, 0x8b, 0x3c, 0x24,
        // 57: mov eax, 61
        0xb8, 61, 0, 0, 0,
        // 5c: syscall
        0x0f, 0x05,
        // 5e: lea r12, [r12 + 4]
        0x4d, 0x8d, 0x64, 0x24, 0x04,
        // 63: lea r13, [r13 - 1]
        0x4d, 0x8d, 0x6d, 0xff,
        // 67: mov ecx, r13d
        0x44, 0x89, 0xe9,
        // 6a: jrcxz 6e
        0xe3, 0x02,
        // 6c: jmp short 53
        0xeb, 0xe5,
        // 6e: movabs r12, 0xaaaa_aaaa_aaaa_aaaa
        0x49, 0xbc, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        // 78: movabs rdi, 0x1111_1111_1111_1111
        0x48, 0xbf, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
        // 82: mov esi, 0x2222_2222
        0xbe, 0x22, 0x22, 0x22, 0x22,
        // 87: mov rdx, -1
        0x48, 0xc7, 0xc2, 0xff, 0xff, 0xff, 0xff,
        // 8e: movabs r10, 0x8000_0000_0000_0000
        0x49, 0xba, 0, 0, 0, 0, 0, 0, 0, 0x80,
        // 98: mov r11d, 0x246
        0x41, 0xbb, 0x46, 0x02, 0, 0,
        // 9e: mov rcx, r13
        0x4c, 0x89, 0xe9,
        // a1: mov r13d, 0
        0x41, 0xbd, 0, 0, 0, 0,
        // a7: jrcxz c0
        0xe3, 0x17,
        // a9: movabs rcx, 0x7f00_0000_2002
        0x48, 0xb9, 0x02, 0x20, 0, 0, 0, 0x7f, 0, 0,
        // b3: mov rax, -4
        0x48, 0xc7, 0xc0, 0xfc, 0xff, 0xff, 0xff,
        // ba: jmp [rip - 0xa8] (18, return_to)
        0xff, 0x25, 0x58, 0xff, 0xff, 0xff,
        // c0: movabs rcx, 0x7f00_0000_2002
        0x48, 0xb9, 0x02, 0x20, 0, 0, 0, 0x7f, 0, 0,
        // ca: mov eax, 219
        0xb8, 219, 0, 0, 0,
        // cf: jmp [rip - 0xb5] (20, restart_at)
        0xff, 0x25, 0x4b, 0xff, 0xff, 0xff,
        // d5: padding, never reached
        0xcc, 0xcc, 0xcc,
        // d8: the table
        100, 0, 0, 0, 0x03, 0x02, 0x01, 0x00,
    ];
    assert_eq!(code, expected, "{code:02x?}");
}

/// The part that differs, checked in the same way.
#[test]
fn the_code_for_sigchld_is_as_it_was_checked() {
    let set = Errand::DefaultSigchld { flags: 2 };
    let code = code_of(&stopped(35, ERESTART_RESTARTBLOCK), set);
    #[rustfmt::skip]
    let expected: &[u8] = &[
        // 28: jmp short 36
        0xeb, 0x0c,
        // 2a: movabs r13, 0x1_0000_0000
        0x49, 0xbd, 0, 0, 0, 0, 1, 0, 0, 0,
        // 34: jmp short 3c
        0xeb, 0x06,
        // 36: mov r13d, 0
        0x41, 0xbd, 0, 0, 0, 0,
        // 3c: mov edi, 17
        0xbf, 17, 0, 0, 0,
        // 41: lea rsi, [rip + 0x7c] (c4)
        0x48, 0x8d, 0x35, 0x7c, 0, 0, 0,
        // 48: mov edx, 0
        0xba, 0, 0, 0, 0,
        // 4d: mov r10d, 8
        0x41, 0xba, 8, 0, 0, 0,
        // 53: mov eax, 13
        0xb8, 13, 0, 0, 0,
        // 58: syscall
        0x0f, 0x05,
        // 5a: movabs r12, 0xaaaa_aaaa_aaaa_aaaa
        0x49, 0xbc, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    ];
    assert_eq!(code[0x28..0x64], *expected, "{code:02x?}");
    // Everything from there on as after a wait; 6e is where that begins to load registers.
    let wait = code_of(
        &stopped(35, ERESTART_RESTARTBLOCK),
        Errand::WaitFor(&[1, 2]),
    );
    let jumps = |code: &[u8], at: usize| code[at..at + 0x4c].to_vec();
    assert_eq!(jumps(&code, 0x5a), jumps(&wait, 0x6e));
    // c4: handler, flags, restorer, mask
    let mut action = [0; 32];
    action[8] = 2;
    assert_eq!(code[0xc4..], action);
}

/// The longest that any registers can make it.
#[test]
fn no_registers_make_the_code_longer_than_its_limit() {
    let mut registers = stopped(0x1_0000_0000, 0x7000_0000_0000_0000);
    let wide = 0x8877_6655_4433_2211;
    for register in [
        &mut registers.r12,
        &mut registers.r13,
        &mut registers.rdi,
        &mut registers.rsi,
        &mut registers.rdx,
        &mut registers.r10,
        &mut registers.r11,
        &mut registers.rcx,
    ] {
        *register = wide;
    }
    assert!(code_of(&registers, Errand::WaitFor(&[])).len() <= MAX_CODE);
    let set = Errand::DefaultSigchld { flags: u64::MAX };
    assert!(code_of(&registers, set).len() <= MAX_CODE + 32);
}

/// Both doors, by interpreting the few instructions that decide which way the code ends.
#[test]
fn results_are_kept_and_interrupted_calls_restarted() {
    let returned = |registers: &Registers| rax_before_jump(registers, 0x18);
    let restarted = |registers: &Registers| rax_before_jump(registers, 0x20);
    // The kernel restarts: the call's own number, or restart_syscall.
    assert_eq!(restarted(&stopped(0, ERESTARTSYS)), 0);
    assert_eq!(restarted(&stopped(34, ERESTARTNOHAND)), 34);
    assert_eq!(restarted(&stopped(202, ERESTARTNOINTR)), 202);
    assert_eq!(restarted(&stopped(35, ERESTART_RESTARTBLOCK)), 219);
    // A handler without SA_RESTART interrupted it.
    for result in [
        ERESTARTSYS,
        ERESTARTNOHAND,
        ERESTARTNOINTR,
        ERESTART_RESTARTBLOCK,
    ] {
        assert_eq!(returned(&stopped(0, result)), EINTR);
    }
    // It was done anyway: its result.
    for result in [0, 1, 4096, -11, EINTR, i64::from(u32::MAX), i64::MAX] {
        assert_eq!(returned(&stopped(0, result)), result);
    }
}

/// The value that the code gives `rax` before it jumps through `slot` of the header.
fn rax_before_jump(registers: &Registers, slot: usize) -> i64 {
    let set = Errand::DefaultSigchld { flags: 2 };
    let [result, other] = [Errand::WaitFor(&[1]), set].map(|errand| {
        let code = code_of(registers, errand);
        rax_in(&code, slot)
    });
    assert_eq!(result, other);
    result
}

fn rax_in(code: &[u8], slot: usize) -> i64 {
    let jump = (0..code.len() - 6)
        .find(|at| {
            code[*at..].starts_with(&[0xff, 0x25]) && {
                let distance = i32::from_le_bytes(code[at + 2..at + 6].try_into().unwrap());
                *at as i64 + 6 + i64::from(distance) == slot as i64
            }
        })
        .unwrap();
    let before = &code[..jump];
    if before[jump - 7..].starts_with(&[0x48, 0xc7, 0xc0]) {
        i64::from(i32::from_le_bytes(before[jump - 4..].try_into().unwrap()))
    } else if before[jump - 10..].starts_with(&[0x48, 0xb8]) {
        i64::from_le_bytes(before[jump - 8..].try_into().unwrap())
    } else {
        assert_eq!(before[jump - 5], 0xb8);
        i64::from(u32::from_le_bytes(before[jump - 4..].try_into().unwrap()))
    }
}

#[test]
fn only_a_thread_in_a_64_bit_call_is_taken() {
    let registers = stopped(35, ERESTART_RESTARTBLOCK);
    assert_eq!(stand(&registers, SYSCALL), Stand::InCall);
    // `int 0x80`, or no call at all.
    assert_eq!(stand(&registers, [0xcd, 0x80]), Stand::Elsewhere);
    assert_eq!(stand(&stopped(u64::MAX, 0), SYSCALL), Stand::Elsewhere);
    let mut compat = registers;
    compat.cs = 0x23;
    assert_eq!(stand(&compat, SYSCALL), Stand::Elsewhere);
}

#[test]
fn calls_that_report_a_part_of_their_work_are_not_interrupted() {
    for call in [
        libc::SYS_write,
        libc::SYS_connect,
        libc::SYS_close,
        libc::SYS_sendto,
        libc::SYS_splice,
        libc::SYS_ioctl,
        libc::SYS_recvmmsg,
    ] {
        assert_eq!(habit(call.cast_unsigned(), &[0; 6]), None, "call {call}");
    }
    let wait_all = [0, 0, 0, libc::MSG_WAITALL as u64, 0, 0];
    assert_eq!(habit(libc::SYS_recvfrom as u64, &wait_all), None);
    assert!(habit(libc::SYS_recvfrom as u64, &[0; 6]).is_some());
}
