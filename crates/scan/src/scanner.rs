//! One look at a node.

use std::path::PathBuf;

use sexton_core::{Container, Holder, ProcessId, State, Zombie};

use crate::hierarchy::Hierarchies;
use crate::holder::{self, Namespaces};
use crate::identity::Bases;
use crate::notes::Notes;
use crate::proc::{Proc, Stat, Status};
use crate::viewer::Viewer;
use crate::{Error, leak, names};

/// Where the kernel's trees are mounted; other places for tests, and for a container that has
/// those of its host mounted elsewhere.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys/fs/cgroup`
    pub cgroup: PathBuf,
    /// The host's `/`, for the files that runtimes leave on the node.
    pub host: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            cgroup: "/sys/fs/cgroup".into(),
            host: "/".into(),
        }
    }
}

/// A child that shows as a zombie to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadChild {
    /// Who it is, and how it ended.
    pub zombie: Zombie,
    /// The CPU that it last ran on.
    pub processor: u32,
    /// Only its first thread has ended: it cannot be waited for, and is no leak.
    pub threads_live: bool,
    /// The process, other than the parent, that traces it and has to wait for it first.
    pub tracer: Option<u32>,
}

/// Looks at one node. Made once, used for as many looks as wanted.
#[derive(Debug)]
pub struct Scanner {
    pub(crate) roots: Roots,
    pub(crate) proc: Proc,
    pub(crate) hierarchies: Hierarchies,
    pub(crate) bases: Bases,
    /// Who shares these is of the host, as far as we can see.
    pub(crate) host: Namespaces,
    /// What the node is called, where that is not its host name.
    pub(crate) node_name: Option<String>,
    /// `cgroup.procs` lists processes whose leader ended before its threads: since Linux 5.2.
    pub(crate) lists_dead_leaders: bool,
    pub(crate) viewer: Viewer,
    pub(crate) buffer: Vec<u8>,
    /// What this look could not read of processes that it is not about.
    pub(crate) notes: Notes,
}

impl Scanner {
    /// Opens the roots.
    pub fn new(roots: Roots) -> Result<Self, Error> {
        let proc = Proc::open(&roots.proc)?;
        let host = Namespaces::of_first(&proc);
        let hierarchies = Hierarchies::detect(&roots.cgroup);
        Ok(Self {
            bases: Bases::find(&proc, &hierarchies),
            hierarchies,
            proc,
            roots,
            host,
            node_name: None,
            lists_dead_leaders: lists_dead_leaders(),
            viewer: Viewer::current(),
            buffer: Vec::with_capacity(8192),
            notes: Notes::default(),
        })
    }

    /// Says what the node is called. A pod's host name is its own, not its node's; without a
    /// name the host name is taken.
    #[must_use]
    pub fn with_node_name(self, node_name: Option<String>) -> Self {
        Self { node_name, ..self }
    }

    /// The `/proc` it looks at.
    #[must_use]
    pub fn proc(&self) -> &Proc {
        &self.proc
    }

    /// The cgroup tree it looks at.
    #[must_use]
    pub fn hierarchies(&self) -> &Hierarchies {
        &self.hierarchies
    }

    /// Where it looks.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// All that a report tells of a process that ought to wait; `None` if there is none of
    /// that pid.
    pub fn holder(&mut self, pid: u32) -> Result<Option<Holder>, Error> {
        match self.proc.process(pid)? {
            Some(process) => holder::read(
                &self.proc,
                &process,
                &self.hierarchies,
                self.host,
                &mut self.notes,
            ),
            None => Ok(None),
        }
    }

    /// How many seccomp filters the runtime has put upon each process of `container`; `None`
    /// where its files do not tell.
    ///
    /// Where the host's root is not mounted, as in a pod, it is reached through the first process.
    #[must_use]
    pub fn seccomp_filters_of(&self, container: &Container) -> Option<u32> {
        let places = [&self.roots.host, &self.roots.proc.join("1/root")];
        places.into_iter().find_map(|host| {
            let root = names::Root::open(host)?;
            names::filters_of(&root, container)
        })
    }

    /// Every zombie that `holder` has to wait for as the parent, each read in full, in the
    /// order in which they came to it. Empty if the holder is gone. Those that a tracer holds
    /// are left out.
    pub fn zombies_of(&mut self, holder: ProcessId) -> Result<Vec<Zombie>, Error> {
        let dead = self.dead_children(holder, None)?;
        Ok(dead
            .into_iter()
            .filter(|child| !child.threads_live && child.tracer.is_none())
            .map(|child| child.zombie)
            .collect())
    }

    /// Every child of `holder` that shows as a zombie, in the order in which they came to it;
    /// with `only`, at most that one. Empty if the holder is gone.
    pub fn dead_children(
        &mut self,
        holder: ProcessId,
        only: Option<u32>,
    ) -> Result<Vec<DeadChild>, Error> {
        let Some(process) = self.proc.process(holder.pid)? else {
            return Ok(Vec::new());
        };
        if process.id()? != Some(holder) {
            return Ok(Vec::new());
        }
        // Without lists of children (CONFIG_PROC_CHILDREN) every process may be one.
        let mut candidates = match process.all_children()? {
            Some(children) => children,
            None => self.proc.pids()?,
        };
        if let Some(only) = only {
            candidates.retain(|pid| *pid == only);
        }
        let mut dead = Vec::new();
        for pid in candidates {
            let Some(stat) = self.notes.take(self.proc.stat(pid, &mut self.buffer)) else {
                continue;
            };
            if stat.parent != holder.pid || stat.state != State::Zombie {
                continue;
            }
            let Some(status) = self.notes.take(self.proc.status(pid, &mut self.buffer)) else {
                continue;
            };
            let tracer = match status.tracer {
                // The kernel names the thread that traces.
                Some(thread) => {
                    let tracer = self.proc.process_of_thread(thread, &mut self.buffer);
                    self.notes.take(tracer)
                }
                None => None,
            };
            dead.push(DeadChild {
                zombie: self.zombie(&stat, &status),
                processor: stat.processor,
                threads_live: stat.is_dead_leader(),
                tracer: tracer.filter(|tracer| *tracer != holder.pid),
            });
        }
        Ok(dead)
    }

    /// `holder` has taken in orphans though it is not PID 1 (`PR_SET_CHILD_SUBREAPER`), as far
    /// as that can be told from its children.
    pub fn is_subreaper(&mut self, holder: &Holder) -> Result<bool, Error> {
        let Some(process) = self.proc.process(holder.id.pid)? else {
            return Ok(false);
        };
        let (Some(stat), Some(children)) = (process.stat()?, process.all_children()?) else {
            return Ok(false);
        };
        let mut inspected = Vec::new();
        for pid in leak::spread(&children, leak::INSPECTED) {
            inspected.extend(self.notes.take(self.proc.stat(pid, &mut self.buffer)));
        }
        inspected.retain(|child| child.parent == holder.id.pid);
        Ok(leak::is_subreaper(holder, &stat, &inspected))
    }

    /// Every zombie, whoever the parent is, that `tracer` has to wait for before the parent
    /// can. The kernel lists them nowhere, so all zombies of the machine are asked.
    pub fn zombies_traced_by(&mut self, tracer: ProcessId) -> Result<Vec<Zombie>, Error> {
        // `TracerPid` is that of the tracing thread, not of its process.
        let threads = match self.proc.process(tracer.pid)? {
            Some(process) if process.id()? == Some(tracer) => process.tasks()?.unwrap_or_default(),
            _ => return Ok(Vec::new()),
        };
        let mut zombies = Vec::new();
        for pid in self.proc.pids()? {
            let Some(stat) = self.notes.take(self.proc.stat(pid, &mut self.buffer)) else {
                continue;
            };
            if !stat.is_reapable_zombie() {
                continue;
            }
            if let Some(status) = self.notes.take(self.proc.status(pid, &mut self.buffer))
                && status
                    .tracer
                    .is_some_and(|tracer| threads.contains(&tracer))
            {
                zombies.push(self.zombie(&stat, &status));
            }
        }
        Ok(zombies)
    }

    pub(crate) fn zombie(&self, stat: &Stat, status: &Status) -> Zombie {
        let hidden = stat.exit_status == Some(0) && !self.viewer.sees_exit_of(&status.uids);
        Zombie {
            id: stat.id(),
            ns_pids: status.ns_pids.clone(),
            name: stat.comm.to_lossy(),
            exit: stat.exit().filter(|_| !hidden),
        }
    }
}

fn lists_dead_leaders() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    (number(), number()) >= (Some(5), Some(2))
}
