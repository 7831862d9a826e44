//! Which container a PID 1 that is ending belongs to.

use sexton_core::{Container, Runtime};

use super::Member;
use crate::identity::Seen;
use crate::notes::Notes;
use crate::proc::Stat;
use crate::{Scanner, holder, lossy, names};

impl Scanner {
    /// The container of a PID 1 that is ending: on cgroup v1 such a process has left its cgroups, as
    /// `/proc` shows them, and then another member tells, or the monitor that waits for it: the
    /// file `init.pid` of containerd's bundle, or the id among its arguments (`-c` of conmon).
    pub(super) fn ending_container(
        &self,
        first: &Member,
        other: Option<&Member>,
        notes: &mut Notes,
    ) -> Option<Container> {
        let mut marked = |pid: u32| {
            let found = self.contained(pid, &mut Seen::default(), notes);
            let found = notes.take(found);
            found.filter(|container| container.runtime != Runtime::Unknown)
        };
        let found = marked(first.stat.pid).or_else(|| marked(other?.stat.pid));
        let monitored = self.of_monitor(&first.stat, notes);
        // Of a dead PID 1 the marks may be those of its parent.
        let same = |own: &Container| monitored.as_ref().is_none_or(|other| other.id == own.id);
        let mut container = match found.filter(same).or_else(|| monitored.clone()) {
            Some(container) => container,
            None => {
                let known = self.contained(first.stat.pid, &mut Seen::default(), notes);
                notes.take(known)?
            }
        };
        names::complete(&self.roots.host, &mut container);
        Some(container)
    }

    /// The container that a monitor of the host waits for. Who runs in a container may call itself
    /// what it likes.
    fn of_monitor(&self, first: &Stat, notes: &mut Notes) -> Option<Container> {
        let process = notes.take(self.proc.process(first.parent))?;
        let read = holder::read(&self.proc, &process, &self.hierarchies, self.host, notes);
        let monitor = notes.take(read)?;
        if !monitor.of_host || monitor.uid != 0 {
            return None;
        }
        // A shim serves a pod, and lies in the bundle of one of its containers beside the others.
        let bundle = notes.take(process.cwd());
        let beside = bundle.and_then(|bundle| names::beside(&self.roots.host, &bundle, first.pid));
        let arguments = || {
            let arguments = notes.take(process.cmdline())?;
            let is_id = |id: &&Vec<u8>| id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit);
            Some(lossy(arguments.iter().find(is_id)?))
        };
        Some(Container {
            id: beside.or_else(arguments)?,
            runtime: Runtime::Unknown,
            name: None,
            pod: None,
            owner: None,
            cgroup: String::new(),
        })
    }
}
