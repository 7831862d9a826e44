//! The place for the code: the unused tail of the `[vdso]` mapping.
//!
//! The kernel maps its own little library, the vdso (`vdso(7)`), into every program. It ends
//! somewhere in its last page; what follows is zero and nothing refers to it. A debugger may
//! write there, and the page then becomes private to that process. So nothing has to be
//! allocated in the target, and a write that is never used harms nobody.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::Refusal;
use crate::mapping::Mapping;

/// The `[vdso]` mapping is a few pages; anything above this is none.
const LARGEST_VDSO: u64 = 1 << 20;

/// What stands before the code: a mark by which a later visit recognises the tail as ours, and
/// enough about the borrowed thread to know whether it may still be in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The borrowed thread, by its id in its own PID namespace.
    pub(crate) thread: u32,
    /// Tells one visit from another.
    pub(crate) visit: u32,
    /// Stack pointer at which the thread was stopped.
    pub(crate) sp: u64,
}

impl Header {
    const MARK: [u8; 8] = *b"SEXTON\x01\n";
    /// Offset of the eight bytes that hold [`Self::thread`] and [`Self::visit`].
    pub(crate) const VISIT: usize = 8;
    /// Offset of the address at which the program goes on.
    pub(crate) const RETURN_TO: usize = 24;
    /// Offset of the address of its `syscall` instruction.
    pub(crate) const RESTART_AT: usize = 32;
    /// Length in bytes.
    pub(crate) const SIZE: usize = 40;

    pub(crate) fn to_bytes(self, restart_at: u64, return_to: u64) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&Self::MARK);
        bytes[8..16].copy_from_slice(&self.visit_word().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sp.to_le_bytes());
        bytes[24..32].copy_from_slice(&return_to.to_le_bytes());
        bytes[32..40].copy_from_slice(&restart_at.to_le_bytes());
        bytes
    }

    /// The word at [`Self::VISIT`].
    pub(crate) fn visit_word(self) -> u64 {
        u64::from(self.thread) | u64::from(self.visit) << 32
    }
}

/// A thread that was sent into the tail and has not been seen outside it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Its id in its own PID namespace.
    pub(crate) thread: u32,
    /// Where it goes on when it is done.
    pub(crate) pc: u64,
    /// Its stack pointer then.
    pub(crate) sp: u64,
}

/// The tail of one process's vdso.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Address of its first byte, a multiple of 16.
    pub(crate) base: u64,
    /// Its length in bytes.
    pub(crate) room: usize,
    /// Where the image begins, with [`Self::MAGIC`].
    pub(crate) image: u64,
}

impl Tail {
    /// First bytes of the image (`elf(5)`).
    pub(crate) const MAGIC: [u8; 4] = *b"\x7fELF";

    /// Finds the tail, and the thread that an earlier visit sent there, if one did.
    ///
    /// `memory` is `/proc/PID/mem`, which shows what the program itself may not read, too.
    pub(crate) fn find(vdso: Vdso, memory: &File) -> Result<(Self, Option<Guest>), Unusable> {
        vdso.may_be_run()?;
        let Vdso { start, end, .. } = vdso;
        let length = end.checked_sub(start).filter(|it| *it <= LARGEST_VDSO);
        let length = length.and_then(|it| usize::try_from(it).ok());
        let mut image = vec![0; length.ok_or(Refusal::NoVdso)?];
        memory.read_exact_at(&mut image, start)?;
        let used = image_length(&image)?;
        let rest = image.get(used..).unwrap_or_default();
        let tail = Self {
            base: start.checked_add(used as u64).ok_or(Refusal::NoVdso)?,
            room: rest.len(),
            image: start,
        };
        if tail.capacity() == 0 {
            return Err(Refusal::NoRoom { bytes: tail.room }.into());
        }
        if rest.starts_with(&Header::MARK) {
            let guest = Guest {
                thread: u32_at(rest, 8).unwrap_or(0),
                sp: u64_at(rest, 16).unwrap_or(0),
                pc: u64_at(rest, Header::RETURN_TO).unwrap_or(0),
            };
            return Ok((tail, Some(guest)));
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Refusal::TailTaken.into());
        }
        Ok((tail, None))
    }

    /// How many pids, of four bytes each, fit into one visit.
    pub(crate) fn capacity(self) -> usize {
        self.room
            .saturating_sub(crate::borrow::arch::MAX_CODE)
            .div_euclid(4)
    }

    /// Whether `pc` lies in the tail.
    pub(crate) fn contains(self, pc: u64) -> bool {
        (self.base..self.base.saturating_add(self.room as u64)).contains(&pc)
    }
}

/// Why a tail cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Refused(Refusal),
    Unread(io::Error),
}

impl From<Refusal> for Unusable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

/// The `[vdso]` mapping, as `/proc/PID/maps` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vdso {
    start: u64,
    end: u64,
    /// `r-xp`; where parts have different rights, those of the first part that lacks one.
    rights: [u8; 4],
}

impl Vdso {
    /// The mapping that a line of `maps` is for, if that is one. Only the kernel's own mappings
    /// have a name without a path and no inode; a file may have any name.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        if !line.ends_with(b" [vdso]") {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?.as_bytes().try_into().ok()?;
        if !fields.skip(1).eq(["00:00", "0", "[vdso]"]) {
            return None;
        }
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        (start < end).then_some(Self { start, end, rights })
    }

    /// The same of one mapping, if it is the vdso.
    pub(crate) fn from(mapping: Mapping) -> Option<Self> {
        let Mapping {
            start,
            end,
            rights,
            name,
        } = mapping;
        (name == *b"[vdso]\0\0").then_some(Self { start, end, rights })
    }

    pub(crate) fn start(self) -> u64 {
        self.start
    }

    /// With the part that follows it: `mprotect(2)` of some of its pages makes two lines of it.
    pub(crate) fn and(self, next: Self) -> Self {
        if next.start != self.end {
            return self;
        }
        Self {
            end: next.end,
            rights: if self.may_be_run().is_ok() {
                next.rights
            } else {
                self.rights
            },
            ..self
        }
    }

    /// Whether the program may execute code there, and read its constants.
    pub(crate) fn may_be_run(self) -> Result<(), Refusal> {
        match self.rights {
            [b'r', _, b'x', _] => Ok(()),
            rights => Err(Refusal::VdsoRights {
                rights: rights.escape_ascii().to_string(),
            }),
        }
    }
}

/// Where the vdso's ELF image ends, rounded up to 16: past its last segment, its last section
/// and its tables (`elf(5)`).
fn image_length(image: &[u8]) -> Result<usize, Refusal> {
    const CLASS_64: u8 = 2;
    const NOBITS: u32 = 8;
    if !image.starts_with(&Tail::MAGIC) {
        return Err(Refusal::NoVdso);
    }
    if image.get(4) != Some(&CLASS_64) {
        return Err(Refusal::Not64Bit);
    }
    let read = || -> Option<u64> {
        let (segments, segment_size, segment_count) =
            (u64_at(image, 32)?, u16_at(image, 54)?, u16_at(image, 56)?);
        let (sections, section_size, section_count) =
            (u64_at(image, 40)?, u16_at(image, 58)?, u16_at(image, 60)?);
        let table_end = |start: u64, size: u16, count: u16| {
            start.checked_add(u64::from(size).checked_mul(u64::from(count))?)
        };
        let entry = |start: u64, size: u16, i: u64| {
            usize::try_from(start.checked_add(i.checked_mul(u64::from(size))?)?).ok()
        };
        let field = |at: usize, offset: usize| u64_at(image, at.checked_add(offset)?);
        let mut end = table_end(segments, segment_size, segment_count)?.max(table_end(
            sections,
            section_size,
            section_count,
        )?);
        for i in 0..u64::from(segment_count) {
            let at = entry(segments, segment_size, i)?;
            let (offset, size) = (field(at, 8)?, field(at, 32)?);
            end = end.max(offset.checked_add(size)?);
        }
        for i in 0..u64::from(section_count) {
            let at = entry(sections, section_size, i)?;
            if u32_at(image, at.checked_add(4)?)? != NOBITS {
                let (offset, size) = (field(at, 24)?, field(at, 32)?);
                end = end.max(offset.checked_add(size)?);
            }
        }
        end.checked_next_multiple_of(16)
    };
    // Headers that lie outside the mapping leave no way to know what is free.
    read()
        .and_then(|end| usize::try_from(end).ok())
        .filter(|end| *end <= image.len())
        .ok_or(Refusal::NoRoom { bytes: 0 })
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
