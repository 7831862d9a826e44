//! Inits and what else passes signals on to its command: which they are, and what their options
//! make of a signal.

use super::facts::{Process, Reception, base_name};
use super::scripts;
use crate::{Confidence, signal};

/// Variables of the environment that change what a signal does: of inits, of runtimes.
pub const VARIABLES: [&str; 12] = [
    "TINI_KILL_PROCESS_GROUP",
    "DUMB_INIT_SETSID",
    "SEXTON_INIT_TO",
    "SEXTON_INIT_KILL_AFTER",
    "SEXTON_INIT_STOP_SIGNAL",
    "SEXTON_INIT_GRACE",
    "JDK_JAVA_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "UWSGI_DIE_ON_TERM",
    "GUNICORN_CMD_ARGS",
    "NODE_OPTIONS",
];

/// An init that passes signals on to its command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Forwarder {
    /// As people know it.
    pub(super) name: &'static str,
    /// It is made to be PID 1.
    is_init: bool,
    /// How sure it is that it does as it is said here: npm is a large program that changes.
    pub(super) confidence: Confidence,
    /// Who gets the signals.
    pub(super) to: To,
    /// From, to; 0 drops it.
    rewrites: Vec<(u8, u8)>,
    /// Signals that it keeps from its command.
    kept: &'static [u8],
    /// Its command gets SIGKILL so many seconds after the stop signal.
    pub(super) kill_after: Option<f64>,
    /// The signal upon which `kill_after` counts.
    stop_signal: u8,
    /// What is left gets a signal and some time when the command has ended.
    pub(super) ends_the_rest: bool,
    /// What it does where the kernel does not let it signal its command.
    pub(super) if_refused: IfRefused,
}

/// What an init does on EPERM of `kill(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfRefused {
    /// With `--kill-after`, then.
    Exits,
    Stays,
}

/// Who gets the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Child,
    Group,
    All,
}

/// ILL TRAP ABRT BUS FPE SEGV CHLD TTIN TTOU SYS: left to the kernel by tini and catatonit.
const KEPT_BY_TINI: &[u8] = &[4, 5, 6, 7, 8, 11, 17, 21, 22, 31];
const KEPT_BY_CATATONIT: &[u8] = &[4, 5, 6, 7, 8, 11, 17, 20, 21, 22, 31];
const SIGCHLD: &[u8] = &[17];
/// INT QUIT TERM PWR RTMIN+3: sexton-init takes each for a wish to end.
const ASK_FOR_END: [u8; 5] = [2, 3, 15, 30, 37];

/// Variables of sexton-init and the options that say the same.
const OUR_VARIABLES: [(&str, char); 4] = [
    ("SEXTON_INIT_TO", 't'),
    ("SEXTON_INIT_GRACE", 'G'),
    ("SEXTON_INIT_KILL_AFTER", 'K'),
    ("SEXTON_INIT_STOP_SIGNAL", 'S'),
];

/// An option: letter, long name, whether it takes a value.
type Spec = (char, &'static str, bool);

const TINI: &[Spec] = &[('p', "", true), ('e', "", true), ('g', "", false)];
const DUMB_INIT: &[Spec] = &[('c', "single-child", false), ('r', "rewrite", true)];
const CATATONIT: &[Spec] = &[('g', "", false)];
const SEXTON_INIT: &[Spec] = &[
    ('t', "to", true),
    ('g', "group", false),
    ('r', "rewrite", true),
    ('S', "stop-signal", true),
    ('G', "grace", true),
    ('K', "kill-after", true),
    ('e', "exit-code", true),
    ('D', "death", true),
    ('p', "parent-death", true),
    ('n', "session", true),
    ('\u{1}', "orphans", true),
    ('\u{2}', "until-all", false),
];

impl Forwarder {
    /// The init that a process is, if it is one that passes signals on.
    pub(super) fn of(process: &Process) -> Option<Self> {
        let program = process.program_name();
        let ours = is_called(program, "sexton-init");
        // Ours takes the options of the name that it is called by (a link, or argv[0]).
        let called_as = if ours {
            process
                .command_line
                .first()
                .map_or(program, |arg| base_name(arg))
        } else {
            program
        };
        let arguments = process.command_line.get(1..).unwrap_or_default();
        let is = |name| is_called(called_as, name);
        let kind = if program == "timeout" {
            Kind::Timeout
        } else if matches!(program, "su" | "runuser") {
            Kind::Su
        } else if let Some(name) = scripts::runner(process) {
            Kind::Scripts(name)
        } else if is("tini") || is("docker-init") {
            Kind::Tini
        } else if is("dumb-init") {
            Kind::DumbInit
        } else if is("catatonit") || is("podman-init") {
            Kind::Catatonit
        } else if ours {
            Kind::Own
        } else {
            return None;
        };
        let mut init = Self {
            name: if ours { "sexton-init" } else { kind.name() },
            confidence: match kind {
                Kind::Scripts(_) => Confidence::Medium,
                _ => Confidence::High,
            },
            is_init: !matches!(kind, Kind::Timeout | Kind::Su | Kind::Scripts(_)),
            to: match kind {
                Kind::DumbInit | Kind::Timeout => To::Group,
                _ => To::Child,
            },
            rewrites: Vec::new(),
            kept: match kind {
                _ if ours => SIGCHLD,
                Kind::Tini => KEPT_BY_TINI,
                Kind::Catatonit => KEPT_BY_CATATONIT,
                Kind::DumbInit | Kind::Own => SIGCHLD,
                Kind::Timeout | Kind::Su | Kind::Scripts(_) => &[],
            },
            // su(1) sleeps for two seconds between SIGTERM and SIGKILL.
            kill_after: (kind == Kind::Su).then_some(2.0),
            stop_signal: signal::SIGTERM,
            ends_the_rest: kind == Kind::Own,
            if_refused: match kind {
                // su gives up after its two seconds.
                Kind::Tini | Kind::Su => IfRefused::Exits,
                _ if ours => IfRefused::Exits,
                _ => IfRefused::Stays,
            },
        };
        if ours {
            // They hold under every name, and options go before them.
            for (variable, option) in OUR_VARIABLES {
                if let Some(value) = process.variable(variable) {
                    init.set(option, value);
                }
            }
        }
        match kind {
            Kind::Tini if process.variable("TINI_KILL_PROCESS_GROUP").is_some() => {
                init.to = To::Group;
            }
            Kind::Timeout
                if process
                    .command_line
                    .iter()
                    .any(|word| word == "--foreground") =>
            {
                init.to = To::Child;
            }
            Kind::DumbInit if process.variable("DUMB_INIT_SETSID") == Some("0") => {
                init.to = To::Child;
            }
            _ => {}
        }
        if !kind.options().is_empty() {
            for (option, value) in options(arguments, kind.options()) {
                init.set(option, value);
            }
        }
        Some(init)
    }

    /// It passes on what comes to it: what is no init only what it catches.
    pub(super) fn takes(&self, reception: Reception) -> bool {
        self.is_init || reception == Reception::Caught
    }

    fn set(&mut self, option: char, value: &str) {
        match option {
            'g' => self.to = To::Group,
            'c' => self.to = To::Child,
            't' => {
                self.to = match value {
                    "child" => To::Child,
                    "group" => To::Group,
                    "all" => To::All,
                    _ => self.to,
                }
            }
            'r' => self.rewrite(value),
            'K' => self.kill_after = seconds(value),
            'G' => self.ends_the_rest = seconds(value).is_some(),
            'S' => self.stop_signal = signal::number(value).unwrap_or(self.stop_signal),
            _ => {}
        }
    }

    fn rewrite(&mut self, value: &str) {
        let pair = value.split_once(':').and_then(|(from, to)| {
            let to = if to == "0" { 0 } else { signal::number(to)? };
            Some((signal::number(from)?, to))
        });
        self.rewrites.extend(pair);
    }

    /// What its command gets when this signal comes; `None`: nothing.
    pub(super) fn passes_on(&self, number: u8) -> Option<u8> {
        // The last one said counts.
        let rewritten = self.rewrites.iter().rev().find(|(from, _)| *from == number);
        match rewritten {
            Some((_, 0)) => None,
            Some((_, to)) => Some(*to),
            None => (!self.kept.contains(&number)).then_some(number),
        }
    }

    /// Seconds from this signal to the SIGKILL that it sends its command by itself.
    pub(super) fn kills_after(&self, number: u8) -> Option<f64> {
        let asks = number == self.stop_signal || ASK_FOR_END.contains(&number);
        self.kill_after.filter(|_| asks)
    }
}

/// Whose options it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tini,
    DumbInit,
    Catatonit,
    Own,
    /// Of coreutils: it passes what it catches on to its process group.
    Timeout,
    /// Of util-linux, runuser too: it waits for its command and passes SIGTERM on.
    Su,
    /// npm and the like, which run a line of package.json.
    Scripts(&'static str),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tini => "tini",
            Self::DumbInit => "dumb-init",
            Self::Catatonit => "catatonit",
            Self::Own => "sexton-init",
            Self::Timeout => "timeout",
            Self::Su => "su",
            Self::Scripts(name) => name,
        }
    }

    fn options(self) -> &'static [Spec] {
        match self {
            Self::Tini => TINI,
            Self::DumbInit => DUMB_INIT,
            Self::Catatonit => CATATONIT,
            Self::Own => SEXTON_INIT,
            Self::Timeout | Self::Su | Self::Scripts(_) => &[],
        }
    }
}

/// A suffix is allowed: `tini-static`, `tini-amd64`.
fn is_called(program: &str, name: &str) -> bool {
    program
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A number and ms, s, m or h; `None` for `off`, 0 and what is no time.
fn seconds(value: &str) -> Option<f64> {
    let unit = value
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(value.len());
    let (figure, unit) = value.split_at(unit);
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    figure.parse::<f64>().ok().map(|figure| figure * scale)
}

/// The options before the command, in the manner of `getopt_long(3)` with `+`. Letters that
/// `specs` does not list take no value.
fn options<'a>(arguments: &'a [String], specs: &[Spec]) -> std::vec::IntoIter<(char, &'a str)> {
    let mut found = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if word == "--" || !word.starts_with('-') || word == "-" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, attached) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            if let Some(&(letter, _, takes)) = specs.iter().find(|spec| spec.1 == name) {
                let value = match (takes, attached) {
                    (true, None) => rest.next().unwrap_or(""),
                    (_, value) => value.unwrap_or(""),
                };
                found.push((letter, value));
            }
            continue;
        }
        for (at, letter) in word.char_indices().skip(1) {
            let takes = specs.iter().any(|spec| spec.0 == letter && spec.2);
            if !takes {
                found.push((letter, ""));
                continue;
            }
            let attached = &word[at + letter.len_utf8()..];
            let value = match attached {
                "" => rest.next().unwrap_or(""),
                attached => attached,
            };
            found.push((letter, value));
            break;
        }
    }
    found.into_iter()
}
