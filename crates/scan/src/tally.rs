//! Counting zombies without looking at a process.
//!
//! A cgroup's list of threads leaves zombies out, its counter `pids.current` includes them, and
//! `/proc/loadavg` counts every task of the machine. So the difference of two small reads is
//! the number of zombies, whatever their number. A task in the middle of ending is in neither
//! list for an instant, and so is one whose leader ended before its threads for as long as they
//! live: a difference is a reason to look, not a finding. (A thread that is moved to another
//! cgroup between two reads is listed twice, and may hide one zombie from that one scan.)

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, RawDir};
use rustix::io::Errno;

use crate::Error;
use crate::hierarchy::{Hierarchies, is_gone};
use crate::proc::file::{self, End};
use crate::proc::{bounds, parse_pids};

/// Called with a cgroup's path and the place of its parent in the order of the calls.
type Visit<'a> = dyn FnMut(&[u8], Option<usize>) -> Result<(), Error> + 'a;

/// One hierarchy, held open: every process is in exactly one of its cgroups.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// v2 calls it `cgroup.threads`, v1 `tasks`.
    threads_file: &'static str,
}

/// What was counted in one cgroup.
#[derive(Debug)]
pub(crate) struct Counted {
    parent: Option<usize>,
    /// From the root of the hierarchy: `./kubepods/…`.
    pub(crate) path: Vec<u8>,
    /// `pids.current`, of all below it too; `None` where the controller is not switched on.
    tasks: Option<u64>,
    /// Live threads in this cgroup itself.
    threads: u64,
}

impl Counted {
    /// Live threads in this cgroup itself.
    pub(crate) fn threads(&self) -> u64 {
        self.threads
    }
}

/// A cgroup with a counter, and those below it that have none of their own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) cgroups: Vec<usize>,
    /// Tasks that are counted but not listed.
    pub(crate) missing: u64,
    /// Live threads.
    pub(crate) threads: u64,
}

impl Tree {
    /// The hierarchy whose counters can be compared, else any that lists threads.
    pub(crate) fn with_counters(hierarchies: &Hierarchies) -> Option<Self> {
        match hierarchies.v1("pids") {
            Some(root) => Self::open(root, "tasks"),
            None => Self::with_lists(hierarchies),
        }
    }

    /// The hierarchy that is the quickest to list: v1 sorts its lists, and on hybrid machines
    /// has more cgroups.
    pub(crate) fn with_lists(hierarchies: &Hierarchies) -> Option<Self> {
        match hierarchies.unified() {
            Some(root) => Self::open(root, "cgroup.threads"),
            None => Self::open(hierarchies.any_v1()?, "tasks"),
        }
    }

    fn open(root: &Path, threads_file: &'static str) -> Option<Self> {
        Some(Self {
            root: file::hold(CWD, root.as_os_str().as_bytes()).ok()?,
            path: root.to_owned(),
            threads_file,
        })
    }

    /// The root of what is mounted has a counter, so it is not the root of the machine's tree:
    /// we are in a container that sees its own part alone.
    pub(crate) fn is_part(&self) -> bool {
        rustix::fs::statat(&self.root, "pids.current", AtFlags::empty()).is_ok()
    }

    /// Cgroups and live threads of the whole tree.
    pub(crate) fn threads(&self, buffer: &mut Vec<u8>) -> Result<(u64, u64), Error> {
        let (mut cgroups, mut threads) = (0, 0);
        self.each(&mut |path, _| {
            let listed = self.lines(path, self.threads_file, buffer)?;
            cgroups = u64::saturating_add(cgroups, 1);
            threads = u64::saturating_add(threads, listed);
            Ok(())
        })?;
        Ok((cgroups, threads))
    }

    /// Counters and live threads of every cgroup.
    pub(crate) fn count(&self, buffer: &mut Vec<u8>) -> Result<Vec<Counted>, Error> {
        let mut counted = Vec::new();
        let mut room = bounds::CGROUP_PATHS;
        self.each(&mut |path, parent| {
            // Whoever may make cgroups may make many, each with a path of a page.
            room = room
                .checked_sub(path.len())
                .ok_or_else(|| self.error(path, Errno::FBIG))?;
            // A fork between two reads would hide a zombie, so the counter is read on both
            // sides and the greater one taken: rather look in vain than look away.
            let before = self.number(path, buffer)?;
            let threads = self.lines(path, self.threads_file, buffer)?;
            let after = self.number(path, buffer)?;
            counted.push(Counted {
                parent,
                path: path.to_vec(),
                tasks: before.max(after),
                threads,
            });
            Ok(())
        })?;
        Ok(counted)
    }

    /// Thread ids in one cgroup.
    pub(crate) fn thread_ids(
        &self,
        cgroup: &[u8],
        buffer: &mut Vec<u8>,
        found: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.read(cgroup, self.threads_file, buffer)?;
        found.extend(parse_pids(buffer));
        Ok(())
    }

    /// Processes in one cgroup. Those whose leader ended before its threads are listed since
    /// Linux 5.2.
    pub(crate) fn processes(
        &self,
        cgroup: &[u8],
        buffer: &mut Vec<u8>,
        found: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.read(cgroup, "cgroup.procs", buffer)?;
        found.extend(parse_pids(buffer));
        Ok(())
    }

    /// Every live process of the machine, sorted.
    pub(crate) fn all_processes(&self, buffer: &mut Vec<u8>) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        self.each(&mut |path, _| self.processes(path, buffer, &mut found))?;
        found.sort_unstable();
        Ok(found)
    }

    /// `buffer` is left empty if the cgroup is gone, or has no such file. A threaded cgroup
    /// lists no processes (`EOPNOTSUPP`): the root of its threaded subtree does.
    fn read(&self, cgroup: &[u8], file: &str, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let path = &[cgroup, b"/", file.as_bytes()].concat();
        match file::read_whole(self.root.as_fd(), path, bounds::PIDS, End::Short, buffer) {
            Err(e) if is_gone(e) || e == Errno::OPNOTSUPP => {
                buffer.clear();
                Ok(())
            }
            read => read.map_err(|e| self.error(path, e)),
        }
    }

    fn error(&self, path: &[u8], errno: Errno) -> Error {
        Error::io(self.path.join(OsStr::from_bytes(path)), errno)
    }

    fn lines(&self, cgroup: &[u8], file: &str, buffer: &mut Vec<u8>) -> Result<u64, Error> {
        self.read(cgroup, file, buffer)?;
        Ok(memchr::memchr_iter(b'\n', buffer).count() as u64)
    }

    fn number(&self, cgroup: &[u8], buffer: &mut Vec<u8>) -> Result<Option<u64>, Error> {
        self.read(cgroup, "pids.current", buffer)?;
        let text = str::from_utf8(buffer).unwrap_or_default();
        Ok(text.trim_ascii().parse().ok())
    }

    /// Calls `visit` for every cgroup, parents first.
    fn each(&self, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut path = b".".to_vec();
        visit(&path, None)?;
        self.descend(&mut path, 0, &mut 1, visit)
    }

    fn descend(
        &self,
        path: &mut Vec<u8>,
        index: usize,
        next: &mut usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        // The kernel counts a cgroup's subdirectories in its links, as file systems do, so that
        // leaves, which are most, need not be listed. Overlay file systems always say 1.
        match rustix::fs::statat(&self.root, path.as_slice(), AtFlags::empty()) {
            Ok(stat) if stat.st_nlink == 2 => return Ok(()),
            Ok(_) => {}
            Err(e) if is_gone(e) => return Ok(()),
            Err(e) => return Err(self.error(path, e)),
        }
        let names = self.subdirectories(path)?;
        let length = path.len();
        for name in names.split(|byte| *byte == 0).filter(|n| !n.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(name);
            let child = *next;
            *next = next.saturating_add(1);
            visit(path, Some(index))?;
            self.descend(path, child, next, visit)?;
            path.truncate(length);
        }
        Ok(())
    }

    /// Names, each followed by NUL.
    fn subdirectories(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let dir = match file::open_dir(self.root.as_fd(), path) {
            Err(e) if is_gone(e) => return Ok(Vec::new()),
            opened => opened.map_err(|e| self.error(path, e))?,
        };
        let mut names = Vec::new();
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 4096];
        let mut entries = RawDir::new(&dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|e| self.error(path, e))?;
            let name = entry.file_name().to_bytes_with_nul();
            if entry.file_type() == FileType::Directory && !matches!(name, b".\0" | b"..\0") {
                names.extend_from_slice(name);
            }
        }
        Ok(names)
    }
}

/// Units in which more tasks are counted than listed. `all_tasks` stands for the counter that
/// the root has not.
pub(crate) fn suspects(counted: &[Counted], all_tasks: u64) -> Vec<Unit> {
    let mut heads: Vec<usize> = Vec::with_capacity(counted.len());
    let mut units: Vec<(Unit, i64)> = (0..counted.len()).map(|_| Default::default()).collect();
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut owe = |unit: usize, tasks: i64| {
        if let Some((_, balance)) = units.get_mut(unit) {
            *balance = balance.saturating_add(tasks);
        }
    };
    for (index, cgroup) in counted.iter().enumerate() {
        // Parents come first, so the parent's head is known.
        let above = cgroup.parent.and_then(|parent| heads.get(parent)).copied();
        let head = match (cgroup.tasks, above) {
            (None, Some(above)) => above,
            (Some(tasks), Some(above)) => {
                owe(above, signed(tasks).saturating_neg());
                owe(index, signed(tasks));
                index
            }
            (_, None) => {
                owe(index, signed(all_tasks));
                index
            }
        };
        owe(head, signed(cgroup.threads).saturating_neg());
        heads.push(head);
    }
    for (index, (cgroup, head)) in counted.iter().zip(heads).enumerate() {
        if let Some((unit, _)) = units.get_mut(head) {
            unit.threads = unit.threads.saturating_add(cgroup.threads);
            unit.cgroups.push(index);
        }
    }
    units
        .into_iter()
        .filter_map(|(mut unit, balance)| {
            unit.missing = u64::try_from(balance).ok().filter(|missing| *missing > 0)?;
            Some(unit)
        })
        .collect()
}

#[cfg(test)]
mod tests;
