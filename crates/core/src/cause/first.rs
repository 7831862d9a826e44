//! What PID 1 of a container is: only some programs wait for the orphans that come to it.

use super::facts::base_name;
use super::words::First;

/// Inits that wait for every process that is given to them. supervisord, runit and their like
/// do so too (`waitpid(-1)` in their loops).
const INITS: &[&str] = &[
    "tini",
    "tini-static",
    "docker-init",
    "dumb-init",
    "catatonit",
    "podman-init",
    "sexton-init",
    "s6-svscan",
    "s6-linux-init",
    "systemd",
    "init",
    "openrc-init",
    "runit",
    "runsvdir",
    "supervisord",
    "horust",
    "pid1",
    "pid1-exe",
    "my_init",
    "bpm",
];

const SHELLS: &[&str] = &[
    "sh", "dash", "bash", "ash", "hush", "zsh", "ksh", "ksh93", "mksh", "yash", "busybox",
];

/// What a program is, and its arguments: of one of many programs in one file (busybox, toybox,
/// coreutils) the name by which it was called decides.
#[must_use]
pub fn called_as<'a>(
    executable: Option<&'a str>,
    command_line: &'a [String],
) -> Option<(&'a str, &'a [String])> {
    let program = executable.map(|path| base_name(path.strip_suffix(" (deleted)").unwrap_or(path)));
    let argument0 = command_line.first().map(|arg| base_name(arg));
    let name = match program {
        Some(name) if !is_multi_call(name) => name,
        // Nothing but its file's name is known.
        Some(name) => argument0.unwrap_or(name),
        None => argument0?,
    };
    let arguments = command_line.get(1..).unwrap_or_default();
    // `/bin/busybox sleep infinity`
    Some(match arguments.split_first() {
        Some((applet, rest)) if is_multi_call(name) => (base_name(applet), rest),
        _ => (name, arguments),
    })
}

fn is_multi_call(name: &str) -> bool {
    let families = ["busybox", "toybox", "coreutils"];
    families.iter().any(|family| {
        // `busybox.static`, `coreutils-single`, `toybox-x86_64`
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// The kind of a PID 1, from its executable's path and its arguments.
#[must_use]
pub fn kind_of_first(executable: Option<&str>, command_line: &[String]) -> First {
    let Some((name, arguments)) = called_as(executable, command_line) else {
        return First::Unknown;
    };
    let argument0 = command_line.first().map(|arg| base_name(arg));
    // supervisord and my_init are Python scripts: the interpreter is the executable.
    let script = argument0
        .into_iter()
        .chain(arguments.first().map(|arg| base_name(arg)));
    if INITS.contains(&name) || script.clone().any(|s| INITS.contains(&s) && s != "init") {
        First::Init
    } else if name == "pause" {
        First::Pause
    } else if is_keep_alive(name, arguments) {
        First::KeepAlive
    } else if is_shell(name) {
        First::Shell
    } else {
        First::Program
    }
}

/// The name is that of an init that adopts.
#[must_use]
pub fn is_init(name: &str) -> bool {
    INITS.contains(&name)
}

/// The name is that of a shell.
#[must_use]
pub fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name.trim_start_matches('-'))
}

/// Commands that hold a container open and do nothing else: none of them ever waits.
fn is_keep_alive(name: &str, arguments: &[String]) -> bool {
    match name {
        "sleep" | "cat" | "yes" => true,
        "tail" => arguments
            .iter()
            .any(|arg| arg.starts_with("-f") || arg == "-F"),
        _ => false,
    }
}
