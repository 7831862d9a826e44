use super::*;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

const CALL: Call = Call {
    number: 61,
    arch: 0xc000_003e,
    pc: 0x7fff_1234_5678_9abc,
    arguments: [100, 0, 0x4000_0001, 0, u64::MAX, 7],
};

fn of(code: u16, then: u8, otherwise: u8, k: u32) -> Instruction {
    Instruction {
        code,
        then,
        otherwise,
        k,
    }
}

fn load(offset: u32) -> Instruction {
    of(LD | ABS, 0, 0, offset)
}

fn answer(program: &[Instruction]) -> Option<Answer> {
    run(program, &CALL, &mut 10_000)
}

fn value(program: &[Instruction]) -> Option<u32> {
    answer(program).map(|answer| answer.value)
}

/// What is in A at the end.
fn a(program: &[Instruction]) -> Option<u32> {
    value(&[program, &[of(RET | A, 0, 0, 0)]].concat())
}

#[test]
fn a_filter_that_kills_for_one_call_is_read_so() {
    let kills = |number| {
        value(&[
            load(0),
            of(JMP | 0x10, 0, 1, number),
            of(RET, 0, 0, KILL),
            of(RET, 0, 0, ALLOW),
        ])
    };
    assert_eq!(kills(61), Some(KILL));
    assert_eq!(kills(35), Some(ALLOW));
}

#[test]
fn each_word_of_a_call_is_where_the_kernel_has_it() {
    for (offset, word) in [
        (0, 61),
        (4, 0xc000_003e),
        (8, 0x5678_9abc),
        (12, 0x7fff_1234),
        (16, 100),
        (20, 0),
        (32, 0x4000_0001),
        (48, u32::MAX),
        (52, u32::MAX),
        (56, 7),
        (60, 0),
    ] {
        let program = [load(offset), of(RET | A, 0, 0, 0)];
        let answer = answer(&program).unwrap();
        assert_eq!(answer.value, word, "{offset}");
        assert_eq!(answer.read, 1 << (offset / 4));
    }
    assert_eq!(Call::FIRST_ARGUMENT, 1 << (16 / 4) | 1 << (20 / 4));
    for offset in [1, 2, 63, 64, 68, u32::MAX, u32::MAX - 3] {
        assert_eq!(a(&[load(offset)]), None, "{offset}");
    }
}

#[test]
fn arithmetic_is_the_kernels() {
    let alu = |operation: u16, start, operand| {
        let by_k = a(&[of(LD, 0, 0, start), of(ALU | operation, 0, 0, operand)]);
        let by_x = a(&[
            of(LD, 0, 0, start),
            of(LDX, 0, 0, operand),
            of(ALU | operation | X, 0, 0, 0),
        ]);
        assert_eq!(by_k, by_x);
        by_k
    };
    assert_eq!(alu(0x00, u32::MAX, 2), Some(1));
    assert_eq!(alu(0x10, 1, 2), Some(u32::MAX));
    assert_eq!(alu(0x20, 1 << 31, 2), Some(0));
    assert_eq!(alu(0x30, 7, 2), Some(3));
    assert_eq!(alu(0x40, 1, 6), Some(7));
    assert_eq!(alu(0x50, 7, 2), Some(2));
    assert_eq!(alu(0x60, 1, 33), Some(2));
    assert_eq!(alu(0x70, 8, 3), Some(1));
    assert_eq!(alu(0xa0, 7, 2), Some(5));
    assert_eq!(alu(0x80, 1, 0), Some(u32::MAX));
    // Division by zero ends the run with 0; a remainder is not among seccomp's.
    assert_eq!(alu(0x30, 7, 0), Some(0));
    assert_eq!(alu(0x90, 7, 2), None);
}

#[test]
fn memory_registers_and_length_work() {
    let there_and_back = [
        of(LD, 0, 0, 9),
        of(ST, 0, 0, 15),
        of(LD, 0, 0, 1),
        of(LD | MEM, 0, 0, 15),
    ];
    assert_eq!(a(&there_and_back), Some(9));
    let by_x = [
        of(LDX | LEN, 0, 0, 0),
        of(STX, 0, 0, 0),
        of(LDX | MEM, 0, 0, 0),
        of(MISC | TXA, 0, 0, 0),
    ];
    assert_eq!(a(&by_x), Some(64));
    assert_eq!(a(&[of(LD | MEM, 0, 0, 16)]), None);
    assert_eq!(a(&[of(ST, 0, 0, u32::MAX)]), None);
}

#[test]
fn jumps_compare_as_the_kernel_does() {
    let jump = |operation, operand| {
        value(&[
            of(LD, 0, 0, 5),
            of(JMP | operation, 0, 1, operand),
            of(RET, 0, 0, 1),
            of(RET, 0, 0, 0),
        ])
    };
    for (operation, operand, holds) in [
        (0x10, 5, 1),
        (0x10, 6, 0),
        (0x20, 5, 0),
        (0x20, 4, 1),
        (0x30, 5, 1),
        (0x30, 6, 0),
        (0x40, 4, 1),
        (0x40, 2, 0),
    ] {
        assert_eq!(
            jump(operation, operand),
            Some(holds),
            "{operation:x} {operand}"
        );
    }
    assert_eq!(
        value(&[of(JMP, 0, 0, 1), of(RET, 0, 0, 1), of(RET, 0, 0, 2)]),
        Some(2)
    );
}

#[test]
fn what_the_kernel_would_not_let_in_has_no_answer() {
    for program in [
        &[][..],
        &[of(LD, 0, 0, 1)],
        &[of(JMP, 0, 0, u32::MAX), of(RET, 0, 0, ALLOW)],
        &[of(JMP | 0x10, 255, 255, 0), of(RET, 0, 0, ALLOW)],
        &[of(0xffff, 0, 0, 0), of(RET, 0, 0, ALLOW)],
        // A byte, and one behind X.
        &[of(0x30, 0, 0, 0), of(RET, 0, 0, ALLOW)],
        &[of(0x40, 0, 0, 0), of(RET, 0, 0, ALLOW)],
    ] {
        assert_eq!(answer(program), None, "{program:?}");
    }
}

#[test]
fn a_run_takes_no_more_steps_than_it_may() {
    let mut program = vec![of(LD, 0, 0, 1); 4_095];
    program.push(of(RET, 0, 0, ALLOW));
    let mut budget = 5_000;
    assert!(run(&program, &CALL, &mut budget).is_some());
    assert_eq!(budget, 5_000 - 4_096);
    assert_eq!(run(&program, &CALL, &mut budget), None);
}

/// Programs of any bytes: an answer or none, and never more steps than instructions.
#[test]
fn no_program_makes_it_fall() {
    let mut seed = 1_u64;
    let mut dice = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u32
    };
    let codes = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20,
        0x24, 0x25, 0x34, 0x3c, 0x44, 0x45, 0x54, 0x60, 0x61, 0x64, 0x74, 0x80, 0x84, 0x87, 0xac,
    ];
    let (mut answers, mut none) = (0, 0);
    for _ in 0..20_000 {
        let length = dice() % 24;
        let program: Vec<_> = (0..length)
            .map(|_| {
                let wild = dice() % 16 == 0;
                let code = codes[dice() as usize % codes.len()];
                let k = if dice() % 2 == 0 { dice() % 68 } else { dice() };
                let [then, otherwise, ..] = (dice() & 0x0303).to_le_bytes();
                of(if wild { dice() as u16 } else { code }, then, otherwise, k)
            })
            .collect();
        let mut budget = 100;
        match run(&program, &CALL, &mut budget) {
            Some(_) => answers += 1,
            None => none += 1,
        }
        assert!(100 - budget <= length + 1);
    }
    assert!(answers > 500 && none > 500, "{answers} {none}");
}
