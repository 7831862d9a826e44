//! What it means that a program catches a signal: runtimes install handlers that the program
//! never asked for. Measured, see `docs/exit-signals.md`.

use super::facts::Process;
use super::fate::{Fate, mask};
use super::source::{self, Handler};
use super::{cure, node, servers};
use crate::Confidence;
use crate::cause::Language;
use crate::signal::{self, SIGTERM};

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;

/// The command line's PHP: php-fpm and Apache with PHP in it have handlers of their own.
fn is_php_cli(process: &Process) -> bool {
    let rest = process.program_name().strip_prefix("php");
    rest.is_some_and(|rest| !rest.contains("fpm") && !rest.contains("cgi"))
}

/// PHP as PID 1, whose own handler raises the signal again: only one of the program's own ends it,
/// and both look alike in the masks.
fn php(process: &Process, number: u8) -> Fate {
    let (program, name) = (&process.name, signal::name(number));
    let why = "PHP's own handler raises the signal again with the default action, which the kernel \
               drops for PID 1: without pcntl_signal(…) only a sleep() is cut short, and the \
               program goes on.";
    let cures = [
        cure::handler(process.program.language, number),
        cure::init(process),
    ];
    match source::handler(process, number) {
        Handler::Made => Fate::ends(
            Confidence::Medium,
            format!("{program} has a handler of its own for {name}"),
        )
        .fact("Its text makes one with pcntl_signal(…)."),
        Handler::NoneNorLoop => Fate::ends(
            Confidence::Medium,
            format!("{program} comes to the end of its program"),
        )
        .fact(why)
        .fact("Its text has no loop: when the sleep is cut short, it comes to its end."),
        Handler::None => Fate::stays(
            Confidence::Medium,
            format!("{program} is PID 1 without a handler of its own"),
        )
        .fact(why)
        .fact("Its text makes no handler and takes in no other file.")
        .cures(cures),
        Handler::Unclear => Fate::unknown("PHP: only a handler of the program's own ends it")
            .fact(why)
            .fact("Whether it has one cannot be seen from outside.")
            .cures(cures),
    }
}

/// Node as PID 1, whose own handler raises the signal again, as PHP's does.
fn node_as_pid_1(process: &Process, number: u8) -> Fate {
    let (program, name) = (&process.name, signal::name(number));
    let why = "node's own handler raises the signal again with the default action, which the kernel \
               drops for PID 1: without process.on(…) the program goes on.";
    let cures = [cure::handler(Language::Node, number), cure::init(process)];
    match node::handler(process, number) {
        Handler::Made => Fate::ends(
            Confidence::Medium,
            format!("{program} has a handler of its own for {name}"),
        )
        .fact(format!("Its text makes one with process.on('{name}', …).")),
        Handler::None | Handler::NoneNorLoop => Fate::stays(
            Confidence::Medium,
            format!("{program} is PID 1 without a handler of its own"),
        )
        .fact(why)
        .fact("Its text makes no handler, nor does a file that it takes in.")
        .cures(cures),
        Handler::Unclear => Fate::unknown("node: only a handler of its own ends it")
            .fact(why)
            .fact(
                "Whether it has one cannot be seen from outside: its text is not read whole, or \
                 takes in modules that may have one.",
            )
            .cures(cures),
    }
}

/// A handler for this signal is more often there for something else than an end, and nothing tells.
fn means_something_else(process: &Process, number: u8) -> bool {
    const SIGABRT: u8 = 6;
    const SIGPWR: u8 = 30;
    let asks_for_end = matches!(
        number,
        SIGTERM | SIGINT | SIGQUIT | SIGABRT | SIGPWR | 34..=64
    );
    !asks_for_end
        && !servers::is_ended_by(process, number)
        && source::own_handler_ends(process, number) != Some(true)
}

/// A handler, in a program that is no shell.
pub(super) fn caught(process: &Process, number: u8) -> Fate {
    let name = signal::name(number);
    let program = &process.name;
    let fact = mask(process, number, "catches", "SigCgt");
    let first = process.is_namespace_init();
    let fate = match (process.program.language, number) {
        (_, SIGHUP) if servers::is_reloaded(process) => Fate::stays(
            Confidence::Medium,
            format!("{program} reads its configuration again on SIGHUP and goes on"),
        ),
        (Language::Python | Language::Ruby | Language::Perl, _)
            if source::own_handler_ends(process, number) == Some(false) =>
        {
            Fate::unknown(format!(
                "{program} has a handler for {name} that need not end it"
            ))
            .fact("Its text makes a handler, and nothing in it is seen that ends the program.")
            .cures([cure::handler(process.program.language, number)])
        }
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
        (Language::Node, SIGTERM | SIGINT) if process.program_name() == "deno" => Fate::ends(
            Confidence::Medium,
            format!("{program} ends, as deno does in any case"),
        )
        .fact("deno's own handler ends it, as PID 1 too; one of the program's most likely, too."),
        (Language::Node, SIGTERM | SIGINT) if node::is_node(process) && first => {
            node_as_pid_1(process, number)
        }
        (Language::Node, SIGTERM | SIGINT) if node::is_node(process) => Fate::ends(
            Confidence::Medium,
            format!("{program} is not PID 1, so it ends"),
        )
        .fact("node's own handler ends it; one of the program's most likely, too."),
        // One of its own, and a library of others often makes it, to raise the signal again.
        (Language::Node, _)
            if node::is_node(process)
                && first
                && node::handler(process, number) != Handler::Made =>
        {
            Fate::unknown(format!(
                "{program} has a handler for {name} that need not end it"
            ))
            .fact("What it does is not seen in the text of the program.")
        }
        (Language::Python, SIGINT) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends by KeyboardInterrupt"),
        ),
        (Language::Ruby, SIGHUP | SIGINT | SIGQUIT | SIGTERM) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends by SignalException"),
        ),
        (Language::Php, SIGHUP | SIGINT | SIGQUIT | SIGTERM) if first && is_php_cli(process) => {
            php(process, number)
        }
        (Language::Php, SIGHUP | SIGINT | SIGQUIT | SIGTERM) if !first => Fate::ends(
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
        _ if means_something_else(process, number) => Fate::unknown(format!(
            "{program} has a handler for {name}, which need not be there to end it"
        ))
        .fact(format!(
            "Programs take {name} as word of something else than an end: SIGHUP as a wish to read \
             their configuration again."
        )),
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
