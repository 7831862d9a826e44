//! `RLIMIT_NPROC`: `ulimit -u`, systemd's `LimitNPROC`.

use sexton_core::{Limit, LimitKind, Runtime};

use super::census::OfUser;
use crate::container::{self, Mark};
use crate::proc::{Proc, Process, Status, resource_limit};

/// `PROC_USER_INIT_INO` of include/linux/proc_ns.h.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
/// capabilities(7)
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

const ROOT: &str = "root is exempt";

/// What the limit is, before anybody is counted.
pub(super) struct Nproc {
    pid: u32,
    uid: u32,
    /// Inode of a user namespace other than the first.
    inner: Option<u64>,
    soft: Option<u64>,
    exempt: Option<&'static str>,
    /// It has not become this user yet.
    to_be: bool,
}

/// The tasks that count against it.
pub(super) enum Count {
    /// So many, and zombies among them.
    Of(u64, u64),
    /// Not all of them could be seen.
    Hidden,
    /// Not counted, since it is not reached before all tasks of the machine are his.
    Far,
}

impl Count {
    pub(super) fn of(user: Option<&OfUser>) -> Self {
        user.map_or(Self::Hidden, |user| Self::Of(user.tasks, user.zombies))
    }
}

impl Nproc {
    /// Of `process`, or as it will bind it once it has become `user`; `None` where that is gone.
    /// Where it cannot be read, the limit of which nothing is known but why.
    pub(super) fn read(
        process: &Process,
        status: &Status,
        ids: &Ids,
        user: Option<u32>,
    ) -> Option<Result<Self, Box<Limit>>> {
        let pid = process.pid();
        let to_be = user.filter(|user| *user != status.real_uid());
        let uid = to_be.unwrap_or_else(|| status.real_uid());
        let text = match process.read("limits") {
            Ok(text) => text?,
            Err(why) => {
                let (scope, source) = (format!("user {uid}"), source(pid));
                let unread = super::unread(LimitKind::Nproc, scope, source, &why);
                return Some(Err(Box::new(unread)));
            }
        };
        let bound = resource_limit(&text, "Max processes")?;
        let namespace = process.ns_inode("user").ok().flatten();
        Some(Ok(Self {
            pid,
            uid,
            inner: namespace.filter(|inode| *inode != FIRST_USER_NAMESPACE),
            soft: bound.soft,
            exempt: match to_be {
                Some(0) if ids.are_those_of_the_machine => Some(ROOT),
                // What capabilities it will have kept then is not known; most keep none.
                Some(_) => None,
                None => exemption(ids, status, namespace),
            },
            to_be: to_be.is_some(),
        }))
    }

    /// The process that it was read from.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The user whose tasks count.
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// The same with his user namespace, where it is not the first.
    pub(super) fn user(&self) -> (u32, Option<u64>) {
        (self.uid, self.inner)
    }

    /// The number that binds; `None` where none does.
    pub(super) fn binds(&self) -> Option<u64> {
        self.soft.filter(|_| self.exempt.is_none())
    }

    pub(super) fn limit(&self, count: &Count) -> Limit {
        let mut notes = Vec::new();
        if let (Some(why), Some(number)) = (self.exempt, self.soft) {
            notes.push(format!(
                "{number} is set but does not bind fork now: {why}. After setuid to a user with \
                 more than {number} tasks, execve fails with EAGAIN: sexton limits --pid {} \
                 --user UID",
                self.pid
            ));
        }
        if let (true, Some(number)) = (self.to_be, self.binds()) {
            notes.push(format!(
                "once the process has become this user: execve right after setuid fails with \
                 EAGAIN where the user has more than {number} tasks, and fork where he has {number}"
            ));
        }
        if self.inner.is_some() && self.exempt.is_none() {
            notes.push(
                "the limit that the maker of its user namespace had at that time binds as well, \
                 and cannot be read"
                    .to_owned(),
            );
        }
        let of_user = match count {
            Count::Of(tasks, zombies) => Some((*tasks, *zombies)),
            Count::Hidden => {
                notes.push(
                    "not counted: some processes are hidden from us, or there are too many"
                        .to_owned(),
                );
                None
            }
            Count::Far => {
                notes.push(format!(
                    "not counted, since another limit is reached before it: sexton limits --pid {}",
                    self.pid
                ));
                None
            }
        };
        let scope = match self.inner {
            Some(inode) => format!("user {} in user namespace {inode}", self.uid),
            None => format!("user {}", self.uid),
        };
        Limit {
            used: of_user.map(|(tasks, _)| tasks),
            limit: self.binds(),
            zombies: of_user.map(|(_, zombies)| zombies),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            ..Limit::new(LimitKind::Nproc, scope, source(self.pid))
        }
    }
}

fn source(pid: u32) -> String {
    format!("RLIMIT_NPROC of process {pid}")
}

/// By what an administrator changes the limit that the process began with. Any program may have
/// lowered its own since.
pub(super) fn changed_by(process: &Process) -> Option<String> {
    let cgroups = process.cgroups().ok()??;
    // Where v1 has the controllers, the tree of units has a name.
    let named = cgroups
        .0
        .iter()
        .find(|line| line.has_controller("name=systemd"));
    let path = named
        .map(|line| line.path.as_slice())
        .or(cgroups.unified())?;
    if let Some(mark) = container::mark(path) {
        return of_container(&mark).map(str::to_owned);
    }
    let names = path.split(|byte| *byte == b'/').rev().map(crate::lossy);
    let unit = names
        .into_iter()
        .find(|name| name.ends_with(".service") || name.ends_with(".scope"))?;
    // PAM sets it for a session; any other scope has that of who made it.
    let session = unit.starts_with("session-");
    match unit.ends_with(".service") {
        true => Some(format!("LimitNPROC of {unit}")),
        false => session.then(|| "/etc/security/limits.conf".to_owned()),
    }
}

fn of_container(mark: &Mark) -> Option<&'static str> {
    match (&mark.pod_uid, mark.runtime) {
        (Some(_), _) => Some(
            "LimitNPROC of the runtime's unit, or the ulimits of the container (KEP-5758) where \
             Kubernetes has them",
        ),
        (None, Runtime::Docker) => Some("--ulimit nproc of docker"),
        (None, Runtime::Podman) => Some("--ulimit nproc of podman"),
        (None, _) => None,
    }
}

/// Why the kernel does not hold this process to the limit (`copy_process`, kernel/fork.c): its
/// real user is root of the machine, or it has one of two capabilities *in the first user
/// namespace*; to be root of a container with a user namespace is not enough.
fn exemption(ids: &Ids, status: &Status, namespace: Option<u64>) -> Option<&'static str> {
    if status.real_uid() == 0 && ids.are_those_of_the_machine {
        return Some(ROOT);
    }
    let capable = |capability| {
        namespace == Some(FIRST_USER_NAMESPACE) && status.effective_capabilities & capability != 0
    };
    if capable(CAP_SYS_RESOURCE) {
        Some("CAP_SYS_RESOURCE")
    } else if capable(CAP_SYS_ADMIN) {
        Some("CAP_SYS_ADMIN")
    } else {
        None
    }
}

/// How user ids are shown to us: as our user namespace maps them; the first maps each to itself.
pub(super) struct Ids {
    are_those_of_the_machine: bool,
}

impl Ids {
    pub(super) fn read(proc: &Proc) -> Self {
        let map = proc.read("self/uid_map").ok().flatten();
        Self {
            are_those_of_the_machine: map.is_some_and(|map| {
                map.split(u8::is_ascii_whitespace)
                    .filter(|field| !field.is_empty())
                    .eq([&b"0"[..], b"0", b"4294967295"])
            }),
        }
    }
}
