//! Containers that cannot end: PID 1 is dying or dead, and something keeps it.
//!
//! A PID 1 that is ending has left the lists of its cgroup, so a look for zombies comes upon it by
//! itself: nothing more is read where there is none.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::Duration;

use sexton_core::ending::{Ending, Hindrance, Holdup, Named, WaitsFor, Why};
use sexton_core::{Holder, Leak, Limit, State, protect};

use crate::blocked::{self, frozen_cgroup};
use crate::facts::age;
use crate::group::Options;
use crate::notes::Notes;
use crate::proc::{Process, Stat, Status};
use crate::{Error, Scanner, holder, limits, lossy};

mod members;
mod place;

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
    /// SIGKILL has come for it. Where its first thread has ended, that waits for the others: so
    /// does the kernel end a whole process, and nothing else of a thread's own does.
    fn is_to_be_killed(&self, notes: &mut Notes) -> bool {
        let pending = |status: &Status| (status.pending | status.shared_pending) & SIGKILL != 0;
        if !self.stat.is_dead_leader() {
            return pending(&self.status);
        }
        let threads = notes.take(self.process.tasks()).unwrap_or_default();
        let others = threads.into_iter().filter(|tid| *tid != self.stat.pid);
        let mut statuses = others.take(THREADS).filter_map(|tid| {
            let text = notes.take(self.process.read(&format!("task/{tid}/status")))?;
            Status::parse(&text).ok()
        });
        statuses.any(|status| status.pending & SIGKILL != 0)
    }

    /// It is on its way out, with all its threads.
    fn is_ending(&self, notes: &mut Notes) -> bool {
        self.stat.flags & PF_EXITING != 0
            && !self.stat.is_reapable_zombie()
            && (!self.stat.is_dead_leader() || self.is_to_be_killed(notes))
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
        let dead = leaks
            .iter()
            .flat_map(|leak| self.dead_firsts(leak, &full, &mut notes))
            .take(CONTAINERS)
            .collect();
        let dead = self.waiting(dead, |(stat, _)| stat, options, &mut notes);
        let mut found: Vec<Ending> = dead.into_iter().map(|(_, ending)| ending).collect();
        let firsts = self.firsts(exiting, options, &mut notes);
        if firsts.is_empty() {
            return found;
        }
        // As long as a thread of PID 1 is there, the others have not been killed.
        let (threads_left, firsts): (HashMap<_, _>, HashMap<_, _>) =
            (firsts.into_iter()).partition(|(_, first)| first.stat.is_dead_leader());
        found.extend(
            (threads_left.values()).filter_map(|first| self.kept(first, &full, &mut notes)),
        );
        let members = self.members(&firsts, &mut notes);
        for (inode, first) in &firsts {
            let of_it = members.get(inode).map_or(&[][..], Vec::as_slice);
            let told: Vec<Member> = (of_it.iter().take(TOLD))
                .filter_map(|&pid| self.member(pid, &mut notes))
                .collect();
            // A zombie's marks may be those of its parent, which is another container's.
            let other = told.iter().find(|other| other.stat.state != State::Zombie);
            found.push(Ending {
                container: self.ending_container(first, other, &mut notes),
                first: named(&first.stat),
                pid_namespace: Some(*inode),
                unchanged_seconds: self.idle_for(&first.stat, &mut notes),
                held_by: (told.iter())
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
        let exiting = first.stat.flags & PF_EXITING != 0 && !first.stat.is_dead_leader();
        if exiting || !first.is_to_be_killed(&mut notes) {
            return Ok(None);
        }
        let waiting = self.waiting(vec![first], |first| &first.stat, &now, &mut notes);
        let kept = |first: &Member| self.kept(first, &Full::new(), &mut notes);
        Ok(waiting.first().and_then(kept))
    }

    /// One that nothing keeps but itself, or who has it in hand.
    fn kept(&self, first: &Member, full: &Full, notes: &mut Notes) -> Option<Ending> {
        let why = self.why(first, full, notes)?;
        Some(Ending {
            container: self.ending_container(first, None, notes),
            first: named(&first.stat),
            pid_namespace: notes.take(first.process.ns_inode("pid")),
            unchanged_seconds: self.idle_for(&first.stat, notes),
            held_by: vec![Holdup {
                process: named(&first.stat),
                why,
            }],
            more: 0,
        })
    }

    /// Each PID 1 of a namespace below ours that is ending, by the inode of the namespace. One that
    /// has only just begun to is none: most end at once.
    fn firsts(
        &self,
        exiting: &[u32],
        options: &Options,
        notes: &mut Notes,
    ) -> HashMap<u64, Member> {
        let mut ending = Vec::new();
        for &pid in exiting {
            if ending.len() < CONTAINERS
                && let Some(first) = self.member(pid, notes)
                && first.status.ns_pids.len() > 1
                && first.status.ns_pids.last() == Some(&1)
                && first.is_ending(notes)
            {
                ending.push(first);
            }
        }
        let waiting = self.waiting(ending, |first| &first.stat, options, notes);
        let inode = |first: Member| Some((notes.take(first.process.ns_inode("pid"))?, first));
        waiting.into_iter().filter_map(inode).collect()
    }

    fn idle_for(&self, stat: &Stat, notes: &mut Notes) -> Option<u64> {
        age::idle_for(self, stat, 0, notes)
    }

    /// Those that have not run for a while. For all of which the kernel does not show since when, or
    /// where the while is none, one moment is waited.
    fn waiting<T>(
        &self,
        all: Vec<T>,
        stat: impl Fn(&T) -> &Stat,
        options: &Options,
        notes: &mut Notes,
    ) -> Vec<T> {
        let asked = !options.ending_for.is_zero();
        let mut idle = |one: &T| asked.then(|| self.idle_for(stat(one), notes)).flatten();
        let all: Vec<(Option<u64>, T)> = all.into_iter().map(|one| (idle(&one), one)).collect();
        if all.iter().any(|(idle, _)| idle.is_none()) {
            std::thread::sleep(options.second_look.saturating_mul(MOMENT));
        }
        let mut stays = |idle: Option<u64>, stat: &Stat| match idle {
            Some(seconds) => seconds >= options.ending_for.as_secs(),
            None => {
                let again = notes.take(self.proc.stat(stat.pid, &mut Vec::new()));
                again.is_some_and(|again| again.id() == stat.id() && again.state == stat.state)
            }
        };
        let stay = all
            .into_iter()
            .filter(|(idle, one)| stays(*idle, stat(one)));
        stay.map(|(_, one)| one).collect()
    }

    /// A PID 1 that has ended is held by its parent, the runtime's monitor, which is of the host.
    /// A parent that nothing keeps and that is no part of a runtime leaks it, as any other zombie:
    /// programs make sandboxes of their own.
    fn dead_firsts(&self, leak: &Leak, full: &Full, notes: &mut Notes) -> Vec<(Stat, Ending)> {
        let is_first = |ns_pids: &[u32]| ns_pids.len() > 1 && ns_pids.last() == Some(&1);
        let mut found = Vec::new();
        if !leak.holder.of_host {
            return found;
        }
        for zombie in (leak.sample.iter()).filter(|zombie| is_first(&zombie.ns_pids)) {
            let first = self.member(zombie.id.pid, notes);
            let first = first.filter(|first| first.stat.id() == zombie.id);
            let Some((first, ending)) = first
                .and_then(|first| self.kept(&first, full, notes).map(|ending| (first, ending)))
            else {
                continue;
            };
            let leaked = |holdup: &Holdup| holdup.parent_to_reap().is_some();
            if !ending.held_by.iter().any(leaked) {
                found.push((first.stat, ending));
            }
        }
        found
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
        // A first thread that has ended has left its cgroup.
        let stand_in = notes.take(member.process.stand_in(&member.stat));
        let process = stand_in.as_ref().unwrap_or(&member.process);
        let cgroups = notes.take(process.cgroups());
        if cgroups.is_some_and(|cgroups| holder::is_frozen(&cgroups, &self.hierarchies, notes)) {
            let thaw = frozen_cgroup(process, &self.hierarchies, notes);
            return Some(Why::Frozen {
                value: thaw.as_ref().map_or("", |thaw| thaw.value).to_owned(),
                file: thaw.map(|thaw| thaw.file),
            });
        }
        Some(self.in_kernel(member, notes).unwrap_or(Why::Alive {
            kill_pending: member.is_to_be_killed(notes),
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
            thread: Some(thread).filter(|thread| *thread != member.stat.pid),
            function: blocked::function_of(&member.process, thread, notes),
            waits_for: blocked::waits_for(self, &member.process, thread, notes)
                .unwrap_or(WaitsFor::Unknown),
        })
    }
}

fn named(stat: &Stat) -> Named {
    Named {
        id: stat.id(),
        name: stat.comm.to_lossy(),
    }
}
