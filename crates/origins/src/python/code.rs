//! A function of a Python program: its name, its file, its lines.

use super::layout;
use crate::memory::Memory;

/// Longest name of a function or file that is believed, in letters.
const NAME: u64 = 4096;

/// What of a code object tells where it comes from. Two code objects at one address, one after
/// the other, differ in it.
pub(super) type Header = [u8; layout::CODE_SIZE];

pub(super) struct Code {
    pub(super) file: String,
    pub(super) function: String,
    first_line: i64,
    lines: Vec<u8>,
}

impl Code {
    pub(super) fn read(memory: &Memory, header: &Header) -> Option<Self> {
        let first = header.get(layout::CODE_FIRST_LINE..)?.first_chunk()?;
        let table = word(header, layout::CODE_LINES)?;
        let length = memory.word(table.checked_add(layout::LENGTH)?)?;
        Some(Self {
            file: text(memory, word(header, layout::CODE_FILE)?)?,
            function: text(memory, word(header, layout::CODE_NAME)?)?,
            first_line: i32::from_ne_bytes(*first).into(),
            lines: memory.bytes(table.checked_add(layout::BYTES)?, length)?,
        })
    }

    /// The line of an instruction.
    pub(super) fn line(&self, instruction: u64) -> Option<u32> {
        let line = line(&self.lines, self.first_line, instruction)?;
        u32::try_from(line).ok().filter(|line| *line > 0)
    }
}

/// Walks CPython's table of locations (Objects/locations.md): each entry begins with a byte whose
/// highest bit is set, and says of how many instructions it speaks and by how much the line grows.
fn line(table: &[u8], first_line: i64, instruction: u64) -> Option<i64> {
    let (mut line, mut end, mut rest) = (first_line, 0_u64, table);
    while let [head, more @ ..] = rest {
        let kind = head >> 3 & 15;
        let has_line = kind != 15;
        let grows = match kind {
            10..=12 => i64::from(kind).checked_sub(10)?,
            13 | 14 => signed(more)?,
            _ => 0,
        };
        line = line.checked_add(grows)?;
        end = end.checked_add(u64::from(head & 7).checked_add(1)?)?;
        if instruction < end {
            return has_line.then_some(line);
        }
        let next = more.iter().position(|byte| byte & 0x80 != 0);
        rest = next.and_then(|next| more.get(next..)).unwrap_or_default();
    }
    None
}

/// Six bits a byte, the lowest first; the lowest of all is the sign.
fn signed(bytes: &[u8]) -> Option<i64> {
    let mut value = 0_u32;
    for (byte, shift) in bytes.iter().zip([0, 6, 12, 18, 24]) {
        value |= u32::from(byte & 63) << shift;
        if byte & 64 == 0 {
            let size = i64::from(value >> 1);
            return if value & 1 == 0 {
                Some(size)
            } else {
                size.checked_neg()
            };
        }
    }
    None
}

/// A string object.
fn text(memory: &Memory, at: u64) -> Option<String> {
    let length = memory.word(at.checked_add(layout::LENGTH)?)?;
    let length = Some(length).filter(|length| *length <= NAME)?;
    let state: [u8; 1] = memory.array(at.checked_add(layout::STATE)?)?;
    let [state] = state;
    let (size, is_compact, is_ascii) = (state >> 2 & 7, state & 32 != 0, state & 64 != 0);
    if !is_compact {
        return None;
    }
    let letters = if is_ascii {
        layout::ASCII
    } else {
        layout::COMPACT
    };
    let bytes = length.checked_mul(size.into())?;
    let bytes = memory.bytes(at.checked_add(letters)?, bytes)?;
    let letters = bytes.chunks_exact(usize::from(size).max(1));
    let letter = |bytes: &[u8]| match *bytes {
        [a] => Some(char::from(a)),
        [a, b] => char::from_u32(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => char::from_u32(u32::from_ne_bytes([a, b, c, d])),
        _ => None,
    };
    // The file system's names that are not UTF-8 have lone surrogates.
    Some(
        letters
            .map(|bytes| letter(bytes).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_of_entry_moves_the_line() {
        // Two instructions of the first line; one, a line further; one without a line; one, three
        // lines back (7 is the sign and 3).
        let table = [
            0x80 | 1,
            0x00,
            0x80 | 11 << 3,
            0,
            0,
            0x80 | 15 << 3,
            0x80 | 13 << 3,
            7,
        ];
        let at = |instruction| line(&table, 10, instruction);
        assert_eq!([at(0), at(1), at(2)], [Some(10), Some(10), Some(11)]);
        assert_eq!([at(3), at(4), at(5)], [None, Some(8), None]);
    }

    proptest! {
        #[test]
        fn garbage_is_survived(
            table in proptest::collection::vec(any::<u8>(), 0..64),
            first in any::<i64>(),
            instruction in 0_u64..64,
        ) {
            let _ = line(&table, first, instruction);
        }
    }
}
