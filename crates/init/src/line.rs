//! One line of text, built in a fixed buffer and written in one call, so that lines of
//! several processes never mix.

use core::ffi::CStr;

use crate::signal;
use crate::sys::{self, Fd};

const SIZE: usize = 1024;

pub(crate) const STDOUT: Fd = 1;
pub(crate) const STDERR: Fd = 2;

/// A line under construction. What does not fit is cut off; a line that was written still ends.
pub(crate) struct Line {
    buffer: [u8; SIZE],
    length: usize,
}

impl Line {
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
            self.text(" (").text(name).text(")")
        }
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
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.bytes(b"\"");
        // Room is kept for the longest escape and what ends the line.
        for &byte in bytes.iter().take(SIZE / 12) {
            match byte {
                b'"' | b'\\' => self.bytes(&[b'\\', byte]),
                b' '..=b'~' => self.bytes(&[byte]),
                _ => {
                    let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                    self.bytes(b"\\u00").bytes(&[high, low])
                }
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

    /// Ends the line and writes it. Nobody can be told of an error here.
    #[inline(never)]
    pub(crate) fn write(&mut self, fd: Fd) {
        let end = self.length.min(SIZE - 1);
        if let Some(last) = self.buffer.get_mut(end) {
            *last = b'\n';
            self.length = end + 1;
        }
        write_all(fd, self.as_bytes());
    }
}

/// Writes all of it, unless that fails: init goes on without its voice.
pub(crate) fn write_all(fd: Fd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match sys::write(fd, bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
}

/// Reads a decimal number, the whole text.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}
