//! `pids.max` of a process's cgroup and of all above it (kernel/cgroup/pids.c).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sexton_core::{Limit, LimitKind};

use super::in_first_pid_namespace;
use crate::holder::seen;
use crate::proc::{Process, parse_pids};
use crate::{Error, Hierarchies, Scanner, container, lossy};

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
pub(super) fn limits(scanner: &Scanner, process: &Process) -> Result<Vec<Limit>, Error> {
    let Some(cgroups) = seen(process.cgroups())? else {
        return Ok(Vec::new());
    };
    let v1 = cgroups.0.iter().find(|line| line.has_controller("pids"));
    let (hierarchy, path) = match (v1, cgroups.unified()) {
        (Some(line), _) => (scanner.hierarchies().v1("pids"), line.path.as_slice()),
        (None, Some(path)) => (scanner.hierarchies().unified(), path),
        (None, None) => return Ok(Vec::new()),
    };
    let Some(root) = hierarchy else {
        return Ok(vec![unseen(path, "its hierarchy is not mounted here")]);
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
        return Ok(vec![unseen(
            path,
            "it lies outside the cgroup tree that we see",
        )]);
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
    Ok(levels.iter().map(|level| hierarchy.limit(level)).collect())
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
            fs::read(directory.join("cgroup.procs"))
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

    /// A directory and all below it; `None` if there are too many.
    fn directories(&self, top: &Path) -> Option<Vec<PathBuf>> {
        let mut found = vec![top.to_owned()];
        let mut next = 0;
        while next < found.len() {
            // Removed in the middle: there is nothing in it.
            for entry in fs::read_dir(&found[next]).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    found.push(entry.path());
                }
            }
            if found.len() > MOST_DIRECTORIES {
                return None;
            }
            next += 1;
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
            let count = count_lines(&directory.join(self.threads));
            for level in &mut *levels {
                if directory.starts_with(&level.directory) {
                    level.listed = level.listed.zip(count).map(|(sum, count)| sum + count);
                }
            }
        }
    }

    fn limit(&self, level: &Level) -> Limit {
        let read = |file: &str| fs::read(level.directory.join(file)).ok();
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
            let text = fs::read(directory.join(file)).ok()?;
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
fn count_lines(path: &Path) -> Option<u64> {
    let gone = |e: &std::io::Error| {
        e.kind() == std::io::ErrorKind::NotFound
            || e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) => return gone(&e).then_some(0),
    };
    let mut buffer = [0; 16 * 1024];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(lines),
            Ok(n) => lines += memchr::memchr_iter(b'\n', &buffer[..n]).count() as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) if gone(&e) => return Some(lines),
            Err(_) => return None,
        }
    }
}
