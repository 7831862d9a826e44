//! What was seen of a leak: all that a diagnosis rests on, as plain data.

use super::words::{Answer, Blocked, First, Hindrance, Language, Origin, Session};
use crate::ending::WaitsFor;
use crate::{Holder, Leak, SigchldAction, State};

/// What was seen of a leak.
///
/// `sexton_scan::facts::gather` fills it. Whatever could not be read is said to be unknown,
/// with the reason in [`Facts::notes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Holder, container, commands and ages.
    pub leak: Leak,
    /// What the holder is written in.
    pub program: Program,
    /// That program can start processes: `No` where its executable calls nothing that does.
    pub starts_processes: Answer,
    /// PID 1 of the holder's PID namespace.
    pub first: FirstProcess,
    /// Other containers live in the holder's PID namespace (`shareProcessNamespace`, `--pid`).
    pub shared_pid_namespace: Answer,
    /// Whether the holder started the zombies or they were given to it.
    pub origins: Origins,
    /// Minor page faults of all children that the holder has waited for, theirs included:
    /// `cminflt`, field 11 of `/proc/PID/stat`. It grows at each wait (kernel/exit.c,
    /// `wait_task_zombie`), so 0 means that it has never waited. More says little: execve keeps
    /// the count of the script that became this program, and whoever makes the holder wait (a
    /// debugger, `sexton reap`) makes it grow too.
    pub waited_faults: Option<u64>,
    /// It waited for a child while we watched, and nothing of ours made it.
    pub seen_waiting: bool,
    /// For how many seconds the one of the zombies that ended first has been dead, at least.
    pub dead_seconds: Option<u64>,
    /// System calls in which its threads sleep, most frequent first: `/proc/PID/task/TID/syscall`.
    /// Empty where that may not be read.
    pub calls: Vec<Call>,
    /// What it waits for, if it cannot run.
    pub asleep: Asleep,
    /// The only children that its threads wait for, by their pids in its PID namespace; empty
    /// where a thread waits for any child, or none waits.
    pub waits_for: Vec<u32>,
    /// Its main thread is in a read of a pipe that another process holds open.
    pub held_pipe: Option<HeldPipe>,
    /// What happens to SIGCHLD, beside [`Holder::sigchld`].
    pub sigchld: Sigchld,
    /// Browsers' drivers among the live processes of the namespace and among the zombies.
    pub drivers: Vec<String>,
    /// Live inits in the PID namespace that are not its PID 1: `tini (pid 4711)`.
    pub misplaced_inits: Vec<String>,
    /// Whoever asks may not trace the holder: much of it is hidden from them, and they cannot
    /// reap for it either.
    pub out_of_reach: bool,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

/// What a program is written in, and what says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The language, or the runtime.
    pub language: Language,
    /// What says so, with the place it was read from, to follow "is a … program: ".
    pub evidence: Option<String>,
}

/// What keeps a holder from running, in the kernel's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asleep {
    /// The function that it sleeps in: `/proc/PID/wchan`.
    pub function: Option<String>,
    /// What that waits for, where it is recognised.
    pub waits_for: Option<WaitsFor>,
    /// Its child of vfork, which has not called exec: pid and name.
    pub vfork_child: Option<(u32, String)>,
    /// The cgroup that was frozen.
    pub thaw: Option<Thaw>,
}

/// What to write to let a frozen cgroup go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thaw {
    /// The file of the cgroup that was frozen by name: that of the holder, or one above.
    pub file: String,
    /// What to write into it.
    pub value: &'static str,
}

/// A pipe whose end the holder waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPipe {
    /// Its name as `/proc/PID/fd` gives it: `pipe:[4711]`, `socket:[4711]`.
    pub name: String,
    /// Live processes, not threads of the holder, that can still write to it: `ssh (pid 12)`.
    pub writers: Vec<String>,
}

/// PID 1 of a PID namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstProcess {
    /// What it is.
    pub kind: First,
    /// Its pid as the scanning process sees it.
    pub pid: Option<u32>,
    /// Its command line, words joined by spaces.
    pub command_line: String,
}

/// Whether zombies were started by their holder or given to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Started by the holder, for sure.
    pub direct: u64,
    /// Given to the holder when their parent ended, for sure.
    pub adopted: u64,
    /// There before the holder became this program by exec, for sure.
    pub inherited: u64,
    /// They all may have been there before the holder became this program: they are about as
    /// old as it is.
    pub early: bool,
    /// Nothing tells.
    pub unknown: u64,
    /// Who leads the session of most of them.
    pub session: Session,
    /// Most of them bear the holder's name: it forked, and the child ran no other program.
    pub same_name: bool,
    /// At least half of them were ended by SIGKILL.
    pub killed: bool,
    /// What says so, one sentence each.
    pub evidence: Vec<String>,
}

/// A system call and how many threads sleep in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name, or `syscall N`; `running` for threads that are in none.
    pub name: String,
    /// Threads in it.
    pub threads: u32,
}

/// What happens to SIGCHLD in all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sigchld {
    /// In how many threads it is blocked: `SigBlk` of `/proc/PID/task/*/status`.
    pub blocked: Blocked,
    /// One is pending: `SigPnd` or `ShdPnd`.
    pub pending: bool,
    /// A thread that collects the signal by sigwait, while another does not block it: the
    /// kernel may give the signal to that other one.
    pub collector: Option<u32>,
}

/// Before its first command Go (since 1.23) starts a child that shares its memory, ends at once
/// and is waited for, to see whether pidfds work (os/pidfd_linux.go, `checkPidfd`). Such a child
/// has no page faults, or one or two; whatever has called `execve` has dozens.
const GO_PROBE_FAULTS: u64 = 8;

/// Programs that wait for their children from time to time do so within this time.
const PATIENCE_SECONDS: u64 = 60;

impl Facts {
    /// What keeps the holder from running; the freezer goes before the state under it.
    #[must_use]
    pub fn hindrance(&self) -> Hindrance {
        match (self.leak.holder.frozen, self.leak.holder.state) {
            (true, _) => Hindrance::Frozen,
            (_, State::Stopped) => Hindrance::Stopped,
            (_, State::Traced) => Hindrance::Traced,
            (_, State::DiskSleep) => Hindrance::DiskSleep,
            _ => Hindrance::None,
        }
    }

    /// It means to wait, and something that is seen keeps it from that.
    #[must_use]
    pub fn is_kept_from_waiting(&self) -> bool {
        let handler_never_runs = self.leak.holder.sigchld == SigchldAction::Caught
            && self.sigchld.blocked == Blocked::All;
        self.held_pipe.is_some() || self.sigchld.collector.is_some() || handler_never_runs
    }

    /// Whether the holder has ever waited for a command that it started.
    #[must_use]
    pub fn waited(&self) -> Answer {
        match self.waited_faults {
            _ if self.seen_waiting => Answer::Yes,
            Some(0) => Answer::No,
            Some(faults) if self.program.language == Language::Go && faults <= GO_PROBE_FAULTS => {
                Answer::No
            }
            // The script before it, a debugger or Sexton may have been the one.
            None | Some(_) => Answer::Unknown,
        }
    }

    /// Why nothing about a program that runs is sure yet.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        if self.leak.holder.namespace_init && self.first.kind == First::KeepAlive {
            // It never waits, whatever it has and wherever that came from.
            return None;
        }
        let dead = self.dead_seconds.unwrap_or(0);
        if dead < PATIENCE_SECONDS {
            let seen = match self.dead_seconds {
                Some(_) => "None of them has been dead for a minute",
                None => "How long they have been dead is not known",
            };
            Some(format!(
                "{seen}: a program that waits from time to time may still take them (/proc/ZOMBIE/sched)."
            ))
        } else if self.origins.early {
            Some(
                "They are about as old as their parent: a script that started them and then became this program by exec leaves the same (field 22 of /proc/PID/stat)."
                    .to_owned(),
            )
        } else {
            None
        }
    }

    /// Whether a thread of the holder is in a wait for children right now.
    #[must_use]
    pub fn waiting(&self) -> Answer {
        if self.calls.is_empty() {
            Answer::Unknown
        } else if self.calls.iter().any(|call| is_wait(&call.name)) {
            Answer::Yes
        } else {
            Answer::No
        }
    }

    /// Share of the zombies, 0 to 1, whose name `matches`.
    pub(super) fn share_of(&self, matches: impl Fn(&str) -> bool) -> f64 {
        let (mut hits, mut all) = (0u64, 0u64);
        for command in &self.leak.commands {
            all += command.count;
            if matches(&command.name) {
                hits += command.count;
            }
        }
        // Counts of processes are far below 2^52.
        if all == 0 {
            0.0
        } else {
            hits as f64 / all as f64
        }
    }
}

/// The name is one of the calls by which a process waits for its children (`wait(2)`).
fn is_wait(call: &str) -> bool {
    matches!(call, "wait4" | "waitid" | "waitpid")
}

impl Origins {
    /// The judgement. Those of which nothing tells are taken to be like the others.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let few = (self.direct + self.adopted + self.inherited) / 10;
        match (self.direct > few, self.adopted > few, self.inherited > few) {
            (false, false, false) => Origin::Unknown,
            (true, false, false) => Origin::Direct,
            (false, true, false) => Origin::Adopted,
            (false, false, true) => Origin::Inherited,
            _ => Origin::Mixed,
        }
    }
}

impl Language {
    /// As people write it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Java => "Java",
            Self::Ruby => "Ruby",
            Self::Php => "PHP",
            Self::Perl => "Perl",
            Self::DotNet => ".NET",
            Self::Erlang => "Erlang",
            Self::Rust => "Rust",
            Self::Shell => "shell",
            Self::Native => "native",
            Self::Unknown => "unknown",
        }
    }
}

/// Every name by which the knowledge base may know a holder: `comm`, executable, first
/// argument, and for an interpreter its script.
pub(super) fn names_of(holder: &Holder) -> impl Iterator<Item = &str> {
    let executable = holder
        .executable
        .as_deref()
        .map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
    let arguments = holder.command_line.iter().take(2).map(String::as_str);
    std::iter::once(holder.name.as_str())
        .chain(executable.into_iter().chain(arguments).map(base_name))
        .filter(|name| !name.is_empty())
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
