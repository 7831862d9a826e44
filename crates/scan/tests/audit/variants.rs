//! The same few commands behind each shell and each init.

use crate::situation::{Case, compare_once, program};

/// Shells, and what makes them read a text.
const SHELLS: [(&str, &[&str]); 7] = [
    ("dash", &["/bin/dash"]),
    ("bash", &["/bin/bash"]),
    ("busybox sh", &["/bin/busybox", "sh"]),
    ("mksh", &["/bin/mksh"]),
    ("zsh", &["/bin/zsh"]),
    ("yash", &["/usr/bin/yash"]),
    ("ksh", &["/bin/ksh93"]),
];

fn shells(what: &str, text: &str, expected: impl Fn(Case) -> Case) {
    compare_once(SHELLS.map(|(name, words)| {
        program(words[0])?;
        let argv = [words, &["-c", text]].concat();
        let case = Case::new(format!("{name}: {what}"), &argv).runs("sleep");
        Some(expected(case))
    }));
}

#[test]
fn a_command_in_front() {
    let text = "/bin/sleep 1000; true";
    shells("a command", text, |case| case.killed().unheard(1));
}

#[test]
fn a_command_by_exec() {
    let text = "true; exec /bin/sleep 1000";
    shells("exec", text, Case::killed);
}

#[test]
fn a_trap_and_a_command_in_front() {
    let text = "trap 'exit 0' TERM; /bin/sleep 1000; true";
    shells("a trap, a command", text, |case| case.killed().unheard(1));
}

#[test]
fn a_trap_in_wait() {
    let text = "trap 'exit 0' TERM; /bin/sleep 1000 & wait";
    shells("a trap, wait", text, |case| case);
}

#[test]
fn a_signal_that_is_ignored() {
    let text = "trap '' TERM; /bin/sleep 1000; true";
    // ksh catches it instead, and does nothing.
    shells("ignored", text, |case| {
        let ksh = case.is_called("ksh: ignored");
        case.killed().unheard(usize::from(ksh))
    });
}

/// Inits, and whether they tell the group.
const INITS: [(&str, &[&str], bool); 6] = [
    ("tini", &["/usr/bin/tini", "--"], false),
    ("tini -g", &["/usr/bin/tini", "-g", "--"], true),
    ("dumb-init", &["/usr/bin/dumb-init", "--"], true),
    ("dumb-init -c", &["/usr/bin/dumb-init", "-c", "--"], false),
    ("catatonit", &["/usr/bin/catatonit", "--"], false),
    ("catatonit -g", &["/usr/bin/catatonit", "-g", "--"], true),
];

fn inits(what: &str, command: &[&str], expected: impl Fn(Case, bool) -> Case) {
    compare_once(INITS.map(|(name, words, group)| {
        program(words[0])?;
        let case = Case::new(format!("{name} over {what}"), &[words, command].concat());
        Some(expected(case.runs("sleep"), group))
    }));
}

#[test]
fn inits_over_a_program() {
    inits("a program", &["/bin/sleep", "1000"], |case, _| case);
}

#[test]
fn inits_over_a_shell() {
    let shell = ["/bin/sh", "-c", "sleep 1000; true"];
    inits("a shell", &shell, |case, group| {
        case.unheard(usize::from(!group))
    });
}

#[test]
fn inits_over_the_deaf() {
    let deaf = ["/bin/bash", "-c", "trap '' TERM; exec /bin/sleep 1000"];
    inits("the deaf", &deaf, |case, _| case.killed());
}
