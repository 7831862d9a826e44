//! What an entry of the knowledge base asks of the facts.

use super::facts::{Facts, names_of};
use super::words::{Answer, Blocked, First, Hindrance, Language, Origin, Session};
use crate::SigchldAction;
use crate::holder::HoldsAs;

/// One condition; a list holds when any of its members does.
///
/// There is no three-valued logic: an entry that fits facts that are not known says so, by
/// naming `unknown` in its list.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// What the holder is written in.
    Language(&'static [Language]),
    /// At least half of the zombies have a name that matches one of the patterns.
    Zombies(&'static [&'static str]),
    /// A name of the holder (`comm`, executable, first argument, script) matches.
    Holder(&'static [&'static str]),
    /// The whole command line, joined by spaces, matches.
    CommandLine(&'static [&'static str]),
    /// The holder is PID 1 of its PID namespace.
    NamespaceInit(bool),
    /// The holder runs in a container.
    InContainer(bool),
    /// How the zombies came to the holder.
    Origin(&'static [Origin]),
    /// Who leads their sessions.
    Session(&'static [Session]),
    /// Most zombies bear the name of the holder.
    SameName(bool),
    /// At least half of them were ended by SIGKILL.
    Killed(bool),
    /// What PID 1 of the namespace is.
    First(&'static [First]),
    /// Other containers share the PID namespace.
    SharedPidNamespace(&'static [Answer]),
    /// A live init that is not PID 1.
    MisplacedInit(bool),
    /// The holder's action on SIGCHLD.
    Sigchld(&'static [SigchldAction]),
    /// SIGCHLD is blocked in these many threads.
    Blocked(&'static [Blocked]),
    /// What keeps it from running.
    Hindrance(&'static [Hindrance]),
    /// It has ever waited for a child.
    Waited(&'static [Answer]),
    /// A thread of it waits for a child now.
    Waiting(&'static [Answer]),
    /// It holds the zombies as their tracer.
    Tracer(bool),
    /// It can start processes.
    StartsProcesses(&'static [Answer]),
    /// Its threads wait for certain children only.
    WaitsForOne(bool),
    /// It is in a read of a pipe that another process holds open.
    HeldPipe(bool),
    /// A thread collects SIGCHLD, and the kernel may give it to another.
    MissedByCollector(bool),
    /// A thread of it sleeps in a system call of such a name.
    Call(&'static [&'static str]),
    /// A browser's driver is near.
    Driver(&'static [&'static str]),
}

impl Condition {
    /// The facts meet it.
    pub(super) fn holds(self, facts: &Facts) -> bool {
        let holder = &facts.leak.holder;
        match self {
            Self::Language(any) => any.contains(&facts.program.language),
            Self::Zombies(any) => facts.share_of(|name| matches_any(any, name)) >= 0.5,
            Self::Holder(any) => names_of(holder).any(|name| matches_any(any, name)),
            Self::CommandLine(any) => matches_any(any, &holder.command_line.join(" ")),
            Self::NamespaceInit(is) => holder.namespace_init == is,
            Self::InContainer(is) => facts.leak.container.is_some() == is,
            Self::Origin(any) => any.contains(&facts.origins.origin()),
            Self::Session(any) => any.contains(&facts.origins.session),
            Self::SameName(is) => facts.origins.same_name == is,
            Self::Killed(is) => facts.origins.killed == is,
            Self::First(any) => any.contains(&facts.first.kind),
            Self::SharedPidNamespace(any) => any.contains(&facts.shared_pid_namespace),
            Self::MisplacedInit(is) => facts.misplaced_inits.is_empty() != is,
            Self::Sigchld(any) => any.contains(&holder.sigchld),
            Self::Blocked(any) => any.contains(&facts.sigchld.blocked),
            Self::Hindrance(any) => any.contains(&facts.hindrance()),
            Self::Waited(any) => any.contains(&facts.waited()),
            Self::Waiting(any) => any.contains(&facts.waiting()),
            Self::Tracer(is) => (holder.holds_as == HoldsAs::Tracer) == is,
            Self::StartsProcesses(any) => any.contains(&facts.starts_processes),
            Self::WaitsForOne(is) => facts.waits_for.is_empty() != is,
            Self::HeldPipe(is) => facts.held_pipe.is_some() == is,
            Self::MissedByCollector(is) => facts.sigchld.collector.is_some() == is,
            Self::Call(any) => facts.calls.iter().any(|call| matches_any(any, &call.name)),
            Self::Driver(any) => facts.drivers.iter().any(|name| matches_any(any, name)),
        }
    }
}

impl Condition {
    /// It asks what keeps the holder from a wait that it means to make.
    pub(super) fn is_of_a_wait(self) -> bool {
        matches!(
            self,
            Self::HeldPipe(_)
                | Self::MissedByCollector(_)
                | Self::Blocked([Blocked::All])
                | Self::Hindrance([Hindrance::Stopped | Hindrance::Frozen, ..])
                | Self::Hindrance([Hindrance::Traced | Hindrance::DiskSleep, ..])
                | Self::WaitsForOne(true)
                | Self::Tracer(true)
        )
    }
}

fn matches_any(patterns: &[&str], text: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| glob(pattern.as_bytes(), text.as_bytes()))
}

/// `*` stands for any run of bytes, `?` for one byte; everything else for itself.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // One step back to the latest star is enough: an earlier star could only take more.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}
