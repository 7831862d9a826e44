//! Signals by name and number (`signal(7)`; numbers as on x86-64 and arm64).

/// Asks a program to end; what every runtime sends unless it is told otherwise.
pub const SIGTERM: u8 = 15;
/// Ends a process whatever it does.
pub const SIGKILL: u8 = 9;

/// The first real-time signal that glibc leaves to programs.
const RTMIN: u8 = 34;
/// The last of all.
const RTMAX: u8 = 64;

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The name of a signal, as `kill -l` gives it.
#[must_use]
pub fn name(number: u8) -> String {
    match number {
        1..=31 => format!("SIG{}", NAMES[usize::from(number) - 1]),
        RTMIN => "SIGRTMIN".to_owned(),
        35..=RTMAX => format!("SIGRTMIN+{}", number - RTMIN),
        _ => format!("signal {number}"),
    }
}

/// The number of a signal, from `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `RTMAX-1`, as image
/// configurations and options of inits write it.
#[must_use]
pub fn number(text: &str) -> Option<u8> {
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<u8>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let plain = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<u8>().ok(),
    };
    if let Some(rest) = plain.strip_prefix("RTMIN") {
        return RTMIN
            .checked_add(offset(rest, '+')?)
            .filter(|n| *n <= RTMAX);
    }
    if let Some(rest) = plain.strip_prefix("RTMAX") {
        return RTMAX
            .checked_sub(offset(rest, '-')?)
            .filter(|n| *n >= RTMIN);
    }
    match plain {
        "POLL" => Some(29),
        "CLD" => Some(17),
        "IOT" => Some(6),
        _ => {
            let place = NAMES.iter().position(|name| *name == plain)?;
            u8::try_from(place + 1).ok()
        }
    }
}

/// Whether a mask of `/proc/PID/status` holds a signal: signal n is bit n − 1.
#[must_use]
pub fn is_in(mask: u64, number: u8) -> bool {
    (1..=RTMAX).contains(&number) && mask >> (number - 1) & 1 == 1
}

/// What a signal does to a process that has no handler for it and is not PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    End,
    /// Nothing.
    Ignore,
    /// The process stops, and lives.
    Stop,
}

/// The default action of a signal (`signal(7)`, "Standard signals").
#[must_use]
pub fn default(number: u8) -> DefaultAction {
    match number {
        17 | 18 | 23 | 28 => DefaultAction::Ignore, // CHLD, CONT, URG, WINCH
        19..=22 => DefaultAction::Stop,             // STOP, TSTP, TTIN, TTOU
        _ => DefaultAction::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for n in (1..=31).chain(34..=64) {
            assert_eq!(number(&name(n)), Some(n), "{}", name(n));
        }
        for (text, n) in [
            ("TERM", 15),
            ("sigquit", 3),
            (" 3 ", 3),
            ("RTMIN+3", 37),
            ("SIGRTMAX-2", 62),
        ] {
            assert_eq!(number(text), Some(n), "{text}");
        }
        for bad in ["", "0", "65", "SIGNOPE", "RTMIN+99", "RTMAX-40", "RTMIN3"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn masks_count_from_one() {
        assert!(is_in(1 << 14, SIGTERM));
        assert!(!is_in(1 << 14, 14) && !is_in(u64::MAX, 0) && !is_in(u64::MAX, 65));
    }
}
