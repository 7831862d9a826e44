//! A mapped file, read in parts of bounded size.

use std::fs::File;

use object::read::{ReadCache, ReadRef};

/// Most that one table of a program may take: the symbols of the largest browsers fit.
const MOST: u64 = 128 << 20;

/// Refuses what no honest file has: `object` reads tables as long as the file says they are.
pub(crate) struct Bounded(ReadCache<File>);

impl Bounded {
    pub(crate) fn new(file: File) -> Self {
        Self(ReadCache::new(file))
    }
}

impl<'a> ReadRef<'a> for &'a Bounded {
    fn len(self) -> Result<u64, ()> {
        (&self.0).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size > MOST {
            return Err(());
        }
        (&self.0).read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(
        self,
        range: std::ops::Range<u64>,
        delimiter: u8,
    ) -> Result<&'a [u8], ()> {
        (&self.0).read_bytes_at_until(range, delimiter)
    }
}
