//! A pids cgroup of the demo's own, on v1, v2 and hybrid machines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cgroup that is removed when it is dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes `name` below the hierarchy that has the `pids` controller, limited to `max` tasks.
    pub fn make(name: &str, max: u32) -> io::Result<Self> {
        let mount = Path::new("/sys/fs/cgroup");
        // v1 and hybrid machines mount `pids` by itself.
        let parent = [mount.join("pids"), mount.to_owned()]
            .into_iter()
            .find(|path| path.join("cgroup.procs").exists())
            .ok_or_else(|| io::Error::other("no cgroup file system with a pids controller"))?;
        let path = parent.join(name);
        fs::create_dir(&path)?;
        let made = Self(path);
        fs::write(made.0.join("pids.max"), max.to_string())?;
        Ok(made)
    }

    /// Moves the calling process, and with it the children it will have, into the cgroup.
    pub fn enter(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0")
    }

    /// Moves the calling process back to the parent, so that the cgroup can be removed.
    pub fn leave(&self) -> io::Result<()> {
        match self.0.parent() {
            Some(parent) => fs::write(parent.join("cgroup.procs"), "0"),
            None => Ok(()),
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A cgroup is busy for a moment after its last member has been reaped.
        for _ in 0..50 {
            match fs::remove_dir(&self.0) {
                Err(cause) if cause.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                _ => return,
            }
        }
    }
}
