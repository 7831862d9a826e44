//! What was seen of a container and its main process, as plain data.

use super::hook::Hook;
use super::probe::Probe;
use super::{Grace, MainProcess, StopSignal};
use crate::cause::Program;
use crate::signal::is_in;
use crate::text::arguments::program_and_script;
use crate::{Container, ProcessId, State};

/// What was seen of one container. `sexton_scan::audit` fills it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The container.
    pub container: Container,
    /// What its runtime will send.
    pub signal: StopSignal,
    /// How long it will wait.
    pub grace: Option<Grace>,
    /// Whoever gets the signal.
    pub main: Process,
    /// It lives in the PID namespace of another container, or of the machine.
    pub shared_pid_namespace: bool,
    /// Held by the cgroup freezer (`docker pause`).
    pub frozen: bool,
    /// How many connections others have open to it; `None` where that is not to be told.
    pub connections: Option<usize>,
    /// Its preStop hook, which the kubelet runs before the signal.
    pub pre_stop: Option<Hook>,
    /// Its exec probes.
    pub probes: Vec<Probe>,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

/// A process, as far as a signal is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Who it is.
    pub id: ProcessId,
    /// Its pid in its own PID namespace. The kernel drops signals to PID 1 that have the
    /// default action, those from outside the namespace too (`pid_namespaces(7)`).
    pub inner_pid: u32,
    /// `comm`.
    pub name: String,
    /// Its arguments.
    pub command_line: Vec<String>,
    /// Target of `exe`.
    pub executable: Option<String>,
    /// What it is written in.
    pub program: Program,
    /// State of its main thread.
    pub state: State,
    /// What it does on signals.
    pub signals: Signals,
    /// Its process group.
    pub process_group: u32,
    /// Seconds since it was started.
    pub age_seconds: u64,
    /// The system call in which its main thread sleeps; `None` where that may not be read.
    pub call: Option<String>,
    /// Those of its environment's [`VARIABLES`](super::VARIABLES).
    pub environment: Vec<(String, String)>,
    /// Real, effective, saved and file system user id.
    pub uids: [u32; 4],
    /// It has CAP_KILL.
    pub may_kill: bool,
    /// What its runtime started it as; `None` where only the process itself tells.
    pub started_as: Option<Vec<String>>,
    /// It has written a title over its arguments.
    pub rewrote_title: bool,
    /// Files that its command line names or that it reads by default: a script, a
    /// configuration.
    pub texts: Vec<Text>,
    /// Its living children in the same container, oldest first. Looked for only where
    /// [`looks_below`](super::looks_below) says so.
    pub children: Vec<Process>,
}

/// A file of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where the process sees it.
    pub path: String,
    /// Its beginning.
    pub content: String,
}

/// Signal masks; signal n is bit n − 1 (`proc_pid_status(5)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `SigIgn`
    pub ignored: u64,
    /// `SigCgt`
    pub caught: u64,
    /// Signals that it takes by `signalfd(2)` or waits for in `sigwaitinfo(2)`.
    pub awaited: u64,
    /// `SigBlk` of each thread.
    pub blocked: Vec<u64>,
    /// `ShdPnd`: they have come and wait.
    pub pending: u64,
    /// What further looks found; `None` where one was enough.
    pub later: Option<Later>,
}

/// What several looks over a second found of the masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// Signals that a thread had open at one of the looks.
    pub open: u64,
    /// Signals that it waited for at one of the looks.
    pub awaited: u64,
    /// A thread ran between the looks: it may have opened its mask unseen.
    pub ran: bool,
}

/// What becomes of a signal that comes to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// It is read from a signalfd or waited for.
    Awaited,
    /// It is thrown away at once.
    Ignored,
    /// It stays pending: every thread blocks it.
    Blocked,
    /// Every thread blocks it, and one opens its mask now and then, or may do so.
    Unsteady,
    /// A handler runs.
    Caught,
    /// The default action.
    Default,
}

impl Signals {
    /// In the kernel's order: `sig_ignored` and `complete_signal` of kernel/signal.c. A blocked
    /// signal is kept even if it is ignored, so that who waits for it gets it.
    pub(super) fn reception(&self, signal: u8) -> Reception {
        if is_in(self.awaited, signal) {
            Reception::Awaited
        } else if is_in(self.ignored, signal) {
            Reception::Ignored
        } else if !self.blocked.is_empty() && self.open_threads(signal) == 0 {
            match self.later {
                Some(later) if is_in(later.awaited, signal) => Reception::Awaited,
                Some(later) if later.ran || is_in(later.open, signal) => Reception::Unsteady,
                _ => Reception::Blocked,
            }
        } else if is_in(self.caught, signal) {
            Reception::Caught
        } else {
            Reception::Default
        }
    }

    /// Threads that do not block the signal.
    pub(super) fn open_threads(&self, signal: u8) -> usize {
        let open = |mask: &&u64| !is_in(**mask, signal);
        self.blocked.iter().filter(open).count()
    }
}

impl Process {
    /// The kernel lets it signal another (`kill(2)`).
    pub(super) fn may_signal(&self, other: &Self) -> bool {
        let [real, effective, ..] = self.uids;
        let [its_real, _, its_saved, _] = other.uids;
        let same = |mine| mine == its_real || mine == its_saved;
        self.may_kill || same(real) || same(effective)
    }

    /// It is PID 1 of its PID namespace.
    #[must_use]
    pub fn is_namespace_init(&self) -> bool {
        self.inner_pid == 1
    }

    /// Its executable, calls and open files may not be read: it is another user's.
    pub(super) fn is_hidden(&self) -> bool {
        self.executable.is_none()
    }

    /// In short.
    #[must_use]
    pub fn brief(&self) -> MainProcess {
        MainProcess {
            id: self.id,
            inner_pid: self.inner_pid,
            name: self.name.clone(),
            command_line: self.command_line.clone(),
        }
    }

    /// The last part of its executable's path; of its first argument where that is hidden.
    pub(super) fn program_name(&self) -> &str {
        let path = self
            .executable
            .as_deref()
            .map(|path| path.strip_suffix(" (deleted)").unwrap_or(path));
        let path = path.or(self.command_line.first().map(String::as_str));
        base_name(path.unwrap_or(&self.name))
    }

    /// `app (pid 4711)`, and by which pid its container knows it.
    pub(super) fn called(&self) -> String {
        let (name, pid) = (&self.name, self.id.pid);
        if self.inner_pid == pid {
            format!("{name} (pid {pid})")
        } else {
            format!("{name} (pid {pid}, {} in its container)", self.inner_pid)
        }
    }

    /// Leaves program and script of its command line, and of its children's.
    pub(super) fn hide_arguments(&mut self) {
        self.command_line = program_and_script(&self.command_line);
        self.children.iter_mut().for_each(Self::hide_arguments);
    }

    /// Its command as it would be typed, cut where it is long.
    pub(super) fn command(&self) -> String {
        const SHOWN: usize = 60;
        let line = self.command_line.join(" ");
        let line = if line.is_empty() {
            self.name.clone()
        } else {
            line
        };
        match line.char_indices().nth(SHOWN) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line,
        }
    }

    /// It runs the program of this name, as a binary or as a script.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let title = self.command_line.first().map_or("", String::as_str);
        self.program_name() == name
            || self.name == name
            || title.starts_with(&format!("{name}: "))
            || self
                .command_line
                .iter()
                .take(3)
                .any(|word| base_name(word) == name)
    }

    /// An argument, or a file that it reads, has this word.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.command_line.iter().any(|arg| arg.contains(word))
            || self.texts.iter().any(|text| text.content.contains(word))
    }

    /// The value of an option of its command line.
    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        option_of(&self.command_line, names)
    }

    /// A variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The value of an option: `--name VALUE`, `--name=VALUE`.
pub(super) fn option_of<'a>(command_line: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut words = command_line.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if names.contains(&word) {
            return words.next();
        }
        let attached = word
            .split_once('=')
            .filter(|(name, _)| names.contains(name));
        if let Some((_, value)) = attached {
            return Some(value);
        }
    }
    None
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
