//! One look at a node: find, look again, inspect, report.

use std::collections::HashSet;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sexton_core::holder::HoldsAs;
use sexton_core::protect::protection;
use sexton_core::report::{API_VERSION, Ages, KIND, Node, Scan};
use sexton_core::text::{self, time::rfc3339};
use sexton_core::{Holder, Leak, Report, Zombie};

use crate::ending::PF_EXITING;
use crate::find::Found;
use crate::group::{Group, Options, add};
use crate::leak::{self, INSPECTED, SHOWN};
use crate::notes::Notes;
use crate::proc::{self, Stat};
use crate::{Error, Scanner, holder, limits};

/// A leak of this many or fewer has the status of each zombie read, for its tracer.
const ASKED_FOR_TRACER: usize = 64;

impl Scanner {
    /// Looks at the node once.
    pub fn scan(&mut self, options: &Options) -> Result<Report, Error> {
        let began = Instant::now();
        let opened = self.proc.opened();
        self.notes = Notes::of_viewer(self.viewer.sees_all);
        // A clock before 1970 reads as its beginning.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let scanned_at = rfc3339(since_1970.map_or(0, |since| since.as_secs()));
        let Found {
            mut groups,
            fresh,
            mut exiting,
            method,
            cgroups,
            mut notes,
        } = self.find(options)?;
        if !fresh.is_empty() {
            std::thread::sleep(options.second_look);
            // Those of a small group are all inspected below, which is the second look.
            let every = |group: &Group| options.full || group.zombies.len() <= INSPECTED;
            if !groups.iter().all(every) {
                self.drop_gone(&mut groups, fresh)?;
            }
        }
        groups = self.part_traced(groups, options);
        let mut leaks = Vec::with_capacity(groups.len());
        let mut zombies = 0_u64;
        let share = proc::share(groups.len());
        for group in groups {
            if group.holder == 0 {
                let count = self.inspect(&group, true, &mut exiting).len() as u64;
                zombies = zombies.saturating_add(count);
                if count != 0 {
                    let count = text::plural(count, "zombie has", "zombies have");
                    notes.push(format!(
                        "{count} a parent outside this PID namespace: scan on the host"
                    ));
                }
                continue;
            }
            match self.leak(&group, options, &mut exiting) {
                Inspected::Leak(mut leak) => {
                    zombies = zombies.saturating_add(leak.zombies);
                    if let Some(room) = share {
                        proc::shorten(&mut leak.holder.command_line, room);
                    }
                    leaks.push(*leak);
                }
                Inspected::HolderUnknown(count) => {
                    zombies = zombies.saturating_add(count);
                    let count = text::plural(count, "zombie", "zombies");
                    notes.push(format!(
                        "process {} holds {count} and is not in this report: its stat or its \
                         status cannot be read",
                        group.holder,
                    ));
                }
                Inspected::HolderEnded => notes.push(format!(
                    "process {} ended during the scan; its zombies ({}) went to another parent",
                    group.holder,
                    group.zombies.len()
                )),
                Inspected::Nothing => {}
            }
        }
        // A namespace that cannot be read is the kernel's way of saying that this process is
        // none of our business: its executable and its children's exit status stay hidden, too.
        let veiled = |leak: &sexton_core::Leak| leak.holder.pid_namespace.is_none();
        if !self.viewer.sees_all && leaks.iter().any(veiled) {
            notes.push(
                "executables, namespaces and exit statuses of other users' processes are hidden \
                 from this user: run as root"
                    .to_owned(),
            );
        }
        let looked = std::mem::take(&mut self.notes);
        let unreadable_facts = looked.unreadable().clone();
        notes.extend(looked.into_list());
        leaks.sort_by(|a, b| {
            b.zombies
                .cmp(&a.zombies)
                .then_with(|| a.holder.id.cmp(&b.holder.id))
        });
        let cannot_end = self.cannot_end(&exiting, &leaks, options);
        Ok(Report {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            node: self.node()?,
            scanned_at,
            zombies,
            leaks,
            limits: limits::of_node(self, Some(zombies)),
            reached: Vec::new(),
            cannot_end,
            exit_signals: Vec::new(),
            notes,
            scan: Scan {
                method,
                micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
                cgroups,
                processes_read: self.proc.opened().saturating_sub(opened),
                unreadable_facts,
            },
        })
    }

    /// The second look at those that had but one: who is not there any more was waited for.
    fn drop_gone(&mut self, groups: &mut [Group], mut fresh: Vec<u32>) -> Result<(), Error> {
        let mut gone = Vec::new();
        if fresh.len() <= INSPECTED {
            for pid in fresh {
                let stat = self.notes.take(self.proc.stat(pid, &mut self.buffer));
                if !stat.is_some_and(|stat| stat.is_reapable_zombie()) {
                    gone.push(pid);
                }
            }
        } else {
            // A list of all costs a tenth of reading each. Who is inspected is read anyway.
            let mut listed = self.proc.pids()?;
            listed.sort_unstable();
            fresh.retain(|pid| listed.binary_search(pid).is_err());
            gone = fresh;
        }
        gone.sort_unstable();
        if gone.is_empty() {
            return Ok(());
        }
        for group in groups {
            group.zombies.retain(|pid| gone.binary_search(pid).is_err());
        }
        Ok(())
    }

    /// Moves zombies that a tracer holds from their parent to the tracer.
    fn part_traced(&mut self, groups: Vec<Group>, options: &Options) -> Vec<Group> {
        let mut parted: Vec<Group> = Vec::with_capacity(groups.len());
        for group in groups {
            let probe = if options.full || group.zombies.len() <= ASKED_FOR_TRACER {
                group.zombies.len()
            } else {
                SHOWN
            };
            // Whoever traces one of a crowd mostly traces them all, so a few tell whether each
            // has to be asked.
            let mut asked = leak::spread(&group.zombies, probe);
            let mut traced = self.tracers(&group, &asked);
            if !traced.is_empty() && asked.len() < group.zombies.len() {
                asked.clone_from(&group.zombies);
                traced = self.tracers(&group, &asked);
            }
            let away: HashSet<u32> = traced.iter().map(|(zombie, _)| *zombie).collect();
            for (zombie, tracer) in traced {
                add(&mut parted, tracer, HoldsAs::Tracer, zombie);
            }
            parted.push(Group {
                zombies: group
                    .zombies
                    .into_iter()
                    .filter(|pid| !away.contains(pid))
                    .collect(),
                ..group
            });
        }
        parted.retain(|group| !group.zombies.is_empty());
        parted
    }

    /// Zombie and tracer, of those of `asked` that another than the parent traces.
    fn tracers(&mut self, group: &Group, asked: &[u32]) -> Vec<(u32, u32)> {
        let mut traced = Vec::new();
        for &pid in asked {
            let status = self.notes.take(self.proc.status(pid, &mut self.buffer));
            let Some(thread) = status.and_then(|status| status.tracer) else {
                continue;
            };
            let tracer = self.proc.process_of_thread(thread, &mut self.buffer);
            if let Some(tracer) = self.notes.take(tracer)
                && tracer != group.holder
            {
                traced.push((pid, tracer));
            }
        }
        traced
    }

    fn leak(&mut self, group: &Group, options: &Options, exiting: &mut Vec<u32>) -> Inspected {
        let mut inspected = self.inspect(group, options.full, exiting);
        let asked = if options.full {
            group.zombies.len()
        } else {
            group.zombies.len().min(INSPECTED)
        };
        let gone = asked.saturating_sub(inspected.len());
        let zombies = group.zombies.len().saturating_sub(gone) as u64;
        let mut notes = Notes::of_viewer(self.viewer.sees_all);
        let known = match self.known(group.holder, &mut notes) {
            Ok(known) => known,
            Err(_) if inspected.is_empty() => return Inspected::Nothing,
            Err(error) => {
                self.notes.take::<()>(Err(error));
                return Inspected::HolderUnknown(zombies);
            }
        };
        let Some((mut holder, stat)) = known else {
            return Inspected::HolderEnded;
        };
        if inspected.is_empty() {
            return Inspected::Nothing;
        }
        inspected.sort_by_key(|stat| (stat.start_ticks, stat.pid));
        holder.holds_as = group.holds_as;
        holder.subreaper =
            group.holds_as == HoldsAs::Parent && leak::is_subreaper(&holder, &stat, &inspected);
        let own_pid = self.proc.own_pid().unwrap_or(0);
        let now = self.now_ticks(&mut notes);
        let hertz = rustix::param::clock_ticks_per_second();
        let container = self.named_container(group.holder, &mut notes);
        let container = notes.take(container);
        self.notes.count(&notes);
        Inspected::Leak(Box::new(Leak {
            container,
            protected: protection(&holder, own_pid),
            zombies,
            inspected: inspected.len() as u64,
            commands: leak::commands(&inspected, zombies),
            ages: now.map_or_else(Ages::default, |now| {
                leak::ages(&inspected, zombies, holder.id.start_ticks, (now, hertz))
            }),
            sample: self.sample(&inspected),
            causes: Vec::new(),
            origins: Vec::new(),
            forecast: None,
            holder,
            notes: notes.into_list(),
        }))
    }

    /// The holder; `None` if it has ended.
    fn known(&self, pid: u32, notes: &mut Notes) -> Result<Option<(Holder, Stat)>, Error> {
        let Some(process) = self.proc.process(pid)? else {
            return Ok(None);
        };
        let holder = holder::read(&self.proc, &process, &self.hierarchies, self.host, notes)?;
        Ok(holder.zip(process.stat()?))
    }

    /// Reads the zombies of a group one by one, evenly spread where there are many: those that
    /// are still there, and still this holder's. Who is about to become one is `exiting`.
    fn inspect(&mut self, group: &Group, all: bool, exiting: &mut Vec<u32>) -> Vec<Stat> {
        let wanted = if all { usize::MAX } else { INSPECTED };
        let mut stats = Vec::with_capacity(group.zombies.len().min(wanted));
        for pid in leak::spread(&group.zombies, wanted) {
            let Some(stat) = self.notes.take(self.proc.stat(pid, &mut self.buffer)) else {
                continue;
            };
            if !stat.is_reapable_zombie() {
                // It has left the lists of the living, as a zombie has.
                exiting.extend((stat.flags & PF_EXITING != 0).then_some(pid));
            } else if group.holds_as == HoldsAs::Tracer || stat.parent == group.holder {
                stats.push(stat);
            }
        }
        stats
    }

    fn sample(&mut self, inspected: &[Stat]) -> Vec<Zombie> {
        let all: Vec<&Stat> = inspected.iter().collect();
        let mut sample = Vec::with_capacity(SHOWN);
        for stat in leak::spread(&all, SHOWN) {
            let status = self.proc.status(stat.pid, &mut self.buffer);
            if let Some(status) = self.notes.take(status) {
                sample.push(self.zombie(stat, &status));
            }
        }
        sample
    }

    /// Time since boot in clock ticks, as `start_ticks` counts.
    pub(crate) fn now_ticks(&self, notes: &mut Notes) -> Option<u64> {
        let hertz = rustix::param::clock_ticks_per_second();
        let parse = |bytes: &[u8]| proc::uptime_ticks(bytes, hertz).map(Some);
        notes.take(self.proc.parse("uptime", parse))
    }

    /// The machine.
    ///
    /// # Errors
    /// The kernel's files cannot be read.
    pub fn node(&self) -> Result<Node, Error> {
        let uname = rustix::system::uname();
        let boot_id = self.proc.read("sys/kernel/random/boot_id")?;
        Ok(Node {
            name: (self.node_name.clone())
                .unwrap_or_else(|| uname.nodename().to_string_lossy().into_owned()),
            kernel: uname.release().to_string_lossy().into_owned(),
            boot_id: crate::lossy(boot_id.unwrap_or_default().trim_ascii()),
            cgroups: self.hierarchies.mode(),
        })
    }
}

enum Inspected {
    Leak(Box<Leak>),
    /// All of its zombies were waited for meanwhile.
    Nothing,
    HolderEnded,
    /// So many zombies of somebody who cannot be told apart from who may get its pid next.
    HolderUnknown(u64),
}
