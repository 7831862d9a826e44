//! Names of signals, as users write them and as the CRI does.

use sexton_core::signal;

use crate::client::Signal;

/// `15`, `term`, `SIGTERM`, `RTMIN+3`, as `STOPSIGNAL` of an image may be written, become
/// `SIGTERM`, `SIGRTMIN+3`; what is no signal stays as it is. `None` for an empty one.
pub(crate) fn named(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    if text.is_empty() {
        return None;
    }
    Some(match signal::number(&text) {
        Some(number) => signal::name(number),
        None => text,
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
