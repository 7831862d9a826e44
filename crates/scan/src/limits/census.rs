//! Who is there: one walk of `/proc`.

use std::collections::HashMap;

use crate::proc::{Proc, Process, Status};
use crate::{Error, limits};

/// More processes than this are not read one by one.
const MOST: usize = 1 << 18;

/// Tasks and zombies of the machine, and those that count against one user's `RLIMIT_NPROC`.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Tasks that were seen.
    tasks: u64,
    zombies: u64,
    of_user: u64,
    zombies_of_user: u64,
    /// All tasks of the machine were seen, but for those that come and go.
    complete: bool,
}

impl Census {
    /// Counts all tasks, and apart those whose real user is that of `process`, in its user
    /// namespace or in one that this user made.
    pub(super) fn take(proc: &Proc, process: &Process, status: &Status) -> Result<Self, Error> {
        let mut census = Self::default();
        let before = limits::all_tasks(proc);
        let pids = proc.pids()?;
        if pids.len() > MOST {
            return Ok(census);
        }
        let mut user = User::of(process, status);
        let mut buffer = Vec::with_capacity(4096);
        for pid in pids {
            // What cannot be read of one is missed, as are those that come and go.
            let Ok(Some(other)) = proc.status(pid, &mut buffer) else {
                continue;
            };
            let threads = u64::from(other.threads);
            // A leader that ended before its threads shows Z and is no zombie yet.
            let zombie = u64::from(other.state == sexton_core::State::Zombie && threads == 1);
            add(&mut census.tasks, threads);
            add(&mut census.zombies, zombie);
            if user.pays_for(proc, pid, &other) {
                add(&mut census.of_user, threads);
                add(&mut census.zombies_of_user, zombie);
            }
        }
        // The kernel's own count shows what hidepid or a PID namespace hides from us. Tasks come
        // and go while we count, so the lower of two is what must be there.
        let after = limits::all_tasks(proc);
        let all = before
            .zip(after)
            .map_or(0, |(before, after)| before.min(after));
        let missed = all.saturating_sub(census.tasks);
        census.complete = missed <= (all / 50).saturating_add(8);
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

    /// Tasks that count against the user's limit, and zombies among them.
    pub(super) fn of_user(&self) -> Option<(u64, u64)> {
        self.complete
            .then_some((self.of_user, self.zombies_of_user))
    }
}

/// Whose tasks are counted. Since Linux 5.14 that is a user in a user namespace, who also pays
/// for all of the namespaces that he made (kernel/ucount.c); before, a user of the machine.
struct User {
    uid: u32,
    /// Inode of the user namespace; `None` before Linux 5.14 and where hidden from us.
    namespace: Option<u64>,
    /// Other user namespaces that were met: this user made them, or not.
    others: HashMap<u64, bool>,
}

impl User {
    fn of(process: &Process, status: &Status) -> Self {
        let by_namespace = limits::kernel_version() >= (5, 14);
        let namespace = process.ns_inode("user").ok().flatten();
        Self {
            uid: status.real_uid(),
            namespace: namespace.filter(|_| by_namespace),
            others: HashMap::new(),
        }
    }

    fn pays_for(&mut self, proc: &Proc, pid: u32, status: &Status) -> bool {
        let same_uid = status.real_uid() == self.uid;
        let Some(own) = self.namespace else {
            return same_uid;
        };
        // Root of the machine is never held to the limit, and pays for every container with a
        // user namespace: not worth a look at each.
        if !same_uid && self.uid == 0 {
            return false;
        }
        let Ok(Some(process)) = proc.process(pid) else {
            return false;
        };
        match process.ns_inode("user") {
            Ok(Some(namespace)) if namespace != own => *self
                .others
                .entry(namespace)
                .or_insert_with(|| made_namespace_of(&process, self.uid)),
            _ => same_uid,
        }
    }
}

/// The user namespace of `process` was made by this user.
///
/// The kernel tells the maker only by an ioctl. But an unprivileged maker maps his own id into
/// it, and it alone (`user_namespaces(7)`), so that line gives him away: it does for unshare,
/// bwrap, rootless Podman and Docker. Namespaces within that one are not found.
fn made_namespace_of(process: &Process, uid: u32) -> bool {
    let map = process.read("uid_map").ok().flatten();
    maps_alone(&map.unwrap_or_default(), uid)
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
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
