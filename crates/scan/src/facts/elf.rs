//! As much of ELF as it takes to tell what made a program: names of sections, and notes.
//!
//! The file is the container's and may be anything, so every size is bounded and every offset
//! checked by the read itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// More sections than any sane program has (Node.js, with its debug sections, has 45).
const MAX_SECTIONS: u64 = 4096;
/// More than any table of section names holds.
const MAX_NAMES: u64 = 1 << 20;
/// A section that is searched whole; Node's dynamic names are 8 MiB.
const MAX_SEARCHED: u64 = 64 << 20;

/// The parts of an ELF file's header and section table that are of use.
#[derive(Debug)]
pub(super) struct Elf {
    /// The program's words are 64 bits long.
    pub(super) is_64_bit: bool,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: Vec<u8>,
    offset: u64,
    size: u64,
}

impl Elf {
    /// Reads the headers; `None` if it is no little-endian ELF file, as x86-64 and aarch64
    /// programs are.
    pub(super) fn read(file: &File) -> Option<Self> {
        let header = bytes(file, 0, 64)?;
        if !header.starts_with(b"\x7fELF") || header[5] != 1 {
            return None;
        }
        let is_64_bit = header[4] == 2;
        let (table, entry_size, count, names_index) = if is_64_bit {
            (
                word(&header, 40, 8)?,
                word(&header, 58, 2)?,
                word(&header, 60, 2)?,
                word(&header, 62, 2)?,
            )
        } else {
            (
                word(&header, 32, 4)?,
                word(&header, 46, 2)?,
                word(&header, 48, 2)?,
                word(&header, 50, 2)?,
            )
        };
        let mut elf = Self {
            is_64_bit,
            sections: Vec::new(),
        };
        // A program may have had its section table removed; it is an ELF file all the same.
        if table == 0 || count > MAX_SECTIONS {
            return Some(elf);
        }
        let Some(entries) = bytes(file, table, count * entry_size) else {
            return Some(elf);
        };
        // (offset of the name, offset of the content, size)
        let raw: Vec<(u64, u64, u64)> = entries
            .chunks_exact(usize::try_from(entry_size).ok()?.max(1))
            .filter_map(|entry| {
                Some(if is_64_bit {
                    (word(entry, 0, 4)?, word(entry, 24, 8)?, word(entry, 32, 8)?)
                } else {
                    (word(entry, 0, 4)?, word(entry, 16, 4)?, word(entry, 20, 4)?)
                })
            })
            .collect();
        let Some(&(_, offset, size)) = raw.get(usize::try_from(names_index).ok()?) else {
            return Some(elf);
        };
        let Some(names) = bytes(file, offset, size.min(MAX_NAMES)) else {
            return Some(elf);
        };
        elf.sections = raw
            .into_iter()
            .filter_map(|(name, offset, size)| {
                let rest = names.get(usize::try_from(name).ok()?..)?;
                let end = memchr::memchr(0, rest)?;
                Some(Section {
                    name: rest[..end].to_owned(),
                    offset,
                    size,
                })
            })
            .collect();
        Some(elf)
    }

    /// The file has a section of that name.
    pub(super) fn has_section(&self, name: &str) -> bool {
        self.sections.iter().any(|s| s.name == name.as_bytes())
    }

    /// The content of a section, or as much as is ever searched.
    pub(super) fn content(&self, file: &File, name: &str) -> Option<Vec<u8>> {
        let section = self.sections.iter().find(|s| s.name == name.as_bytes())?;
        bytes(file, section.offset, section.size.min(MAX_SEARCHED))
    }
}

/// `length` bytes at `offset`; `None` where the file is shorter.
fn bytes(file: &File, offset: u64, length: u64) -> Option<Vec<u8>> {
    // Not more than the file has: a size in a header may be a lie.
    let there = file.metadata().ok()?.len().checked_sub(offset)?;
    if length > there {
        return None;
    }
    let mut buffer = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut buffer, offset).ok()?;
    Some(buffer)
}

/// A little-endian number of `width` bytes.
fn word(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at + width)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn headers_that_lie_are_no_harm() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..300 {
            // Only the header and the section table decide; the rest is not needed.
            let mut copy = own[..4096.min(own.len())].to_vec();
            for _ in 0..1 + round % 8 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = 4 + usize::try_from(state % 60).unwrap();
                copy[at] = state.to_le_bytes()[7];
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&copy).unwrap();
            if let Some(elf) = Elf::read(&file) {
                let _ = elf.content(&file, ".dynstr");
            }
        }
    }

    #[test]
    fn our_own_sections() {
        let file = File::open("/proc/self/exe").unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.has_section(".text"));
        assert!(!elf.has_section(".go.buildinfo"));
        let names = elf.content(&file, ".dynstr").unwrap();
        assert!(memchr::memmem::find(&names, b"\0write\0").is_some());
    }
}
