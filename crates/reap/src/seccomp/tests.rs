use super::*;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const WAIT: Call = Call {
    number: 61,
    arch: 0xc000_003e,
    pc: 0x7fff_0000_0800,
    arguments: [0, 0, 0x4000_0001, 0, 0, 0],
};

fn of(code: u16, then: u8, otherwise: u8, k: u32) -> Instruction {
    Instruction {
        code,
        then,
        otherwise,
        k,
    }
}

/// Answers with `value` where the word at `offset` is `word`, else allows.
fn filter(offset: u32, word: u32, value: u32) -> Vec<Instruction> {
    vec![
        of(0x20, 0, 0, offset),
        of(0x15, 0, 1, word),
        of(0x06, 0, 0, value),
        of(0x06, 0, 0, ALLOW),
    ]
}

#[test]
fn the_strictest_of_all_filters_counts() {
    let ask = |values: &[u32]| {
        let each = values.iter().map(|value| filter(0, 61, *value));
        Filters::Known(each.collect()).ask(&WAIT)
    };
    use libc::{
        SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG,
        SECCOMP_RET_TRAP,
    };
    assert_eq!(ask(&[ALLOW, SECCOMP_RET_LOG]), Verdict::Allowed);
    // An error number is part of the answer.
    let with_errno = SECCOMP_RET_ERRNO | 1;
    assert_eq!(
        ask(&[ALLOW, with_errno]),
        Verdict::Answered(SECCOMP_RET_ERRNO)
    );
    let all = [with_errno, SECCOMP_RET_TRAP, SECCOMP_RET_KILL_THREAD, ALLOW];
    assert_eq!(ask(&all), Verdict::Answered(SECCOMP_RET_KILL_THREAD));
    let worst = [SECCOMP_RET_KILL_THREAD, SECCOMP_RET_KILL_PROCESS];
    assert_eq!(ask(&worst), Verdict::Answered(SECCOMP_RET_KILL_PROCESS));
    assert_eq!(ask(&[0x1234_0000]), Verdict::Answered(0x1234_0000));
}

#[test]
fn every_pid_is_asked_for_where_it_matters() {
    let filters = Filters::Known(vec![filter(16, 300, libc::SECCOMP_RET_TRAP)]);
    assert_eq!(filters.ask_each(&WAIT, &[100, 200, 299]), Verdict::Allowed);
    let answered = Verdict::Answered(libc::SECCOMP_RET_TRAP);
    assert_eq!(filters.ask_each(&WAIT, &[100, 300, 400]), answered);
    assert_eq!(filters.ask_each(&WAIT, &[100, 200, 300]), answered);
}

#[test]
fn what_does_not_end_is_no_permission() {
    let long = [vec![of(0x20, 0, 0, 16); 4_000], vec![of(0x06, 0, 0, ALLOW)]].concat();
    let filters = Filters::Known(vec![long]);
    assert_eq!(filters.ask_each(&WAIT, &[1; 200]), Verdict::Allowed);
    assert_eq!(filters.ask_each(&WAIT, &[1; 2_000]), Verdict::NotKnown);
    assert_eq!(Filters::Known(vec![vec![]]).ask(&WAIT), Verdict::NotKnown);
    assert!(Verdict::NotKnown.refusal("wait4").is_some());
}

#[test]
fn a_refusal_names_call_and_answer() {
    let said = |action| {
        Verdict::Answered(action)
            .refusal("wait4")
            .unwrap()
            .to_string()
    };
    assert!(
        said(libc::SECCOMP_RET_KILL_PROCESS)
            .contains("call wait4: they answer with the end of the program")
    );
    assert!(said(libc::SECCOMP_RET_ERRNO).contains("an error"));
    assert_eq!(Verdict::Allowed.refusal("wait4"), None);
}
