//! What keeps a holder from running, in words.

use crate::cause::facts::Facts;
use crate::cause::words::Hindrance;
use crate::holder::HoldsAs;

pub(super) fn state(facts: &Facts) -> Option<String> {
    let holder = &facts.leak.holder;
    let pid = holder.id.pid;
    if holder.holds_as == HoldsAs::Tracer {
        return Some(format!(
            "It is not their parent but traces them (TracerPid of /proc/PID/status is {pid}): their parent cannot wait for them before it does (ptrace(2))."
        ));
    }
    Some(match facts.hindrance() {
        Hindrance::None => return None,
        Hindrance::Frozen => "Its cgroup is frozen (freezer.state, or cgroup.freeze).".to_owned(),
        Hindrance::Stopped => {
            format!("A signal has stopped it: state T (field 3 of /proc/{pid}/stat).")
        }
        Hindrance::DiskSleep => {
            format!("It is in uninterruptible sleep: state D (field 3 of /proc/{pid}/stat).")
        }
        Hindrance::Traced => format!(
            "A tracer{} has stopped it: state t (field 3 of /proc/{pid}/stat, TracerPid of status).",
            holder
                .traced_by
                .map(|tracer| format!(", pid {tracer},"))
                .unwrap_or_default()
        ),
    })
}

pub(super) fn sleeps_in(facts: &Facts) -> Option<String> {
    let function = facts.asleep.function.as_deref()?;
    let what = WAITS.iter().find(|(start, _)| function.starts_with(start));
    let what = what.map_or_else(String::new, |(_, what)| format!(", which waits for {what}"));
    Some(format!(
        "It sleeps in the kernel's {function}{what} (/proc/{}/wchan).",
        facts.leak.holder.id.pid
    ))
}

/// What the kernel's functions wait for, by the beginning of their names.
const WAITS: &[(&str, &str)] = &[
    (
        "request_wait_answer",
        "a FUSE daemon (/sys/fs/fuse/connections)",
    ),
    ("fuse_", "a FUSE daemon (/sys/fs/fuse/connections)"),
    ("rpc_", "a server of NFS or another RPC"),
    ("nfs", "an NFS server"),
    ("cifs", "an SMB server"),
    ("ceph", "a Ceph server"),
    ("io_schedule", "a disk"),
    ("folio_wait_bit", "a disk or a network file system"),
    ("wait_on_page_bit", "a disk or a network file system"),
    ("blk_", "a disk"),
    ("jbd2_", "the journal of a disk's file system"),
    ("do_vfork", "its child of vfork"),
    ("kernel_clone", "its child of vfork"),
    ("wait_for_vfork_done", "its child of vfork"),
];

pub(super) fn vfork_child(facts: &Facts) -> Option<String> {
    let (pid, name) = facts.asleep.vfork_child.as_ref()?;
    Some(format!(
        "Its child {name} (pid {pid}) runs in its memory and has not called exec: until then a parent in vfork sleeps (/proc/{pid}/statm)."
    ))
}
