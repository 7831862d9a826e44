//! Which file an address of a process belongs to.

use std::ops::ControlFlow;

use sexton_scan::proc::Process;

use crate::Error;

/// Most mappings of code that are looked at.
const MOST: usize = 8192;

/// A part of a file that is mapped as code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    /// Device and inode: the same file has them wherever it is mapped.
    pub(crate) file: (String, String),
    pub(crate) path: String,
}

impl Mapping {
    /// Its name in `/proc/PID`: what opens it is the file itself, also one that was removed.
    pub(crate) fn link(&self) -> String {
        format!("map_files/{:x}-{:x}", self.start, self.end)
    }

    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        if address >= self.end {
            return None;
        }
        address.checked_sub(self.start)?.checked_add(self.offset)
    }
}

pub(crate) fn read(process: &Process) -> Result<Vec<Mapping>, Error> {
    let mut found = Vec::new();
    let read = process.for_each_line("maps", |line| {
        found.extend(parse(&String::from_utf8_lossy(line)));
        if found.len() < MOST {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    read.ok_or(Error::Gone(process.pid()))?;
    Ok(found)
}

fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.trim_end().splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let (offset, device, inode) = (fields.next()?, fields.next()?, fields.next()?);
    let path = fields.next()?.trim_start();
    if !permissions.contains('x') || !path.starts_with('/') {
        return None;
    }
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        file: (device.to_owned(), inode.to_owned()),
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files() {
        let code = parse("00400000-00500000 r-xp 00001000 fe:00 42       /opt/a b\n").unwrap();
        assert_eq!(
            (code.path.as_str(), code.link().as_str()),
            ("/opt/a b", "map_files/400000-500000")
        );
        assert_eq!(code.offset_of(0x40_0010), Some(0x1010));
        assert_eq!(code.offset_of(0x50_0000), None);
        assert_eq!(
            parse("00400000-00500000 rw-p 00000000 fe:00 42 /opt/a"),
            None
        );
        assert_eq!(
            parse("7fff0000-7fff1000 r-xp 00000000 00:00 0 [vdso]"),
            None
        );
    }
}
