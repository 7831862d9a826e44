//! The one place where files of others are opened and read.

use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::bounds;

/// Opens a file for reading.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(dir, path, flags, Mode::empty())
}

/// Calls `each` for every line, without its newline, until told to stop or the file ends. A
/// line is cut at [`bounds::LINE`].
///
/// A short read is not the end: the kernel gives whole lines until a page is full, so it stops
/// early before a long one.
pub(super) fn for_each_line(
    file: &OwnedFd,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let mut piece = vec![0; 8 << 10];
    // The beginning of a line whose end has not been read yet.
    let mut line: Vec<u8> = Vec::new();
    let mut total = 0_u64;
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut piece[..]))?;
        if read == 0 {
            if !line.is_empty() {
                let _ = each(&line);
            }
            return Ok(());
        }
        total = total.saturating_add(read as u64);
        if total > bounds::LINES {
            return Err(Errno::FBIG);
        }
        for part in piece
            .get(..read)
            .unwrap_or_default()
            .split_inclusive(|byte| *byte == b'\n')
        {
            let (text, whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let flow = if whole && line.is_empty() {
                each(text)
            } else {
                let room = bounds::LINE.saturating_sub(line.len());
                line.extend(text.iter().take(room));
                if !whole {
                    break;
                }
                let flow = each(&line);
                line.clear();
                flow
            };
            if flow.is_break() {
                return Ok(());
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
        for_each_line(&file.into(), |line| {
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
}
