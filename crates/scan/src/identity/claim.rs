//! What the names of cgroups are worth.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::is_below;
use crate::Scanner;
use crate::container::{self, Mark};
use crate::names::{self, Known};
use crate::notes::Notes;
use crate::proc::{CgroupLine, Cgroups};

/// What the names of a process's cgroups come to.
pub(super) enum Claim {
    /// It is in this container.
    Believed(Mark),
    /// This user made the folder that bears the mark.
    Users(u32),
    /// It bears no mark, or one that a runtime contradicts.
    None,
}

/// Who gave a cgroup its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// Root of the node, or the user that we are.
    Root,
    User(u32),
    /// Its folder is not to be seen from here: another cgroup namespace, or nothing mounted.
    Unseen,
}

impl Scanner {
    pub(super) fn claim(&self, cgroups: &Cgroups, notes: &mut Notes) -> Claim {
        let (mut users, mut unseen) = (None, None);
        for line in cgroups.by_weight() {
            let marks: Vec<Mark> = container::marks(&line.path).collect();
            let outermost = marks.len().saturating_sub(1);
            for (depth, mark) in marks.into_iter().enumerate() {
                match self.maker(line, &mark.cgroup) {
                    Maker::User(uid) => users = users.or(Some(uid)),
                    _ if !self.is_confirmed(line, &mark, depth < outermost, notes) => {}
                    Maker::Root => return Claim::Believed(mark),
                    Maker::Unseen => unseen = unseen.or(Some(mark)),
                }
            }
        }
        // A mark in a hierarchy that is not to be seen counts only where none is: else a user
        // would choose that one.
        let is_there = |line: &CgroupLine| {
            let place = self.place_of(line, &line.path);
            place.is_some_and(|(_, folder)| folder.exists())
        };
        match (users, unseen) {
            (None, Some(mark)) if !cgroups.0.iter().any(is_there) => Claim::Believed(mark),
            (Some(uid), _) => Claim::Users(uid),
            _ => Claim::None,
        }
    }

    /// Whether what the runtimes of the node know agrees with a mark. `nested`: it lies below
    /// another one.
    pub(super) fn is_confirmed(
        &self,
        line: &CgroupLine,
        mark: &Mark,
        nested: bool,
        notes: &mut Notes,
    ) -> bool {
        let first = match names::known(&self.roots.host, &mark.id) {
            Known::No => return true,
            Known::Ended => return !nested,
            Known::BeganWith(pid) => pid,
        };
        let Some(cgroups) = notes.take(self.cgroups_of(first)) else {
            return !nested;
        };
        let its = cgroups.same_hierarchy(line);
        its.is_some_and(|its| is_below(&its.path, &mark.cgroup))
    }

    /// Who may have given the cgroup at `path` its name: the owner of the folders above it.
    pub(super) fn maker(&self, line: &CgroupLine, path: &str) -> Maker {
        let Some((root, directory)) = self.place_of(line, path.as_bytes()) else {
            return Maker::Unseen;
        };
        let owner = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.uid()).ok();
        // Root of another user namespace shows as another uid; what is mounted at the top is its.
        let Some(top) = owner(root) else {
            return Maker::Unseen;
        };
        let own = rustix::process::geteuid().as_raw();
        let above = directory.strip_prefix(root).ok().and_then(Path::parent);
        let mut folder = root.to_owned();
        for name in above.into_iter().flatten() {
            folder.push(name);
            match owner(&folder) {
                Some(uid) if [0, own, top].contains(&uid) => {}
                Some(uid) => return Maker::User(uid),
                None => return Maker::Unseen,
            }
        }
        Maker::Root
    }

    /// Where a hierarchy is mounted, and the folder of a cgroup in it.
    fn place_of(&self, line: &CgroupLine, path: &[u8]) -> Option<(&Path, PathBuf)> {
        let root = self.hierarchies.root_of(line)?;
        Some((root, self.bases.directory(root, path)?))
    }
}
