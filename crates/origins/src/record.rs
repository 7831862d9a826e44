//! Records of perf's ring.

const LOST: u32 = 2;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;
/// From here on down numbers in a call chain are marks and no addresses.
const MARKS: u64 = u64::MAX - 4094;
/// Most frames of a chain; the kernel's own limit is 127 as a rule.
const FRAMES: usize = 512;
/// Registers in a sample: those that `perf` asks for.
const REGISTERS: usize = 17;

/// What the kernel recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A thread or a process came to be.
    Fork {
        time: u64,
        parent_thread: u32,
        child: u32,
        is_thread: bool,
    },
    /// Where the thread was that started it.
    Sample {
        time: u64,
        thread: u32,
        addresses: Vec<u64>,
        stack: Option<Stack>,
    },
    /// So many records did not fit.
    Lost(u64),
}

/// What unwinding begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// AX, BX, CX, DX, SI, DI, BP, SP, IP, R8 to R15.
    pub(crate) registers: Vec<u64>,
    /// From the stack pointer upwards.
    pub(crate) bytes: Vec<u8>,
}

impl Record {
    pub(crate) fn time(&self) -> u64 {
        match self {
            Self::Fork { time, .. } | Self::Sample { time, .. } => *time,
            Self::Lost(_) => 0,
        }
    }
}

/// All whole records in these bytes.
pub(crate) fn parse(mut bytes: &[u8], into: &mut Vec<Record>) {
    while let (Some(kind), Some(size)) = (u32_at(bytes, 0), u16_at(bytes, 6)) {
        let size = usize::from(size);
        if size < 8 {
            return;
        }
        let Some((record, rest)) = bytes.split_at_checked(size) else {
            return;
        };
        into.extend(one(kind, record));
        bytes = rest;
    }
}

fn one(kind: u32, record: &[u8]) -> Option<Record> {
    match kind {
        LOST => Some(Record::Lost(u64_at(record, 16)?)),
        FORK => {
            let (process, parent) = (u32_at(record, 8)?, u32_at(record, 12)?);
            Some(Record::Fork {
                child: u32_at(record, 16)?,
                parent_thread: u32_at(record, 20)?,
                time: u64_at(record, 24)?,
                is_thread: process == parent,
            })
        }
        SAMPLE => {
            let whole = usize::try_from(u64_at(record, 24)?).ok()?;
            let count = whole.min(FRAMES);
            let chain = record.get(32..)?.chunks_exact(8).take(count);
            let addresses = chain
                .filter_map(|word| u64_at(word, 0))
                .filter(|a| *a < MARKS);
            Some(Record::Sample {
                thread: u32_at(record, 12)?,
                time: u64_at(record, 16)?,
                addresses: addresses.collect(),
                stack: whole
                    .checked_mul(8)
                    .and_then(|size| stack(record.get(32..)?.get(size..)?)),
            })
        }
        _ => None,
    }
}

/// What follows the chain of a sample, where it was asked for and the thread has such a thing.
fn stack(rest: &[u8]) -> Option<Stack> {
    let (abi, rest) = rest.split_at_checked(8)?;
    // Of a thread with 32-bit registers nothing is understood.
    (u64_at(abi, 0)? == 2).then_some(())?;
    let (registers, rest) = rest.split_at_checked(REGISTERS.checked_mul(8)?)?;
    let size = usize::try_from(u64_at(rest, 0)?).ok()?;
    let (bytes, rest) = rest.get(8..)?.split_at_checked(size)?;
    let filled = usize::try_from(u64_at(rest, 0)?).ok()?;
    Some(Stack {
        registers: registers
            .chunks_exact(8)
            .filter_map(|word| u64_at(word, 0))
            .collect(),
        bytes: bytes.get(..filled)?.to_vec(),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            parse(&bytes, &mut Vec::new());
        }
    }
}
