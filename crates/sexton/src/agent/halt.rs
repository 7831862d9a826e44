//! The latch: after a program has died of a visit, this node is only looked at until someone allows
//! more. A tool that has killed once does not go on by itself, however often it is started.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// In the state directory. While it is there nothing is done.
const FILE: &str = "halted";
/// A reason is a sentence; what is longer was not written by us.
const LONGEST: u64 = 4 << 10;

/// Whether this node is halted, and why.
pub struct Halt {
    path: PathBuf,
    why: Option<String>,
    /// The reason is in the file: when that goes, someone has allowed more.
    written: bool,
}

impl Halt {
    /// In this state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: path(state_dir),
            why: None,
            written: false,
        }
    }

    /// From now on nothing is done.
    ///
    /// # Errors
    /// That cannot be written down. It holds all the same, for as long as this process lives, and
    /// is tried again at each look.
    pub fn set(&mut self, why: String) -> io::Result<()> {
        let why = self.why.insert(why);
        write(&self.path, why)?;
        self.written = true;
        Ok(())
    }

    /// Why nothing may be done, by what the file says now.
    pub fn look(&mut self) -> Option<&str> {
        match (read(&self.path), &self.why) {
            (Ok(Some(there)), _) => {
                self.written = true;
                self.why = Some(there);
            }
            (Ok(None), Some(_)) if self.written => {
                tracing::info!("acting is allowed on this node again");
                self.why = None;
                self.written = false;
            }
            (Ok(None), Some(why)) => self.written = write(&self.path, why).is_ok(),
            (Ok(None), None) => {}
            // It is there, whatever it is.
            (Err(error), None) => {
                self.why = Some(format!(
                    "{} cannot be read: {}",
                    self.path.display(),
                    sexton_core::text::os(&error)
                ));
            }
            (Err(_), Some(_)) => {}
        }
        self.why()
    }

    /// The same, as the last look knew it.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }
}

/// Where the reason is written, in this state directory.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Allows more. The reason, where there was one.
///
/// # Errors
/// The file is there and cannot be removed.
pub fn release(state_dir: &Path) -> io::Result<Option<String>> {
    let path = path(state_dir);
    // What cannot be read can be removed all the same, and has to be.
    // Where that folder is not there, another one is meant: nothing is known of this node.
    fs::metadata(state_dir)?;
    let why = read(&path).unwrap_or_else(|error| {
        Some(format!(
            "the reason is lost: {}",
            sexton_core::text::os(&error)
        ))
    });
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(&path),
        removed => removed,
    };
    match removed {
        Ok(()) => Ok(why),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` where there is no such file. A link is not followed, and nothing is waited for.
fn read(path: &Path) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).trim().to_owned()))
}

fn write(path: &Path, why: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    writeln!(file, "{why}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = "python3 (pid 7) died of a visit";

    #[test]
    fn it_holds_across_a_restart_until_it_is_released() {
        let dir = tempfile::tempdir().unwrap();
        let mut halt = Halt::new(dir.path());
        assert_eq!(halt.look(), None);
        halt.set(WHY.to_owned()).unwrap();
        assert_eq!(halt.look(), Some(WHY));

        let mut next = Halt::new(dir.path());
        assert_eq!(next.look(), Some(WHY));
        assert_eq!(release(dir.path()).unwrap().as_deref(), Some(WHY));
        assert_eq!(next.look(), None);
        assert_eq!(halt.look(), None);
        assert_eq!(release(dir.path()).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_written_holds_in_memory_and_is_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("run");
        let mut halt = Halt::new(&missing);
        halt.set(WHY.to_owned()).unwrap_err();
        assert_eq!(halt.look(), Some(WHY));
        fs::create_dir(&missing).unwrap();
        assert_eq!(halt.look(), Some(WHY));
        assert!(path(&missing).exists());
        release(&missing).unwrap();
        assert_eq!(halt.look(), None);
    }

    #[test]
    fn whatever_lies_there_halts_and_is_released() {
        for make in [
            (|path| std::os::unix::fs::symlink("nowhere", path).unwrap()) as fn(PathBuf),
            |path| fs::write(path, vec![b'x'; 1 << 20]).unwrap(),
            |path| fs::create_dir(path).unwrap(),
        ] {
            let dir = tempfile::tempdir().unwrap();
            make(path(dir.path()));
            let mut halt = Halt::new(dir.path());
            let why = halt.look().unwrap();
            assert!(why.len() <= LONGEST as usize, "{}", why.len());
            release(dir.path()).unwrap().unwrap();
            assert!(!path(dir.path()).exists());
        }
    }
}
