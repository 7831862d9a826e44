//! Programs that give a signal a meaning that no mask shows.

use super::facts::{Process, Reception, base_name};
use super::fate::Fate;
use super::stop::{Reach, Stop};
use super::{cure, judge, scripts, supervisord};
use crate::cause::Cure;
use crate::signal::{self, SIGTERM};
use crate::{Confidence, Verdict, text};

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGPWR: u8 = 30;

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
pub(super) fn of(process: &Process, stop: Stop) -> Option<Fate> {
    let number = stop.number;
    let program = known_as(process);
    let name = signal::name(number);
    if SANDBOXES.iter().any(|sandbox| program.starts_with(sandbox)) {
        return Some(Fate::unknown(format!(
            "{program} runs the container: its processes cannot be seen from here"
        )));
    }
    // Before it has made its handlers it is as any other.
    let reception = process.signals.reception(number);
    let is_ready = !matches!(reception, Reception::Default | Reception::Ignored);
    let fate = match (program, number) {
        (
            "postgres" | "mosquitto" | "make" | "gmake" | "supervisord" | "s6-svscan" | "uwsgi"
            | "runsvdir",
            _,
        ) if !is_ready => {
            return None;
        }
        ("busybox", 10 | 12 | SIGTERM) if is_init(process) => Fate::ends(
            Confidence::Medium,
            format!("busybox init ends all and itself on {name}, in some seconds"),
        )
        .fact("busybox init takes SIGUSR1, SIGUSR2 and SIGTERM as halt, poweroff and reboot."),
        // systemd(1), "Signals". From 34 on: SIGRTMIN+n.
        ("systemd", 37..=40 | 47..=50) => {
            // How long its units take is theirs.
            Fate::ends(Confidence::Medium, format!("systemd shuts down on {name}")).fact(
                "systemd as PID 1 takes it as a request to halt, power off or reboot (systemd(1)).",
            )
        }
        ("systemd", SIGTERM) => Fate::stays(
            Confidence::High,
            "systemd executes itself again on SIGTERM and goes on".to_owned(),
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
        ("postgres", SIGTERM) => postgres(process),
        ("mosquitto", SIGTERM | SIGINT) => Fate::ends(
            Confidence::Medium,
            format!("mosquitto takes {name} once in each turn of its loop"),
        )
        .fact("It blocks the signal while it waits, and opens its mask for a moment in each turn."),
        ("make" | "gmake", SIGTERM) => make(process, stop),
        ("make" | "gmake", SIGHUP | SIGINT | SIGQUIT) => make_untold(process, stop),
        ("supervisord", SIGTERM | SIGINT | SIGQUIT) => supervisord::stops(process, stop),
        ("s6-svscan", SIGTERM | SIGHUP | SIGINT | SIGQUIT) => s6(process, &name),
        ("uwsgi", SIGTERM) => return uwsgi(process),
        ("runsvdir", SIGTERM | SIGHUP) => runsvdir(process, stop),
        (_, SIGTERM | SIGINT) if reception == Reception::Caught => {
            return scripts::of(process, stop);
        }
        _ => return None,
    };
    Some(fate)
}

/// Programs whose children bear on what they do.
pub(super) fn has_children(process: &Process) -> bool {
    let program = known_as(process);
    scripts::has_children(process)
        || matches!(
            program,
            "make" | "gmake" | "supervisord" | "postgres" | "uwsgi" | "runsvdir"
        )
}

/// Files that tell one of them what to do; `None` if it is none of them.
pub(super) fn configuration(process: &Process, signal: &str) -> Option<Vec<String>> {
    let named = |options: &[&str], usual: &[&str]| {
        let named = process.option(options).map(|file| vec![file.to_owned()]);
        named.unwrap_or_else(|| usual.iter().map(|file| (*file).to_owned()).collect())
    };
    match known_as(process) {
        "supervisord" => Some(named(
            &["-c", "--configuration"],
            &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"],
        )),
        "s6-svscan" => {
            let last = process
                .command_line
                .get(1..)?
                .last()
                .map_or(".", String::as_str);
            let directory = if last.starts_with('-') { "." } else { last };
            Some(vec![format!("{directory}/.s6-svscan/{signal}")])
        }
        "uwsgi" => {
            let is_file = |word: &&String| {
                [".ini", ".yaml", ".yml", ".xml", ".json"]
                    .iter()
                    .any(|end| word.ends_with(end))
            };
            let words = process.command_line.iter().filter(is_file);
            let path = |word: &String| word.rsplit('=').next().unwrap_or(word).to_owned();
            Some(words.map(path).collect())
        }
        _ => None,
    }
}

/// The name by which a program is known here: a script's own, and that of a family.
fn known_as(process: &Process) -> &str {
    let program = process.program_name();
    if program == "uwsgi" || program.starts_with("uwsgi-core") || program.starts_with("uwsgi_") {
        "uwsgi"
    } else if process.is_called("supervisord") {
        "supervisord"
    } else {
        program
    }
}

fn postgres(process: &Process) -> Fate {
    // A backend's title names its client: `postgres: user base [local] idle`, `… 10.0.0.7(4711) …`.
    let serves = |child: &&Process| {
        let title = child.command_line.join(" ");
        title.starts_with("postgres: ") && (title.contains("[local]") || title.contains("("))
    };
    let clients = process.children.iter().filter(serves).count();
    let fate = if clients > 0 {
        let clients = text::plural(clients as u64, "client is", "clients are");
        Fate::stays(
            Confidence::Medium,
            format!("postgres waits until every client has gone: {clients} connected"),
        )
    } else {
        Fate::ends(
            Confidence::Medium,
            "postgres ends, as no client is connected now",
        )
    };
    fate.fact(
        "SIGTERM: smart shutdown, which waits for every client without a limit; SIGINT: fast \
         shutdown, which ends sessions (PostgreSQL documentation, \"Shutting Down the Server\").",
    )
    .cures((clients > 0).then(|| cure::stop_signal(SIGINT)))
}

/// On other signals make waits for its commands without a word to them: a terminal tells them.
fn make_untold(process: &Process, stop: Stop) -> Fate {
    let unheard = stop.unheard(&process.children);
    let fate = match unheard.first() {
        Some(child) => Fate::stays(
            Confidence::Medium,
            format!("make waits for {}, which never hears of it", child.name),
        )
        .cures([cure::stop_signal(SIGTERM)]),
        None => Fate::ends(Confidence::Medium, "make ends with its commands"),
    };
    fate.unheard(unheard)
        .fact("make passes SIGTERM alone on to its commands, and waits for them on any signal.")
}

/// GNU make tells its commands, waits for them, and raises the signal again with the default
/// action, which the kernel drops for PID 1: it then waits for what is left and exits.
fn make(process: &Process, stop: Stop) -> Fate {
    let told = stop.passed_on(stop.number, Reach::Alone, false);
    let commands: Option<Vec<Fate>> = told.map(|told| {
        process
            .children
            .iter()
            .map(|child| judge::of(child, told))
            .collect()
    });
    let known = "make passes SIGTERM on to its commands and waits for them.";
    let Some(commands) = commands.filter(|commands| !commands.is_empty()) else {
        return Fate::unknown("make has no command that could be seen").fact(known);
    };
    if let Some(worst) = commands.iter().find(|fate| fate.verdict != Verdict::Ends) {
        return worst.clone().fact(known);
    }
    let left: Vec<_> = commands.into_iter().flat_map(|fate| fate.unheard).collect();
    let mut fate = if left.is_empty() || !process.is_namespace_init() {
        Fate::ends(
            Confidence::Medium,
            "make tells its commands and ends with them",
        )
    } else {
        Fate::stays(
            Confidence::Medium,
            format!("make waits for {}, which never hears of it", left[0].name),
        )
        .fact(
            "What a command leaves behind comes to make, which is PID 1; the signal that it raises \
             again for itself is dropped by the kernel.",
        )
        .cures([cure::init(process)])
    };
    fate.unheard = left;
    fate.fact(known)
}

/// On SIGHUP it tells its supervisors, on SIGTERM not even that, and waits for none (runsvdir(8)).
fn runsvdir(process: &Process, stop: Stop) -> Fate {
    let unheard = if stop.number == SIGHUP {
        Vec::new()
    } else {
        stop.unheard(&process.children)
    };
    let fate = match unheard.first() {
        Some(child) => Fate::ends(
            Confidence::Medium,
            format!("runsvdir ends at once; {} never hears of it", child.name),
        )
        .cures([cure::tell_the_rest(process)]),
        None => Fate::ends(Confidence::Medium, "runsvdir ends at once"),
    };
    fate.unheard(unheard)
        .fact("runsvdir exits at once and waits for no service (runsvdir(8)).")
}

fn s6(process: &Process, signal: &str) -> Fate {
    let script = format!(".s6-svscan/{signal}");
    let Some(script) = process
        .texts
        .iter()
        .find(|text| text.path.ends_with(&script))
    else {
        return Fate::ends(
            Confidence::Medium,
            format!("s6-svscan ends its services and itself on {signal}"),
        );
    };
    let known = format!(
        "s6-svscan runs {} on {signal} and does nothing else.",
        script.path
    );
    let ends = [
        "s6-svscanctl",
        "shutdown",
        "halt",
        "poweroff",
        "reboot",
        "kill",
    ];
    if ends.iter().any(|word| script.content.contains(word)) {
        Fate::ends(
            Confidence::Medium,
            format!("s6-svscan has a script for {signal} that ends it"),
        )
    } else {
        Fate::unknown(format!(
            "s6-svscan has a script for {signal}, whose affair it is"
        ))
        .cures([Cure {
            text: "Let the script end the supervision tree.".to_owned(),
            language: Some("sh".to_owned()),
            code: Some("s6-svscanctl -t .\n".to_owned()),
        }])
    }
    .fact(known)
}

/// With a master, uWSGI takes SIGTERM as "reload" unless it is told otherwise.
fn uwsgi(process: &Process) -> Option<Fate> {
    let told = process.mentions("die-on-term") || process.variable("UWSGI_DIE_ON_TERM").is_some();
    let has_master = process.mentions("master")
        || process.command_line.iter().any(|arg| arg == "-M")
        || process
            .children
            .iter()
            .any(|child| child.is_called("uwsgi"));
    let configured = ["--ini", "--yaml", "--json", "--xml", "--emperor"];
    let unread = process.texts.is_empty()
        && process.command_line.iter().any(|arg| {
            configured.iter().any(|option| arg.starts_with(option)) || arg.ends_with(".ini")
        });
    if told || !(has_master || unread) {
        return None;
    }
    let fate = if unread {
        Fate::unknown("uwsgi reloads on SIGTERM unless it was told to die-on-term")
            .fact("No argument says die-on-term; its configuration file may.")
    } else {
        Fate::stays(
            Confidence::Medium,
            "uwsgi reloads on SIGTERM: it was not told to die-on-term",
        )
        .fact("No argument and no configuration file that could be read says die-on-term.")
    };
    Some(fate.cures([Cure {
        text: "Tell uwsgi to end on SIGTERM.".to_owned(),
        language: Some("ini".to_owned()),
        code: Some("[uwsgi]\ndie-on-term = true\n".to_owned()),
    }]))
}
