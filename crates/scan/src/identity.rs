//! Which container a process belongs to: what of a mark is believed, and why.
//!
//! A mark is the name of a cgroup, and a user to whom a subtree was delegated, or root in a
//! container that may write its cgroups, gives any name. So a mark counts
//!
//! 1. if each folder above it belongs to root: then root on the node gave the name
//!    ([`claim`]). The marked folder itself may be the container's, as with user namespaces;
//! 2. where a runtime knows the id: if the process that it began the container with lies in the
//!    marked cgroup, too;
//! 3. below another mark only if no runtime of the node knows the id: who is root in a container
//!    may have containers of its own, but not be another one of the node. It stays in the pod of
//!    the outer one.
//!
//! What bears a mark in a user's folder, and lives apart in a PID namespace, is a container of that
//! user.

mod bases;
mod claim;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use sexton_core::{Container, ProcessId, Runtime};

use crate::container::{self, Mark};
use crate::names::{self, Known};
use crate::notes::Notes;
use crate::proc::{CgroupLine, Cgroups, Process};
use crate::{Error, Scanner, lossy};

pub(crate) use bases::Bases;
use claim::{Claim, Maker};

/// Parents form no circle, but the tree changes while it is read.
pub(crate) const TALLEST: u32 = 1_000;

/// Containers that were found during one pass over many processes: those of the same cgroups are
/// of the same container. Not to be kept from one look to the next.
#[derive(Debug, Default)]
pub struct Seen(HashMap<Cgroups, Container>);

impl Scanner {
    /// The container that a process belongs to; `None` if it is of the host, or gone.
    ///
    /// It is known by the cgroup path, and where no runtime left its mark there, by a PID
    /// namespace other than the host's. Names come from files on the node.
    ///
    /// # Errors
    /// The process itself cannot be read.
    pub fn container_of(&mut self, pid: u32) -> Result<Option<Container>, Error> {
        self.named_container(pid, &mut Notes::default())
    }

    pub(crate) fn named_container(
        &self,
        pid: u32,
        notes: &mut Notes,
    ) -> Result<Option<Container>, Error> {
        let mut container = self.contained(pid, &mut Seen::default(), notes)?;
        if let Some(container) = &mut container {
            names::complete(&self.roots.host, container);
        }
        Ok(container)
    }

    /// As [`Scanner::container_of`], without names, for one process of many.
    ///
    /// # Errors
    /// As there.
    pub fn find_container(
        &mut self,
        pid: u32,
        known: &mut Seen,
    ) -> Result<Option<Container>, Error> {
        self.contained(pid, known, &mut Notes::default())
    }

    /// The same; what cannot be read of it beside is noted.
    pub(crate) fn contained(
        &self,
        pid: u32,
        known: &mut Seen,
        notes: &mut Notes,
    ) -> Result<Option<Container>, Error> {
        let Some(process) = self.proc.process(pid)? else {
            return Ok(None);
        };
        let Some(stat) = process.stat()? else {
            return Ok(None);
        };
        let stand_in = notes.take(process.stand_in(&stat));
        let process = stand_in.as_ref().unwrap_or(&process);
        // Without its cgroups it is known by its PID namespace still.
        let cgroups = match process.cgroups() {
            Ok(None) => return Ok(None),
            read => notes.take(read).unwrap_or_default(),
        };
        if let Some(container) = known.0.get(&cgroups) {
            return Ok(Some(container.clone()));
        }
        let claim = self.claim(&cgroups, notes);
        if let Claim::Believed(mark) = claim {
            let container = Container::from(mark);
            known.0.insert(cgroups, container.clone());
            return Ok(Some(container));
        }
        let unmarked = self.unmarked(process, &cgroups, &claim, notes);
        // A zombie has left its namespaces, and its v1 paths read `/`. Its parent has not.
        if stat.is_reapable_zombie() && stat.parent != 0 {
            let parents = self.contained(stat.parent, known, notes);
            return Ok(notes.take(parents).or(unmarked));
        }
        Ok(unmarked)
    }

    /// Fills in what files on the node tell of a container.
    pub fn name(&self, container: &mut Container) {
        names::complete(&self.roots.host, container);
    }

    /// The process that a runtime of the node began `container` with, as files on the node tell.
    #[must_use]
    pub fn first_process_of(&self, container: &Container) -> Option<u32> {
        match names::known(&self.roots.host, &container.id) {
            Known::BeganWith(pid) => Some(pid),
            Known::Ended | Known::No => None,
        }
    }

    /// Whether a process lies in this cgroup or below it; `None` if that cannot be told, for
    /// instance of one that has ended.
    #[must_use]
    pub fn lies_in(&self, pid: u32, cgroup: &str) -> Option<bool> {
        let cgroups = self.cgroups_of(pid).ok()??;
        let mut paths = cgroups.0.iter().map(|line| &line.path);
        Some(paths.any(|path| is_below(path, cgroup)))
    }

    /// Whether `process` is there and lies in the cgroup and in the PID namespace of `first`, the
    /// process that a runtime began `container` with: in that namespace or in one made inside it.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn is_inside(
        &self,
        process: ProcessId,
        first: u32,
        container: &Container,
    ) -> Result<bool, Error> {
        let pid = process.pid;
        let found = match self.proc.process(pid)? {
            Some(found) => found.id()?,
            None => None,
        };
        if found != Some(process) {
            return Ok(false);
        }
        let (Some(its), Some(firsts)) = (self.cgroups_of(pid)?, self.cgroups_of(first)?) else {
            return Ok(false);
        };
        let inside = |line: &&CgroupLine| is_below(&line.path, &container.cgroup);
        let line = its.by_weight().into_iter().find(inside);
        let together = line.and_then(|line| firsts.same_hierarchy(line).filter(inside));
        Ok(together.is_some() && self.is_in_pid_namespace_of(pid, first)?)
    }

    /// A PID namespace is made by a process of the one above it, and an orphan stays in its own:
    /// up from any process there come only those of the same namespace and of the ones above.
    fn is_in_pid_namespace_of(&self, pid: u32, first: u32) -> Result<bool, Error> {
        let namespace = |pid| match self.proc.process(pid)? {
            Some(process) => process.ns_inode("pid"),
            None => Ok(None),
        };
        let Some(wanted) = namespace(first)? else {
            return Ok(false);
        };
        let (mut at, mut buffer) = (pid, Vec::new());
        for _ in 0..TALLEST {
            if namespace(at)? == Some(wanted) {
                return Ok(true);
            }
            match self.proc.stat(at, &mut buffer)? {
                Some(stat) if stat.parent != 0 => at = stat.parent,
                _ => break,
            }
        }
        Ok(false)
    }

    /// The cgroups of a process that lives; `None` if it does not, or hides them.
    fn cgroups_of(&self, pid: u32) -> Result<Option<Cgroups>, Error> {
        let Some(process) = self.proc.process(pid)? else {
            return Ok(None);
        };
        let Some(stat) = process.stat()?.filter(|stat| !stat.is_reapable_zombie()) else {
            return Ok(None);
        };
        let stand_in = process.stand_in(&stat)?;
        stand_in.as_ref().unwrap_or(&process).cgroups()
    }

    fn unmarked(
        &self,
        process: &Process,
        cgroups: &Cgroups,
        claim: &Claim,
        notes: &mut Notes,
    ) -> Option<Container> {
        // Absent where another user's namespaces are hidden from us, and of a zombie, which has
        // left them; its pids in them are shown all the same.
        let namespace = notes.take(process.ns_inode("pid"));
        let apart = match (namespace, self.host.pid) {
            (Some(its), Some(host)) => its != host,
            _ => notes
                .take(process.status())
                .is_some_and(|status| status.ns_pids.len() > 1),
        };
        if !apart {
            return None;
        }
        // On hybrid machines the unified path of a zombie is whole when those of v1 read `/`.
        let counts = |line: &&CgroupLine| line.has_controller("pids") || line.hierarchy == 0;
        let mut lines = cgroups.by_weight().into_iter().filter(counts);
        let line = lines.find(|line| line.path != b"/");
        let cgroup = line.map_or_else(|| "/".to_owned(), |line| lossy(&line.path));
        let inode = namespace.map_or_else(|| "hidden".to_owned(), |inode| inode.to_string());
        let own = match claim {
            Claim::Users(uid) => format!("user:{uid}:{inode}"),
            Claim::Believed(_) | Claim::None => format!("pidns:{inode}"),
        };
        let mut mark = Mark {
            runtime: Runtime::Unknown,
            pod_uid: None,
            id: own,
            cgroup,
        };
        // The name that its maker gave it, where that is no mark and may be believed as one.
        if let Some(line) = line
            && container::mark(mark.cgroup.as_bytes()).is_none()
            && !matches!(self.maker(line, &mark.cgroup), Maker::User(_))
        {
            mark.pod_uid = container::pod_uid(&mark.cgroup);
            if let Some(id) = container::unmarked_id(&mark.cgroup) {
                let named = Mark {
                    id: id.to_owned(),
                    ..mark.clone()
                };
                if self.is_confirmed(line, &named, false, notes) {
                    mark = named;
                }
            }
        }
        Some(mark.into())
    }
}

/// `path` is that of the cgroup, or of one below it.
fn is_below(path: &[u8], cgroup: &str) -> bool {
    path.strip_prefix(cgroup.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
