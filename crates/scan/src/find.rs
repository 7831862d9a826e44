//! Which processes are zombies, and whose: the cheapest way that is sound.
//!
//! 1. *Quiet.* If the machine has no more tasks than its cgroups list live threads, there is no
//!    zombie. One list a cgroup is read, no process.
//! 2. *Census.* Else the counters of the cgroups say where the missing ones are. The children
//!    of the processes there, less all live processes, are the zombies; none of them is opened.
//!    The two looks that make sure that nobody is about to wait for them are lists of the live
//!    before and after: who was dead at the first and is still there at the second has stayed.
//! 3. *Walk.* What that does not account for has its parent elsewhere (a shim, the host), or
//!    the kernel lists no children. All of `/proc` is listed, and what does not live is read.
//!
//! Where there are no counters that can be compared, all of `/proc` is read.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use sexton_core::holder::HoldsAs;
use sexton_core::report::Method;

use crate::holder::seen;
use crate::proc::Loadavg;
use crate::scan::{Group, Options};
use crate::tally::{Counted, Tree, Unit, suspects};
use crate::{Error, Scanner};

/// `PROC_PID_INIT_INO` of the kernel: the inode of the machine's first PID namespace.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;
/// Forks during the count make it worthless; so often it is tried again.
const ATTEMPTS: usize = 3;

/// Zombies by their parent.
type ByParent = BTreeMap<u32, Vec<u32>>;

/// What the first look found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) groups: Vec<Group>,
    /// Those seen as zombies but once so far.
    pub(crate) fresh: Vec<u32>,
    pub(crate) method: Method,
    pub(crate) cgroups: u64,
    pub(crate) notes: Vec<String>,
}

/// Who lived at the first look.
struct FirstLook {
    at: Instant,
    /// The pid that was given out last.
    last_pid: u32,
    /// Live processes, sorted.
    live: Vec<u32>,
}

/// Where the counters say that zombies are.
struct Suspicion {
    units: Vec<Unit>,
    /// Ids of the live threads of those units.
    threads: Vec<u32>,
    /// How many zombies there ought to be.
    missing: u64,
    /// All tasks of the machine.
    tasks: u64,
    /// Thread-group leaders that ended before their threads: counted, not listed, no zombies.
    dead_leaders: u64,
}

impl Scanner {
    pub(crate) fn find(&mut self, options: &Options) -> Result<Found, Error> {
        let mut found = Found {
            groups: Vec::new(),
            fresh: Vec::new(),
            method: Method::Walk,
            cgroups: 0,
            notes: Vec::new(),
        };
        let mut zombies = ByParent::new();
        let by_counters = match self.comparable() {
            _ if options.full => Ok(false),
            Ok(tree) => self
                .by_counters(&tree, options, &mut zombies, &mut found)
                .map(|()| true),
            Err(why) => {
                found.notes.push(format!("all of /proc was read: {why}"));
                Ok(false)
            }
        };
        match by_counters {
            Ok(true) => {}
            Ok(false) => {
                self.walk(&[], &mut zombies, &mut found.fresh)?;
            }
            // What is left unread cannot be called quiet. If it is /proc that cannot be read,
            // the walk says so again.
            Err(e) => {
                found.notes.push(format!("all of /proc was read: {e}"));
                found.method = Method::Walk;
                zombies.clear();
                found.fresh.clear();
                self.walk(&[], &mut zombies, &mut found.fresh)?;
            }
        }
        if found.method != Method::Quiet && self.is_blindfold() {
            found.notes.push(
                "processes of other users are hidden from this user (hidepid): run as root"
                    .to_owned(),
            );
        }
        found.groups = zombies
            .into_iter()
            .map(|(holder, zombies)| Group {
                holder,
                holds_as: HoldsAs::Parent,
                zombies,
            })
            .collect();
        Ok(found)
    }

    /// The tree whose counters can be compared with the machine's, or why there is none.
    fn comparable(&self) -> Result<Tree, &'static str> {
        let tree = Tree::open(&self.hierarchies).ok_or("no cgroup file system was found")?;
        if tree.is_part() {
            return Err("only a part of the machine's cgroups is mounted here");
        }
        if self
            .host_pid_namespace
            .is_some_and(|inode| inode != FIRST_PID_NAMESPACE)
        {
            return Err("this PID namespace is not the machine's first");
        }
        if !self.proc.is_kernels_own("loadavg") {
            return Err("another file is mounted over its loadavg");
        }
        Ok(tree)
    }

    fn by_counters(
        &mut self,
        tree: &Tree,
        options: &Options,
        zombies: &mut ByParent,
        found: &mut Found,
    ) -> Result<(), Error> {
        found.method = Method::Quiet;
        for _ in 0..ATTEMPTS {
            let before = self.loadavg()?;
            let (cgroups, threads) = tree.threads(&mut self.buffer)?;
            found.cgroups = cgroups;
            if before.tasks > threads {
                break;
            }
            // If nothing was born meanwhile, all that is listed lived before, and is all.
            if self.loadavg()?.last_pid == before.last_pid {
                return Ok(());
            }
        }
        let first = FirstLook {
            at: Instant::now(),
            last_pid: self.loadavg()?.last_pid,
            live: tree.all_processes(&mut self.buffer)?,
        };
        let suspicion = self.suspicion(tree)?;
        if suspicion.missing == 0 {
            return Ok(());
        }
        let mut accounted = 0;
        if suspicion.is_census_cheaper() {
            found.method = Method::Census;
            sleep(options.second_look.saturating_sub(first.at.elapsed()));
            accounted = self.census(tree, &first, &suspicion, zombies, &mut found.fresh)?;
            if accounted >= suspicion.missing {
                return Ok(());
            }
        }
        // A task in the middle of ending may have been counted; it no longer is.
        let missing = self
            .missing_now(tree, suspicion.dead_leaders)?
            .min(suspicion.missing);
        if accounted < missing {
            found.method = Method::Walk;
            let mut known = tree.all_processes(&mut self.buffer)?;
            known.extend(zombies.values().flatten());
            known.sort_unstable();
            accounted += self.walk(&known, zombies, &mut found.fresh)?;
        }
        if accounted < missing {
            let hidden = missing - accounted;
            found.notes.push(if self.viewer.sees_all {
                format!(
                    "{hidden} tasks are counted that are neither alive nor waited for: \
                     about to end, or ended threads that a tracer holds"
                )
            } else {
                format!("{hidden} ended tasks cannot be seen by this user: run as root")
            });
        }
        Ok(())
    }

    fn suspicion(&mut self, tree: &Tree) -> Result<Suspicion, Error> {
        let before = self.loadavg()?.tasks;
        let counted = tree.count(&mut self.buffer)?;
        let tasks = before.max(self.loadavg()?.tasks);
        let mut suspicion = Suspicion {
            units: suspects(&counted, tasks),
            threads: Vec::new(),
            missing: 0,
            tasks,
            dead_leaders: 0,
        };
        self.clear_dead_leaders(tree, &counted, &mut suspicion)?;
        // The counters of single cgroups and that of the machine are read at different times;
        // the greater difference is the one to account for.
        let listed: u64 = counted.iter().map(Counted::threads).sum();
        let in_units = suspicion.units.iter().map(|unit| unit.missing).sum();
        suspicion.missing = tasks
            .saturating_sub(listed)
            .saturating_sub(suspicion.dead_leaders)
            .max(in_units);
        Ok(suspicion)
    }

    /// Takes thread-group leaders that ended before their threads out of what is missing: such
    /// a process is listed, its leader is not among the threads listed.
    fn clear_dead_leaders(
        &mut self,
        tree: &Tree,
        counted: &[Counted],
        suspicion: &mut Suspicion,
    ) -> Result<(), Error> {
        let mut units = Vec::with_capacity(suspicion.units.len());
        for mut unit in suspicion.units.drain(..) {
            let (mut threads, mut processes) = (Vec::new(), Vec::new());
            for &index in &unit.cgroups {
                let cgroup = &counted[index].path;
                tree.thread_ids(cgroup, &mut self.buffer, &mut threads)?;
                tree.processes(cgroup, &mut self.buffer, &mut processes)?;
            }
            threads.sort_unstable();
            let dead = processes
                .iter()
                .filter(|pid| threads.binary_search(pid).is_err())
                .count() as u64;
            suspicion.dead_leaders += dead;
            unit.missing = unit.missing.saturating_sub(dead);
            if unit.missing != 0 {
                suspicion.threads.append(&mut threads);
                units.push(unit);
            }
        }
        suspicion.units = units;
        Ok(())
    }

    /// Children of the live threads of the suspicious cgroups, less all that live. Returns how
    /// many were found.
    fn census(
        &mut self,
        tree: &Tree,
        first: &FirstLook,
        suspicion: &Suspicion,
        zombies: &mut ByParent,
        fresh: &mut Vec<u32>,
    ) -> Result<u64, Error> {
        let mut of_threads: Vec<(u32, Vec<u32>)> = Vec::new();
        for &tid in &suspicion.threads {
            let mut children = Vec::new();
            let read = self
                .proc
                .children_of_thread(tid, &mut self.buffer, &mut children);
            if seen(read.map(Some))? == Some(true) && !children.is_empty() {
                of_threads.push((tid, children));
            }
        }
        let last_pid = self.loadavg()?.last_pid;
        // Who is alive is read after the children: a child that is not among them has ended.
        let live = tree.all_processes(&mut self.buffer)?;
        let mut count = 0;
        for (tid, mut children) in of_threads {
            children.retain(|pid| live.binary_search(pid).is_err());
            // Before Linux 5.2 a process with a dead leader is not listed among the living.
            if !self.lists_dead_leaders {
                self.retain_zombies(&mut children)?;
            }
            if children.is_empty() {
                continue;
            }
            let Some(status) = seen(self.proc.status(tid, &mut self.buffer))? else {
                continue;
            };
            count += children.len() as u64;
            fresh.extend(
                children
                    .iter()
                    .filter(|pid| first.is_fresh(**pid, last_pid)),
            );
            zombies
                .entry(status.tgid)
                .or_default()
                .append(&mut children);
        }
        Ok(count)
    }

    fn retain_zombies(&mut self, pids: &mut Vec<u32>) -> Result<(), Error> {
        let mut zombies = Vec::with_capacity(pids.len());
        for &pid in pids.iter() {
            if seen(self.proc.stat(pid, &mut self.buffer))?.is_some_and(|s| s.is_reapable_zombie())
            {
                zombies.push(pid);
            }
        }
        *pids = zombies;
        Ok(())
    }

    /// Reads every process of `/proc` but those already known (sorted). Returns how many
    /// zombies were found.
    fn walk(
        &mut self,
        known: &[u32],
        zombies: &mut ByParent,
        fresh: &mut Vec<u32>,
    ) -> Result<u64, Error> {
        let mut count = 0;
        for pid in self.proc.pids()? {
            if known.binary_search(&pid).is_ok() {
                continue;
            }
            if let Some(stat) = seen(self.proc.stat(pid, &mut self.buffer))?
                && stat.is_reapable_zombie()
            {
                zombies.entry(stat.parent).or_default().push(pid);
                fresh.push(pid);
                count += 1;
            }
        }
        Ok(count)
    }

    fn missing_now(&mut self, tree: &Tree, dead_leaders: u64) -> Result<u64, Error> {
        let tasks = self.loadavg()?.tasks;
        let (_, threads) = tree.threads(&mut self.buffer)?;
        Ok(tasks.saturating_sub(threads).saturating_sub(dead_leaders))
    }

    fn loadavg(&self) -> Result<Loadavg, Error> {
        self.proc.parse("loadavg", Loadavg::parse)
    }

    /// `/proc` is mounted so that not even PID 1, which is always there, can be looked at.
    fn is_blindfold(&mut self) -> bool {
        !self.viewer.sees_all
            && self.proc.own_pid().is_some()
            && !matches!(self.proc.stat(1, &mut self.buffer), Ok(Some(_)))
    }
}

impl FirstLook {
    /// A zombie of the second look that was not one at the first: it lived then, or was not
    /// born. Pids are given out in a circle, so the young ones lie between the last pid of then
    /// and that of now.
    fn is_fresh(&self, zombie: u32, last_pid: u32) -> bool {
        let born = if self.last_pid <= last_pid {
            self.last_pid < zombie && zombie <= last_pid
        } else {
            self.last_pid < zombie || zombie <= last_pid
        };
        born || self.live.binary_search(&zombie).is_ok()
    }
}

impl Suspicion {
    /// Whether the lists of children cost less than the list of `/proc` with every zombie read.
    fn is_census_cheaper(&self) -> bool {
        // Microseconds, as measured (docs/design.md); only their proportions matter. The list
        // of children comes in pages, and the kernel counts its way to each from the start.
        let zombies = self.missing as f64;
        let children = 8.0 * self.threads.len() as f64 + zombies * (1.0 + zombies * 3e-5);
        let listing = 1.5 * self.tasks as f64 + 6.0 * zombies;
        children < listing
    }
}
