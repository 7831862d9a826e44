//! Shells: what they do with a signal while a command runs in front of them.

use super::cure;
use super::facts::Process;
use super::fate::{DROPPED, Fate, mask};
use crate::cause::{First, Language, kind_of_first};
use crate::signal::{self, is_in};
use crate::{Confidence, Verdict};

const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;

/// The grace period where none is known: the least that runtimes give.
const USUAL_GRACE: u64 = 10;

/// No trap.
pub(super) fn default(shell: &Process, number: u8) -> Fate {
    let name = signal::name(number);
    let fact = mask(shell, number, "has no trap for", "SigCgt, SigIgn");
    let children = &shell.children;
    if signal::default(number) != signal::Default::End {
        return Fate::stays(
            Confidence::High,
            format!("{name} does nothing to a shell without a trap"),
        )
        .fact(fact);
    }
    if !shell.is_namespace_init() {
        return Fate::ends(
            Confidence::High,
            match children.first() {
                Some(child) => format!("{} ends; {} never hears of it", shell.name, child.name),
                None => format!("{} has no trap, so it ends", shell.name),
            },
        )
        .fact(fact)
        .unheard(children);
    }
    let fate = match children.first() {
        Some(child) => Fate::stays(
            Confidence::High,
            format!("{} drops it; {} never hears of it", shell.name, child.name),
        )
        .fact(fact)
        .fact(DROPPED)
        .fact(format!(
            "It runs {} as a child and did not `exec` it; a shell passes no signal on: `{}` \
             (/proc/{}/task/*/children).",
            child.called(),
            child.command(),
            shell.id.pid
        )),
        None => Fate::stays(
            Confidence::High,
            format!("{} is PID 1 without a trap", shell.name),
        )
        .fact(fact)
        .fact(DROPPED),
    };
    fate.unheard(children)
        .cures(cure::shell_in_front(shell, children.first(), number))
}

/// A trap, or for SIGINT the shell's own handler.
pub(super) fn caught(shell: &Process, number: u8, grace: Option<u64>) -> Fate {
    let fact = mask(shell, number, "catches", "SigCgt");
    let grace = grace.unwrap_or(USUAL_GRACE);
    let fate = match in_front(shell) {
        Front::Nobody => Fate::ends(
            Confidence::Medium,
            format!("{} has a trap, and no command in front of it", shell.name),
        )
        .fact(fact)
        .fact("A trap runs at once while the shell is in `wait`. What it does is the script's affair."),
        Front::Command(child) if outlives(child, grace) == Some(true) => Fate::stays(
            Confidence::High,
            format!(
                "{} runs its trap only when {} has ended",
                shell.name, child.name
            ),
        )
        .fact(fact)
        .fact(format!(
            "It waits for {} in the foreground, `{}`, which has run for {} already: a trap runs \
             when the command in front has ended (SigIgn of /proc/{}/status: not started with &).",
            child.called(),
            child.command(),
            crate::text::duration(child.age_seconds),
            child.id.pid
        ))
        .unheard([child])
        .cures(cure::trap_behind_command(child, number)),
        Front::Command(child) if outlives(child, grace) == Some(false) => Fate::ends(
            Confidence::Medium,
            format!(
                "{} runs its trap as soon as `{}` has ended",
                shell.name,
                child.command()
            ),
        )
        .fact(fact)
        .fact("What the trap does is the script's affair."),
        Front::Command(child) => Fate::unknown(format!(
            "{} runs its trap once {} has ended, soon or not",
            shell.name, child.name
        ))
        .fact(fact)
        .fact(format!(
            "It waits for {} in the foreground, `{}`, which was started {} ago.",
            child.called(),
            child.command(),
            crate::text::duration(child.age_seconds)
        ))
        .cures(cure::trap_behind_command(child, number)),
        Front::Unclear(child) => Fate::unknown(format!(
            "{} has a trap; whether {} is in front of it cannot be told",
            shell.name, child.name
        ))
        .fact(fact)
        .fact("A trap runs at once while the shell is in `wait`, else when the command in front has ended.")
        .cures(cure::trap_behind_command(child, number)),
    };
    if number == SIGINT && fate.verdict == Verdict::Ends {
        // Every shell catches SIGINT, with or without a trap.
        return Fate {
            verdict: Verdict::Unknown,
            confidence: Confidence::Low,
            ..fate
        };
    }
    fate
}

enum Front<'a> {
    /// It is in `wait`, or has no child.
    Nobody,
    /// It waits for this one and for nothing else.
    Command(&'a Process),
    Unclear(&'a Process),
}

/// Which child the shell waits for. A shell without job control makes commands that are started
/// with `&` ignore SIGINT and SIGQUIT (POSIX, "Asynchronous Lists"); those in front get back
/// what the shell was given.
fn in_front(shell: &Process) -> Front<'_> {
    // dash's `wait` sleeps in sigsuspend, its wait for the command in front in wait4. bash uses
    // wait4 for both.
    if shell.call.as_deref() == Some("rt_sigsuspend") {
        return Front::Nobody;
    }
    let tells = !is_in(shell.signals.ignored, SIGINT);
    let mut front = Front::Nobody;
    for child in &shell.children {
        match is_behind(child) {
            Some(false) if tells => return Front::Command(child),
            Some(true) if tells => {}
            _ => front = Front::Unclear(child),
        }
    }
    front
}

/// It was started with `&`; `None` where the program has overwritten what would tell.
fn is_behind(child: &Process) -> Option<bool> {
    let disposition = |number| {
        let signals = &child.signals;
        (
            is_in(signals.ignored, number),
            is_in(signals.caught, number),
        )
    };
    match (disposition(SIGINT), disposition(SIGQUIT)) {
        // node puts all back to the default when it starts.
        _ if child.program.language == Language::Node => None,
        ((true, _), (true, _)) => Some(true),
        // A handler of its own over one that was ignored.
        ((_, true), (true, _)) => Some(true),
        ((false, false), _) | (_, (false, false)) => Some(false),
        // Java leaves an ignored SIGINT alone, and catches SIGQUIT in any case.
        ((_, true), _) if child.program.language == Language::Java => Some(false),
        _ => None,
    }
}

/// Whether the command in front will still be there when the grace period is over; `None`: who
/// knows.
fn outlives(child: &Process, grace: u64) -> Option<bool> {
    if child.name == "sleep"
        && let [_, duration] = &child.command_line[..]
        // `infinity` is a number, too.
        && let Ok(seconds) = duration.trim_end_matches('s').parse::<f64>()
    {
        return Some(seconds - child.age_seconds as f64 > grace as f64);
    }
    let keeps = kind_of_first(child.executable.as_deref(), &child.command_line) == First::KeepAlive;
    (keeps || child.age_seconds > grace).then_some(true)
}
