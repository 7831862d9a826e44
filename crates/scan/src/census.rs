//! Zombies without opening one: where the counters say that they are, the children of the
//! living less the living.

use std::time::Instant;

use crate::group::ByParent;
use crate::tally::{Counted, Tree, Unit, suspects};
use crate::{Error, Scanner};

/// Who lived at the first look.
pub(crate) struct FirstLook {
    pub(crate) at: Instant,
    /// The pid that was given out last.
    pub(crate) last_pid: u32,
    /// Live processes, sorted.
    pub(crate) live: Vec<u32>,
}

/// Where the counters say that zombies are.
pub(crate) struct Suspicion {
    units: Vec<Unit>,
    /// Ids of the live threads of those units.
    threads: Vec<u32>,
    /// The most zombies that there can be, whatever was born and ended during the count.
    pub(crate) at_most: u64,
    /// How many there are if nothing was born or ended.
    pub(crate) missing: u64,
    pub(crate) cgroups: usize,
    /// All tasks of the machine.
    tasks: u64,
    /// Thread-group leaders that ended before their threads: counted, not listed, no zombies.
    pub(crate) dead_leaders: Vec<u32>,
}

impl Scanner {
    pub(crate) fn suspicion(&mut self, tree: &Tree) -> Result<Suspicion, Error> {
        let before = self.loadavg()?;
        let counted = tree.count(&mut self.buffer)?;
        let tasks = before.tasks.max(self.loadavg()?.tasks);
        let listed = counted.iter().map(Counted::threads).sum();
        let mut suspicion = Suspicion {
            units: suspects(&counted, tasks),
            threads: Vec::new(),
            at_most: self.at_most(before, listed)?,
            missing: before.tasks.saturating_sub(listed),
            tasks,
            cgroups: counted.len(),
            dead_leaders: Vec::new(),
        };
        self.clear_dead_leaders(tree, &counted, &mut suspicion)?;
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
                let Some(Counted { path: cgroup, .. }) = counted.get(index) else {
                    continue;
                };
                tree.processes(cgroup, &mut self.buffer, &mut processes)?;
                tree.thread_ids(cgroup, &mut self.buffer, &mut threads)?;
            }
            threads.sort_unstable();
            let known = suspicion.dead_leaders.len();
            for pid in processes {
                // Or it was born or has ended between the two lists: its stat knows.
                if threads.binary_search(&pid).is_err()
                    && let Some(stat) = self.notes.take(self.proc.stat(pid, &mut self.buffer))
                    && stat.is_dead_leader()
                {
                    suspicion.dead_leaders.push(pid);
                }
            }
            let dead = suspicion.dead_leaders.len().saturating_sub(known) as u64;
            unit.missing = unit.missing.saturating_sub(dead);
            if unit.missing != 0 {
                suspicion.threads.append(&mut threads);
                units.push(unit);
            }
        }
        suspicion.units = units;
        let dead = suspicion.dead_leaders.len() as u64;
        suspicion.at_most = suspicion.at_most.saturating_sub(dead);
        suspicion.missing = suspicion.missing.saturating_sub(dead);
        Ok(())
    }

    /// Children of the live threads of the suspicious cgroups, less all that live. Returns how
    /// many were zombies at the first look already.
    pub(crate) fn census(
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
            if self.notes.take(read.map(Some)) == Some(true) && !children.is_empty() {
                of_threads.push((tid, children));
            }
        }
        let last_pid = self.loadavg()?.last_pid;
        // Who is alive is read after the children: a child that is not among them has ended.
        let live = tree.all_processes(&mut self.buffer)?;
        let mut stayed = 0;
        for (tid, mut children) in of_threads {
            children.retain(|pid| live.binary_search(pid).is_err());
            // Before Linux 5.2 a process with a dead leader is not listed among the living.
            if !self.lists_dead_leaders {
                self.retain_zombies(&mut children);
            }
            if children.is_empty() {
                continue;
            }
            let Some(status) = self.notes.take(self.proc.status(tid, &mut self.buffer)) else {
                continue;
            };
            let known = fresh.len();
            fresh.extend(
                children
                    .iter()
                    .filter(|pid| first.is_fresh(**pid, last_pid)),
            );
            let new = fresh.len().saturating_sub(known);
            stayed = u64::saturating_add(stayed, children.len().saturating_sub(new) as u64);
            zombies
                .entry(status.tgid)
                .or_default()
                .append(&mut children);
        }
        Ok(stayed)
    }

    fn retain_zombies(&mut self, pids: &mut Vec<u32>) {
        let mut zombies = Vec::with_capacity(pids.len());
        for &pid in pids.iter() {
            let stat = self.notes.take(self.proc.stat(pid, &mut self.buffer));
            if stat.is_some_and(|stat| stat.is_reapable_zombie()) {
                zombies.push(pid);
            }
        }
        *pids = zombies;
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
    pub(crate) fn is_census_cheaper(&self) -> bool {
        // Microseconds on Linux 6.18; only their proportions matter. The list of children comes
        // in pages, and the kernel counts its way to each from the start: hence the square.
        let zombies = self.at_most as f64;
        let children = 8.0 * self.threads.len() as f64 + zombies * (0.4 + zombies * 3e-5);
        let who_lives = 15.0 * self.cgroups as f64;
        let listing = 0.4 * self.tasks as f64 + 4.0 * zombies;
        !self.threads.is_empty() && children + who_lives < listing
    }
}

#[cfg(test)]
mod tests;
