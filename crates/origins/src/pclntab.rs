//! Go's own table of lines, which is there in a stripped program too.
//!
//! Go 1.18 and later. Go inlines functions; the file and the line are those of the innermost
//! one, the function is the one that it was inlined into.

use std::ops::Range;

const MAGIC_118: u32 = 0xffff_fff0;
const MAGIC_120: u32 = 0xffff_fff1;
/// Longest name of a function or file that is believed.
const NAME: usize = 4096;
/// Most steps in the table of one function.
const STEPS: usize = 1 << 20;

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// Function, with its package.
    pub function: String,
    /// File, as the compiler was told.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// `.gopclntab`
pub struct Pclntab {
    data: Vec<u8>,
    quantum: u64,
    /// What addresses in the table count from.
    text: u64,
    functions: usize,
    names: usize,
    units: usize,
    files: usize,
    pcs: usize,
    table: usize,
}

impl Pclntab {
    /// Takes the section; `text` is the address of the program's code, for the versions of Go
    /// that no longer write it into the table.
    #[must_use]
    pub fn new(data: Vec<u8>, text: u64) -> Option<Self> {
        let magic = u32_at(&data, 0)?;
        if magic != MAGIC_118 && magic != MAGIC_120 {
            return None;
        }
        let (quantum, word) = (*data.get(6)?, usize::from(*data.get(7)?));
        if !matches!(quantum, 1 | 2 | 4) || !matches!(word, 4 | 8) {
            return None;
        }
        let header = |n: usize| {
            let at = n.checked_mul(word)?.checked_add(8)?;
            match word {
                4 => u32_at(&data, at).map(u64::from),
                _ => u64_at(&data, at),
            }
        };
        let place = |n| {
            usize::try_from(header(n)?)
                .ok()
                .filter(|at| *at < data.len())
        };
        let (functions, written) = (usize::try_from(header(0)?).ok()?, header(2)?);
        let (names, units, files, pcs, table) =
            (place(3)?, place(4)?, place(5)?, place(6)?, place(7)?);
        Some(Self {
            quantum: quantum.into(),
            // A program that can be loaded anywhere has 0 here until it is loaded.
            text: if written == 0 { text } else { written },
            functions: functions.min(data.len() / 8),
            names,
            units,
            files,
            pcs,
            table,
            data,
        })
    }

    /// The line of an address, as the file counts addresses.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Line> {
        let offset = address.checked_sub(self.text)?;
        let index = self.function(offset)?;
        let (entry, at) = self.entry(index)?;
        let function = self.table.checked_add(at)?;
        let field = |n: usize| u32_at(&self.data, function.checked_add(n)?);
        let name = text_at(&self.data, self.names.checked_add(usize_of(field(4)?)?)?)?;
        let file = self.value(field(20)?, entry, offset)?;
        let line = self.value(field(24)?, entry, offset)?;
        let slot = usize_of(field(32)?)?.checked_add(usize::try_from(file).ok()?)?;
        let slot = self.units.checked_add(slot.checked_mul(4)?)?;
        let file = self
            .files
            .checked_add(usize_of(u32_at(&self.data, slot)?)?)?;
        Some(Line {
            function: name,
            file: text_at(&self.data, file)?,
            line: u32::try_from(line).ok().filter(|line| *line > 0)?,
        })
    }

    /// Where a function of this name has its file: `runtime.main` tells where Go itself lies.
    pub(crate) fn file_of(&self, name: &str) -> Option<String> {
        (0..self.functions).find_map(|index| {
            let (entry, at) = self.entry(index)?;
            let field = self.table.checked_add(at)?.checked_add(4)?;
            let at = self
                .names
                .checked_add(usize_of(u32_at(&self.data, field)?)?)?;
            let found = self.data.get(at..)?.strip_prefix(name.as_bytes())?;
            (found.first() == Some(&0)).then_some(())?;
            Some(self.find(self.text.checked_add(entry.into())?)?.file)
        })
    }

    /// Which function has the address: the last that begins at or before it.
    fn function(&self, offset: u64) -> Option<usize> {
        // Behind the last function stands where it ends.
        let (end, _) = self.entry(self.functions)?;
        if offset >= end.into() {
            return None;
        }
        let Range { mut start, mut end } = 0..self.functions;
        while start < end {
            let middle = start.midpoint(end);
            if u64::from(self.entry(middle)?.0) <= offset {
                start = middle.checked_add(1)?;
            } else {
                end = middle;
            }
        }
        start.checked_sub(1)
    }

    fn entry(&self, index: usize) -> Option<(u32, usize)> {
        let at = self.table.checked_add(index.checked_mul(8)?)?;
        let entry = u32_at(&self.data, at)?;
        // The last has an end and no function.
        let function = u32_at(&self.data, at.checked_add(4)?).unwrap_or(0);
        Some((entry, usize_of(function)?))
    }

    /// The value of one table at an address: pairs of steps, of the value and of the address.
    fn value(&self, table: u32, entry: u32, offset: u64) -> Option<i64> {
        let mut at = self.pcs.checked_add(usize_of(table)?)?;
        let (mut pc, mut value) = (u64::from(entry), -1_i64);
        for step in 0..STEPS {
            let change = varint(&self.data, &mut at)?;
            if change == 0 && step > 0 {
                return None;
            }
            let zigzag = i64::from(change >> 1) ^ i64::from(change & 1).checked_neg()?;
            value = value.checked_add(zigzag)?;
            let length = varint(&self.data, &mut at)?;
            pc = pc.checked_add(u64::from(length).checked_mul(self.quantum)?)?;
            if offset < pc {
                return Some(value);
            }
        }
        None
    }
}

fn usize_of(n: u32) -> Option<usize> {
    usize::try_from(n).ok()
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn varint(data: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *data.get(*at)?;
        *at = at.checked_add(1)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text_at(data: &[u8], at: usize) -> Option<String> {
    let rest = data.get(at..)?;
    let rest = rest.get(..NAME).unwrap_or(rest);
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Garbage behind an honest header costs an answer and nothing else.
        #[test]
        fn garbage_is_survived(
            mut data in proptest::collection::vec(any::<u8>(), 8..512),
            header in proptest::collection::vec(0_u64..600, 8),
            address in any::<u64>(),
        ) {
            data[..8].copy_from_slice(&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
            for (n, word) in header.iter().enumerate() {
                if let Some(place) = data.get_mut(8 + n * 8..16 + n * 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            if let Some(table) = Pclntab::new(data, 0) {
                let _ = table.find(address % 4096);
                let _ = table.find(address);
                let _ = table.file_of("runtime.main");
            }
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(Pclntab::new(vec![0; 256], 0).is_none());
        assert!(Pclntab::new(vec![0xf1, 0xff, 0xff, 0xff], 0).is_none());
    }
}
