//! The policies that are in force: from files, read again when they change, and from the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sexton_cluster::report::{Adherence, PolicyState};
use sexton_core::policy::Policy;
use sexton_policyfile::{Loaded, Problem, load};

/// Policies from files and from the cluster, and the last good ones where they have gone bad
/// since.
pub struct Policies {
    paths: Vec<PathBuf>,
    seen: Seen,
    loaded: Vec<Loaded>,
    problems: Vec<Problem>,
    cluster: Arc<sexton_cluster::Policies>,
    states: Vec<PolicyState>,
    in_force: Vec<Policy>,
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
            problems: vec![],
            cluster: Arc::default(),
            states: vec![],
            in_force: vec![],
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
        match load(&self.paths) {
            Ok(loaded) => {
                self.loaded = loaded;
                self.problems.clear();
            }
            Err(problems) => self.problems = problems,
        }
        self.put_together();
    }

    /// Takes what the cluster says by now. True if it says something else than before.
    pub fn hear(&mut self, cluster: Arc<sexton_cluster::Policies>) -> bool {
        let changed = !Arc::ptr_eq(&self.cluster, &cluster) && *self.cluster != *cluster;
        self.cluster = cluster;
        if changed {
            self.put_together();
        }
        changed
    }

    /// Those of files first. They are this node's own: one of the cluster that bears the same
    /// name is not followed here.
    fn put_together(&mut self) {
        self.in_force = self.loaded.iter().map(|one| one.policy.clone()).collect();
        self.states = self
            .in_force
            .iter()
            .map(|policy| PolicyState {
                name: policy.name().to_owned(),
                observed_generation: None,
                followed_generation: None,
                mode: policy.spec.mode,
                state: Adherence::Following,
                message: None,
            })
            .collect();
        let own = self.in_force.len();
        for state in &self.cluster.states {
            let mut state = state.clone();
            if let Some(own) = self.loaded.iter().find(|l| l.policy.name() == state.name) {
                state.state = Adherence::Refused;
                state.message = Some(format!(
                    "this node has a policy of the same name of its own, {}",
                    own.file.display()
                ));
            }
            self.states.push(state);
        }
        for policy in &self.cluster.in_force {
            if !self.in_force[..own]
                .iter()
                .any(|o| o.name() == policy.name())
            {
                self.in_force.push(policy.clone());
            }
        }
    }

    /// Those in force.
    pub fn in_force(&self) -> &[Policy] {
        &self.in_force
    }

    /// What the cluster is told of each: those of files, then those of the cluster.
    pub fn states(&self) -> &[PolicyState] {
        &self.states
    }

    /// Those from files.
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
