//! As much of ELF as it takes to tell what made a program: names of sections, and notes.
//!
//! The file is the container's and may be anything, so every size is bounded and every offset
//! checked by the read itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use crate::proc::bounds;

/// The parts of an ELF file's header and section table that are of use.
#[derive(Debug)]
pub(super) struct Elf {
    /// The program's words are 64 bits long.
    pub(super) is_64_bit: bool,
    sections: Vec<Section>,
    /// Their names, each ended by NUL.
    names: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    /// Where its name begins.
    name: u64,
    offset: u64,
    size: u64,
}

/// Where the fields of the header and of a section's header stand, by the width of a word.
struct Layout {
    word: usize,
    table: usize,
    entry_size: usize,
    section_offset: usize,
    section_size: usize,
    /// Bytes of a section's header.
    section: u64,
}

const LAYOUT_64: Layout = Layout {
    word: 8,
    table: 40,
    entry_size: 58,
    section_offset: 24,
    section_size: 32,
    section: 64,
};
const LAYOUT_32: Layout = Layout {
    word: 4,
    table: 32,
    entry_size: 46,
    section_offset: 16,
    section_size: 20,
    section: 40,
};

impl Elf {
    /// Reads the headers; `None` if it is no little-endian ELF file, as x86-64 and aarch64
    /// programs are.
    pub(super) fn read(file: &File) -> Option<Self> {
        let header = bytes(file, 0, 64)?;
        if !header.starts_with(b"\x7fELF") || header.get(5) != Some(&1) {
            return None;
        }
        let is_64_bit = header.get(4) == Some(&2);
        // A program may have had its section table removed; it is an ELF file all the same.
        let (sections, names) = sections(file, &header, is_64_bit).unwrap_or_default();
        Some(Self {
            is_64_bit,
            sections,
            names,
        })
    }

    /// The file has a section of that name.
    pub(super) fn has_section(&self, name: &str) -> bool {
        self.section(name).is_some()
    }

    /// Which of `wanted` stands in a section: the first of them, wherever it stands. The
    /// section is looked through in pieces, as much of it as is ever searched.
    pub(super) fn search(&self, file: &File, name: &str, wanted: &[String]) -> Option<usize> {
        let section = self.section(name)?;
        let longest = wanted.iter().map(String::len).max()?;
        let end = section
            .offset
            .checked_add(section.size.min(bounds::ELF_SEARCHED))?;
        let mut at = section.offset;
        let mut window = Vec::with_capacity(PIECE.saturating_add(longest));
        let mut found = wanted.len();
        while at < end && found > 0 {
            // What a piece cuts in two begins in the end of the one before.
            let kept = window.len().saturating_sub(longest);
            window.drain(..kept);
            let length = end.saturating_sub(at).min(PIECE as u64);
            window.extend(bytes(file, at, length)?);
            at = at.checked_add(length)?;
            // Only one that goes before what was found already is of interest.
            let hit = (wanted.iter().take(found))
                .position(|text| memmem::find(&window, text.as_bytes()).is_some());
            found = hit.unwrap_or(found);
        }
        (found < wanted.len()).then_some(found)
    }

    /// A whole section, if it is a small one.
    pub(super) fn small_section(&self, file: &File, name: &str) -> Option<Vec<u8>> {
        let section = self.section(name)?;
        let fits = section.size <= bounds::ELF_NAMES;
        fits.then(|| bytes(file, section.offset, section.size))?
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| {
            let start = usize::try_from(section.name).ok();
            let rest = start.and_then(|start| self.names.get(start..));
            let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        })
    }
}

/// Bytes of a section that are held at a time.
const PIECE: usize = 64 << 10;

/// The section table, and the names in it.
fn sections(file: &File, header: &[u8], is_64_bit: bool) -> Option<(Vec<Section>, Vec<u8>)> {
    let layout = if is_64_bit { LAYOUT_64 } else { LAYOUT_32 };
    let half_word = |index: usize| {
        let at = layout.entry_size.checked_add(index.checked_mul(2)?)?;
        word(header, at, 2)
    };
    let table = word(header, layout.table, layout.word)?;
    let (entry_size, count, names_index) = (half_word(0)?, half_word(1)?, half_word(2)?);
    // Every linker writes headers of the very size; a larger one may be a lie.
    if table == 0 || count > bounds::ELF_SECTIONS || entry_size != layout.section {
        return None;
    }
    let entries = bytes(file, table, count.checked_mul(entry_size)?)?;
    let sections: Vec<Section> = entries
        .chunks_exact(usize::try_from(entry_size).ok()?)
        .filter_map(|entry| {
            Some(Section {
                name: word(entry, 0, 4)?,
                offset: word(entry, layout.section_offset, layout.word)?,
                size: word(entry, layout.section_size, layout.word)?,
            })
        })
        .collect();
    let names = sections.get(usize::try_from(names_index).ok()?)?;
    let names = bytes(file, names.offset, names.size.min(bounds::ELF_NAMES))?;
    Some((sections, names))
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
    let field = bytes.get(at..at.checked_add(width)?)?;
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
                let _ = elf.search(&file, ".dynstr", &["\0write\0".to_owned()]);
            }
        }
    }

    #[test]
    fn our_own_sections() {
        let file = File::open("/proc/self/exe").unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.has_section(".text"));
        assert!(!elf.has_section(".go.buildinfo"));
        let wanted = ["\0no such function\0", "\0write\0", "\0read\0"].map(str::to_owned);
        assert_eq!(elf.search(&file, ".dynstr", &wanted), Some(1));
        assert_eq!(elf.search(&file, ".dynstr", &wanted[..1]), None);
    }

    /// A file of one section beside that of the names: `.comment`, with `content`.
    fn with_comment(content: &[u8]) -> File {
        let names = b"\0.comment\0.shstrtab\0";
        let comment = 256_u64;
        let mut file = vec![0; 64 + 3 * 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40..48].copy_from_slice(&64_u64.to_le_bytes());
        for (at, value) in [(58, 64_u16), (60, 3), (62, 2)] {
            file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let mut section = |index: usize, name: u32, offset: u64, size: usize| {
            let at = 64 + index * 64;
            file[at..at + 4].copy_from_slice(&name.to_le_bytes());
            file[at + 24..at + 32].copy_from_slice(&offset.to_le_bytes());
            file[at + 32..at + 40].copy_from_slice(&(size as u64).to_le_bytes());
        };
        section(1, 1, comment + names.len() as u64, content.len());
        section(2, 10, comment, names.len());
        file.extend(names);
        file.extend(content);
        let mut made = tempfile::tempfile().unwrap();
        made.write_all(&file).unwrap();
        made
    }

    #[test]
    fn what_two_pieces_share_is_found() {
        let wanted = ["first".to_owned(), "second".to_owned()];
        for at in [0, 1, PIECE - 3, PIECE, PIECE + 7, 3 * PIECE - 1] {
            let mut content = vec![b'.'; 4 * PIECE];
            content[at..at + 6].copy_from_slice(b"second");
            let file = with_comment(&content);
            let elf = Elf::read(&file).unwrap();
            assert_eq!(elf.search(&file, ".comment", &wanted), Some(1), "{at}");
            // The order of what is wanted decides, not that of the file.
            content[3 * PIECE + 100..][..5].copy_from_slice(b"first");
            let file = with_comment(&content);
            assert_eq!(elf.search(&file, ".comment", &wanted), Some(0), "{at}");
        }
    }

    #[test]
    fn a_section_table_that_takes_much_is_not_read() {
        let mut file = with_comment(b"x");
        assert!(Elf::read(&file).unwrap().has_section(".comment"));
        file.write_all_at(&65_535_u16.to_le_bytes(), 58).unwrap();
        file.write_all_at(&4_096_u16.to_le_bytes(), 60).unwrap();
        file.set_len(1 << 30).unwrap();
        file.flush().unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.is_64_bit && elf.sections.is_empty());
    }
}
