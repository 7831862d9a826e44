//! The one place where files of others are opened and read.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::bounds;

/// Opens a file for reading. Nothing of the reader's is given away: what was opened may be a
/// terminal, or a FIFO that nobody writes to.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_as(
        dir,
        path,
        OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK,
    )
}

/// Opens a directory for listing.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_as(dir, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Holds a directory, to open what is below it.
pub(crate) fn hold(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_as(dir, path, OFlags::PATH | OFlags::DIRECTORY)
}

fn open_as(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(test)]
    super::fault::on_open(dir, path)?;
    rustix::fs::openat(dir, path, flags | OFlags::CLOEXEC, Mode::empty())
}

/// Where a symbolic link leads.
pub(crate) fn link(dir: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
    #[cfg(test)]
    super::fault::on_open(dir, path)?;
    Ok(rustix::fs::readlinkat(dir, path, Vec::new())?.into_bytes())
}

fn read_into(file: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<usize, Errno> {
    #[cfg(test)]
    super::fault::on_read(file)?;
    rustix::io::retry_on_intr(|| rustix::io::read(file, rustix::buffer::spare_capacity(buffer)))
}

/// When a file is taken to have ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A read gives nothing.
    Nothing,
    /// A read leaves much room: right where the kernel writes the file at once or in short
    /// records (pids), since it gives whole records until a page or the buffer is full. Saves
    /// a call on files that are read by the thousand. If a kernel ever did otherwise, less
    /// would be listed, which makes a scan look closer, never away.
    Short,
}

/// Replaces the content of `buffer` by the first `most` bytes of a file, and keeps its
/// allocation. `false` if the file is longer.
pub(crate) fn read_at(
    dir: BorrowedFd<'_>,
    path: &[u8],
    most: usize,
    end: End,
    buffer: &mut Vec<u8>,
) -> Result<bool, Errno> {
    buffer.clear();
    let file = open(dir, path)?;
    loop {
        if buffer.capacity().saturating_sub(buffer.len()) < 2048 {
            buffer.reserve(4096);
        }
        let room = buffer.capacity().saturating_sub(buffer.len());
        let read = read_into(file.as_fd(), buffer)?;
        if buffer.len() > most {
            buffer.truncate(most);
            return Ok(false);
        }
        if read == 0 || (end == End::Short && read < room.min(4096) / 2) {
            return Ok(true);
        }
    }
}

/// As [`read_at`]; a file that is longer than `most` is an error.
pub(crate) fn read_whole(
    dir: BorrowedFd<'_>,
    path: &[u8],
    most: usize,
    end: End,
    buffer: &mut Vec<u8>,
) -> Result<(), Errno> {
    match read_at(dir, path, most, end, buffer)? {
        true => Ok(()),
        false => Err(Errno::FBIG),
    }
}

/// Calls `each` for every part of a file that `delimiter` ends, without it, until told to stop
/// or the file ends. A part is cut at [`bounds::LINE`]; a file longer than `most` is an error.
///
/// A short read is not the end: the kernel gives whole lines until a page is full, so it stops
/// early before a long one.
pub(crate) fn for_each_part(
    file: BorrowedFd<'_>,
    delimiter: u8,
    most: u64,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let mut piece = Vec::with_capacity(8 << 10);
    // The beginning of a part whose end has not been read yet.
    let mut begun: Vec<u8> = Vec::new();
    let mut total = 0_u64;
    loop {
        piece.clear();
        let read = read_into(file, &mut piece)?;
        if read == 0 {
            if !begun.is_empty() {
                let _ = each(&begun);
            }
            return Ok(());
        }
        total = total.saturating_add(read as u64);
        if total > most {
            return Err(Errno::FBIG);
        }
        for part in piece.split_inclusive(|byte| *byte == delimiter) {
            let (text, whole) = match part.split_last() {
                Some((last, text)) if *last == delimiter => (text, true),
                _ => (part, false),
            };
            if whole && begun.is_empty() {
                if each(text).is_break() {
                    return Ok(());
                }
                continue;
            }
            let room = bounds::LINE.saturating_sub(begun.len());
            begun.extend(text.iter().take(room));
            if whole {
                if each(&begun).is_break() {
                    return Ok(());
                }
                begun.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn lines(content: &[u8], mut stop_at: usize) -> Vec<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut found = Vec::new();
        for_each_part(file.as_fd(), b'\n', 1 << 20, |line| {
            found.push(line.to_vec());
            stop_at = stop_at.saturating_sub(1);
            match stop_at {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        .unwrap();
        found
    }

    #[test]
    fn lines_are_whole_wherever_a_read_ends() {
        let long: Vec<u8> = [b'x'; 9_000].into();
        let content = [&b"a\n\nb\n"[..], &long, b"\nend"].concat();
        let expected = [
            b"a".to_vec(),
            Vec::new(),
            b"b".to_vec(),
            long,
            b"end".to_vec(),
        ];
        assert_eq!(lines(&content, usize::MAX), expected);
        assert_eq!(lines(&content, 3), expected[..3]);
        assert!(lines(b"", usize::MAX).is_empty());
    }

    #[test]
    fn a_line_too_long_is_cut_and_the_next_is_whole() {
        let content = [&[b'x'; 300_000][..], b"\nnext\n"].concat();
        let found = lines(&content, usize::MAX);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], [b'x'; bounds::LINE]);
        assert_eq!(found[1], b"next");
    }

    #[test]
    fn a_file_too_long_is_an_error_or_cut_and_takes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("tib")).unwrap();
        file.set_len(1 << 40).unwrap();
        let held = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        let mut buffer = Vec::new();
        for end in [End::Short, End::Nothing] {
            let whole = read_at(held.as_fd(), b"tib", 10_000, end, &mut buffer).unwrap();
            assert!(!whole);
            assert_eq!(buffer.len(), 10_000);
            assert!(buffer.capacity() < 40_000, "{}", buffer.capacity());
            let read = read_whole(held.as_fd(), b"tib", 10_000, end, &mut buffer);
            assert_eq!(read, Err(Errno::FBIG));
        }
        let file = open(held.as_fd(), b"tib").unwrap();
        let parts = for_each_part(file.as_fd(), b'\n', 1 << 20, |_| ControlFlow::Continue(()));
        assert_eq!(parts, Err(Errno::FBIG));
    }
}
