//! Lines on a disk that may be full.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, Mode, fallocate, fdatasync};
use rustix::io::Errno;

use super::fit::{LINE, fit};
use crate::agent::folder::Folder;

/// The file is set aside at this size, and this many of the old ones are kept.
const LARGEST: u64 = 10 << 20;
const KEPT: u32 = 5;
/// Of a file that somebody else has made large only the end is read.
const MOST_READ: u64 = 2 * LARGEST;
/// Former versions wrote lines of up to 602 kB; what is longer is no line of ours.
const LONGEST_READ: u64 = 1 << 20;
/// Readable by the group, as logs are; command lines may hold secrets.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

/// The log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full.
    #[error("{}: no room for the record of an action, so none is taken", .0.display())]
    Full(PathBuf),
    /// Another agent, with another state directory, writes the same one.
    #[error("{}: another agent writes this log", .0.display())]
    Shared(PathBuf),
    /// Another error.
    #[error("{}: {}", path.display(), sexton_core::text::os(cause))]
    Io { path: PathBuf, cause: io::Error },
}

/// A file that is only appended to.
pub struct File {
    path: PathBuf,
    folder: Folder,
    name: OsString,
    file: fs::File,
    largest: u64,
    /// The last write may have left a part of a line.
    torn: bool,
}

impl File {
    /// Opens or makes it.
    ///
    /// # Errors
    /// It cannot be opened or made, or others than the agent may write it ([`Folder`]).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |cause| error(path, cause);
        let (folder, name) = Folder::of(path).map_err(failed)?;
        Ok(Self {
            file: folder.file(&name, MODE).map_err(failed)?,
            path: path.to_owned(),
            folder,
            name,
            largest: LARGEST,
            torn: false,
        })
    }

    #[cfg(test)]
    pub(super) fn with_largest(mut self, largest: u64) -> Self {
        self.largest = largest;
        self
    }

    #[cfg(test)]
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// Gives all lines of the file before this one and of this one, one after another. A last line
    /// without its end was torn by a crash; it is ended, so that what follows stands by itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_back(&mut self, mut line: impl FnMut(&[u8])) -> Result<(), Error> {
        let before = self.numbered(1);
        let there = self.folder.stat(&before);
        if there.map_err(|cause| self.error(cause))?.is_some() {
            let before = self.folder.file(&before, MODE);
            before
                .and_then(|file| lines(&file, &mut line))
                .map_err(|cause| self.error(cause))?;
        }
        lines(&self.file, &mut line).map_err(|cause| self.error(cause))?;
        let mut last = [b'\n'];
        let size = self.size()?;
        let read = self.file.read_at(&mut last, size.saturating_sub(1));
        read.map_err(|cause| self.error(cause))?;
        if last != [b'\n'] {
            self.file
                .write_all(b"\n")
                .map_err(|cause| self.error(cause))?;
        }
        Ok(())
    }

    /// Appends one line of at most [`LINE`] bytes; with `sync` it is on the disk afterwards.
    ///
    /// # Errors
    /// It is not.
    pub fn append(&mut self, line: &impl serde::Serialize, sync: bool) -> Result<(), Error> {
        let mut bytes = fit(line).map_err(|cause| self.error(cause))?;
        if self.torn {
            // What a full disk cut off must not swallow the line that is written anew.
            bytes.insert(0, b'\n');
        }
        // One write a line: a reader never sees half of one, short of a crash.
        self.torn = true;
        self.file
            .write_all(&bytes)
            .map_err(|cause| self.error(cause))?;
        self.torn = false;
        if sync {
            fdatasync(self.file.as_fd()).map_err(|cause| self.error(cause.into()))?;
        }
        Ok(())
    }

    /// Makes sure that so many lines have room, however long they are, without making the file
    /// longer.
    ///
    /// # Errors
    /// [`Error::Full`] where there is none.
    pub fn set_room_aside(&mut self, lines: u64) -> Result<(), Error> {
        // Each may have to end a torn one before it.
        let room = lines.saturating_mul(LINE as u64 + 1);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.size()?, room) {
            // Some file systems cannot; a full disk then shows at the intent.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.error(errno.into())),
        }
    }

    /// Puts the file aside where it has grown large, and drops the oldest of those kept. True if
    /// a new one was begun.
    ///
    /// # Errors
    /// The new one cannot be made; the old one is still in use then.
    pub fn rotate_when_large(&mut self) -> Result<bool, Error> {
        if self.size()? < self.largest {
            return Ok(false);
        }
        self.rotate().map_err(|cause| self.error(cause))?;
        Ok(true)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            let (from, to) = (self.numbered(number), self.numbered(number + 1));
            self.folder.rename(&from, &to)?;
        }
        self.folder.rename(&self.name, &self.numbered(1))?;
        self.file = self.folder.file(&self.name, MODE)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> OsString {
        let mut name = self.name.clone();
        name.push(OsStr::new(&format!(".{number}")));
        name
    }

    fn size(&self) -> Result<u64, Error> {
        let meta = self.file.metadata().map_err(|cause| self.error(cause))?;
        Ok(meta.len())
    }

    fn error(&self, cause: io::Error) -> Error {
        error(&self.path, cause)
    }
}

/// The lines of a file, one at a time in memory.
fn lines(mut file: &fs::File, line: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let from = file.metadata()?.len().saturating_sub(MOST_READ);
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let mut bytes = vec![];
    loop {
        bytes.clear();
        if (&mut reader)
            .take(LONGEST_READ)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            return Ok(());
        }
        let bytes = bytes.trim_ascii_end();
        if !bytes.is_empty() {
            line(bytes);
        }
    }
}

fn error(path: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(path.to_owned()),
        _ => Error::Io {
            path: path.to_owned(),
            cause,
        },
    }
}
