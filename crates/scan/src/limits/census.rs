//! Who is there: one walk of `/proc`.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::proc::{Proc, Process};
use crate::viewer::Viewer;
use crate::{Error, limits};

/// More processes than this are not read one by one.
const MOST: usize = 1 << 18;

/// Every process of the machine: one walk, whoever is asked about after it.
#[derive(Debug, Default)]
pub(super) struct Census {
    processes: Vec<Counted>,
    /// Tasks that were seen.
    tasks: u64,
    zombies: u64,
    /// All tasks of the machine were seen, but for those that come and go.
    complete: bool,
    /// User namespaces of processes, as far as they were asked for.
    namespaces: RefCell<HashMap<u32, Option<u64>>>,
    /// User namespaces, and whether this user made them.
    makers: RefCell<HashMap<(u64, u32), bool>>,
}

/// One process.
#[derive(Clone, Copy, Debug)]
struct Counted {
    pid: u32,
    uid: u32,
    threads: u32,
    zombie: bool,
}

impl Counted {
    fn tasks(&self) -> (u32, u64) {
        (self.pid, self.threads.into())
    }
}

/// What counts against the limit of one user.
#[derive(Debug, Default)]
pub(super) struct OfUser {
    pub(super) tasks: u64,
    pub(super) zombies: u64,
    /// Each process with its tasks.
    pub(super) processes: Vec<(u32, u64)>,
}

impl Census {
    /// Counts all tasks.
    pub(super) fn take(proc: &Proc) -> Result<Self, Error> {
        let mut census = Self::default();
        let before = limits::all_tasks(proc);
        let pids = proc.pids()?;
        if pids.len() > MOST {
            return Ok(census);
        }
        let mut buffer = Vec::with_capacity(4096);
        for pid in pids {
            // What cannot be read of one is missed, as are those that come and go.
            let Ok(Some(other)) = proc.status(pid, &mut buffer) else {
                continue;
            };
            let process = Counted {
                pid,
                uid: other.real_uid(),
                threads: other.threads,
                // A leader that ended before its threads shows Z and is no zombie yet.
                zombie: other.state == sexton_core::State::Zombie && other.threads == 1,
            };
            add(&mut census.tasks, process.threads.into());
            add(&mut census.zombies, process.zombie.into());
            census.processes.push(process);
        }
        // The kernel's own count shows what hidepid or a PID namespace hides from us. Tasks come
        // and go while we count, so the lower of two is what must be there.
        let after = limits::all_tasks(proc);
        let all = before
            .zip(after)
            .map_or(0, |(before, after)| before.min(after));
        let missed = all.saturating_sub(census.tasks);
        // Where nothing can be hidden, what is missed are tasks that come and go, and threads that
        // have ended and that a tracer holds: many on a busy machine, and no reason not to count.
        census.complete = shows_all(proc) || missed <= (all / 50).saturating_add(8);
        Ok(census)
    }

    /// Tasks that this `/proc` shows, and zombies among them.
    pub(super) fn seen(&self) -> (u64, u64) {
        (self.tasks, self.zombies)
    }

    /// Zombies of the machine; `None` where not all of it was seen.
    pub(super) fn zombies(&self) -> Option<u64> {
        self.complete.then_some(self.zombies)
    }

    /// Every process with its tasks.
    pub(super) fn tasks(&self) -> Vec<(u32, u64)> {
        self.processes.iter().map(Counted::tasks).collect()
    }

    /// The processes that are no zombies.
    pub(super) fn living(&self) -> impl Iterator<Item = u32> {
        let living = self.processes.iter().filter(|process| !process.zombie);
        living.map(|process| process.pid)
    }

    /// What counts against the `RLIMIT_NPROC` of `process`: the tasks whose real user is its, in
    /// its user namespace or in one that this user made. `None` where not all of the machine was
    /// seen.
    pub(super) fn of_user(&self, proc: &Proc, process: &Process, uid: u32) -> Option<OfUser> {
        if !self.complete {
            return None;
        }
        let by_namespace = limits::kernel_version() >= (5, 14);
        let namespace = process.ns_inode("user").ok().flatten();
        let user = User {
            uid,
            namespace: namespace.filter(|_| by_namespace),
        };
        let mut all = OfUser::default();
        for other in &self.processes {
            if self.pays_for(proc, &user, other) {
                add(&mut all.tasks, other.threads.into());
                add(&mut all.zombies, other.zombie.into());
                all.processes.push(other.tasks());
            }
        }
        Some(all)
    }

    fn pays_for(&self, proc: &Proc, user: &User, other: &Counted) -> bool {
        let same_uid = other.uid == user.uid;
        let Some(own) = user.namespace else {
            return same_uid;
        };
        // Root of the machine is never held to the limit, and pays for every container with a
        // user namespace: not worth a look at each.
        if !same_uid && user.uid == 0 {
            return false;
        }
        match self.namespace_of(proc, other.pid) {
            Some(namespace) if namespace != own => self.made(proc, namespace, user.uid, other.pid),
            _ => same_uid,
        }
    }

    /// `None` of one that is gone or hidden from us.
    fn namespace_of(&self, proc: &Proc, pid: u32) -> Option<u64> {
        let mut namespaces = self.namespaces.borrow_mut();
        let read = || proc.ns_inode(pid, "user").ok().flatten();
        *namespaces.entry(pid).or_insert_with(read)
    }

    /// The user namespace of process `pid` was made by this user.
    ///
    /// The kernel tells the maker only by an ioctl. But an unprivileged maker maps his own id
    /// into it, and it alone (`user_namespaces(7)`), so that line gives him away: it does for
    /// unshare, bwrap, rootless Podman and Docker. Namespaces within that one are not found.
    fn made(&self, proc: &Proc, namespace: u64, uid: u32, pid: u32) -> bool {
        if let Some(made) = self.makers.borrow().get(&(namespace, uid)) {
            return *made;
        }
        let Ok(Some(process)) = proc.process(pid) else {
            return false;
        };
        let map = process.read("uid_map").ok().flatten();
        let made = maps_alone(&map.unwrap_or_default(), uid);
        self.makers.borrow_mut().insert((namespace, uid), made);
        made
    }
}

/// This `/proc` is that of the first PID namespace, and hides nothing from us.
fn shows_all(proc: &Proc) -> bool {
    let first = proc.ns_inode(1, "pid").ok().flatten();
    first == Some(limits::FIRST_PID_NAMESPACE) && Viewer::current().sees_all
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Whose tasks are counted. Since Linux 5.14 that is a user in a user namespace, who also pays
/// for all of the namespaces that he made (kernel/ucount.c); before, a user of the machine.
struct User {
    uid: u32,
    /// Inode of the user namespace; `None` before Linux 5.14 and where hidden from us.
    namespace: Option<u64>,
}

/// `uid_map` has a line that maps `uid` of the outside and no other.
fn maps_alone(map: &[u8], uid: u32) -> bool {
    map.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty())
            .map(|field| str::from_utf8(field).ok()?.parse::<u32>().ok())
            .skip(1);
        fields.next().flatten() == Some(uid) && fields.next().flatten() == Some(1)
    })
}

#[cfg(test)]
mod tests {
    use super::maps_alone;

    #[test]
    fn the_makers_own_line_is_known_from_a_range() {
        assert!(maps_alone(b"         0       1000          1\n", 1000));
        assert!(maps_alone(b"0 1000 1\n1 100000 65536\n", 1000));
        assert!(!maps_alone(b"0 100000 65536\n", 100_000));
        assert!(!maps_alone(b"0 0 4294967295\n", 1000));
        assert!(!maps_alone(b"", 0));
        assert!(!maps_alone(b"0 1000 \xff\n", 1000));
    }
}
