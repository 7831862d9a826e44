//! Who is there: one walk of `/proc`.

use std::collections::HashMap;

use crate::holder::seen;
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
        let mut user = User::of(process, status)?;
        let mut buffer = Vec::with_capacity(4096);
        for pid in pids {
            let Some(other) = seen(proc.status(pid, &mut buffer))? else {
                continue;
            };
            let threads = u64::from(other.threads);
            // A leader that ended before its threads shows Z and is no zombie yet.
            let zombie = u64::from(other.state == sexton_core::State::Zombie && threads == 1);
            census.tasks += threads;
            census.zombies += zombie;
            if user.pays_for(proc, pid, &other)? {
                census.of_user += threads;
                census.zombies_of_user += zombie;
            }
        }
        // The kernel's own count shows what hidepid or a PID namespace hides from us. Tasks come
        // and go while we count, so the lower of two is what must be there.
        let after = limits::all_tasks(proc);
        let all = before
            .zip(after)
            .map_or(0, |(before, after)| before.min(after));
        census.complete = census.tasks + 8 + all / 50 >= all;
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
    fn of(process: &Process, status: &Status) -> Result<Self, Error> {
        let by_namespace = limits::kernel_version() >= (5, 14);
        let namespace = if by_namespace {
            seen(process.ns_inode("user"))?
        } else {
            None
        };
        Ok(Self {
            uid: status.uids[0],
            namespace,
            others: HashMap::new(),
        })
    }

    fn pays_for(&mut self, proc: &Proc, pid: u32, status: &Status) -> Result<bool, Error> {
        let Some(own) = self.namespace else {
            return Ok(status.uids[0] == self.uid);
        };
        // Root of the machine is never held to the limit, and pays for every container with a
        // user namespace: not worth a look at each.
        if status.uids[0] != self.uid && self.uid == 0 {
            return Ok(false);
        }
        let Some(process) = proc.process(pid)? else {
            return Ok(false);
        };
        match seen(process.ns_inode("user"))? {
            Some(namespace) if namespace != own => {
                if let Some(made) = self.others.get(&namespace) {
                    return Ok(*made);
                }
                let made = self.made_namespace_of(&process)?;
                self.others.insert(namespace, made);
                Ok(made)
            }
            _ => Ok(status.uids[0] == self.uid),
        }
    }

    /// The user namespace of `process` was made by this user.
    ///
    /// The kernel tells the maker only by an ioctl. But an unprivileged maker maps his own id
    /// into it, and it alone (`user_namespaces(7)`), so that line gives him away: it does for
    /// unshare, bwrap, rootless Podman and Docker. Namespaces within that one are not found.
    fn made_namespace_of(&self, process: &Process) -> Result<bool, Error> {
        let map = seen(process.read("uid_map"))?.unwrap_or_default();
        Ok(maps_alone(&map, self.uid))
    }
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
