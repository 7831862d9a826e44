//! What it means that a program catches a signal: runtimes install handlers that the program
//! never asked for. Measured, see `docs/exit-signals.md`.

use super::cure;
use super::facts::{Process, base_name};
use super::fate::{Fate, mask};
use crate::Confidence;
use crate::cause::{Cure, Language};
use crate::signal;

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGTERM: u8 = 15;
const SIGPWR: u8 = 30;

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
        (Language::Java, SIGTERM | SIGINT | SIGHUP) => Fate::ends(
            Confidence::High,
            format!("{program} runs its hooks and exits"),
        )
        .fact(format!(
            "The JVM catches it and exits with status {}, as PID 1 too.",
            128 + u16::from(number)
        )),
        (Language::Node, SIGTERM | SIGINT) if first => Fate::unknown(
            "node: only a handler of its own ends it",
        )
        .fact(
            "node's own handler raises the signal again with the default action, which the kernel \
             drops for PID 1: without process.on(…) the program goes on. Both look alike from \
             outside.",
        )
        .cures([cure::handler(Language::Node, number), cure::init()]),
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
        (Language::Php, SIGHUP | SIGINT | SIGQUIT | SIGTERM) => Fate::ends(
            Confidence::Medium,
            format!("{program} ends, as PHP does by itself"),
        ),
        (Language::Erlang, SIGTERM) => Fate::ends(
            Confidence::High,
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

/// Programs that keep a container's processes in a kernel of their own: gVisor, and the virtual
/// machines of Kata Containers.
const SANDBOXES: [&str; 4] = ["runsc", "qemu-system", "cloud-hypervisor", "firecracker"];

/// busybox that was called as init.
fn is_init(process: &Process) -> bool {
    let words = process.command_line.iter().take(2);
    words
        .map(|word| base_name(word))
        .any(|word| matches!(word, "init" | "linuxrc"))
}

/// Programs that give a signal a meaning that its mask does not show.
pub(super) fn of_known(process: &Process, number: u8) -> Option<Fate> {
    let program = process.program_name();
    let name = signal::name(number);
    if SANDBOXES.iter().any(|sandbox| program.starts_with(sandbox)) {
        return Some(Fate::unknown(format!(
            "{program} runs the container: its processes cannot be seen from here"
        )));
    }
    let fate = match (program, number) {
        ("busybox", 10 | 12 | SIGTERM) if is_init(process) => Fate::ends(
            Confidence::Medium,
            format!("busybox init ends all and itself on {name}, in some seconds"),
        )
        .fact("busybox init takes SIGUSR1, SIGUSR2 and SIGTERM as halt, poweroff and reboot."),
        // systemd(1), "Signals". From 34 on: SIGRTMIN+n.
        ("systemd", 37..=40 | 47..=50) => {
            Fate::ends(Confidence::High, format!("systemd shuts down on {name}")).fact(
                "systemd as PID 1 takes it as a request to halt, power off or reboot (systemd(1)).",
            )
        }
        ("systemd", SIGTERM) => Fate::stays(
            Confidence::High,
            "systemd executes itself anew on SIGTERM and goes on".to_owned(),
        )
        .fact("systemd as PID 1 takes SIGTERM as `systemctl daemon-reexec` (systemd(1)).")
        .cures([cure::stop_signal(37)]),
        ("systemd", SIGHUP) => Fate::stays(
            Confidence::High,
            "systemd reloads its configuration on SIGHUP and goes on".to_owned(),
        )
        .cures([cure::stop_signal(37)]),
        ("systemd", SIGINT | SIGPWR) => Fate::unknown(format!(
            "systemd starts a target of its own on {name}, which need not be a shutdown"
        ))
        .cures([cure::stop_signal(37)]),
        ("postgres", SIGTERM) => {
            Fate::unknown("postgres waits on SIGTERM until every client has gone (smart shutdown)")
                .fact(
                    "SIGTERM: smart shutdown, SIGINT: fast shutdown, which ends sessions \
             (PostgreSQL documentation, \"Shutting Down the Server\").",
                )
                .cures([cure::stop_signal(SIGINT)])
        }
        ("uwsgi", SIGTERM) if !says(process, "die-on-term") => {
            Fate::unknown("uwsgi reloads on SIGTERM unless it was told to die-on-term")
                .fact("No argument says die-on-term; its configuration file may.")
                .cures([Cure {
                    text: "Tell uwsgi to end on SIGTERM.".to_owned(),
                    language: Some("ini".to_owned()),
                    code: Some("[uwsgi]\ndie-on-term = true\n".to_owned()),
                }])
        }
        _ => return None,
    };
    Some(fate)
}

fn says(process: &Process, word: &str) -> bool {
    process.command_line.iter().any(|arg| arg.contains(word))
}
