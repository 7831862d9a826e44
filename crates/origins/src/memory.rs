//! The memory of another process, read in small parts. It is not stopped: what is read may be
//! torn, and whoever reads has to make sure that it held still.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use sexton_scan::proc::Process;

/// Most that one read takes.
const MOST: usize = 64 << 10;

pub(crate) struct Memory(File);

impl Memory {
    /// `None` where we may not, or the process has ended.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        Some(Self(process.open_file("mem").ok()??))
    }

    pub(crate) fn array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    pub(crate) fn word(&self, at: u64) -> Option<u64> {
        self.array(at).map(u64::from_ne_bytes)
    }

    pub(crate) fn bytes(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(length).ok().filter(|n| *n <= MOST)?;
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }
}
