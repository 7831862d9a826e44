//! What the scanning process itself may see.

use rustix::thread::CapabilitySet;

/// Our own privileges, as far as the kernel hides things from those without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    uid: u32,
    /// `CAP_SYS_PTRACE` in the first user namespace: nothing below `/proc/PID` is hidden.
    pub(crate) sees_all: bool,
}

impl Viewer {
    #[expect(clippy::disallowed_methods, reason = "the file is our own process's")]
    pub(crate) fn current() -> Self {
        let capable = rustix::thread::capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE));
        // In a user namespace the capability holds for that namespace alone. The first one
        // maps every id to itself (`user_namespaces(7)`).
        let first = std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]));
        Self {
            uid: rustix::process::geteuid().as_raw(),
            sees_all: capable && first,
        }
    }

    /// Field 52 of `/proc/PID/stat` of a process with these uids is its wait status, not the 0
    /// that the kernel shows to others.
    pub(crate) fn sees_exit_of(&self, uids: &[u32; 4]) -> bool {
        self.sees_all || uids[..3].iter().all(|uid| *uid == self.uid)
    }
}
