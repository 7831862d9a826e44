//! Files below the host's root, which may be mounted elsewhere.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags};
use serde::de::DeserializeOwned;

use crate::proc::bounds;

pub(crate) struct Root(OwnedFd);

impl From<File> for Root {
    /// A directory that is open already: the root of a process.
    fn from(directory: File) -> Self {
        Self(directory.into())
    }
}

impl Root {
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok().map(Self)
    }

    /// The beginning of a regular file. What the kernel makes when it is read is as long as nothing,
    /// and to read it may take it away (`/proc/kmsg`): that is no file of text.
    pub(crate) fn text(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let file = File::from(self.at(path, OFlags::empty())?);
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return None;
        }
        let mut text = Vec::new();
        file.take(most).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// Symbolic links (`/var/lib/docker` is often one) lead to where they lead on the host, and
    /// never out of it.
    fn at(&self, path: &str, flags: OFlags) -> Option<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), within) {
            // Before Linux 5.6.
            Err(rustix::io::Errno::NOSYS) => {
                rustix::fs::openat(&self.0, path, flags, Mode::empty()).ok()
            }
            opened => opened.ok(),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let file = File::from(self.at(path, OFlags::empty())?);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        // What is not asked for passes by without being held.
        let text = BufReader::new(file.take(bounds::RUNTIME_FILE));
        serde_json::from_reader(text).ok()
    }

    /// Names in a directory, at most so many.
    pub(crate) fn entries(&self, path: &str, most: usize) -> Vec<String> {
        let names = RefCell::new(Vec::new());
        self.find(path, |name| {
            let mut names = names.borrow_mut();
            if !name.starts_with('.') {
                names.push(name.to_owned());
            }
            (names.len() >= most).then_some(())
        });
        names.into_inner()
    }

    /// The first that `wanted` says of an entry of a directory.
    pub(crate) fn find<T>(&self, path: &str, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let dir = self.at(path, OFlags::DIRECTORY)?;
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 4096];
        let mut entries = RawDir::new(&dir, &mut buffer);
        while let Some(Ok(entry)) = entries.next() {
            if let Some(found) = entry.file_name().to_str().ok().and_then(&wanted) {
                return Some(found);
            }
        }
        None
    }
}
