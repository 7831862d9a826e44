//! Whoever must not be touched.

use std::process::Command;

use sexton_lab::containerd::{Pod, PodContainer};
use sexton_lab::{Containerd, Leak, Running, identity, wait_until, zombies_of};

/// Processes that are there before, and have to be the same after.
pub(crate) struct Bystanders {
    identities: Vec<(u32, Option<(u32, u64)>)>,
    other: PodContainer,
    outside: Running,
    _pod: Pod,
}

const LEAKED: u32 = 6;

impl Bystanders {
    pub(crate) fn of(containerd: &Containerd) -> Self {
        // A pod of another namespace, which leaks, too.
        let pod = containerd.pod("bystander").namespace("elsewhere").start();
        let program = Leak::new().count(LEAKED).then_sleep().program();
        let other = pod.container("bystander").start(&program);
        // And a process outside any container.
        let outside = Running::start(&mut program.command());
        for pid in [other.pid(), outside.pid()] {
            wait_until("the bystander has leaked", || {
                (zombies_of(pid).len() == LEAKED as usize).then_some(())
            });
        }
        let mut pids = vec![containerd.pid(), other.pid(), outside.pid()];
        pids.extend(shims(containerd));
        let identities = pids.into_iter().map(|pid| (pid, identity(pid))).collect();
        Self {
            identities,
            other,
            outside,
            _pod: pod,
        }
    }

    /// They are the same, and hold what they held.
    pub(crate) fn are_untouched(&self) {
        for (pid, before) in &self.identities {
            assert!(before.is_some());
            assert_eq!(identity(*pid), *before, "process {pid}");
        }
        assert_eq!(zombies_of(self.other.pid()).len(), LEAKED as usize);
        assert_eq!(zombies_of(self.outside.pid()).len(), LEAKED as usize);
    }
}

/// The shims that serve this containerd.
fn shims(containerd: &Containerd) -> Vec<u32> {
    let socket = containerd.socket().display().to_string();
    let output = Command::new("pgrep")
        .args(["-f", &format!("containerd-shim.*{socket}")])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}
