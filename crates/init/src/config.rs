//! What init is to do, whichever name's options said so.

use core::ffi::CStr;

use crate::args::{Invalid, Strings};
use crate::signal::{self, Rewrites};
use crate::text::number;

/// The program whose interface is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    Own,
    Tini,
    DumbInit,
    Catatonit,
}

/// Who gets a signal that init receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum To {
    Child,
    /// The child's process group.
    Group,
    /// All that descends from init.
    All,
}

/// Where the child stands towards the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Session {
    /// A session of its own if init leads one with a terminal, else a group of its own, in
    /// the foreground if init was.
    Auto,
    /// A session of its own, and the terminal on standard input if it is free.
    New,
    /// The session and group that init has.
    Keep,
}

/// Whether a line says how the main process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    Off,
    /// In words, when it was killed.
    Plain,
    /// A JSON object, at every end.
    Json,
}

/// Everything that options and environment can say.
pub(crate) struct Config<'a> {
    pub(crate) name: Name,
    /// Index of the command among the arguments; `None` only for catatonit's pause mode.
    pub(crate) command: Option<usize>,
    pub(crate) verbosity: u8,
    pub(crate) log_reaped: bool,
    /// Take orphans when not PID 1.
    pub(crate) subreaper: bool,
    pub(crate) to: To,
    pub(crate) session: Session,
    /// Stop oneself at once when told to stop, not when the child has stopped (dumb-init).
    pub(crate) stop_with_signal: bool,
    pub(crate) rewrites: Rewrites,
    pub(crate) parent_death: Option<u8>,
    /// The signal that asks for the end, and that the rest gets when the child has ended, if
    /// it was said; see `stop` and `Supervisor::asks_for_end`.
    pub(crate) stop_signal: Option<u8>,
    /// How long the rest may take to end, in milliseconds; `None`: it is left alone.
    pub(crate) grace: Option<u64>,
    /// How long after the stop signal the child is killed, in milliseconds.
    pub(crate) kill_after: Option<u64>,
    /// How long orphans may live on while the child lives, in milliseconds; `None`: they are
    /// left alone.
    pub(crate) orphans: Option<u64>,
    /// Stay until the last process has ended.
    pub(crate) until_all: bool,
    pub(crate) exit_codes: ExitCodes,
    pub(crate) death: Death,
    pub(crate) termination_log: Option<&'a CStr>,
}

impl Config<'_> {
    /// What holds for a name before any option is read.
    pub(crate) fn new(name: Name) -> Self {
        let own = name == Name::Own;
        Self {
            name,
            command: None,
            verbosity: u8::from(name == Name::Tini),
            log_reaped: false,
            subreaper: name != Name::Tini,
            to: if name == Name::DumbInit {
                To::Group
            } else {
                To::Child
            },
            session: if name == Name::DumbInit {
                Session::New
            } else {
                Session::Auto
            },
            stop_with_signal: name == Name::DumbInit,
            rewrites: Rewrites::new(),
            parent_death: None,
            stop_signal: None,
            grace: own.then_some(5_000),
            kill_after: None,
            orphans: None,
            until_all: false,
            exit_codes: ExitCodes::new(),
            death: if own { Death::Plain } else { Death::Off },
            termination_log: None,
        }
    }

    /// The signal that asks a process to end.
    pub(crate) fn stop(&self) -> u8 {
        self.stop_signal.unwrap_or(signal::TERM)
    }
}

/// Settings whose options have long names only, and no letter.
pub(crate) const ORPHANS: u8 = 1;
pub(crate) const UNTIL_ALL: u8 = 2;

/// Reads our own environment variables, which hold under every name. Options come after.
pub(crate) fn environment<'a>(
    config: &mut Config<'a>,
    environment: Strings<'a>,
) -> Result<(), Invalid<'a>> {
    const VARIABLES: [(&[u8], u8); 9] = [
        (b"SEXTON_INIT_TO", b't'),
        (b"SEXTON_INIT_GRACE", b'G'),
        (b"SEXTON_INIT_KILL_AFTER", b'K'),
        (b"SEXTON_INIT_STOP_SIGNAL", b'S'),
        (b"SEXTON_INIT_ORPHANS", ORPHANS),
        (b"SEXTON_INIT_UNTIL_ALL", UNTIL_ALL),
        (b"SEXTON_INIT_EXIT_CODE", b'e'),
        (b"SEXTON_INIT_DEATH", b'D'),
        (b"SEXTON_INIT_TERMINATION_LOG", b'T'),
    ];
    for (name, setting) in VARIABLES {
        if let Some(value) = environment.value(name) {
            set(config, setting, value).map_err(|why| Invalid {
                option: name,
                value: value.to_bytes(),
                why,
            })?;
        }
    }
    Ok(())
}

/// Takes one setting that both an option and a variable can make; the error says what is
/// wrong with the value.
pub(crate) fn set<'a>(
    config: &mut Config<'a>,
    setting: u8,
    value: &'a CStr,
) -> Result<(), &'static str> {
    const SIGNAL: &str = "is not a signal (say TERM, SIGTERM, 15 or RTMIN+3)";
    const DURATION: &str = "is not a duration (say 5, 1.5s, 500ms, 2m)";
    let text = value.to_bytes();
    match setting {
        b't' => {
            config.to = match text {
                b"child" => To::Child,
                b"group" => To::Group,
                b"all" => To::All,
                _ => return Err("is not child, group or all"),
            };
        }
        b'G' => {
            config.grace = match text {
                b"off" => None,
                _ => Some(
                    duration(text).ok_or("is not a duration or off (say 5, 1.5s, 500ms, 2m)")?,
                ),
            };
        }
        b'K' => config.kill_after = Some(duration(text).ok_or(DURATION)?),
        b'S' => config.stop_signal = Some(signal::parse(text).ok_or(SIGNAL)?),
        ORPHANS => {
            config.orphans = match text {
                b"keep" => None,
                b"end" => Some(0),
                _ => Some(
                    text.strip_prefix(&b"end="[..])
                        .and_then(duration)
                        .ok_or("is not keep, end or end=TIME (say end=10s)")?,
                ),
            };
        }
        UNTIL_ALL => {
            config.until_all = match text {
                b"1" => true,
                b"0" => false,
                _ => return Err("is not 1 or 0"),
            };
        }
        b'D' => {
            config.death = match text {
                b"off" => Death::Off,
                b"plain" => Death::Plain,
                b"json" => Death::Json,
                _ => return Err("is not off, plain or json"),
            };
        }
        b'T' => config.termination_log = Some(value),
        b'p' => config.parent_death = Some(signal::parse(text).ok_or(SIGNAL)?),
        b'e' => config
            .exit_codes
            .read(text)
            .ok_or("is not an exit code from 0 to 255, CODE:CODE, or several with commas")?,
        b'r' => {
            let (from, to) = rewrite(text)
                .ok_or("is not SIGNAL:SIGNAL, or SIGNAL:0 to drop one (KILL, STOP and CHLD cannot be rewritten)")?;
            config.rewrites.set(from, to);
        }
        b'n' => {
            config.session = match text {
                b"auto" => Session::Auto,
                b"new" => Session::New,
                b"keep" => Session::Keep,
                _ => return Err("is not auto, new or keep"),
            };
        }
        _ => return Err("is not known"),
    }
    Ok(())
}

/// `FROM:TO`, by name or number; TO may be 0.
fn rewrite(text: &[u8]) -> Option<(u8, u8)> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let from = signal::parse(text.get(..colon)?)?;
    let to = text.get(colon + 1..)?;
    // Nobody can receive KILL and STOP; CHLD is how children are heard of.
    if matches!(from, signal::KILL | signal::STOP | signal::CHLD) {
        return None;
    }
    Some((from, if to == b"0" { 0 } else { signal::parse(to)? }))
}

/// A duration in milliseconds: a number, whole or with a fraction, and a unit (ms, s, m, h);
/// seconds if there is none.
pub(crate) fn duration(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = number(text.get(..digits)?)?;
    let mut rest = text.get(digits..)?;
    let mut thousandths = 0u64;
    if let Some(fraction) = rest.strip_prefix(&b"."[..]) {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        let mut place = 100;
        for &digit in fraction.get(..digits)? {
            thousandths += u64::from(digit - b'0') * place;
            place /= 10;
        }
        rest = fraction.get(digits..)?;
    }
    let unit = match rest {
        b"ms" => 1,
        b"" | b"s" => 1_000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        _ => return None,
    };
    Some(u64::from(whole) * unit + thousandths * unit / 1000)
}

/// Which exit code stands for which.
pub(crate) struct ExitCodes([u8; 256]);

impl ExitCodes {
    fn new() -> Self {
        let mut codes = [0u8; 256];
        for (code, entry) in (0..=u8::MAX).zip(&mut codes) {
            *entry = code;
        }
        Self(codes)
    }

    /// `CODE` (becomes 0) or `CODE:CODE`; several with commas.
    fn read(&mut self, text: &[u8]) -> Option<()> {
        let code = |text| u8::try_from(number(text)?).ok();
        for pair in text.split(|&byte| byte == b',') {
            let colon = pair.iter().position(|&byte| byte == b':');
            let from = code(pair.get(..colon.unwrap_or(pair.len()))?)?;
            let to = match colon {
                Some(at) => code(pair.get(at + 1..)?)?,
                None => 0,
            };
            self.0[usize::from(from)] = to;
        }
        Some(())
    }

    pub(crate) fn of(&self, code: u8) -> u8 {
        self.0[usize::from(code)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("5", 5_000),
            ("0", 0),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0.0005", 0),
            ("0.25m", 15_000),
            ("1.9999", 1_999),
        ] {
            assert_eq!(duration(text.as_bytes()), Some(milliseconds), "{text}");
        }
        for text in ["", "s", "-1", "1.", ".5", "5 s", "5d", "99999999999", "1e3"] {
            assert_eq!(duration(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn exit_codes() {
        let mut codes = ExitCodes::new();
        assert_eq!(codes.of(143), 143);
        assert!(codes.read(b"143").is_some());
        assert!(codes.read(b"3:7").is_some());
        assert_eq!((codes.of(143), codes.of(3), codes.of(4)), (0, 7, 4));
        assert!(codes.read(b"5,6:1").is_some());
        assert_eq!((codes.of(5), codes.of(6)), (0, 1));
        for text in [
            "", "256", "-1", "1:", ":1", "1:256", "a", "1:2:3", "1,", ",1", "1, 2",
        ] {
            assert!(codes.read(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn rewrites() {
        assert_eq!(rewrite(b"TERM:QUIT"), Some((15, 3)));
        assert_eq!(rewrite(b"hup:0"), Some((1, 0)));
        assert_eq!(rewrite(b"RTMIN+3:15"), Some((37, 15)));
        for text in [
            "TERM", "TERM:", ":TERM", "0:1", "KILL:1", "STOP:1", "CHLD:1", "1:65", "1:2:3",
        ] {
            assert_eq!(rewrite(text.as_bytes()), None, "{text}");
        }
    }
}
