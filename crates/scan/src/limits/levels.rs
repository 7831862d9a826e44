//! `pids.max` of a process's cgroup and of all above it (kernel/cgroup/pids.c).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sexton_core::{Limit, LimitKind};

use super::in_first_pid_namespace;
use crate::proc::{Process, bounds, parse_pids};
use crate::{Hierarchies, Scanner, container, hierarchy, lossy};

/// A walk of the cgroup tree ends after so many directories.
const MOST_DIRECTORIES: usize = 1 << 14;

/// One cgroup between the process and the root of its hierarchy.
struct Level {
    directory: PathBuf,
    /// Threads listed in it and below; zombies are not.
    listed: Option<u64>,
}

/// The hierarchy that counts pids.
struct Hierarchy<'s> {
    root: &'s Path,
    /// The file that lists threads.
    threads: &'static str,
    v1: bool,
}

/// One limit a level, innermost first, as the kernel checks them; unlimited levels too, since
/// they show where the zombies are.
pub(super) fn limits(scanner: &Scanner, process: &Process) -> Vec<Limit> {
    let cgroups = match process.cgroups() {
        Ok(Some(cgroups)) => cgroups,
        Ok(None) => return Vec::new(),
        Err(why) => {
            let (scope, source) = ("cgroup".to_owned(), "pids.max".to_owned());
            return vec![super::unread(LimitKind::CgroupPids, scope, source, &why)];
        }
    };
    let v1 = cgroups.0.iter().find(|line| line.has_controller("pids"));
    let (hierarchy, path) = match (v1, cgroups.unified()) {
        (Some(line), _) => (scanner.hierarchies().v1("pids"), line.path.as_slice()),
        (None, Some(path)) => (scanner.hierarchies().unified(), path),
        (None, None) => return Vec::new(),
    };
    let Some(root) = hierarchy else {
        return vec![unseen(path, "its hierarchy is not mounted here")];
    };
    let hierarchy = Hierarchy {
        root,
        threads: if v1.is_some() {
            "tasks"
        } else {
            "cgroup.threads"
        },
        v1: v1.is_some(),
    };
    let Some(directory) = hierarchy.locate(path, process.pid()) else {
        return vec![unseen(path, "it lies outside the cgroup tree that we see")];
    };
    let mut levels: Vec<Level> = directory
        .ancestors()
        .take_while(|directory| directory.starts_with(root))
        .map(|directory| Level {
            directory: directory.to_owned(),
            listed: None,
        })
        // The controller may end above the process (v2), and the root of all has no limit.
        .filter(|level| level.directory.join("pids.max").exists())
        .collect();
    // v1 leaves out, unlike v2, the tasks that the reader's PID namespace does not hold.
    if !hierarchy.v1 || in_first_pid_namespace(scanner.proc()) {
        hierarchy.count_listed(&mut levels);
    }
    levels.iter().map(|level| hierarchy.limit(level)).collect()
}

impl Hierarchy<'_> {
    /// The directory of a path of `/proc/PID/cgroup`.
    ///
    /// A cgroup outside the reader's cgroup namespace begins with `/..` once for each step up
    /// from our own cgroup, whose name is not told (`cgroup_namespaces(7)`), and a container
    /// may see its own cgroup mounted as the root though the path is the host's. Then the
    /// process itself is sought: it is listed in one cgroup of a hierarchy.
    fn locate(&self, path: &[u8], pid: u32) -> Option<PathBuf> {
        let lists_it = |directory: &Path| {
            hierarchy::read_pids(directory, "cgroup.procs")
                .is_ok_and(|pids| parse_pids(&pids).any(|listed| listed == pid))
        };
        let direct = Hierarchies::directory(self.root, path).filter(|path| path.exists());
        if let Some(directory) = &direct
            && (path != b"/" || lists_it(directory))
        {
            return direct;
        }
        let found = self
            .directories(self.root)
            .and_then(|all| all.into_iter().find(|directory| lists_it(directory)));
        // Of the root all that matters is that it has no limit.
        found.or(direct)
    }

    /// A directory and all below it; `None` if there are too many, or one cannot be listed.
    fn directories(&self, top: &Path) -> Option<Vec<PathBuf>> {
        let mut found = vec![top.to_owned()];
        let mut room = bounds::CGROUP_PATHS;
        let mut next = 0_usize;
        while let Some(directory) = found.get(next) {
            let entries = match fs::read_dir(directory) {
                Ok(entries) => entries,
                // Removed in the middle: there is nothing in it.
                Err(e) if is_gone(&e) => {
                    next = next.saturating_add(1);
                    continue;
                }
                Err(_) => return None,
            };
            for entry in entries {
                let entry = entry.ok()?;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    room = room.checked_sub(path.as_os_str().len())?;
                    found.push(path);
                }
            }
            if found.len() > MOST_DIRECTORIES {
                return None;
            }
            next = next.saturating_add(1);
        }
        Some(found)
    }

    /// Counts what is listed in each level and below it, in one walk of the topmost.
    fn count_listed(&self, levels: &mut [Level]) {
        let Some(directories) = levels
            .last()
            .and_then(|top| self.directories(&top.directory))
        else {
            return;
        };
        for level in &mut *levels {
            level.listed = Some(0);
        }
        for directory in directories {
            let count = count_lines(&directory, self.threads);
            for level in &mut *levels {
                if directory.starts_with(&level.directory) {
                    let sum = level.listed.zip(count);
                    level.listed = sum.map(|(sum, count)| sum.saturating_add(count));
                }
            }
        }
    }

    fn limit(&self, level: &Level) -> Limit {
        let read = |file: &str| hierarchy::read(&level.directory, file).ok().flatten();
        let used = read("pids.current").and_then(|text| number(&text));
        let path = level
            .directory
            .strip_prefix(self.root)
            .unwrap_or(&level.directory);
        let path = path.as_os_str().as_bytes();
        let maximum = read("pids.max");
        let mut notes = Vec::new();
        notes.extend(who_sets(path));
        notes.extend(self.refusals(&level.directory));
        if maximum.is_none() {
            notes.push("pids.max cannot be read".to_owned());
        }
        if path.is_empty() {
            notes.push("what is above it is hidden by our cgroup namespace".to_owned());
        }
        Limit {
            kind: LimitKind::CgroupPids,
            scope: format!("cgroup /{}", lossy(path)),
            source: level.directory.join("pids.max").display().to_string(),
            used,
            // `max`, which is no number, is unlimited.
            limit: maximum.and_then(|text| number(&text)),
            reserved: 0,
            zombies: used
                .zip(level.listed)
                .map(|(used, listed)| used.saturating_sub(listed)),
            first: false,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }

    /// How often fork has failed here already. `max` of `pids.events` counts on v2 since Linux
    /// 6.11 the times that this limit was hit, and before, and on v1, the forks that failed in
    /// this very cgroup, by whichever limit; `pids.events.local` came with the change.
    fn refusals(&self, directory: &Path) -> Option<String> {
        let count = |file: &str| {
            let text = hierarchy::read(directory, file).ok()??;
            text.split(|byte| *byte == b'\n')
                .find_map(|line| number(line.strip_prefix(b"max ")?))
        };
        let text = match count("pids.events.local").filter(|_| !self.v1) {
            Some(0) => return None,
            Some(times) => format!("forks that this limit refused: {times}"),
            None => match count("pids.events")? {
                0 => return None,
                times => {
                    format!("forks refused in this cgroup, by this limit or one above: {times}")
                }
            },
        };
        Some(text)
    }
}

/// By what name an administrator knows this limit.
fn who_sets(path: &[u8]) -> Option<String> {
    let name = lossy(path.rsplit(|byte| *byte == b'/').next()?);
    if matches!(name.as_str(), "kubepods" | "kubepods.slice") {
        return Some("node allocatable pids of the kubelet".to_owned());
    }
    if container::pod_uid(&name).is_some() {
        return Some("podPidsLimit of the kubelet".to_owned());
    }
    let unit = [".service", ".scope", ".slice"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    unit.then(|| format!("TasksMax of {name}"))
}

fn unseen(path: &[u8], why: &str) -> Limit {
    Limit {
        kind: LimitKind::CgroupPids,
        scope: format!("cgroup {}", lossy(path)),
        source: "pids.max".to_owned(),
        used: None,
        limit: None,
        reserved: 0,
        zombies: None,
        first: false,
        note: Some(why.to_owned()),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// `None` if the file cannot be read; a cgroup that is gone has no lines.
fn count_lines(directory: &Path, file: &str) -> Option<u64> {
    let pids = hierarchy::read_pids(directory, file).ok()?;
    Some(memchr::memchr_iter(b'\n', &pids).count() as u64)
}

fn is_gone(error: &std::io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(hierarchy::is_gone)
}
