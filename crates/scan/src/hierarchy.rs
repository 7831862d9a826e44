//! How the cgroup tree is mounted (`cgroups(7)`).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use sexton_core::report::CgroupMode;

use crate::Error;
use crate::proc::CgroupLine;
use crate::proc::bounds;
use crate::proc::file::{self, End};

/// One file of a cgroup; `None` if the cgroup is gone or has no such file.
pub(crate) fn read(cgroup: &Path, file: &str) -> Result<Option<Vec<u8>>, Error> {
    read_most(cgroup, file, bounds::FILE)
}

/// A list of pids or threads of a cgroup; empty if the cgroup is gone.
pub(crate) fn read_pids(cgroup: &Path, file: &str) -> Result<Vec<u8>, Error> {
    Ok(read_most(cgroup, file, bounds::PIDS)?.unwrap_or_default())
}

fn read_most(cgroup: &Path, file: &str, most: usize) -> Result<Option<Vec<u8>>, Error> {
    let path = cgroup.join(file);
    let mut buffer = Vec::new();
    let bytes = path.as_os_str().as_bytes();
    match file::read_whole(CWD, bytes, most, End::Short, &mut buffer) {
        Ok(()) => Ok(Some(buffer)),
        Err(e) if is_gone(e) => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// A cgroup was removed in the middle: `ENOENT` when opening, `ENODEV` when reading what was
/// open.
pub(crate) fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NODEV)
}

/// The mounted hierarchies below the root of the cgroup tree.
#[derive(Clone, Debug)]
pub struct Hierarchies {
    mode: CgroupMode,
    unified: Option<PathBuf>,
    /// Directory and its comma-separated controllers, as systemd and others name it.
    v1: Vec<(PathBuf, String)>,
}

impl Hierarchies {
    /// Looks at what is mounted below `root` (`/sys/fs/cgroup`).
    #[must_use]
    pub fn detect(root: &Path) -> Self {
        if root.join("cgroup.controllers").exists() {
            return Self {
                mode: CgroupMode::V2,
                unified: Some(root.to_owned()),
                v1: Vec::new(),
            };
        }
        let mut unified = None;
        let mut v1 = Vec::new();
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.join("cgroup.controllers").exists() {
                unified = Some(path);
            } else if path.join("tasks").exists()
                && let Ok(name) = entry.file_name().into_string()
            {
                v1.push((path, name));
            }
        }
        // Real mounts before the symbolic links `cpu -> cpu,cpuacct` beside them.
        v1.sort_by_key(|(path, name)| (path.is_symlink(), name.clone()));
        let mode = match (&unified, v1.is_empty()) {
            (Some(_), false) => CgroupMode::Hybrid,
            (Some(_), true) => CgroupMode::V2,
            (None, false) => CgroupMode::V1,
            (None, true) => CgroupMode::None,
        };
        Self { mode, unified, v1 }
    }

    /// How they are mounted.
    #[must_use]
    pub fn mode(&self) -> CgroupMode {
        self.mode
    }

    /// The v1 hierarchy of a controller.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&Path> {
        self.v1
            .iter()
            .find(|(_, names)| names.split(',').any(|name| name == controller))
            .map(|(path, _)| path.as_path())
    }

    /// The unified (v2) hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<&Path> {
        self.unified.as_deref()
    }

    /// Where the hierarchy of a line of `/proc/PID/cgroup` is mounted.
    pub(crate) fn root_of(&self, line: &CgroupLine) -> Option<&Path> {
        if line.hierarchy == 0 {
            return self.unified();
        }
        let mut names = line.controllers.split(|byte| *byte == b',');
        names.find_map(|name| {
            let name = str::from_utf8(name).ok()?;
            // Named hierarchies have no controller: `name=systemd`.
            self.v1(name.strip_prefix("name=").unwrap_or(name))
        })
    }

    /// Any v1 hierarchy: each of them holds every process.
    pub(crate) fn any_v1(&self) -> Option<&Path> {
        self.v1.first().map(|(path, _)| path.as_path())
    }

    /// The directory of a cgroup from its path in `/proc/PID/cgroup`; `None` if the path leads
    /// out of the reader's cgroup namespace.
    #[must_use]
    pub fn directory(root: &Path, path: &[u8]) -> Option<PathBuf> {
        let path = path.strip_prefix(b"/")?;
        if path.split(|byte| *byte == b'/').any(|name| name == b"..") {
            return None;
        }
        Some(root.join(std::ffi::OsStr::from_bytes(path)))
    }
}
