//! One agent acts on a node; a second one only looks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The right to act on this node, as a lock on a file. The kernel takes it back when the agent
/// ends, however it ends.
pub struct Lock {
    path: PathBuf,
    file: File,
    held: bool,
}

impl Lock {
    /// Opens the file; the lock is not taken yet.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: open(path)?,
            held: false,
        })
    }

    /// Whether we may act; tries again where another agent held the lock.
    ///
    /// # Errors
    /// The file system does not lock.
    pub fn try_take(&mut self) -> io::Result<bool> {
        if !self.held {
            self.held = match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => true,
                Err(Errno::WOULDBLOCK) => false,
                Err(errno) => return Err(errno.into()),
            };
            if self.held {
                // Whoever has cleaned /run made the name free for another file.
                let same = fs::metadata(&self.path).is_ok_and(|there| {
                    use std::os::unix::fs::MetadataExt;
                    self.file
                        .metadata()
                        .is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
                });
                if !same {
                    self.file = open(&self.path)?;
                    self.held = false;
                    return self.try_take();
                }
            }
        }
        Ok(self.held)
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
