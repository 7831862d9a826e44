//! `pids.max` of a process's cgroup and of all above it (kernel/cgroup/pids.c).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sexton_core::{Limit, LimitKind, Runtime};

use super::in_first_pid_namespace;
use super::users::Users;
use crate::proc::{Process, bounds, parse_pids};
use crate::{Hierarchies, Scanner, container, hierarchy, lossy};

/// A walk of the cgroup tree ends after so many directories.
const MOST_DIRECTORIES: usize = 1 << 14;

/// What one look has read of the cgroups: levels that several processes share are read once.
#[derive(Debug, Default)]
pub(super) struct Levels {
    limits: HashMap<PathBuf, Limit>,
    /// Threads listed in each cgroup and below it, zombies not, by the topmost that was walked.
    listed: HashMap<PathBuf, HashMap<PathBuf, Option<u64>>>,
    /// The cgroup that lists each process; read where a path of `/proc` says nothing to us.
    members: Option<HashMap<u32, PathBuf>>,
    /// Processes that the root of the hierarchy lists.
    of_root: Option<HashSet<u32>>,
}

impl Levels {
    fn root_lists(&mut self, root: &Path, pid: u32) -> bool {
        let listed = || lists(root).into_iter().collect();
        self.of_root.get_or_insert_with(listed).contains(&pid)
    }
}

/// The hierarchy that counts pids.
pub(super) struct Hierarchy<'s> {
    root: &'s Path,
    /// The file that lists threads.
    threads: &'static str,
    v1: bool,
}

/// One limit a level, innermost first, as the kernel checks them; unlimited levels too, since
/// they show where the zombies are.
pub(super) fn limits(scanner: &Scanner, process: &Process, known: &mut Levels) -> Vec<Limit> {
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
    let hierarchy = Hierarchy::at(root, v1.is_some());
    let Some(directory) = hierarchy.locate(path, process.pid(), known) else {
        return vec![unseen(path, "it lies outside the cgroup tree that we see")];
    };
    let levels: Vec<PathBuf> = directory
        .ancestors()
        .take_while(|directory| directory.starts_with(root))
        // The controller may end above the process (v2), and the root of all has no limit.
        .filter(|directory| {
            known.limits.contains_key(*directory) || directory.join("pids.max").exists()
        })
        .map(Path::to_owned)
        .collect();
    let Some(top) = levels.last() else {
        return Vec::new();
    };
    // v1 leaves out, unlike v2, the tasks that the reader's PID namespace does not hold.
    let told = !hierarchy.v1 || in_first_pid_namespace(scanner.proc());
    if told && !known.listed.contains_key(top) {
        known
            .listed
            .insert(top.clone(), hierarchy.count_listed(top));
    }
    let listed = known.listed.get(top);
    levels
        .iter()
        .map(|level| {
            let read = || {
                let threads = listed.and_then(|listed| listed.get(level).copied().flatten());
                hierarchy.limit(level, threads)
            };
            known
                .limits
                .entry(level.clone())
                .or_insert_with(read)
                .clone()
        })
        .collect()
}

impl<'s> Hierarchy<'s> {
    fn at(root: &'s Path, v1: bool) -> Self {
        let threads = if v1 { "tasks" } else { "cgroup.threads" };
        Self { root, threads, v1 }
    }

    /// That of the machine.
    pub(super) fn of(scanner: &'s Scanner) -> Option<Self> {
        let v1 = scanner.hierarchies().v1("pids");
        let v2 = || scanner.hierarchies().unified();
        let root = v1.or_else(v2)?;
        Some(Self::at(root, v1.is_some()))
    }

    pub(super) fn root(&self) -> &Path {
        self.root
    }

    /// The limit of one cgroup, and those who fill it.
    pub(super) fn level(&self, scanner: &Scanner, directory: &Path, users: &mut Users) -> Limit {
        // v1 leaves out, unlike v2, the tasks that the reader's PID namespace does not hold.
        let told = !self.v1 || in_first_pid_namespace(scanner.proc());
        let listed = told.then(|| self.count_listed(directory));
        let threads = listed.and_then(|listed| listed.get(directory).copied().flatten());
        let mut limit = self.limit(directory, threads);
        self.fill(&mut limit, directory, users);
        limit
    }

    /// Names those who fill a limit that `directory` sets.
    pub(super) fn fill(&self, limit: &mut Limit, directory: &Path, users: &mut Users) {
        if limit.limit.is_some() {
            let below = self.directories(directory).unwrap_or_default();
            limit.users = users.of_cgroup(&below);
        }
    }

    /// The directory of a path of `/proc/PID/cgroup`.
    ///
    /// A cgroup outside the reader's cgroup namespace begins with `/..` once for each step up
    /// from our own cgroup, whose name is not told (`cgroup_namespaces(7)`), and a container
    /// may see its own cgroup mounted as the root though the path is the host's. Then the
    /// process itself is sought: it is listed in one cgroup of a hierarchy.
    fn locate(&self, path: &[u8], pid: u32, known: &mut Levels) -> Option<PathBuf> {
        let direct = Hierarchies::directory(self.root, path).filter(|path| path.exists());
        if let Some(directory) = &direct
            && (path != b"/" || known.root_lists(directory, pid))
        {
            return direct;
        }
        let members = known.members.get_or_insert_with(|| {
            let all = self.directories(self.root).unwrap_or_default();
            let pids = |directory: PathBuf| {
                let listed = lists(&directory);
                listed.into_iter().map(move |pid| (pid, directory.clone()))
            };
            all.into_iter().flat_map(pids).collect()
        });
        // Of the root all that matters is that it has no limit.
        members.get(&pid).cloned().or(direct)
    }

    /// A directory and all below it; `None` if there are too many, or one cannot be listed.
    pub(super) fn directories(&self, top: &Path) -> Option<Vec<PathBuf>> {
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

    /// What is listed in each cgroup from `top` down, and below it. Empty if there are too many.
    fn count_listed(&self, top: &Path) -> HashMap<PathBuf, Option<u64>> {
        let mut listed: HashMap<PathBuf, Option<u64>> = HashMap::new();
        for directory in self.directories(top).unwrap_or_default() {
            let count = count_lines(&directory, self.threads);
            for above in directory.ancestors().take_while(|dir| dir.starts_with(top)) {
                let sum = listed.entry(above.to_owned()).or_insert(Some(0));
                *sum = sum.zip(count).map(|(sum, count)| sum.saturating_add(count));
            }
        }
        listed
    }

    fn limit(&self, directory: &Path, listed: Option<u64>) -> Limit {
        let read = |file: &str| hierarchy::read(directory, file).ok().flatten();
        let used = current(directory);
        let path = directory.strip_prefix(self.root).unwrap_or(directory);
        let path = path.as_os_str().as_bytes();
        let maximum = read("pids.max");
        let mut notes = Vec::new();
        notes.extend(who_sets(path, self.v1));
        notes.extend(self.refusals(directory));
        if maximum.is_none() {
            notes.push("pids.max cannot be read".to_owned());
        }
        if path.is_empty() {
            notes.push("what is above it is hidden by our cgroup namespace".to_owned());
        }
        let scope = format!("cgroup /{}", lossy(path));
        let source = directory.join("pids.max").display().to_string();
        Limit {
            used,
            // `max`, which is no number, is unlimited.
            limit: maximum.and_then(|text| number(&text)),
            zombies: used
                .zip(listed)
                .map(|(used, listed)| used.saturating_sub(listed)),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            ..Limit::new(LimitKind::CgroupPids, scope, source)
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
        let local = (!self.v1).then(|| count("pids.events.local")).flatten();
        let text = match local {
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

/// The tasks that a cgroup counts, those below it included.
pub(super) fn current(directory: &Path) -> Option<u64> {
    number(&hierarchy::read(directory, "pids.current").ok()??)
}

/// How much of a cgroup's limit is used; `None` where it has none.
pub(super) fn used_percent(directory: &Path) -> Option<u8> {
    let most = number(&hierarchy::read(directory, "pids.max").ok()??)?;
    let limit = Limit {
        used: Some(current(directory)?),
        limit: Some(most),
        ..Limit::new(LimitKind::CgroupPids, "", "")
    };
    limit.used_percent()
}

/// The processes that a cgroup lists; none if it is gone.
pub(super) fn lists(directory: &Path) -> Vec<u32> {
    let listed = hierarchy::read_pids(directory, "cgroup.procs");
    parse_pids(&listed.unwrap_or_default()).collect()
}

/// By what name an administrator knows this limit.
fn who_sets(path: &[u8], v1: bool) -> Option<String> {
    let name = lossy(path.rsplit(|byte| *byte == b'/').next()?);
    // Below another --cgroup-root the kubelet's slice bears that one's name before its own.
    let kubelets = name.strip_suffix(".slice").unwrap_or(&name);
    let is = |level: &str| {
        let before = kubelets.strip_suffix(level);
        before.is_some_and(|before| before.is_empty() || before.ends_with('-'))
    };
    if is("kubepods") {
        return Some("node allocatable pids of the kubelet".to_owned());
    }
    // The kubelet limits no pids of a QoS class, and undoes what others write there.
    if is("kubepods-burstable") || is("kubepods-besteffort") {
        return None;
    }
    if container::pod_uid(&name).is_some() {
        let of_pod = ", or resources.limits.pids of the pod (KEP-6063) where Kubernetes has it";
        let of_pod = if v1 { "" } else { of_pod };
        return Some(format!("podPidsLimit of the kubelet{of_pod}"));
    }
    if let Some(option) = option_of(path, &name) {
        return Some(option);
    }
    let unit = [".service", ".scope", ".slice"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    unit.then(|| format!("TasksMax of {name}"))
}

/// The option of the container's runtime, of the container's own cgroup.
fn option_of(path: &[u8], name: &str) -> Option<String> {
    let mark = container::mark(path).filter(|mark| mark.cgroup.ends_with(name))?;
    let option = match mark.runtime {
        Runtime::Docker => "--pids-limit of docker",
        Runtime::Podman => "--pids-limit of podman",
        Runtime::Crio => "pids_limit of cri-o",
        _ => return None,
    };
    Some(option.to_owned())
}

fn unseen(path: &[u8], why: &str) -> Limit {
    let scope = format!("cgroup {}", lossy(path));
    Limit {
        note: Some(why.to_owned()),
        ..Limit::new(LimitKind::CgroupPids, scope, "pids.max")
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
