//! What a TARGET means on this node, and which leaks are its.

use std::collections::HashSet;

use sexton_core::holder::HoldsAs;
use sexton_core::{Container, Ending, Leak, ProcessId, Report, State, protect};
use sexton_scan::{Scanner, Seen};

use super::Target;
use super::find::Thing;
use super::inventory::{Inventory, Placed};
use crate::error::Error;
use crate::output::{leak, text};

/// Zombies of one holder that are asked for the container that counts them.
const ASKED: usize = 4_096;

/// What a TARGET means on this node.
#[derive(Clone, Debug)]
pub struct Meant {
    /// `container 3f2a9c1b7d6e`.
    what: String,
    scope: Scope,
    /// Holders elsewhere of zombies that are counted here.
    outside: HashSet<ProcessId>,
}

#[derive(Clone, Debug)]
enum Scope {
    /// A process, and the one zombie that was named.
    Process { holder: u32, zombie: Option<u32> },
    /// Containers, and programs of that name.
    Named {
        containers: Vec<Placed>,
        programs: Vec<u32>,
    },
}

impl Meant {
    /// The one thing that `target` means, for commands that act on one thing or tell of it. Of
    /// several programs of that name, the one that holds zombies by `report`.
    ///
    /// # Errors
    /// It is not there, or it may be one of several.
    pub fn one(
        scanner: &mut Scanner,
        target: &Target,
        report: Option<&Report>,
    ) -> Result<Self, Error> {
        if let Target::Pid(pid) = target {
            return Self::process(scanner, *pid);
        }
        let mut inventory = Inventory::take(scanner)?;
        inventory.add(report.map_or(&[], |report| &report.cannot_end));
        let thing = inventory.the_thing(target, report)?;
        let what = match &thing {
            Thing::Container(placed) => format!("container {}", placed.container.short_id()),
            Thing::Pod(name, _) => format!("pod {name}"),
            Thing::Program(pid, ..) => return Self::process(scanner, *pid),
        };
        Ok(Self::named(what, vec![thing]))
    }

    /// All that `target` fits, for a command that lists.
    ///
    /// # Errors
    /// Nothing of that name is there.
    pub fn all(
        scanner: &mut Scanner,
        target: &Target,
        report: Option<&Report>,
    ) -> Result<Self, Error> {
        if let Target::Pid(pid) = target {
            return Self::process(scanner, *pid);
        }
        let mut inventory = Inventory::take(scanner)?;
        inventory.add(report.map_or(&[], |report| &report.cannot_end));
        let things = inventory.things(target, None);
        if things.is_empty() {
            return Err(inventory.nothing(target));
        }
        let kind = match target {
            Target::Container(_) => "container ",
            Target::Pod(_) => "pod ",
            Target::Any(_) | Target::Pid(_) => "",
        };
        Ok(Self::named(format!("{kind}{}", target.text()), things))
    }

    fn named(what: String, things: Vec<Thing>) -> Self {
        let (mut containers, mut programs) = (Vec::new(), Vec::new());
        for thing in things {
            match thing {
                Thing::Container(placed) => containers.push(placed),
                Thing::Pod(_, placed) => containers.extend(placed),
                Thing::Program(pid, ..) => programs.push(pid),
            }
        }
        Self {
            what,
            scope: Scope::Named {
                containers,
                programs,
            },
            outside: HashSet::new(),
        }
    }

    fn process(scanner: &Scanner, pid: u32) -> Result<Self, Error> {
        let (holder, zombie) = holder_of(scanner, pid)?;
        Ok(Self {
            what: format!("process {holder}"),
            scope: Scope::Process { holder, zombie },
            outside: HashSet::new(),
        })
    }

    /// `Container 3f2a9c1b7d6e`, at the beginning of a sentence.
    pub fn subject(&self) -> String {
        let mut letters = self.what.chars();
        let first = letters.next().map(|first| first.to_uppercase());
        first.into_iter().flatten().chain(letters).collect()
    }

    /// `in container 3f2a9c1b7d6e`, `of process 123`.
    pub fn place(&self) -> String {
        match self.scope {
            Scope::Process { .. } => format!("of {}", self.what),
            Scope::Named { .. } => format!("in {}", self.what),
        }
    }

    /// The process, if it is one: the holder, where a zombie was named.
    pub fn pid(&self) -> Option<u32> {
        match self.scope {
            Scope::Process { holder, .. } => Some(holder),
            Scope::Named { .. } => None,
        }
    }

    /// The zombie that was named.
    pub fn zombie(&self) -> Option<u32> {
        match self.scope {
            Scope::Process { zombie, .. } => zombie,
            Scope::Named { .. } => None,
        }
    }

    /// The process whose limits are those of what is meant: the first of the container.
    ///
    /// # Errors
    /// It is a pod of several containers.
    pub fn first_process(&self) -> Result<u32, Error> {
        let containers = match &self.scope {
            Scope::Process { holder, .. } => return Ok(*holder),
            Scope::Named { containers, .. } => containers,
        };
        // What holds a pod's namespaces is no container of anybody's.
        let own = |placed: &&Placed| placed.container.name.as_deref() != Some("sandbox");
        let mut own: Vec<&Placed> = containers.iter().filter(own).collect();
        if own.is_empty() {
            own = containers.iter().collect();
        }
        match own[..] {
            [one] => Ok(one.eldest),
            _ => Err(Error::Ambiguous {
                target: self.what.clone(),
                count: own.len(),
                choices: own
                    .iter()
                    .map(|placed| {
                        let place = leak::place(Some(&placed.container));
                        let id = placed.container.short_id();
                        format!("container/{}  {}", text::safe(id), text::safe(&place))
                    })
                    .collect::<Vec<_>>()
                    .join("\n  "),
            }),
        }
    }

    /// The processes whose limits are those of what is meant: the first of each container.
    pub fn first_processes(&self) -> Vec<u32> {
        match &self.scope {
            Scope::Process { holder, .. } => vec![*holder],
            Scope::Named {
                containers,
                programs,
            } => {
                let containers = containers.iter().map(|placed| placed.eldest);
                containers.chain(programs.iter().copied()).collect()
            }
        }
    }

    /// Whether this container, with these processes, is meant.
    pub fn is(&self, container: &Container, pids: &[u32]) -> bool {
        self.fits(pids, |own| own.id == container.id)
    }

    /// Whether a container that cannot end is meant: by its PID 1, by what keeps it, or by name.
    pub fn is_about(&self, ending: &Ending) -> bool {
        match &self.scope {
            Scope::Process { holder, zombie } => {
                ending.is_about(*holder) || zombie.is_some_and(|zombie| ending.is_about(zombie))
            }
            Scope::Named {
                containers,
                programs,
            } => {
                let container = ending.container.as_ref();
                let is = |placed: &Placed| {
                    container.is_some_and(|container| container.id == placed.container.id)
                };
                containers.iter().any(is) || programs.iter().any(|pid| ending.is_about(*pid))
            }
        }
    }

    /// Whether the holder of `leak` is meant, or lives in what is meant: in a container, or in one
    /// that is nested in it.
    pub fn covers(&self, leak: &Leak) -> bool {
        self.fits(&[leak.holder.id.pid], |own| {
            leak.container
                .as_ref()
                .is_some_and(|inner| holds(own, inner))
        })
    }

    fn fits(&self, pids: &[u32], container: impl Fn(&Container) -> bool) -> bool {
        match &self.scope {
            Scope::Process { holder, .. } => pids.contains(holder),
            Scope::Named {
                containers,
                programs,
            } => {
                containers.iter().any(|placed| container(&placed.container))
                    || programs.iter().any(|pid| pids.contains(pid))
            }
        }
    }

    /// Whether `leak` is to be shown: it is covered, or was found to count here
    /// ([`Meant::find_outside`]).
    pub fn concerns(&self, leak: &Leak) -> bool {
        self.covers(leak) || self.outside.contains(&leak.holder.id)
    }

    /// Finds holders elsewhere whose zombies are counted in what is meant: a tracer or a parent
    /// outside of the container. Says of each how many.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn find_outside(
        &mut self,
        scanner: &mut Scanner,
        report: &Report,
    ) -> Result<Vec<String>, Error> {
        let Scope::Named { containers, .. } = &self.scope else {
            return Ok(Vec::new());
        };
        let ids: HashSet<&str> = containers.iter().map(|p| p.container.id.as_str()).collect();
        let mut notes = Vec::new();
        let mut outside = HashSet::new();
        let mut seen = Seen::default();
        for leak in report.leaks.iter().filter(|leak| !self.covers(leak)) {
            let mut counted = 0;
            for pid in zombies_of(scanner, leak)? {
                let container = scanner.find_container(pid, &mut seen)?;
                counted += u64::from(container.is_some_and(|c| ids.contains(c.id.as_str())));
            }
            if counted > 0 {
                outside.insert(leak.holder.id);
                notes.push(format!(
                    "{} counts {} that {} (pid {}, {}) holds from outside",
                    self.what,
                    text::plural(counted, "zombie", "zombies"),
                    leak.holder.name,
                    leak.holder.id.pid,
                    leak::place(leak.container.as_ref())
                ));
            }
        }
        self.outside = outside;
        Ok(notes)
    }
}

/// Keeps what concerns all that is `meant` in a report, and says what is to be known of it.
///
/// # Errors
/// What is there cannot be read.
pub fn keep(scanner: &mut Scanner, report: &mut Report, meant: &mut [Meant]) -> Result<(), Error> {
    if !meant.is_empty() {
        let pids: Vec<u32> = meant.iter().flat_map(Meant::first_processes).collect();
        report.notes.retain(|note| !is_of_a_stranger(note, &pids));
    }
    for one in &mut *meant {
        let notes = one.find_outside(scanner, report)?;
        report.notes.extend(notes);
    }
    report.retain(|leak| meant.iter().all(|one| one.concerns(leak)));
    (report.cannot_end).retain(|ending| meant.iter().all(|one| one.is_about(ending)));
    for leak in &report.leaks {
        if let Some(name) = protect::borrowed_name(&leak.holder) {
            report.notes.push(format!(
                "process {} has the name of a program of the node, {name}, but runs in a \
                 container ({}): there a name protects nothing",
                leak.holder.id.pid,
                leak::place(leak.container.as_ref())
            ));
        }
    }
    Ok(())
}

/// The note is about one process, which is none of these: `process 12 …`, `/proc/12/stat`.
fn is_of_a_stranger(note: &str, pids: &[u32]) -> bool {
    let mut named = ["process ", "/proc/"].into_iter().filter_map(|before| {
        let (_, rest) = note.split_once(before)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse::<u32>().ok()
    });
    named.any(|pid| !pids.contains(&pid))
}

/// Pids of the zombies of a leak, up to [`ASKED`].
fn zombies_of(scanner: &mut Scanner, leak: &Leak) -> Result<Vec<u32>, Error> {
    if leak.zombies <= leak.sample.len() as u64 {
        return Ok(leak.sample.iter().map(|zombie| zombie.id.pid).collect());
    }
    let all = match leak.holder.holds_as {
        HoldsAs::Parent => scanner.zombies_of(leak.holder.id)?,
        HoldsAs::Tracer => scanner.zombies_traced_by(leak.holder.id)?,
    };
    let all = all.into_iter().map(|zombie| zombie.id.pid);
    Ok(all.take(ASKED).collect())
}

/// `inner` is `outer`, or lies in its cgroup.
fn holds(outer: &Container, inner: &Container) -> bool {
    let below = inner.cgroup.strip_prefix(&outer.cgroup);
    outer.id == inner.id
        || outer.cgroup.len() > 1 && below.is_some_and(|rest| rest.starts_with('/'))
}

/// The holder that `pid` stands for, and the zombie that it is: a zombie stands for the process
/// that ought to wait for it, a thread for its process.
fn holder_of(scanner: &Scanner, pid: u32) -> Result<(u32, Option<u32>), Error> {
    let gone = || Error::NoSuchTarget(format!("there is no process {pid}"));
    let mut buffer = Vec::new();
    let proc = scanner.proc();
    let found = proc.status(pid, &mut buffer)?.ok_or_else(gone)?;
    // The first thread of a process may have ended while others live: that is no zombie.
    let stat = proc.stat(found.tgid, &mut buffer)?.ok_or_else(gone)?;
    if found.state != State::Zombie || stat.is_dead_leader() || found.tgid != pid {
        return Ok((found.tgid, None));
    }
    let holder = match found.tracer {
        Some(tracer) => proc
            .process_of_thread(tracer, &mut buffer)?
            .unwrap_or(tracer),
        None => found.parent,
    };
    if holder == 0 {
        return Err(Error::NoSuchTarget(format!(
            "the parent of process {pid} is outside this PID namespace: run sexton on the host"
        )));
    }
    Ok((holder, Some(pid)))
}

#[cfg(test)]
mod tests {
    use super::is_of_a_stranger;

    #[test]
    fn notes_on_strangers_are_told_from_those_on_the_node() {
        for (note, expected) in [
            (
                "process 12 ended during the scan; its zombies (3) went to another parent",
                true,
            ),
            ("process 7 holds 3 zombies and is not in this report", false),
            ("cannot read /proc/12/exe: too long", true),
            (
                "all of /proc was read: no cgroup file system was found",
                false,
            ),
            (
                "processes of other users are hidden from this user (hidepid): run as root",
                false,
            ),
        ] {
            assert_eq!(is_of_a_stranger(note, &[7]), expected, "{note}");
        }
    }
}
