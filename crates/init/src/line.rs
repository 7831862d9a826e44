//! One line of text, built in a fixed buffer and written in one call, so that lines of
//! several processes never mix.

use core::ffi::CStr;

use crate::errno::Errno;
use crate::signal;
use crate::sys::{self, Fd};
use crate::text::is_unsafe;

const SIZE: usize = 1024;
/// What a name leaves for the rest of its line.
const ROOM: usize = 400;
/// Milliseconds that a line waits for its reader.
const PATIENCE: u32 = 200;
const HEX: &[u8; 16] = b"0123456789abcdef";

pub(crate) const STDOUT: Fd = 1;
pub(crate) const STDERR: Fd = 2;

/// A line under construction. What does not fit is cut off; a line that was written still ends.
pub(crate) struct Line {
    buffer: [u8; SIZE],
    length: usize,
}

impl Line {
    /// Never inlined: the code that clears it would be there for each line.
    #[inline(never)]
    pub(crate) fn new() -> Self {
        Self {
            buffer: [0; SIZE],
            length: 0,
        }
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            if let Some(place) = self.buffer.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A text that others chose: a process's name, a command, an option's value. What could
    /// steer a terminal or end the line is escaped, as the other programs of Sexton do it.
    #[inline(never)]
    pub(crate) fn name(&mut self, text: &[u8]) -> &mut Self {
        for chunk in text.utf8_chunks() {
            let broken = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            for c in chunk.valid().chars().chain(broken) {
                if self.length >= SIZE - ROOM {
                    return self.text("…");
                }
                self.shown(c);
            }
        }
        self
    }

    fn shown(&mut self, c: char) {
        match c {
            '\n' => self.text("\\n"),
            '\t' => self.text("\\t"),
            '\r' => self.text("\\r"),
            c if !is_unsafe(c) => self.text(c.encode_utf8(&mut [0; 4])),
            c if u32::from(c) < 0x100 => self.text("\\x").hex(c.into(), 2),
            c => self.text("\\u{").hex(c.into(), 4).text("}"),
        };
    }

    /// At least so many hexadecimal digits.
    fn hex(&mut self, number: u32, digits: u32) -> &mut Self {
        for place in (0..8).rev() {
            let rest = number >> (4 * place);
            if place < digits || rest > 0 {
                self.bytes(&[HEX[usize::try_from(rest & 15).unwrap_or(0)]]);
            }
        }
        self
    }

    #[inline(never)]
    pub(crate) fn number(&mut self, number: i32) -> &mut Self {
        if number < 0 {
            self.bytes(b"-");
        }
        let mut rest = number.unsigned_abs();
        let mut digits = [0u8; 10];
        let mut first = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            first = at;
            if rest == 0 {
                break;
            }
        }
        self.bytes(digits.get(first..).unwrap_or_default())
    }

    /// A number of things.
    pub(crate) fn count(&mut self, count: u32) -> &mut Self {
        self.number(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// `15 (TERM)`; a real-time signal by its number alone.
    pub(crate) fn signal(&mut self, signal: u8) -> &mut Self {
        self.number(signal.into());
        let name = signal::name(signal);
        if name.is_empty() {
            self
        } else {
            self.text(" (").bytes(name).text(")")
        }
    }

    /// `: ` and why it failed.
    #[inline(never)]
    pub(crate) fn because(&mut self, error: Errno) -> &mut Self {
        self.text(": ").bytes(error.words())
    }

    /// Milliseconds as `5 s` or `0.050 s`.
    pub(crate) fn seconds(&mut self, milliseconds: u64) -> &mut Self {
        let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
        self.count(small(milliseconds / 1000));
        let fraction = small(milliseconds % 1000);
        if fraction > 0 {
            self.text(".")
                .count(fraction / 100)
                .count(fraction / 10 % 10)
                .count(fraction % 10);
        }
        self.text(" s")
    }

    /// A JSON string. Bytes that are not ASCII text are written as `\u00xx`, so that the line
    /// is valid whatever a command is called.
    pub(crate) fn json(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes(b"\"");
        // Room is kept for the longest escape and what ends the line.
        for &byte in bytes.iter().take(SIZE / 12) {
            match byte {
                b'"' | b'\\' => self.bytes(&[b'\\', byte]),
                b' '..=b'~' => self.bytes(&[byte]),
                _ => self.text("\\u").hex(byte.into(), 4),
            };
        }
        self.bytes(b"\"")
    }

    /// The text so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// The text so far as a path.
    pub(crate) fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.buffer).unwrap_or_default()
    }

    /// Ends the line and writes it. An error cannot be reported: this is how init reports.
    pub(crate) fn write(&mut self, fd: Fd) {
        let _ = self.try_write(fd);
    }

    /// Ends the line and writes it.
    #[inline(never)]
    pub(crate) fn try_write(&mut self, fd: Fd) -> Result<(), Errno> {
        let end = self.length.min(SIZE - 1);
        if let Some(last) = self.buffer.get_mut(end) {
            *last = b'\n';
            self.length = end + 1;
        }
        // A reader that has stopped must not keep init from its work. A pipe that can be written
        // to has room for a line.
        if !sys::wait_writable(fd, PATIENCE) {
            return Err(Errno::EAGAIN);
        }
        write_all(fd, self.as_bytes())
    }
}

/// Writes all of it, unless that fails.
pub(crate) fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match sys::write(fd, bytes)? {
            0 => break,
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &[u8]) -> String {
        let mut line = Line::new();
        line.name(name);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(shown("plain ü 漢".as_bytes()), "plain ü 漢");
        assert_eq!(
            shown("a\x1b[2Jb\nc\u{9b}d\x7f\t".as_bytes()),
            "a\\x1b[2Jb\\nc\\x9bd\\x7f\\t"
        );
        assert_eq!(
            shown("a\u{202e}b\u{e0001}".as_bytes()),
            "a\\u{202e}b\\u{e0001}"
        );
        assert_eq!(shown(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        for byte in 0..=255u8 {
            assert!(!shown(&[byte]).chars().any(char::is_control), "{byte}");
        }
    }

    #[test]
    fn a_long_name_leaves_room_for_the_line() {
        let mut line = Line::new();
        line.name(&[0x1b; 4000]).text(" was killed");
        assert!(line.as_bytes().ends_with("\\x1b… was killed".as_bytes()));
    }
}
