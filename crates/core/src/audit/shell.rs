//! Shells: what they do with a signal while a command runs in front of them.

use super::facts::Process;
use super::fate::{DROPPED, Fate, mask};
use super::stop::Stop;
use super::{command, cure, judge, words};
use crate::cause::{First, Language, kind_of_first};
use crate::signal::{self, is_in};
use crate::{Confidence, Verdict};

const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;

/// The grace period where none is known: the least that runtimes give.
const USUAL_GRACE: u64 = 10;

/// No trap.
pub(super) fn default(shell: &Process, stop: Stop) -> Fate {
    let number = stop.number;
    let name = signal::name(number);
    let fact = mask(shell, number, "has no trap for", "SigCgt, SigIgn");
    let unheard = stop.unheard(&shell.children);
    let child = front_child(shell);
    if signal::default(number) != signal::DefaultAction::End {
        if goes_on_by_itself(shell, stop) {
            return Fate::unknown(format!("{} goes on in its script", shell.name)).fact(fact);
        }
        return Fate::stays(
            Confidence::High,
            match unheard.first() {
                Some(child) => format!(
                    "{name} does nothing to {}; {} never hears of it",
                    shell.name, child.name
                ),
                None => format!("{name} does nothing to a shell without a trap"),
            },
        )
        .fact(fact)
        .unheard(unheard)
        .cures(cure::shell_in_front(shell, child, number));
    }
    if !shell.is_namespace_init() {
        return ends(shell, stop).fact(fact);
    }
    let fate = match child.or(shell.children.first()) {
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
    fate.unheard(unheard)
        .cures(cure::shell_in_front(shell, child, number))
}

/// A shell that is not PID 1: it ends at once, whatever it has started.
fn ends(shell: &Process, stop: Stop) -> Fate {
    let unheard = stop.unheard(&shell.children);
    let heard = shell.children.iter().find(|child| stop.hears(child));
    let summary = match (unheard.first(), heard) {
        (Some(child), _) => format!("{} ends; {} never hears of it", shell.name, child.name),
        (None, Some(child)) => format!("{} ends; {} gets it, too", shell.name, child.name),
        (None, None) => format!("{} has no trap, so it ends", shell.name),
    };
    let cures = if unheard.is_empty() {
        Vec::new()
    } else {
        cure::shell_in_front(shell, front_child(shell), stop.number)
    };
    let cut_short = heard.filter(|_| !stop.rest_is_ended).map(|child| {
        format!(
            "{} gets the signal itself, and is killed as soon as {} has ended, which is at once: it \
             has hardly any time for its work.",
            child.called(),
            shell.name
        )
    });
    Fate::ends(Confidence::High, summary)
        .facts(cut_short)
        .unheard(unheard)
        .cures(cures)
}

/// A shell ignores the signal or has no action for it, and what it waits for ends on it: it goes
/// on to the next command of its script.
pub(super) fn goes_on_by_itself(shell: &Process, stop: Stop) -> bool {
    let child_ends = |child: &Process| {
        let told = stop.passed_on(stop.number, stop.reach, stop.rest_is_ended);
        told.is_some_and(|told| judge::of(child, told).verdict == Verdict::Ends)
    };
    judge::is_a_shell(shell)
        && (shell.children.iter()).any(|child| stop.hears(child) && child_ends(child))
}

/// A trap, or for SIGINT the shell's own handler.
pub(super) fn caught(shell: &Process, stop: Stop) -> Fate {
    let number = stop.number;
    let fact = mask(shell, number, "catches", "SigCgt");
    let grace = stop.grace.unwrap_or(USUAL_GRACE);
    let fate = match in_front(shell) {
        Front::Nobody => Fate::ends(
            Confidence::Medium,
            format!("{} has a trap, and no command in front of it", shell.name),
        )
        .fact(fact)
        .fact("A trap runs at once while the shell is in `wait`. What it does is the script's affair."),
        Front::Command(child) | Front::Unclear(child) if stop.hears(child) => {
            told_itself(shell, child, stop).fact(fact)
        }
        Front::Command(child) if outlives(child, grace) == Some(true) => Fate::stays(
            Confidence::Medium,
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
        .cures(cure::trap_behind_command(shell, child, number)),
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
        .cures(cure::trap_behind_command(shell, child, number)),
        Front::Unclear(child) => Fate::unknown(format!(
            "{} has a trap; whether {} is in front of it cannot be told",
            shell.name, child.name
        ))
        .fact(fact)
        .fact("A trap runs at once while the shell is in `wait`, else when the command in front has ended.")
        .cures(cure::trap_behind_command(shell, child, number)),
    };
    if fate.verdict == Verdict::Ends
        && let Some(trap) = trap_that_ends_nothing(shell, number)
    {
        return Fate {
            verdict: Verdict::Unknown,
            confidence: Confidence::Low,
            summary: format!("{} has a trap that need not end it: `{trap}`", shell.name),
            ..fate
        }
        .cures([cure::trap_that_ends(number)]);
    }
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

/// The command in front is told by an init: the trap runs when it has ended.
fn told_itself(shell: &Process, child: &Process, stop: Stop) -> Fate {
    let Some(told) = stop.passed_on(stop.number, stop.reach, stop.rest_is_ended) else {
        return Fate::unknown("too many shells, one in the other");
    };
    let of_child = judge::of(child, told);
    let summary = match of_child.verdict {
        Verdict::Ends => format!("{} ends, then {} runs its trap", child.name, shell.name),
        Verdict::Killed | Verdict::Unknown => of_child.summary.clone(),
    };
    Fate {
        confidence: of_child.confidence.min(Confidence::Medium),
        summary,
        ..of_child
    }
}

/// The trap, where the script tells it and nothing in it ends the shell: it may go on in a loop.
fn trap_that_ends_nothing(shell: &Process, number: u8) -> Option<String> {
    let text = command::text_of(shell)?;
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG");
    let is_loop = ["while", "until", "for"]
        .iter()
        .any(|word| text.contains(word));
    let line = text.lines().flat_map(|line| line.split("trap ").skip(1));
    let trap = line.filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| "'\"".contains(*c))?;
        let (action, signals) = rest[1..].split_once(quote)?;
        let signals = signals.split([';', '&', '|']).next().unwrap_or(signals);
        let mut signals = signals.split_ascii_whitespace();
        let is_it = |word: &str| word == short || word == name || word.parse() == Ok(number);
        signals.any(is_it).then_some(action)
    });
    let action = trap.last()?;
    // The name of a function, or something that ends it or what it waits for.
    let is_function = !action.contains(' ') && text.contains(&format!("{action}()"));
    let ends = ["exit", "kill", "exec", "break", "return", "="];
    let ends = is_function || ends.iter().any(|word| action.contains(word));
    (is_loop && !ends).then(|| action.to_owned())
}

/// The one child that the shell waits for, if that can be told.
pub(super) fn front_child(shell: &Process) -> Option<&Process> {
    match in_front(shell) {
        Front::Command(child) => Some(child),
        Front::Nobody => None,
        Front::Unclear(_) => match &shell.children[..] {
            [only] => Some(only),
            _ => None,
        },
    }
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
    // The `wait` of dash and busybox sleeps in sigsuspend, their wait for the command in front in
    // wait4. bash uses wait4 for both; mksh, zsh and yash use sigsuspend.
    let same_for_both = matches!(shell.program_name(), "mksh" | "zsh" | "yash");
    if !same_for_both && shell.call.as_deref() == Some("rt_sigsuspend") {
        return Front::Nobody;
    }
    let tells = !is_in(shell.signals.ignored, SIGINT);
    let mut front = Front::Nobody;
    for child in &shell.children {
        match is_behind(child).or_else(|| said_behind(shell, child)) {
            Some(false) if tells => return Front::Command(child),
            Some(true) if tells => {}
            _ => front = Front::Unclear(child),
        }
    }
    front
}

/// What the shell's own text says: `app &`.
fn said_behind(shell: &Process, child: &Process) -> Option<bool> {
    let line = words::line_of(command::text_of(shell)?, child)?;
    (!line.piped).then_some(line.behind)
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
