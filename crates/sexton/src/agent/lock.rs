//! One agent acts on a node; a second one only looks.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, flock, fstat};
use rustix::io::Errno;

use super::folder::Folder;

/// Whoever may open the file may lock it, to read is enough: so that is our own user alone.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// More than the kernel writes into `/proc/PID/status`.
const STATUS: u64 = 64 << 10;

/// The right to act on this node, as a lock on a file. The kernel takes it back when the agent
/// ends, however it ends.
pub struct Lock {
    folder: Folder,
    name: OsString,
    file: File,
    held: bool,
}

impl Lock {
    /// Opens the file; the lock is not taken yet.
    ///
    /// # Errors
    /// The file cannot be made, or is not safe to rely on ([`Folder`]).
    pub fn open(path: &Path) -> io::Result<Self> {
        let (folder, name) = Folder::of(path)?;
        let (file, _) = folder.file_as_it_is(&name, MODE)?;
        Ok(Self {
            folder,
            name,
            file,
            held: false,
        })
    }

    /// Whether we may act; tries again where another agent held the lock.
    ///
    /// # Errors
    /// The file system does not lock, or the file cannot be made anew.
    pub fn try_take(&mut self) -> io::Result<bool> {
        while !self.held {
            self.replace_what_others_could_open()?;
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => self.held = self.has_its_name()?,
                Err(Errno::WOULDBLOCK) => break,
                Err(errno) => return Err(errno.into()),
            }
            if !self.held {
                // Who has cleaned /run has made the name free for another file.
                (self.file, _) = self.folder.file_as_it_is(&self.name, MODE)?;
            }
        }
        Ok(self.held)
    }

    /// Former versions made the file with mode 0644: who opened it then can hold it for ever, so
    /// a new one takes its place, unless it is an agent of that version that holds it.
    fn replace_what_others_could_open(&mut self) -> io::Result<()> {
        let stat = fstat(&self.file)?;
        let loose = !(Mode::from_raw_mode(stat.st_mode) & !MODE).is_empty();
        if loose && !is_held_by_an_agent(stat.st_ino)? {
            self.folder.remove(&self.name)?;
            (self.file, _) = self.folder.file_as_it_is(&self.name, MODE)?;
        }
        Ok(())
    }

    fn has_its_name(&self) -> io::Result<bool> {
        let ours = fstat(&self.file)?;
        let there = self.folder.stat(&self.name)?;
        Ok(there.is_some_and(|there| (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)))
    }
}

/// Whether a process of our own user and of our name holds a lock on this file. The device is not
/// compared: what the kernel lists is not what stat(2) says on btrfs and overlayfs.
fn is_held_by_an_agent(inode: u64) -> io::Result<bool> {
    let inode = format!(":{inode}");
    // However many locks there are, one line at a time is in memory.
    for line in BufReader::new(File::open("/proc/locks")?).lines() {
        // `1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF`
        let line = line?;
        let mut words = line.split_ascii_whitespace().skip_while(|&w| w != "FLOCK");
        let (pid, file) = (words.nth(3), words.next());
        if file.is_some_and(|file| file.ends_with(&inode))
            && let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok())
            && is_an_agent(pid)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_an_agent(pid: u32) -> bool {
    let status = |pid: &str| {
        let mut text = String::new();
        let file = File::open(format!("/proc/{pid}/status")).ok()?;
        file.take(STATUS).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let field = |status: &str, name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (Some(other), Some(ours)) = (status(&pid.to_string()), status("self")) else {
        return false;
    };
    ["Name:", "Uid:"]
        .iter()
        .all(|name| field(&other, name) == field(&ours, name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn one_at_a_time_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.lock");
        let mut first = Lock::open(&path).unwrap();
        let mut second = Lock::open(&path).unwrap();
        assert!(first.try_take().unwrap() && first.try_take().unwrap());
        assert!(!second.try_take().unwrap());
        drop(first);
        assert!(second.try_take().unwrap());
    }

    #[test]
    fn a_file_that_was_removed_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.lock");
        let mut lock = Lock::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(lock.try_take().unwrap());
        assert!(path.exists());
    }

    /// A file as a former version made it.
    fn old(path: &Path) -> File {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn a_file_that_all_could_open_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.lock");
        let before = old(&path).metadata().unwrap().ino();
        let mut lock = Lock::open(&path).unwrap();
        assert!(lock.try_take().unwrap());
        let made = fs::metadata(&path).unwrap();
        assert_eq!(made.mode() & 0o777, 0o600);
        assert_ne!(made.ino(), before);
    }

    #[test]
    fn an_agent_of_a_former_version_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.lock");
        let theirs = old(&path);
        // This process has the name and the user of one.
        flock(&theirs, FlockOperation::NonBlockingLockExclusive).unwrap();
        let mut lock = Lock::open(&path).unwrap();
        assert!(!lock.try_take().unwrap());
        drop(theirs);
        assert!(lock.try_take().unwrap());
    }
}
