//! State that runtimes keep in files.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use serde::de::DeserializeOwned;

use crate::Error;

/// No file of interest is nearly as large.
const LARGEST: u64 = 16 << 20;

/// Where a path of the host lies for this process, which may see the host's root elsewhere;
/// `None` where there is nothing.
///
/// Symbolic links (`/var/lib/docker` is often one, `/var/run` always) lead to where they lead
/// on the host.
pub(crate) fn below(host: &Path, path: &str) -> Option<PathBuf> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, host, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), within) {
        Ok(found) => fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).ok(),
        // Before Linux 5.6.
        Err(rustix::io::Errno::NOSYS) => {
            let path = host.join(path.trim_start_matches('/'));
            path.exists().then_some(path)
        }
        Err(_) => None,
    }
}

/// A file of JSON; `None` where there is none.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
    }
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| Error::Malformed {
        path: path.to_owned(),
        what: error.to_string(),
    })
}

/// The first page of a file, which is all of a small one.
pub(crate) fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Names in a directory; none where there is no directory.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, Error> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(dir, error)),
    }
}

/// 64 hexadecimal digits, as all these runtimes give. Anything else would be a beginning that
/// may stand for several, a name, or a path.
pub(crate) fn is_whole_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The process is there, and no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = beginning(Path::new(&format!("/proc/{pid}/stat"))).unwrap_or_default();
    // `PID (NAME) STATE`; the name may hold anything.
    let end = stat.iter().rposition(|&byte| byte == b')');
    let state = end.and_then(|end| stat.get(end + 2));
    state.is_some_and(|state| !b"ZX".contains(state))
}
