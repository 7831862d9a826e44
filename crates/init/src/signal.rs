//! Signals by number and by name (signal(7)), and what to make of one before it is passed on.

use crate::sys::SignalSet;
use crate::text::number;

pub(crate) const HUP: u8 = 1;
pub(crate) const INT: u8 = 2;
pub(crate) const KILL: u8 = 9;
pub(crate) const TERM: u8 = 15;
pub(crate) const CHLD: u8 = 17;
pub(crate) const CONT: u8 = 18;
pub(crate) const STOP: u8 = 19;
pub(crate) const TSTP: u8 = 20;
pub(crate) const TTIN: u8 = 21;
pub(crate) const TTOU: u8 = 22;
/// The last one (`_NSIG`).
pub(crate) const MAX: u8 = 64;

/// The numbers of x86-64, aarch64 and most others; glibc's RTMIN is 34, since it keeps 32
/// and 33 for itself.
///
/// One text, since a table of texts has a pointer and a length for each.
const NAMES: &[u8] = b" HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM \
    STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
const RTMIN: u8 = 34;

/// The name without SIG; empty for real-time signals, which are shown by number.
pub(crate) fn name(signal: u8) -> &'static [u8] {
    names().nth(signal.into()).unwrap_or_default()
}

fn names() -> impl Iterator<Item = &'static [u8]> {
    NAMES.split(|&byte| byte == b' ')
}

/// Reads a signal: 15, TERM, SIGTERM, RTMIN, RTMIN+3, RTMAX-1, in either case.
pub(crate) fn parse(text: &[u8]) -> Option<u8> {
    if let Some(value) = number(text) {
        return u8::try_from(value)
            .ok()
            .filter(|signal| (1..=MAX).contains(signal));
    }
    let text = after(text, b"SIG").unwrap_or(text);
    if let Some(rest) = after(text, b"RTMIN") {
        return offset(rest, b'+')
            .and_then(|n| RTMIN.checked_add(n))
            .filter(|&n| n <= MAX);
    }
    if let Some(rest) = after(text, b"RTMAX") {
        return offset(rest, b'-')
            .and_then(|n| MAX.checked_sub(n))
            .filter(|&n| n >= RTMIN);
    }
    match text {
        _ if is_named(text, b"IOT") => return Some(6),
        _ if is_named(text, b"CLD") => return Some(CHLD),
        _ if is_named(text, b"POLL") => return Some(29),
        _ => {}
    }
    let mut found = (1u8..).zip(names().skip(1));
    found
        .find(|(_, name)| is_named(text, name))
        .map(|(signal, _)| signal)
}

/// In either case; the core library's way to compare is for long texts, and as long.
fn is_named(text: &[u8], name: &[u8]) -> bool {
    let same = |(a, b): (&u8, &u8)| a.to_ascii_uppercase() == *b;
    text.len() == name.len() && text.iter().zip(name).all(same)
}

fn after<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    is_named(head, prefix).then_some(rest)
}

fn offset(text: &[u8], sign: u8) -> Option<u8> {
    match text {
        [] => Some(0),
        [first, digits @ ..] if *first == sign => u8::try_from(number(digits)?).ok(),
        _ => None,
    }
}

/// Whether a signal is for asking to end and little else: what images name as their
/// `STOPSIGNAL`, but not HUP, USR1, USR2 and WINCH, which most programs have other uses for.
pub(crate) fn is_for_ending(signal: u8) -> bool {
    const QUIT: u8 = 3;
    const PWR: u8 = 30;
    /// systemd's, and so that of images with it.
    const HALT: u8 = RTMIN + 3;
    matches!(signal, TERM | INT | QUIT | PWR | HALT)
}

/// The set that holds one signal.
pub(crate) const fn set(signal: u8) -> SignalSet {
    1 << (signal.wrapping_sub(1) & 63)
}

/// What a received signal is turned into before it is passed on.
pub(crate) struct Rewrites([u8; MAX as usize + 1]);

impl Rewrites {
    const DROP: u8 = 0;
    const SAME: u8 = u8::MAX;

    pub(crate) const fn new() -> Self {
        Self([Self::SAME; MAX as usize + 1])
    }

    /// Turns `from` into `to`; 0 drops it.
    pub(crate) fn set(&mut self, from: u8, to: u8) {
        if let Some(entry) = self.0.get_mut(usize::from(from)) {
            *entry = to;
        }
    }

    /// As `set`, unless something was said about `from` before.
    pub(crate) fn set_default(&mut self, from: u8, to: u8) {
        if let Some(entry) = self
            .0
            .get_mut(usize::from(from))
            .filter(|e| **e == Self::SAME)
        {
            *entry = to;
        }
    }

    /// The signal to send; `None` when it is dropped.
    pub(crate) fn apply(&self, signal: u8) -> Option<u8> {
        match self.0.get(usize::from(signal)).copied() {
            Some(Self::DROP) => None,
            Some(Self::SAME) | None => Some(signal),
            Some(other) => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_both_ways() {
        for signal in 1..32 {
            assert_eq!(parse(name(signal)), Some(signal));
            assert_eq!(
                parse(
                    format!(
                        "sig{}",
                        String::from_utf8_lossy(name(signal)).to_lowercase()
                    )
                    .as_bytes()
                ),
                Some(signal)
            );
        }
        for signal in 1..=64u8 {
            assert_eq!(parse(signal.to_string().as_bytes()), Some(signal));
        }
        assert_eq!(parse(b"SIGRTMIN+3"), Some(37));
        assert_eq!(parse(b"RTMAX-1"), Some(63));
        assert_eq!(parse(b"RTMAX"), Some(64));
        assert_eq!(parse(b"POLL"), Some(29));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "", "0", "65", "SIG", "TERMX", "RTMIN+31", "RTMAX-31", "RTMIN-1", "-1", "1 ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn names_are_those_of_libc() {
        assert_eq!(i32::from(parse(b"USR1").unwrap()), libc::SIGUSR1);
        assert_eq!(i32::from(parse(b"SYS").unwrap()), libc::SIGSYS);
        assert_eq!(i32::from(parse(b"RTMIN").unwrap()), libc::SIGRTMIN());
        assert_eq!(i32::from(MAX), libc::SIGRTMAX());
        assert_eq!(i32::from(TTOU), libc::SIGTTOU);
    }

    #[test]
    fn a_default_does_not_override_what_was_said() {
        let mut rewrites = Rewrites::new();
        rewrites.set(TSTP, 0);
        rewrites.set_default(TSTP, STOP);
        rewrites.set_default(TTIN, STOP);
        assert_eq!(rewrites.apply(TSTP), None);
        assert_eq!(rewrites.apply(TTIN), Some(STOP));
        assert_eq!(rewrites.apply(TERM), Some(TERM));
    }
}
