//! Containers that cannot end: PID 1 is dying or dead, and something keeps it.
//!
//! A PID 1 that is ending has left the lists of its cgroup, so a look for zombies comes upon it by
//! itself: nothing more is read where there is none.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::Duration;

use sexton_core::ending::{Ending, Hindrance, Holdup, Named, WaitsFor, Why};
use sexton_core::{Container, Holder, Leak, Limit, Runtime, State, protect};

use crate::blocked::{self, frozen_cgroup};
use crate::facts::age;
use crate::group::Options;
use crate::identity::Seen;
use crate::notes::Notes;
use crate::proc::{Process, Stat, Status};
use crate::{Error, Scanner, holder, limits, lossy, names};

/// `PF_EXITING` of the kernel's `include/linux/sched.h`.
pub(crate) const PF_EXITING: u32 = 4;
/// So many containers are told.
const CONTAINERS: usize = 64;
/// So many members of a namespace are told.
const TOLD: usize = 16;
/// Threads of a member that are asked where they sleep.
const THREADS: usize = 1_024;
/// Where the kernel does not show since when a PID 1 has not run, or it is not asked: it is still
/// there after so many times a second look.
const MOMENT: u32 = 20;
/// Bit of SIGKILL in a mask of `/proc/PID/status`.
const SIGKILL: u64 = 1 << 8;

/// Limits of cgroups that are reached; read once, and only if somebody asks.
type Full = OnceCell<Vec<Limit>>;

/// One member of a PID namespace.
struct Member {
    process: Process,
    stat: Stat,
    status: Status,
}

impl Member {
    fn is_to_be_killed(&self) -> bool {
        (self.status.pending | self.status.shared_pending) & SIGKILL != 0
    }
}

impl Scanner {
    /// The containers that cannot end. `exiting` are processes that were seen to be ending, `leaks`
    /// the zombies that were found beside.
    pub(crate) fn cannot_end(
        &self,
        exiting: &[u32],
        leaks: &[Leak],
        options: &Options,
    ) -> Vec<Ending> {
        let mut notes = Notes::default();
        let full = Full::new();
        let mut found: Vec<Ending> = leaks
            .iter()
            .flat_map(|leak| self.dead_firsts(leak, options, &full, &mut notes))
            .take(CONTAINERS)
            .collect();
        let firsts = self.firsts(exiting, options, &mut notes);
        if firsts.is_empty() {
            return found;
        }
        let mut members = self.members(&firsts, &mut notes);
        for (inode, first) in firsts {
            let of_it = members.remove(&inode).unwrap_or_default();
            let told = of_it.iter().take(TOLD);
            found.push(Ending {
                container: self.ending_container(&first, of_it.first(), &mut notes),
                first: named(&first.stat),
                pid_namespace: Some(inode),
                unchanged_seconds: self.idle_for(&first.stat, &mut notes),
                held_by: told
                    .filter_map(|member| {
                        Some(Holdup {
                            process: named(&member.stat),
                            why: self.why(member, &full, &mut notes)?,
                        })
                    })
                    .collect(),
                more: of_it.len().saturating_sub(TOLD) as u64,
            });
        }
        found.truncate(CONTAINERS);
        found.sort_by_key(|ending| ending.first.id.pid);
        found
    }

    /// A process that SIGKILL was sent to, and that is still there: frozen, or asleep in the kernel.
    ///
    /// # Errors
    /// The process cannot be read.
    pub fn kept_from_dying(&self, pid: u32) -> Result<Option<Ending>, Error> {
        let mut notes = Notes::default();
        let Some(process) = self.proc.process(pid)? else {
            return Ok(None);
        };
        let (Some(stat), Some(status)) = (process.stat()?, process.status()?) else {
            return Ok(None);
        };
        let first = Member {
            process,
            stat,
            status,
        };
        let now = Options {
            ending_for: Duration::ZERO,
            ..Options::default()
        };
        let exiting = first.stat.flags & PF_EXITING != 0;
        if exiting || !first.is_to_be_killed() || !self.has_waited(&first.stat, &now, &mut notes) {
            return Ok(None);
        }
        let Some(why) = self.why(&first, &Full::new(), &mut notes) else {
            return Ok(None);
        };
        Ok(Some(Ending {
            container: self.ending_container(&first, None, &mut notes),
            first: named(&first.stat),
            pid_namespace: notes.take(first.process.ns_inode("pid")),
            unchanged_seconds: self.idle_for(&first.stat, &mut notes),
            held_by: vec![Holdup {
                process: named(&first.stat),
                why,
            }],
            more: 0,
        }))
    }

    /// Each PID 1 of a namespace below ours that is ending, by the inode of the namespace. One that
    /// has only just begun to is none: most end at once.
    fn firsts(
        &self,
        exiting: &[u32],
        options: &Options,
        notes: &mut Notes,
    ) -> HashMap<u64, Member> {
        let mut firsts = HashMap::new();
        for &pid in exiting {
            if let Some(first) = self.member(pid, notes)
                && first.status.ns_pids.len() > 1
                && first.status.ns_pids.last() == Some(&1)
                && first.stat.flags & PF_EXITING != 0
                && !first.stat.is_reapable_zombie()
                && self.has_waited(&first.stat, options, notes)
                && let Some(inode) = notes.take(first.process.ns_inode("pid"))
                && firsts.len() < CONTAINERS
            {
                firsts.insert(inode, first);
            }
        }
        firsts
    }

    fn idle_for(&self, stat: &Stat, notes: &mut Notes) -> Option<u64> {
        age::idle_for(self, stat, 0, notes)
    }

    /// It has not run for a while. Where the kernel does not show since when, or the while is none,
    /// a moment is waited.
    fn has_waited(&self, stat: &Stat, options: &Options, notes: &mut Notes) -> bool {
        if !options.ending_for.is_zero()
            && let Some(seconds) = self.idle_for(stat, notes)
        {
            return seconds >= options.ending_for.as_secs();
        }
        std::thread::sleep(options.second_look.saturating_mul(MOMENT));
        let again = notes.take(self.proc.stat(stat.pid, &mut Vec::new()));
        again.is_some_and(|again| again.id() == stat.id() && again.state == stat.state)
    }

    /// A PID 1 that has ended is held by its parent, the runtime's monitor.
    fn dead_firsts(
        &self,
        leak: &Leak,
        options: &Options,
        full: &Full,
        notes: &mut Notes,
    ) -> Vec<Ending> {
        let is_first = |ns_pids: &[u32]| ns_pids.len() > 1 && ns_pids.last() == Some(&1);
        let mut found = Vec::new();
        for zombie in leak
            .sample
            .iter()
            .filter(|zombie| is_first(&zombie.ns_pids))
        {
            let Some(first) = self.member(zombie.id.pid, notes) else {
                continue;
            };
            if first.stat.id() != zombie.id || !self.has_waited(&first.stat, options, notes) {
                continue;
            }
            let Some(why) = self.why(&first, full, notes) else {
                continue;
            };
            found.push(Ending {
                container: self.ending_container(&first, None, notes),
                first: named(&first.stat),
                pid_namespace: notes.take(first.process.ns_inode("pid")),
                unchanged_seconds: self.idle_for(&first.stat, notes),
                held_by: vec![Holdup {
                    process: named(&first.stat),
                    why,
                }],
                more: 0,
            });
        }
        found
    }

    /// The other members of these namespaces.
    fn members(
        &self,
        firsts: &HashMap<u64, Member>,
        notes: &mut Notes,
    ) -> HashMap<u64, Vec<Member>> {
        let mut members: HashMap<u64, Vec<Member>> = HashMap::new();
        for pid in notes.take(self.proc.pids().map(Some)).unwrap_or_default() {
            if let Some(inode) = notes.take(self.proc.ns_inode(pid, "pid"))
                && let Some(first) = firsts.get(&inode)
                && first.stat.pid != pid
                && let Some(member) = self.member(pid, notes)
            {
                members.entry(inode).or_default().push(member);
            }
        }
        members
    }

    fn member(&self, pid: u32, notes: &mut Notes) -> Option<Member> {
        let process = notes.take(self.proc.process(pid))?;
        let stat = notes.take(process.stat())?;
        let status = notes.take(process.status())?;
        Some(Member {
            process,
            stat,
            status,
        })
    }

    /// Why a member is there still; `None` if it has gone meanwhile.
    fn why(&self, member: &Member, full: &Full, notes: &mut Notes) -> Option<Why> {
        if let Some(tracer) = member.status.tracer {
            let mut buffer = Vec::new();
            let process = notes.take(self.proc.process_of_thread(tracer, &mut buffer))?;
            let tracer = notes.take(self.proc.stat(process, &mut buffer))?;
            return Some(Why::Tracer {
                tracer: named(&tracer),
            });
        }
        if member.stat.is_reapable_zombie() {
            return self.parent(member.stat.parent, full, notes);
        }
        let cgroups = notes.take(member.process.cgroups());
        if cgroups.is_some_and(|cgroups| holder::is_frozen(&cgroups, &self.hierarchies, notes)) {
            let thaw = frozen_cgroup(&member.process, &self.hierarchies, notes);
            return Some(Why::Frozen {
                value: thaw.as_ref().map_or("", |thaw| thaw.value).to_owned(),
                file: thaw.map(|thaw| thaw.file),
            });
        }
        Some(self.in_kernel(member, notes).unwrap_or(Why::Alive {
            kill_pending: member.is_to_be_killed(),
        }))
    }

    fn parent(&self, pid: u32, full: &Full, notes: &mut Notes) -> Option<Why> {
        let process = notes.take(self.proc.process(pid))?;
        let read = holder::read(&self.proc, &process, &self.hierarchies, self.host, notes);
        let parent = notes.take(read)?;
        Some(Why::Parent {
            hindrance: self.hindrance(&parent, &process, full, notes),
            protected: protect::protection(&parent, self.proc.own_pid().unwrap_or(0)),
            of_host: parent.of_host,
            parent: Named {
                id: parent.id,
                name: parent.name,
            },
        })
    }

    fn hindrance(
        &self,
        parent: &Holder,
        process: &Process,
        full: &Full,
        notes: &mut Notes,
    ) -> Option<Hindrance> {
        if parent.frozen {
            return Some(Hindrance::Frozen);
        }
        match parent.state {
            State::Stopped => Some(Hindrance::Stopped),
            State::Traced => Some(Hindrance::Traced),
            State::DiskSleep => Some(Hindrance::Asleep),
            _ => {
                let cgroups = notes.take(process.cgroups())?;
                let full = full.get_or_init(|| limits::of_cgroups(self, 100));
                let is_in = |limit: &Limit| {
                    let scope = limit.scope.strip_prefix("cgroup ").unwrap_or(&limit.scope);
                    cgroups.0.iter().any(|line| {
                        let path = lossy(&line.path);
                        let below = path.strip_prefix(scope);
                        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    })
                };
                let is_full = full.iter().any(|limit| limit.is_reached() && is_in(limit));
                is_full.then_some(Hindrance::AtLimit)
            }
        }
    }

    /// A thread of it that sleeps where no signal is taken.
    fn in_kernel(&self, member: &Member, notes: &mut Notes) -> Option<Why> {
        let mut buffer = Vec::new();
        let threads = notes.take(member.process.tasks())?;
        let asleep = |tid: &u32, notes: &mut Notes| {
            // `/proc/N` answers for threads, too.
            let stat = notes.take(self.proc.stat(*tid, &mut buffer));
            stat.is_some_and(|stat| stat.state == State::DiskSleep)
        };
        let thread = threads.into_iter().take(THREADS).find({
            let mut asleep = asleep;
            let notes = &mut *notes;
            move |tid| asleep(tid, notes)
        })?;
        Some(Why::Kernel {
            function: blocked::function_of(&member.process, thread, notes),
            waits_for: blocked::waits_for(self, &member.process, thread, notes)
                .unwrap_or(WaitsFor::Unknown),
        })
    }

    /// The container of a PID 1 that is ending: on cgroup v1 such a process has left its cgroups, as
    /// `/proc` shows them, and then another member tells, or the monitor that waits for it: the
    /// file `init.pid` of containerd's bundle, or the id among its arguments (`-c` of conmon).
    fn ending_container(
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

fn named(stat: &Stat) -> Named {
    Named {
        id: stat.id(),
        name: stat.comm.to_lossy(),
    }
}
