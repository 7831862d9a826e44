//! What it means that a program catches a signal: runtimes install handlers that the program
//! never asked for. Measured, see `docs/exit-signals.md`.

use super::cure;
use super::facts::Process;
use super::fate::{Fate, mask};
use super::source::{self, Handler};
use crate::cause::Language;
use crate::signal::{self, SIGTERM};
use crate::{Confidence, Verdict};

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;

/// A runtime as PID 1 whose own handler raises the signal again: only one of the program's own
/// ends it, and both look alike in the masks.
fn raised_again(process: &Process, number: u8, why: &str) -> Fate {
    let (program, name) = (&process.name, signal::name(number));
    let own = process.program.language.label();
    let fate = match source::handler(process, number) {
        Handler::Made => Fate::ends(
            Confidence::Medium,
            format!("{program} has a handler of its own for {name}"),
        )
        .fact(format!(
            "Its program makes a handler for {name} (its text)."
        )),
        Handler::None => Fate::stays(
            Confidence::Medium,
            format!("{program} is PID 1 without a handler of its own"),
        )
        .fact("Its program makes no handler and takes in no other file (its text)."),
        Handler::Unclear => Fate::unknown(format!(
            "{own}: only a handler of the program's own ends it"
        ))
        .fact("Whether it has one cannot be seen from outside."),
    };
    if fate.verdict == Verdict::Ends {
        return fate.fact(why);
    }
    fate.fact(why).cures([
        cure::handler(process.program.language, number),
        cure::init(process),
    ])
}

/// A handler, in a program that is no shell.
pub(super) fn caught(process: &Process, number: u8) -> Fate {
    let name = signal::name(number);
    let program = &process.name;
    let fact = mask(process, number, "catches", "SigCgt");
    let first = process.is_namespace_init();
    let fate = match (process.program.language, number) {
        (Language::Go, _) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends, as Go does in any case"),
        )
        .fact(
            "The Go runtime catches every signal; one that the program did not ask for ends it, \
             as PID 1 with exit status 2. Whether a handler of its own ends it is its own affair.",
        ),
        (Language::Java, SIGQUIT) => Fate::stays(
            Confidence::High,
            format!("{program} prints its threads and goes on"),
        ),
        // Hooks are the program's own code, and none of them can be seen from outside.
        (Language::Java, SIGTERM | SIGINT | SIGHUP) => Fate::ends(
            Confidence::Medium,
            format!("{program} runs its hooks and exits"),
        )
        .fact(format!(
            "The JVM catches it and exits with status {}, as PID 1 too.",
            128 + u16::from(number)
        )),
        (Language::Node, SIGTERM | SIGINT) if first => raised_again(
            process,
            number,
            "node's own handler raises the signal again with the default action, which the kernel \
             drops for PID 1: without process.on(…) the program goes on.",
        ),
        (Language::Node, SIGTERM | SIGINT) => Fate::ends(
            Confidence::Medium,
            format!("{program} is not PID 1, so it ends"),
        )
        .fact("node's own handler ends it; one of the program's most likely, too."),
        (Language::Python, SIGINT) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends by KeyboardInterrupt"),
        ),
        (Language::Ruby, SIGHUP | SIGINT | SIGQUIT | SIGTERM) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends by SignalException"),
        ),
        (Language::Php, SIGHUP | SIGINT | SIGQUIT | SIGTERM) if first => raised_again(
            process,
            number,
            "PHP's own handler raises the signal again with the default action, which the kernel \
             drops for PID 1: without pcntl_signal(…) only a sleep() is cut short, and the program \
             goes on.",
        ),
        (Language::Php, SIGHUP | SIGINT | SIGQUIT | SIGTERM) => Fate::ends(
            Confidence::Medium,
            format!("{program} is not PID 1, so it ends"),
        )
        .fact("PHP's own handler ends it; one of the program's most likely, too."),
        (Language::Erlang, SIGTERM) => Fate::ends(
            Confidence::Medium,
            format!("{program} is an Erlang node, which stops in good order on SIGTERM"),
        ),
        (Language::DotNet, SIGTERM | SIGINT | SIGQUIT) => Fate::ends(
            Confidence::Medium,
            format!("{program} is a .NET program, whose runtime shuts it down on {name}"),
        ),
        (Language::Unknown, _) => Fate::unknown(format!(
            "{program} catches {name}; what it is written in could not be read"
        )),
        _ => Fate::ends(
            Confidence::Medium,
            format!("{program} has a handler for {name}"),
        )
        .fact("Whether the handler ends it is its own affair."),
    };
    let evidence = process.program.evidence.as_ref().map(|evidence| {
        format!(
            "{} is a {} program: {evidence}.",
            process.name,
            process.program.language.label()
        )
    });
    let mut fate = fate;
    fate.facts.splice(0..0, evidence.into_iter().chain([fact]));
    if let open @ 1.. = process.signals.open_threads(number)
        && process.signals.blocked.len() > open
        && open == 1
    {
        fate.facts.push(format!(
            "Only one of its {} threads has it unblocked, and runs the handler (SigBlk of \
             /proc/{}/task/*/status): while that one hangs, nothing happens.",
            process.signals.blocked.len(),
            process.id.pid
        ));
    }
    fate
}
