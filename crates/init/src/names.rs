//! The four interfaces: our own options, and those of the programs that we stand in for.

pub(crate) mod catatonit;
pub(crate) mod dumb_init;
pub(crate) mod own;
pub(crate) mod tini;

use crate::args::{Invalid, Strings};
use crate::config::{self, Config, Name};
use crate::line::{STDERR, STDOUT, write_all};
use crate::voice::Voice;

/// What the command line asks for.
pub(crate) enum Parsed {
    /// Run a command, as the configuration now says.
    Run,
    /// Print the zombies of this PID namespace, and end.
    Report,
    /// Text was asked for; it has been printed.
    Said,
    /// The command line is wrong; what is wrong has been printed.
    Refused(i32),
}

/// The name that a path calls: its last part. A suffix as in `tini-static` or `tini-amd64` is
/// allowed, and so are the names under which container engines mount them.
pub(crate) fn of(path: &[u8]) -> Name {
    let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let called = |name: &[u8]| {
        base.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
    };
    if called(b"tini") || called(b"docker-init") {
        Name::Tini
    } else if called(b"dumb-init") {
        Name::DumbInit
    } else if called(b"catatonit") || called(b"podman-init") {
        Name::Catatonit
    } else {
        Name::Own
    }
}

/// Reads the command line and the environment.
pub(crate) fn parse<'a>(
    config: &mut Config<'a>,
    words: Strings<'a>,
    environment: Strings<'a>,
) -> Parsed {
    if let Err(invalid) = config::environment(config, environment) {
        return refuse(config.name, invalid, "");
    }
    match config.name {
        Name::Own => own::parse(config, words),
        Name::Tini => tini::parse(config, words, environment),
        Name::DumbInit => dumb_init::parse(config, words, environment),
        Name::Catatonit => catatonit::parse(config, words, environment),
    }
}

/// The exit code for errors of init itself: 125 as for env(1) and `docker run`, which leaves
/// 126 and 127 to the command; 1 under the other names.
pub(crate) fn failure(name: Name) -> i32 {
    if name == Name::Own { 125 } else { 1 }
}

fn say(fd: crate::sys::Fd, text: &str) -> Parsed {
    let _ = write_all(fd, text.as_bytes());
    Parsed::Said
}

fn refuse(name: Name, invalid: Invalid<'_>, usage: &str) -> Parsed {
    let Invalid { option, value, why } = invalid;
    let mut line = Voice::prefix(name, b"FATAL");
    // Variables are written as they are, options with their dashes.
    if !option.first().is_some_and(u8::is_ascii_uppercase) || option.len() == 1 {
        line.text(if option.len() == 1 { "-" } else { "--" });
    }
    line.name(option);
    if !value.is_empty() || why.starts_with("is not ") && !why.starts_with("is not an option") {
        line.text(": '").name(value).text("'");
    }
    line.text(" ").text(why).write(STDERR);
    say(STDERR, usage);
    Parsed::Refused(failure(name))
}

/// As `refuse`, for a value that `config::set` did not take.
fn refuse_value(name: Name, option: &[u8], value: &core::ffi::CStr, why: &'static str) -> Parsed {
    refuse(
        name,
        Invalid {
            option,
            value: value.to_bytes(),
            why,
        },
        "",
    )
}

fn say_version() {
    say(
        STDOUT,
        concat!("sexton-init ", env!("CARGO_PKG_VERSION"), "\n"),
    );
}

const LICENSE: &str = "sexton-init is licensed under the MIT license or the Apache License 2.0,\n\
    at your option. It contains no code of the programs that it stands in for.\n";

#[cfg(test)]
mod tests;
