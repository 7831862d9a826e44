//! For tests: a kernel that refuses one file.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use rustix::io::Errno;

/// What is refused.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The file, or the directory itself.
    pub(crate) path: PathBuf,
    pub(crate) errno: Errno,
    /// It can be opened, and not be read.
    pub(crate) on_read: bool,
}

thread_local! {
    static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Refuses it to this thread while `work` runs.
pub(crate) fn with<T>(fault: Fault, work: impl FnOnce() -> T) -> T {
    FAULT.set(Some(fault));
    let done = work();
    FAULT.set(None);
    done
}

pub(super) fn on_open(dir: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    use std::os::unix::ffi::OsStrExt;
    raise(false, || {
        opened(dir).join(std::ffi::OsStr::from_bytes(path))
    })
}

pub(super) fn on_read(file: BorrowedFd<'_>) -> Result<(), Errno> {
    raise(true, || opened(file))
}

fn raise(on_read: bool, path: impl FnOnce() -> PathBuf) -> Result<(), Errno> {
    FAULT.with_borrow(|fault| match fault {
        Some(fault) if fault.on_read == on_read && fault.path == path() => Err(fault.errno),
        _ => Ok(()),
    })
}

fn opened(file: BorrowedFd<'_>) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default()
}
