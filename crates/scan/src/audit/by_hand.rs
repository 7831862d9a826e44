//! Containers that runc or crun made by hand in the machine's own PID namespace: neither a cgroup's
//! name nor a namespace marks them, but the runtime keeps a file about each.

use std::collections::HashMap;

use serde::Deserialize;
use sexton_core::{Container, Runtime};

use super::members::{Group, Member};
use crate::names::Root;
use crate::notes::Notes;
use crate::{Error, Scanner, lossy};

/// Where each keeps them, and what the file of one is called.
const STATES: [(&str, &str); 2] = [("run/runc", "state.json"), ("run/crun", "status")];
/// Containers of one runtime that are looked at.
const MOST: usize = 1024;
/// Processes of one that are looked at.
const MOST_MEMBERS: usize = 4096;

/// What they keep of a container, by runc's names and by crun's.
#[derive(Deserialize)]
struct State {
    #[serde(alias = "pid")]
    init_process_pid: u32,
    /// In ticks since the machine was started.
    #[serde(alias = "process-start-time")]
    init_process_start: u64,
}

/// Adds those that are not there yet.
pub(super) fn add(scanner: &mut Scanner, groups: &mut HashMap<String, Group>, notes: &mut Notes) {
    let Some(root) = Root::open(&scanner.roots.host) else {
        return;
    };
    for (directory, file) in STATES {
        for id in root.entries(directory, MOST) {
            if groups.contains_key(&id) {
                continue;
            }
            let Some(state) = root.json::<State>(&format!("{directory}/{id}/{file}")) else {
                continue;
            };
            let pid = state.init_process_pid;
            if groups.values().any(|group| group.pids().contains(&pid)) {
                continue;
            }
            let group = group(scanner, &id, &state, notes);
            if let Some(group) = notes.take(group) {
                groups.insert(id, group);
            }
        }
    }
}

/// `None` where the process is another, or lives in a PID namespace of its own: then it is found
/// by that.
fn group(
    scanner: &mut Scanner,
    id: &str,
    state: &State,
    notes: &mut Notes,
) -> Result<Option<Group>, Error> {
    let Some(process) = scanner.proc.process(state.init_process_pid)? else {
        return Ok(None);
    };
    let (Some(stat), Some(cgroups)) = (process.stat()?, process.cgroups()?) else {
        return Ok(None);
    };
    let namespace = process.ns_inode("pid")?;
    if stat.start_ticks != state.init_process_start
        || stat.is_reapable_zombie()
        || namespace != scanner.host.pid
    {
        return Ok(None);
    }
    let path = cgroups.path_of("pids").or_else(|| cgroups.unified());
    let mut group = Group {
        container: Container {
            id: id.to_owned(),
            runtime: Runtime::Unknown,
            name: None,
            pod: None,
            owner: None,
            cgroup: path.map(lossy).unwrap_or_default(),
        },
        members: vec![member(&stat)],
    };
    let mut above = vec![stat.pid];
    while let Some(parent) = above.pop() {
        let Some(process) = notes.take(scanner.proc.process(parent)) else {
            continue;
        };
        let children = notes.take(process.all_children()).unwrap_or_default();
        for child in children {
            let stat = scanner.proc.stat(child, &mut scanner.buffer);
            let Some(stat) = notes.take(stat) else {
                continue;
            };
            if !stat.is_reapable_zombie() && group.members.len() < MOST_MEMBERS {
                group.members.push(member(&stat));
                above.push(stat.pid);
            }
        }
    }
    Ok(Some(group))
}

fn member(stat: &crate::proc::Stat) -> Member {
    Member {
        pid: stat.pid,
        parent: stat.parent,
        start_ticks: stat.start_ticks,
    }
}
