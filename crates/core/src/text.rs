//! Figures, times and untrusted names as people read them; the same in a terminal, on the page
//! and in the log.

use std::borrow::Cow;
use std::fmt::Write;

pub mod arguments;
pub mod birthplace;
pub mod leak;
pub mod limit;
pub mod time;

/// `text` with everything escaped that could move the cursor, change colours, reorder what is
/// shown or hide itself. A process chooses its own name and arguments, so they are hostile
/// input to a terminal.
#[must_use]
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) && (c as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A word as a shell takes it: what others chose must not act in a command that is copied.
#[must_use]
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// Control characters (C0, DEL, C1), and the format characters that reorder or hide text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` with each long id (32 hexadecimal digits or more) cut to the 12 by which people know
/// containers; for sentences, where the whole of it is in the way.
#[must_use]
pub fn short_ids(text: &str) -> String {
    const LEAST: usize = 32;
    const SHOWN: usize = 12;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let digits = &rest[start..];
        let length = digits
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        let end = start + length;
        if length >= LEAST {
            out.push_str(&rest[..start + SHOWN]);
            out.push('…');
        } else {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// `12345` as `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The words of an error of the operating system, without its number: people read "No such file
/// or directory", and ` (os error 2)` behind it tells them nothing more.
#[must_use]
pub fn os(error: &impl std::fmt::Display) -> String {
    const NUMBER: &str = " (os error ";
    let said = error.to_string();
    let mut out = String::with_capacity(said.len());
    let mut rest = said.as_str();
    while let Some((before, after)) = rest.split_once(NUMBER) {
        let Some((number, after)) = after.split_once(')') else {
            break;
        };
        out.push_str(before);
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            let _ = write!(out, "{NUMBER}{number})");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Bytes in the largest unit of which they are at least one: `97 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units.iter().find(|(bits, _)| n >> bits > 0);
    fits.map_or_else(
        || format!("{n} B"),
        |(bits, unit)| format!("{} {unit}", count(n >> bits)),
    )
}

/// `1 zombie`, `2,000 zombies`.
#[must_use]
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Seconds as people say them, two units at most: `45s`, `2m5s`, `3h`, `4d2h`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(size, _)| seconds >= *size) else {
        return "0s".to_owned();
    };
    let (size, name) = UNITS[first];
    let mut out = format!("{}{name}", seconds / size);
    if let Some((next, name)) = UNITS.get(first + 1) {
        let rest = seconds % size / next;
        if rest > 0 {
            let _ = write!(out, "{rest}{name}");
        }
    }
    out
}

/// A short time: `0.85 ms`, `1.5 ms`, `25 ms`, `1.2 s`; three figures at most.
#[must_use]
pub fn millis(micros: u64) -> String {
    match micros {
        0..1_000 => format!("0.{:02} ms", micros / 10),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!(
            "{}.{} s",
            count(micros / 1_000_000),
            micros % 1_000_000 / 100_000
        ),
    }
}

/// A rate a second in the unit that gives a readable figure: `12/s`, `3.5/min`, `2/h`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    let size = per_second.abs();
    if size < 0.5 / 3600.0 {
        return "0".to_owned();
    }
    let (value, unit) = if size >= 1.0 {
        (per_second, "s")
    } else if size >= 1.0 / 60.0 {
        (per_second * 60.0, "min")
    } else {
        (per_second * 3600.0, "h")
    };
    // No fraction where it would claim more than a count over a few seconds can say.
    let digits = usize::from(value.abs() < 10.0 && (value - value.round()).abs() >= 0.05);
    format!("{value:+.digits$}/{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(safe("plain ü 漢"), "plain ü 漢");
        assert_eq!(safe("a\x1b[2Jb\nc\u{9b}d\x7f"), "a\\x1b[2Jb\\nc\\x9bd\\x7f");
        assert_eq!(safe("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let text = c.to_string();
            let shown = safe(&text);
            assert!(!shown.chars().any(char::is_control), "{c:?}");
            assert!(shown.len() > 1 || shown == text);
        }
    }

    #[test]
    fn figures_read_as_people_say_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(125), "2m5s");
        assert_eq!(duration(7_200), "2h");
        assert_eq!(duration(4 * 86_400 + 7_300), "4d2h");
        assert_eq!(millis(7), "0.00 ms");
        assert_eq!(millis(857), "0.85 ms");
        assert_eq!(millis(1_510), "1.5 ms");
        assert_eq!(millis(25_999), "25 ms");
        assert_eq!(millis(1_250_000), "1.2 s");
        assert_eq!(rate(12.0), "+12/s");
        assert_eq!(rate(0.05), "+3/min");
        assert_eq!(rate(-1.5), "-1.5/s");
    }

    #[test]
    fn errors_of_the_system_have_words_and_no_number() {
        let missing = std::io::Error::from_raw_os_error(2);
        assert_eq!(os(&missing), "No such file or directory");
        let nested = format!("a: {missing}; b: {missing}.");
        let plain = "a: No such file or directory; b: No such file or directory.";
        assert_eq!(os(&nested), plain);
        for other in ["", "os error 2", "x (os error ", "x (os error two)"] {
            assert_eq!(os(&other), other);
        }
    }

    #[test]
    fn only_long_ids_are_cut() {
        let id = "3f2a9c".repeat(10);
        assert_eq!(
            short_ids(&format!("/kubepods/pod1-2/{id}/init.scope")),
            "/kubepods/pod1-2/3f2a9c3f2a9c…/init.scope"
        );
        assert_eq!(short_ids("cafe 12,345 ü"), "cafe 12,345 ü");
        assert_eq!(short_ids(""), "");
    }
}
