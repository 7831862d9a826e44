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

use std::thread::sleep;
use std::time::Instant;

use sexton_core::holder::HoldsAs;
use sexton_core::report::Method;
use sexton_core::text;

use crate::census::FirstLook;
use crate::ending::PF_EXITING;
use crate::group::{ByParent, Group, Options};
use crate::proc::{Loadavg, parse_pids};
use crate::tally::Tree;
use crate::{Error, Scanner};

/// `PROC_PID_INIT_INO` of the kernel: the inode of the machine's first PID namespace.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;
/// Forks during the count make it worthless; so often it is tried again.
const ATTEMPTS: usize = 3;

/// What the first look found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) groups: Vec<Group>,
    /// Those seen as zombies but once so far.
    pub(crate) fresh: Vec<u32>,
    /// Those that are ending and are no zombies yet; most are gone a moment later. Among them are
    /// those of which only the first thread has ended.
    pub(crate) exiting: Vec<u32>,
    pub(crate) method: Method,
    pub(crate) cgroups: u64,
    pub(crate) notes: Vec<String>,
}

impl Scanner {
    pub(crate) fn find(&mut self, options: &Options) -> Result<Found, Error> {
        let mut found = Found {
            groups: Vec::new(),
            fresh: Vec::new(),
            exiting: Vec::new(),
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
            Ok(false) => self.walk(&[], &mut zombies, &mut found)?,
            // What is left unread cannot be called quiet. If it is /proc that cannot be read,
            // the walk says so again.
            Err(e) => {
                self.notes.take::<()>(Err(e));
                found.notes.push(
                    "all of /proc was read, since the counters of a cgroup cannot be".to_owned(),
                );
                found.method = Method::Walk;
                zombies.clear();
                found.fresh.clear();
                found.exiting.clear();
                self.walk(&[], &mut zombies, &mut found)?;
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
        let tree =
            Tree::with_counters(&self.hierarchies).ok_or("no cgroup file system was found")?;
        if tree.is_part() {
            return Err("only a part of the machine's cgroups is mounted here");
        }
        if self
            .host
            .pid
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
        let lists = Tree::with_lists(&self.hierarchies);
        let lists = lists.as_ref().unwrap_or(tree);
        for _ in 0..ATTEMPTS {
            let before = self.loadavg()?;
            let (cgroups, threads) = lists.threads(&mut self.buffer)?;
            found.cgroups = cgroups;
            if self.at_most(before, threads)? == 0 {
                return Ok(());
            }
            if threads < before.tasks {
                break;
            }
            // There may be as many as were born during the count, and there may be none.
        }
        let first = FirstLook {
            at: Instant::now(),
            last_pid: self.loadavg()?.last_pid,
            live: tree.all_processes(&mut self.buffer)?,
        };
        let suspicion = self.suspicion(tree)?;
        found.cgroups = suspicion.cgroups as u64;
        found.exiting.extend(&suspicion.dead_leaders);
        if suspicion.at_most == 0 {
            return Ok(());
        }
        if suspicion.is_census_cheaper() {
            found.method = Method::Census;
            sleep(options.second_look.saturating_sub(first.at.elapsed()));
            let stayed = self.census(tree, &first, &suspicion, zombies, &mut found.fresh)?;
            if stayed >= suspicion.at_most {
                return Ok(());
            }
        }
        found.method = Method::Walk;
        let mut known = first.live;
        known.extend(zombies.values().flatten());
        known.sort_unstable();
        self.walk(&known, zombies, found)?;
        let seen: usize = zombies.values().map(Vec::len).sum();
        if (seen as u64) < suspicion.missing {
            let known = seen.saturating_add(found.exiting.len()) as u64;
            self.note_unseen(tree, known, found)?;
        }
        Ok(())
    }

    /// Tells of tasks that are counted but were not found, if they still are.
    fn note_unseen(&mut self, tree: &Tree, known: u64, found: &mut Found) -> Result<(), Error> {
        let before = self.loadavg()?;
        let (_, threads) = tree.threads(&mut self.buffer)?;
        let unseen = before.tasks.saturating_sub(threads).saturating_sub(known);
        if unseen == 0 {
            return Ok(());
        }
        found.notes.push(if self.viewer.sees_all {
            let tasks = text::plural(unseen, "task is", "tasks are");
            format!(
                "{tasks} neither alive nor reapable: exiting, or ended threads that a \
                 tracer holds"
            )
        } else {
            let tasks = text::plural(unseen, "ended task", "ended tasks");
            format!("{tasks} cannot be seen by this user: run as root")
        });
        Ok(())
    }

    /// Reads every process of `/proc` but those already known (sorted).
    fn walk(
        &mut self,
        known: &[u32],
        zombies: &mut ByParent,
        found: &mut Found,
    ) -> Result<(), Error> {
        for pid in self.proc.pids()? {
            if known.binary_search(&pid).is_ok() {
                continue;
            }
            let Some(stat) = self.notes.take(self.proc.stat(pid, &mut self.buffer)) else {
                continue;
            };
            if stat.is_reapable_zombie() {
                zombies.entry(stat.parent).or_default().push(pid);
                found.fresh.push(pid);
            } else if stat.flags & PF_EXITING != 0 {
                found.exiting.push(pid);
            }
        }
        Ok(())
    }

    /// The most zombies that there can have been at `before`, when `threads` were listed since:
    /// whoever was born meanwhile may be listed in a zombie's stead.
    pub(crate) fn at_most(&self, before: Loadavg, threads: u64) -> Result<u64, Error> {
        let after = self.loadavg()?.last_pid;
        // Pids are given out in a circle, those in use are passed over.
        let born = after.checked_sub(before.last_pid).unwrap_or_else(|| {
            let to_the_end = self.pid_max().saturating_sub(before.last_pid);
            to_the_end.saturating_add(after)
        });
        let tasks = before.tasks.saturating_add(born.into());
        Ok(tasks.saturating_sub(threads))
    }

    fn pid_max(&self) -> u32 {
        let text = self.proc.read("sys/kernel/pid_max").ok().flatten();
        // `PID_MAX_LIMIT` of the kernel.
        parse_pids(&text.unwrap_or_default())
            .next()
            .unwrap_or(4 << 20)
    }

    pub(crate) fn loadavg(&self) -> Result<Loadavg, Error> {
        self.proc.parse("loadavg", Loadavg::parse)
    }

    /// `/proc` is mounted so that not even PID 1, which is always there, can be looked at.
    fn is_blindfold(&mut self) -> bool {
        !self.viewer.sees_all
            && self.proc.own_pid().is_some()
            && !matches!(self.proc.stat(1, &mut self.buffer), Ok(Some(_)))
    }
}

#[cfg(test)]
mod tests;
