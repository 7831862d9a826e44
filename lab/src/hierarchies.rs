//! Where cgroups are on this machine, and how one goes everywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::skip::Skip;

/// Where the cgroup trees of this machine are mounted.
#[derive(Clone, Debug)]
pub struct Hierarchies {
    /// The one with the `pids` controller.
    pub pids: PathBuf,
    /// The unified one; the same as `pids` on a machine that has only cgroup v2.
    pub unified: Option<PathBuf>,
    /// The one with the `memory` controller, where there is one.
    pub memory: Option<PathBuf>,
    /// Mount points of all of them.
    pub all: Vec<PathBuf>,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`; see `cgroups(7)`.
    ///
    /// # Errors
    /// [`Skip`] where no hierarchy counts pids.
    pub fn find() -> Result<Self, Skip> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let (mut pids, mut unified, mut memory, mut all) = (None, None, None, Vec::new());
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else {
                continue;
            };
            let mut right = right.split(' ');
            match right.next() {
                Some("cgroup") => {
                    for option in right.nth(1).into_iter().flat_map(|o| o.split(',')) {
                        match option {
                            "pids" => pids = Some(mount.clone()),
                            "memory" => memory = Some(mount.clone()),
                            _ => {}
                        }
                    }
                    all.push(mount);
                }
                Some("cgroup2") => {
                    unified = Some(mount.clone());
                    all.push(mount);
                }
                _ => {}
            }
        }
        let pids = match (pids, &unified) {
            (Some(pids), _) => pids,
            (None, Some(unified)) => unified.clone(),
            (None, None) => return Skip::because("no cgroup file system with pids"),
        };
        let memory = memory.or_else(|| unified.clone());
        Ok(Self {
            pids,
            unified,
            memory,
            all,
        })
    }

    /// There is nothing but cgroup v2.
    #[must_use]
    pub fn is_v2(&self) -> bool {
        self.unified.as_ref() == Some(&self.pids)
    }
}

/// Kills the members of `name` in every hierarchy, and removes it with all below it.
///
/// Says on standard error what would not go: it runs in destructors, where a panic would hide
/// the test's own.
pub(crate) fn remove_everywhere(hierarchies: &Hierarchies, name: &str) {
    let start = Instant::now();
    loop {
        let mut left = false;
        for mount in &hierarchies.all {
            let top = mount.join(name);
            if top.is_dir() {
                left |= !remove_tree(&top);
            }
        }
        if !left {
            return;
        }
        if start.elapsed() > Duration::from_secs(10) {
            eprintln!("cgroup {name} could not be removed");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True when it is gone. Zombies do not keep a cgroup from being removed, live tasks do.
fn remove_tree(dir: &Path) -> bool {
    // Frozen tasks die only once they are thawed (v1; on v2 they die frozen).
    let _ = fs::write(dir.join("freezer.state"), "THAWED");
    let below = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path());
    }
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another PID namespace, which cannot be named from here.
    for pid in procs.lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    fs::remove_dir(dir).is_ok()
}
