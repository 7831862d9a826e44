//! Where our own cgroup namespace begins in a tree that is mounted whole.
//!
//! In a namespace of our own, as pods have with cgroup v2, `/proc/PID/cgroup` shows the paths of
//! others as `/../../NAME`, from our own cgroup on (`cgroup_namespaces(7)`), while the node's
//! tree is mounted from its root on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::hierarchy::{self, Hierarchies};
use crate::proc::{Cgroups, Proc, parse_pids};

/// A walk of the cgroup tree ends after so many folders.
const MOST_FOLDERS: usize = 1 << 14;

/// For the root of each hierarchy that is mounted from further up than our namespace begins: the
/// folder at which it begins.
#[derive(Debug, Default)]
pub(crate) struct Bases(Vec<(PathBuf, PathBuf)>);

impl Bases {
    /// Looks for the folder that lists us, if the first process shows to be outside.
    pub(crate) fn find(proc: &Proc, hierarchies: &Hierarchies) -> Self {
        let of = |pid| -> Option<Cgroups> { proc.process(pid).ok()??.cgroups().ok()? };
        let (Some(first), Some(pid)) = (of(1), proc.own_pid()) else {
            return Self::default();
        };
        let outside = first.0.iter().filter(|line| line.path.starts_with(b"/.."));
        let found = outside.filter_map(|line| {
            let root = hierarchies.root_of(line)?;
            let own = of(pid)?.same_hierarchy(line)?.path.clone();
            let mut base = folder_of(root, pid)?;
            let inner = Hierarchies::directory(Path::new(""), &own)?;
            for _ in inner.components() {
                base.pop();
            }
            base.starts_with(root).then(|| (root.to_owned(), base))
        });
        Self(found.collect())
    }

    /// The folder of a path of `/proc/PID/cgroup`; `None` where it cannot be told.
    pub(crate) fn directory(&self, root: &Path, path: &[u8]) -> Option<PathBuf> {
        let Some((_, base)) = self.0.iter().find(|(of, _)| of == root) else {
            return Hierarchies::directory(root, path);
        };
        let mut base = base.clone();
        let mut rest = path;
        while let Some(below) = rest.strip_prefix(b"/..") {
            if base == root || !(below.is_empty() || below.starts_with(b"/")) {
                return None;
            }
            base.pop();
            rest = below;
        }
        match rest {
            b"" => Some(base),
            rest => Hierarchies::directory(&base, rest),
        }
    }
}

/// The folder whose list of members holds `pid`: there is one in a hierarchy.
fn folder_of(root: &Path, pid: u32) -> Option<PathBuf> {
    let mut folders = vec![root.to_owned()];
    for at in 0..MOST_FOLDERS {
        let folder = folders.get(at)?.clone();
        if lists(&folder, pid) {
            return Some(folder);
        }
        // Removed in the middle: there is nothing in it.
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let room = MOST_FOLDERS.saturating_sub(folders.len());
        folders.extend(below.map(|entry| entry.path()).take(room));
    }
    None
}

fn lists(folder: &Path, pid: u32) -> bool {
    let members = hierarchy::read_pids(folder, "cgroup.procs");
    members.is_ok_and(|members| parse_pids(&members).any(|member| member == pid))
}
