//! The policies that are in force, read again when their files change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sexton_core::policy::Policy;

use crate::policy::load::{self, Loaded, Problem};

/// Policies from files, and the last good ones where the files have gone bad since.
pub struct Policies {
    paths: Vec<PathBuf>,
    seen: Seen,
    loaded: Vec<Loaded>,
    in_force: Vec<Policy>,
    problems: Vec<Problem>,
}

/// What tells one state of the files from another.
type Seen = BTreeMap<PathBuf, Option<(SystemTime, u64, u64)>>;

impl Policies {
    /// Reads them for the first time.
    pub fn open(paths: &[PathBuf]) -> Self {
        let mut policies = Self {
            paths: paths.to_vec(),
            seen: Seen::new(),
            loaded: vec![],
            in_force: vec![],
            problems: vec![],
        };
        policies.reload();
        policies
    }

    /// Reads them again if their files are not as they were. True if that was so.
    pub fn refresh(&mut self) -> bool {
        let changed = self.seen != look(&self.paths);
        if changed {
            self.reload();
        }
        changed
    }

    /// Reads them whatever the files look like. All are good, or those before stay in force: a
    /// policy that restrains another must not go missing by a slip of the pen.
    pub fn reload(&mut self) {
        // Before they are read: what changes in between is seen as a change next time.
        self.seen = look(&self.paths);
        match load::load(&self.paths) {
            Ok(loaded) => {
                self.in_force = loaded.iter().map(|one| one.policy.clone()).collect();
                self.loaded = loaded;
                self.problems.clear();
            }
            Err(problems) => self.problems = problems,
        }
    }

    /// Those in force.
    pub fn in_force(&self) -> &[Policy] {
        &self.in_force
    }

    /// The same with the files that they are from.
    pub fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// What is wrong with the files as they are now; empty where all is well.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn look(paths: &[PathBuf]) -> Seen {
    let mut seen = Seen::new();
    for path in paths {
        note(&mut seen, path);
        // A ConfigMap is a directory of links into another that is swapped as a whole; the
        // files behind the links are what changes.
        if let Ok(entries) = std::fs::read_dir(path) {
            for entry in entries.flatten() {
                note(&mut seen, &entry.path());
            }
        }
    }
    seen
}

fn note(seen: &mut Seen, path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let state = std::fs::metadata(path)
        .ok()
        .and_then(|meta| Some((meta.modified().ok()?, meta.len(), meta.ino())));
    seen.insert(path.to_owned(), state);
}
