//! Names of signals, as users write them and as the CRI does.

use crate::client::Signal;

/// Linux's numbers from 1 on; those of x86, Arm, POWER and S/390, see `signal(7)`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `15`, `term`, `SIGTERM`, `RTMIN+3`, as `STOPSIGNAL` of an image may be written, become
/// `SIGTERM`, `SIGRTMIN+3`. `None` for an empty one.
pub(crate) fn named(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    if text.is_empty() {
        return None;
    }
    if let Ok(number) = text.parse::<usize>() {
        // The C library keeps 32 and 33 for itself; SIGRTMIN is 34.
        return Some(match number {
            1..=31 => format!("SIG{}", NAMES[number - 1]),
            34 => "SIGRTMIN".to_owned(),
            35..=64 => format!("SIGRTMIN+{}", number - 34),
            _ => text,
        });
    }
    Some(if text.starts_with("SIG") {
        text
    } else {
        format!("SIG{text}")
    })
}

/// The CRI's: `SIGNAL_SIGRTMINPLUS3`. `None` where the runtime chooses.
pub(crate) fn of_cri(signal: Signal) -> Option<String> {
    if signal == Signal::RuntimeDefault {
        return None;
    }
    let name = signal.as_str_name().trim_start_matches("SIGNAL_");
    Some(name.replace("PLUS", "+").replace("MINUS", "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_written_it_has_one_name() {
        for (text, name) in [
            ("SIGTERM", "SIGTERM"),
            ("term", "SIGTERM"),
            ("15", "SIGTERM"),
            ("10", "SIGUSR1"),
            ("SIGRTMIN+3", "SIGRTMIN+3"),
            ("37", "SIGRTMIN+3"),
            ("34", "SIGRTMIN"),
            ("99", "99"),
        ] {
            assert_eq!(named(text).as_deref(), Some(name), "{text}");
        }
        assert_eq!(named(" "), None);
        assert_eq!(of_cri(Signal::Sigrtminplus3).as_deref(), Some("SIGRTMIN+3"));
        assert_eq!(
            of_cri(Signal::Sigrtmaxminus1).as_deref(),
            Some("SIGRTMAX-1")
        );
        assert_eq!(of_cri(Signal::Sigusr1).as_deref(), Some("SIGUSR1"));
        assert_eq!(of_cri(Signal::RuntimeDefault), None);
    }
}
