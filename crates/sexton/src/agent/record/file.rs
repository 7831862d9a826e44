//! Lines on a disk that may be full.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::Errno;

/// The file is set aside at this size, and this many of the old ones are kept.
const LARGEST: u64 = 10 << 20;
const KEPT: u32 = 4;
/// Room for an intent and its outcome, whose command lines the kernel bounds at 4 KiB each.
const ROOM: u64 = 64 << 10;

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
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// A file that is only appended to.
pub struct File {
    path: PathBuf,
    file: fs::File,
    largest: u64,
    /// The last write may have left a part of a line.
    torn: bool,
}

impl File {
    /// Opens or makes it.
    ///
    /// # Errors
    /// It cannot be opened or made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = Self {
            file: open(path).map_err(|cause| error(path, cause))?,
            path: path.to_owned(),
            largest: LARGEST,
            torn: false,
        };
        Ok(opened)
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

    /// All lines of the file before this one and of this one. A last line without its end was
    /// torn by a crash; it is ended, so that what follows stands by itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_back(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        let mut bytes = match fs::read(numbered(&self.path, 1)) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => vec![],
            Err(cause) => return Err(self.error(cause)),
        };
        let mut current = vec![];
        open(&self.path)
            .and_then(|mut file| file.read_to_end(&mut current))
            .map_err(|cause| self.error(cause))?;
        if current.last().is_some_and(|&last| last != b'\n') {
            self.file
                .write_all(b"\n")
                .map_err(|cause| self.error(cause))?;
        }
        bytes.extend(current);
        Ok(bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect())
    }

    /// Appends one line; with `sync` it is on the disk afterwards.
    ///
    /// # Errors
    /// It is not.
    pub fn append(&mut self, line: &impl serde::Serialize, sync: bool) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(line).map_err(|cause| self.error(cause.into()))?;
        bytes.push(b'\n');
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

    /// Makes sure that an intent and its outcome have room, without making the file longer.
    ///
    /// # Errors
    /// [`Error::Full`] where there is none.
    pub fn set_room_aside(&mut self) -> Result<(), Error> {
        let end = self.size()?;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, end, ROOM) {
            // Some file systems cannot; a full disk then shows at the intent.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.error(errno.into())),
        }
    }

    /// Puts the file aside where it has grown large, and drops the oldest of those kept.
    ///
    /// # Errors
    /// The new one cannot be made; the old one is still in use then.
    pub fn rotate_when_large(&mut self) -> Result<(), Error> {
        if self.size()? < self.largest {
            return Ok(());
        }
        for number in (1..KEPT).rev() {
            rename(
                &numbered(&self.path, number),
                &numbered(&self.path, number + 1),
            )
            .map_err(|cause| self.error(cause))?;
        }
        rename(&self.path, &numbered(&self.path, 1)).map_err(|cause| self.error(cause))?;
        self.file = open(&self.path).map_err(|cause| self.error(cause))?;
        Ok(())
    }

    fn size(&self) -> Result<u64, Error> {
        let meta = self.file.metadata().map_err(|cause| self.error(cause))?;
        Ok(meta.len())
    }

    fn error(&self, cause: io::Error) -> Error {
        error(&self.path, cause)
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

/// Readable by the group, as logs are; command lines may hold secrets.
fn open(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o640)
        .open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
