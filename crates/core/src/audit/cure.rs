//! What to change so that a container ends on its signal.

use super::command;
use super::facts::{Process, base_name};
use super::handlers::SHELL;
pub(super) use super::handlers::handler;
use super::words::{self, Line};
use crate::cause::{Cure, First, Language, kind_of_first};
use crate::signal;

/// Advice with a line to paste.
pub(super) fn cure(text: impl Into<String>, language: &str, code: impl Into<String>) -> Cure {
    Cure {
        text: text.into(),
        language: Some(language.to_owned()),
        code: Some(code.into()),
    }
}

/// An init in front.
pub(super) fn init(process: &Process) -> Cure {
    let text = "Put an init in front: it is PID 1, passes signals on, and the program, which then is \
                not PID 1, ends on them.";
    let Some(words) = command::of(process) else {
        return advice(format!(
            "{text} Docker: `docker run --init`; in a pod: `spec.shareProcessNamespace: true`."
        ));
    };
    let entrypoint = entrypoint(&["/sexton-init", "--"], words);
    cure(
        text,
        "dockerfile",
        format!(
            "COPY sexton-init /sexton-init\n{entrypoint}\
             # Docker, without a new image: docker run --init\n\
             # In a pod: spec.shareProcessNamespace: true\n"
        ),
    )
}

/// The exec form of these words.
fn entrypoint(first: &[&str], rest: &[String]) -> String {
    let words = first.iter().copied().chain(rest.iter().map(String::as_str));
    format!("ENTRYPOINT {}\n", command::json(words))
}

/// Advice without a line to paste.
fn advice(text: impl Into<String>) -> Cure {
    Cure {
        text: text.into(),
        language: None,
        code: None,
    }
}

/// Another stop signal, which the program does end on.
pub(super) fn stop_signal(number: u8) -> Cure {
    let name = signal::name(number);
    cure(
        format!("It would end on {name}: make that the stop signal."),
        "dockerfile",
        format!(
            "STOPSIGNAL {name}\n# Docker: docker run --stop-signal {name}\n\
             # In a pod (1.33, with spec.os.name): lifecycle.stopSignal: {name}\n"
        ),
    )
}

/// A program that is PID 1 and has no handler.
pub(super) fn no_handler(process: &Process, number: u8) -> Vec<Cure> {
    let kind = kind_of_first(process.executable.as_deref(), &process.command_line);
    match (kind, process.program.language) {
        (First::KeepAlive, _) | (_, Language::Unknown) => vec![init(process)],
        (_, Language::Java) => vec![without_xrs(process), init(process)],
        // These need no code of their own once they are not PID 1.
        (_, language) => vec![handler(language, number), init(process)],
    }
}

/// A JVM that was told to leave signals alone.
fn without_xrs(process: &Process) -> Cure {
    const OPTIONS: [&str; 2] = ["-Xrs", "-XX:+ReduceSignalUsage"];
    const VARIABLES: [&str; 3] = ["JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"];
    let is_it = |word: &str| OPTIONS.contains(&word);
    let told = "The JVM was started with -Xrs, which leaves signals alone";
    for name in VARIABLES {
        let Some(value) = process.variable(name) else {
            continue;
        };
        if value.split_ascii_whitespace().any(is_it) {
            let rest = value.split_ascii_whitespace().filter(|word| !is_it(word));
            let rest = command::json_string(&rest.collect::<Vec<_>>().join(" "));
            return cure(
                format!("{told}: take it out of {name}."),
                "dockerfile",
                format!("ENV {name}={rest}\n"),
            );
        }
    }
    let words = command::of(process).unwrap_or_default();
    if words.iter().any(|word| is_it(word)) {
        let rest: Vec<String> = words.iter().filter(|word| !is_it(word)).cloned().collect();
        return cure(
            format!("{told}: take it out."),
            "dockerfile",
            entrypoint(&[], &rest),
        );
    }
    advice(format!(
        "{told}: take it out of the file or the variable that says so."
    ))
}

/// A signal that is ignored.
pub(super) fn ignored(process: &Process, number: u8) -> Vec<Cure> {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG").to_owned();
    let text = format!(
        "Find who ignores {name}: the program itself, or whoever started it (`trap '' {short}`, \
         nohup), since ignored signals stay ignored across exec."
    );
    if process.program.language == Language::Shell {
        let child = process.children.first();
        let command = child.and_then(command::of).map(command::quoted);
        return match command {
            Some(command) => vec![cure(text, "sh", waiting_trap(&short, &command))],
            None => vec![advice(text)],
        };
    }
    // An ignored signal stays ignored behind an init, so that is no cure.
    vec![advice(text), handler(process.program.language, number)]
}

/// A signal that no thread lets through.
pub(super) fn blocked(number: u8) -> Cure {
    let name = signal::name(number);
    cure(
        format!(
            "Unblock {name} in one thread, or wait for it there with sigwait(3). A mask is \
             inherited across fork and exec: look also at whoever starts the program."
        ),
        "c",
        format!(
            "sigset_t set;\nsigemptyset(&set);\nsigaddset(&set, {name});\n\
             int got;\nsigwait(&set, &got); /* blocked in all threads, taken here */\nshut_down();\n"
        ),
    )
}

/// A process that is stopped.
pub(super) fn continued(pid: u32) -> Cure {
    cure(
        "Find who stopped it (a debugger, SIGSTOP, a background process that reads the terminal); \
         SIGCONT lets it go on, and take what waits.",
        "sh",
        format!("kill -CONT {pid}\n"),
    )
}

/// A container that is frozen.
pub(super) fn thawed() -> Cure {
    cure(
        "Thaw it: a stop can only kill what is frozen.",
        "sh",
        "docker unpause CONTAINER # podman unpause, ctr task resume, runc resume\n",
    )
}

/// A shell that runs the program as a child; the one in front, if it can be told which it is.
pub(super) fn shell_in_front(shell: &Process, child: Option<&Process>, number: u8) -> Vec<Cure> {
    let Some(child) = child else {
        return vec![tell_the_group(number), init(shell)];
    };
    let text = command::text_of(shell);
    let line = text.and_then(|text| words::line_of(text, child));
    if line.as_ref().is_some_and(|line| line.piped) {
        return vec![pipeline(shell)];
    }
    let mut cures = vec![exec(shell, child, line.as_ref())];
    // Without the shell it is PID 1 itself.
    let handles =
        signal::is_in(child.signals.caught, number) && child.program.language != Language::Node;
    if signal::default(number) != signal::DefaultAction::End {
        if !handles {
            cures.push(stop_signal(signal::SIGTERM));
        }
    } else if !handles {
        let mut init = init(child);
        init.text = format!(
            "Then {} is PID 1 itself, and has no handler: put an init in front as well.",
            child.name
        );
        cures.push(init);
    }
    cures
}

/// The program in place of the shell.
fn exec(shell: &Process, child: &Process, line: Option<&Line<'_>>) -> Cure {
    let words = command::of(child);
    if let Some(script) = command::script_of(shell) {
        let text = format!(
            "Let the script {} replace itself by the program: `exec` before its last command.",
            base_name(script)
        );
        let command = match line {
            Some(line) => Some(line.command.to_owned()),
            None => words.map(command::quoted),
        };
        return match command {
            Some(command) => cure(text, "sh", format!("exec {command}\n")),
            None => advice(text),
        };
    }
    let text = "Use the exec form, without a shell in between; or `exec` before the command.";
    // What stands before it in the text is not to be lost.
    let alone = match line {
        Some(line) => line.before.trim().is_empty(),
        None => command::text_of(shell).is_none(),
    };
    let code = match (words, line) {
        (Some(words), _) if alone && line.is_none_or(|line| line.plain) => entrypoint(&[], words),
        (_, Some(line)) => match line.words().filter(|_| alone) {
            Some(words) => entrypoint(&[], &words),
            None => {
                let shell = command::interpreter(shell);
                let text = format!("{}exec {}", line.before, line.command);
                entrypoint(&[shell, "-c"], &[text])
            }
        },
        _ => return advice(text),
    };
    cure(text, "dockerfile", code)
}

/// What `exec` cannot replace.
fn pipeline(shell: &Process) -> Cure {
    let text = "The program is a part of a pipeline, which `exec` cannot replace: let an init tell \
                all of it and wait until it has ended.";
    match command::of(shell) {
        Some(words) => waiting_init(text, Some(words)),
        None => advice(text),
    }
}

/// A shell that sits in `wait`, or whose command in front cannot be told.
fn tell_the_group(number: u8) -> Cure {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG");
    cure(
        "At the beginning of the script, tell all that it starts; start each with & and end the \
         script with `wait`, which a trap interrupts.",
        "sh",
        format!("trap 'trap \"\" {short}; kill -{short} 0; wait' {short}\n"),
    )
}

/// A command behind a trap that passes the signal on.
fn waiting_trap(signal: &str, command: &str) -> String {
    SHELL.replace("@TERM", signal).replace("@COMMAND", command)
}

/// A trap that goes on.
pub(super) fn trap_that_ends(number: u8) -> Cure {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG");
    cure(
        "Let the trap end the script.",
        "sh",
        format!("trap 'exit 0' {short}\n"),
    )
}

/// A trap that waits for the command in front.
pub(super) fn trap_behind_command(shell: &Process, child: &Process, number: u8) -> Vec<Cure> {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG");
    let line = command::text_of(shell).and_then(|text| words::line_of(text, child));
    let waits = "Start the command with & and sit in `wait`, which a trap interrupts.";
    let execs = "Where the trap only passes the signal on: `exec` the command instead.";
    let command = match line {
        Some(line) if line.piped => return vec![tell_the_group(number)],
        Some(line) => line.command.to_owned(),
        None => match command::of(child) {
            Some(words) => command::quoted(words),
            None => return vec![tell_the_group(number), advice(execs)],
        },
    };
    vec![
        cure(waits, "sh", waiting_trap(short, &command)),
        cure(execs, "sh", format!("exec {command}\n")),
    ]
}

/// An init below which processes are killed unheard.
pub(super) fn below_an_init(process: &Process, init: &str, child: &Process) -> Cure {
    let told: Option<&[String]> = command::of(process).and_then(|words| {
        let at = words.iter().position(|word| word == "--")?;
        words.get(at + 1..)
    });
    waiting_init(
        format!(
            "Processes that {} started are killed without a word when {init} exits: `exec` in the \
             script, or take an init that tells those that are left and waits for them.",
            child.name
        ),
        told.or_else(|| command::of(child)),
    )
}

/// The program itself in place of npm and the like.
pub(super) fn without_runner(process: &Process, name: &str) -> Cure {
    let text = format!("Start the program itself, without {name} in front.");
    match program_below(process).and_then(command::of) {
        Some(words) => cure(text, "dockerfile", entrypoint(&[], words)),
        None => advice(text),
    }
}

/// The first that is no shell.
fn program_below(process: &Process) -> Option<&Process> {
    process.children.iter().find_map(|child| {
        if child.program.language == Language::Shell {
            program_below(child)
        } else {
            Some(child)
        }
    })
}

/// A program that ends and leaves its children behind.
pub(super) fn tell_the_rest(process: &Process) -> Cure {
    waiting_init(
        "Put an init in front that tells those that are left and waits for them.",
        command::of(process),
    )
}

fn waiting_init(text: impl Into<String>, command: Option<&[String]>) -> Cure {
    let Some(command) = command else {
        return advice(text);
    };
    cure(
        text,
        "dockerfile",
        format!(
            "COPY sexton-init /sexton-init\n{}",
            entrypoint(&["/sexton-init", "-g", "--"], command)
        ),
    )
}

/// An init that keeps the signal from its command.
pub(super) fn not_passed_on(init: &str, signal: &str) -> [Cure; 1] {
    [advice(format!(
        "Take out the option by which {init} drops {signal}, or make another signal the stop signal."
    ))]
}

/// An init that may not signal its command.
pub(super) fn may_not_signal(child: &Process) -> Vec<Cure> {
    let uid = child.uids[0];
    vec![
        cure(
            format!("Run the init as the same user as {}.", child.name),
            "dockerfile",
            format!(
                "USER {uid}\n# Docker: docker run --user {uid}\n# In a pod: securityContext.runAsUser: {uid}\n"
            ),
        ),
        cure(
            "Or let it keep CAP_KILL.",
            "yaml",
            "securityContext:\n  capabilities:\n    add: [KILL]\n",
        ),
    ]
}

/// A server that waits longer than the grace period.
pub(super) fn wait(server: &str, seconds: Option<u64>) -> Cure {
    let least = seconds.map_or_else(
        || "as the longest request takes".to_owned(),
        |seconds| format!("as {} s", seconds + 5),
    );
    advice(format!(
        "Give the container a grace period as long {least}, or let {server} wait for less."
    ))
}
