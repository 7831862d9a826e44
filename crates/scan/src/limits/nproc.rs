//! `RLIMIT_NPROC`: `ulimit -u`, systemd's `LimitNPROC`.

use sexton_core::{Limit, LimitKind};

use super::census::Census;
use crate::proc::{Proc, Process, Status, resource_limit};

/// `PROC_USER_INIT_INO` of include/linux/proc_ns.h.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;
/// capabilities(7)
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

pub(super) fn limit(
    proc: &Proc,
    process: &Process,
    status: &Status,
    census: &Census,
) -> Option<Limit> {
    let uid = status.real_uid();
    let source = format!("RLIMIT_NPROC of process {}", process.pid());
    let text = match process.read("limits") {
        Ok(text) => text?,
        Err(why) => {
            let scope = format!("user {uid}");
            return Some(super::unread(LimitKind::Nproc, scope, source, &why));
        }
    };
    let bound = resource_limit(&text, "Max processes")?;
    let namespace = process.ns_inode("user").ok().flatten();
    let inner = namespace.filter(|inode| *inode != FIRST_USER_NAMESPACE);
    let exempt = exemption(proc, status, namespace);

    let mut notes = Vec::new();
    if let (Some(why), Some(number)) = (exempt, bound.soft) {
        notes.push(format!("{number} is set but does not bind: {why}"));
    }
    if inner.is_some() && exempt.is_none() {
        notes.push(
            "the limit that the maker of its user namespace had at that time binds as well, and \
             cannot be read"
                .to_owned(),
        );
    }
    let of_user = census.of_user();
    if of_user.is_none() {
        notes.push(
            "not counted: some processes are hidden from us, or there are too many".to_owned(),
        );
    }
    Some(Limit {
        kind: LimitKind::Nproc,
        scope: match inner {
            Some(inode) => format!("user {uid} in user namespace {inode}"),
            None => format!("user {uid}"),
        },
        source,
        used: of_user.map(|(tasks, _)| tasks),
        limit: bound.soft.filter(|_| exempt.is_none()),
        reserved: 0,
        zombies: of_user.map(|(_, zombies)| zombies),
        first: false,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    })
}

/// Why the kernel does not hold this process to the limit (`copy_process`, kernel/fork.c): its
/// real user is root of the machine, or it has one of two capabilities *in the first user
/// namespace*; to be root of a container with a user namespace is not enough.
fn exemption(proc: &Proc, status: &Status, namespace: Option<u64>) -> Option<&'static str> {
    if status.real_uid() == 0 && ids_are_those_of_the_machine(proc) {
        return Some("root is exempt");
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

/// User ids are shown as the reader's user namespace maps them; the first maps each to itself.
fn ids_are_those_of_the_machine(proc: &Proc) -> bool {
    let map = proc.read("self/uid_map").ok().flatten();
    map.is_some_and(|map| {
        map.split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty())
            .eq([&b"0"[..], b"0", b"4294967295"])
    })
}
