//! cgroups of the tests' own, in every hierarchy of this machine that matters to Sexton.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::hierarchies::{Hierarchies, remove_everywhere};
use crate::names;
use crate::skip::{Skip, require_root};
use crate::sweep::sweep;

/// A cgroup below the root of the `pids` hierarchy and of the unified one. On drop all its
/// members are killed, and it is removed with whatever was made below it.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) name: String,
    pub(crate) hierarchies: Hierarchies,
    /// The hierarchy that bounds its memory, where one does.
    memory: Option<PathBuf>,
}

impl Cgroup {
    /// Makes an empty one.
    ///
    /// # Errors
    /// [`Skip`] where cgroups cannot be made: not root, read-only, no `pids` controller there.
    pub fn new(label: &str) -> Result<Self, Skip> {
        require_root()?;
        let hierarchies = Hierarchies::find()?;
        sweep();
        let cgroup = Self {
            name: names::unique(label),
            hierarchies,
            memory: None,
        };
        for mount in cgroup.mounts() {
            let dir = mount.join(&cgroup.name);
            if let Err(error) = fs::create_dir(&dir) {
                return Skip::because(format!("{}: {error}", dir.display()));
            }
        }
        if !cgroup.dir().join("pids.max").exists() {
            // On v2 the root would have to hand the controller down; the machine's own
            // configuration is left alone.
            return Skip::because("the pids controller is not handed down to new cgroups");
        }
        Ok(cgroup)
    }

    /// Bounds the memory of all that starts in it from now on.
    ///
    /// # Errors
    /// [`Skip`] where the kernel does not count memory here.
    pub fn set_memory_max(&mut self, bytes: u64) -> Result<(), Skip> {
        let Some(mount) = &self.hierarchies.memory else {
            return Skip::because("no cgroup file system with memory");
        };
        let dir = mount.join(&self.name);
        let file = if self.hierarchies.unified.as_ref() == Some(mount) {
            dir.join("memory.max")
        } else {
            dir.join("memory.limit_in_bytes")
        };
        let made = fs::create_dir_all(&dir).and_then(|()| fs::write(&file, bytes.to_string()));
        if let Err(error) = made {
            return Skip::because(format!("{}: {error}", file.display()));
        }
        self.memory = Some(mount.clone());
        Ok(())
    }

    /// Its path below the mount: `/sexton-test-…`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// Its directory in the hierarchy that counts pids.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.hierarchies.pids.join(&self.name)
    }

    /// Sets `pids.max`.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn set_pids_max(&self, max: u64) {
        write(&self.dir().join("pids.max"), &max.to_string());
    }

    /// Reads `pids.current`.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn pids_current(&self) -> u64 {
        let path = self.dir().join("pids.current");
        let text = fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().parse().expect("pids.current is a number")
    }

    /// Moves a process into it, with all its threads.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn add(&self, pid: u32) {
        for mount in self.mounts() {
            write(
                &mount.join(&self.name).join("cgroup.procs"),
                &pid.to_string(),
            );
        }
    }

    /// A command that starts inside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_in("", program)
    }

    /// Makes a cgroup below it, with all that lie on the way: `user.slice/docker`.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn make(&self, path: &str) {
        for dir in self.below(path) {
            let made = fs::create_dir_all(&dir);
            made.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        }
    }

    /// Gives a cgroup below it to another user, with all that lie in it, as systemd does with the
    /// part of the tree that a user's own manager rules.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn give(&self, path: &str, uid: u32) {
        let mut dirs: Vec<PathBuf> = self.below(path).collect();
        while let Some(dir) = dirs.pop() {
            let given = std::os::unix::fs::chown(&dir, Some(uid), Some(uid));
            given.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
            let below = fs::read_dir(&dir).into_iter().flatten().flatten();
            dirs.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
    }

    /// A command that starts in a cgroup below it.
    #[must_use]
    pub fn command_in(&self, path: &str, program: impl AsRef<OsStr>) -> Command {
        joined(self.below(path), program)
    }

    fn below(&self, path: &str) -> impl Iterator<Item = PathBuf> {
        self.mounts()
            .map(move |mount| mount.join(&self.name).join(path))
    }

    /// Where it has a directory, each once.
    fn mounts(&self) -> impl Iterator<Item = &PathBuf> {
        let Hierarchies { pids, unified, .. } = &self.hierarchies;
        let unified = unified.as_ref().filter(|&mount| mount != pids);
        let memory = self.memory.as_ref();
        let memory = memory.filter(|&mount| mount != pids && Some(mount) != unified);
        std::iter::once(pids).chain(unified).chain(memory)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove_everywhere(&self.hierarchies, &self.name);
    }
}

/// A shell that joins these cgroups and then becomes `program`, since moving a process that
/// runs already would come too late for its first children. Joining is not forking: a cgroup
/// at its limit lets it in.
pub(crate) fn joined(
    dirs: impl IntoIterator<Item = PathBuf>,
    program: impl AsRef<OsStr>,
) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(r#"while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@""#)
        .arg("sh");
    for dir in dirs {
        command.arg(dir);
    }
    command.arg("--").arg(program);
    command
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{} <- {text}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[test]
    fn members_are_killed_and_the_directory_goes_even_after_a_panic() {
        let Some(cgroup) = require(Cgroup::new("panic")) else {
            return;
        };
        let dir = cgroup.dir();
        let below = dir.join("below");
        fs::create_dir(&below).expect("a cgroup below");
        let mut child = cgroup
            .command("sleep")
            .arg("1000")
            .spawn()
            .expect("sh starts");
        crate::wait_until("it has joined", || {
            (cgroup.pids_current() == 1).then_some(())
        });

        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _inside = cgroup;
            panic!("on purpose");
        }));

        assert!(panicked.is_err());
        assert!(!dir.exists());
        let status = child.wait().expect("it was ours");
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
    }

    #[test]
    fn a_full_cgroup_lets_nobody_fork() {
        let Some(cgroup) = require(Cgroup::new("full")) else {
            return;
        };
        cgroup.set_pids_max(1);
        let output = cgroup
            .command("/bin/sh")
            .args(["-c", "true & wait"])
            .output()
            .expect("sh starts");
        assert!(!output.status.success(), "{output:?}");
    }
}
