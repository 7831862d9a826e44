//! Whether a container will end on its stop signal.
//!
//! [`Facts`] hold what was seen of one container; [`judge`] says what its stop signal will do.
//! The rules stand on measurements of each runtime, shell and init (`docs/exit-signals.md`).

mod body;
mod command;
mod cure;
mod facts;
mod fate;
mod files;
mod handler;
mod handlers;
mod hook;
mod init;
mod judge;
mod known;
mod node;
mod probe;
mod scripts;
mod servers;
mod shell;
mod source;
mod stop;
mod supervisord;
mod through;
mod timed;
mod words;

pub use facts::{Facts, Later, Process, Signals, Text};
pub use hook::Hook;
pub use init::VARIABLES;
pub use probe::{Probe, ProbeFinding, pre_stop_finding};
pub use timed::script_of;
pub use words::{
    Line as ShellLine, commands as shell_commands, is_built_in as is_built_into_shells,
    split as shell_words,
};

/// Whether the children of a process bear on what a signal does: those of shells and inits, and
/// of whatever ends without telling them.
#[must_use]
pub fn looks_below(process: &Process, number: u8) -> bool {
    let kind = kind_of_first(process.executable.as_deref(), &process.command_line);
    matches!(kind, First::Init | First::Shell)
        || judge::is_a_shell(process)
        || init::Forwarder::of(process).is_some()
        || known::has_children(process)
        || process.signals.reception(number) == facts::Reception::Default
}

/// Whether one look at its masks says nothing: it blocks the signal in every thread.
#[must_use]
pub fn wants_more_looks(process: &Process, number: u8) -> bool {
    process.signals.reception(number) == facts::Reception::Blocked
}

/// The files that tell what a process does on a signal, as it names them itself: the script that
/// it runs, its configuration.
#[must_use]
pub fn files(process: &Process, number: u8) -> Vec<String> {
    files::of(process, number)
}

/// Further files that a file which was read takes in, and which bear on it as well. Some of the names
/// may lead nowhere.
#[must_use]
pub fn taken_in(process: &Process, text: &Text) -> Vec<String> {
    files::taken_in(process, text)
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cause::{Cure, First, kind_of_first};
use crate::{Confidence, Container, ProcessId};

/// What the stop signal of one container will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExitSignal {
    /// The container.
    pub container: Container,
    /// Its main process, which gets the signal: PID 1 of the container, unless it shares a PID
    /// namespace.
    pub main: MainProcess,
    /// The signal that a stop begins with.
    pub stop_signal: StopSignal,
    /// How long a stop waits before SIGKILL; absent where nothing on the node tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// The container lives in the PID namespace of another (`shareProcessNamespace`, `--pid`)
    /// or of the machine (`hostPID`).
    pub shared_pid_namespace: bool,
    /// What the signal will do.
    pub verdict: Verdict,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, in one sentence.
    pub summary: String,
    /// The facts, each one sentence with the place it was read from.
    pub facts: Vec<String>,
    /// Processes that end with the container and never hear of the signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unheard: Vec<MainProcess>,
    /// What to change, best first; empty where nothing needs a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cures: Vec<Cure>,
    /// What is wrong with the exec probes of the container, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeFinding>,
    /// What could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A process of a container, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MainProcess {
    /// Who it is.
    #[serde(flatten)]
    pub id: ProcessId,
    /// Its pid as its container sees it.
    pub inner_pid: u32,
    /// `comm`.
    pub name: String,
    /// Its arguments.
    pub command_line: Vec<String>,
}

/// The signal that a stop begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopSignal {
    /// Its number.
    pub number: u8,
    /// Its name, `SIGTERM`.
    pub name: String,
    /// Where that is from.
    pub source: String,
}

impl StopSignal {
    /// A signal and where it is from.
    #[must_use]
    pub fn new(number: u8, source: impl Into<String>) -> Self {
        Self {
            number,
            name: crate::signal::name(number),
            source: source.into(),
        }
    }
}

/// How long a stop waits before SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grace {
    /// Seconds.
    pub seconds: u64,
    /// Where that is from.
    pub source: String,
}

impl ExitSignal {
    /// The verdict as people have to act on it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self.verdict {
            Verdict::Killed => Mark::Killed,
            Verdict::Unknown => Mark::Unknown,
            Verdict::Ends if self.unheard.is_empty() => Mark::Ends,
            Verdict::Ends => Mark::EndsUnheard,
        }
    }
}

/// A verdict together with what it costs. The worst comes first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// The container sits out its grace period, then gets SIGKILL.
    Killed,
    /// The container ends, but processes in it are killed that never heard of the signal.
    EndsUnheard,
    /// It cannot be told from outside.
    Unknown,
    /// The container ends, and nothing in it is killed unheard.
    Ends,
}

impl Mark {
    /// All, the worst first.
    pub const ALL: [Self; 4] = [Self::Killed, Self::EndsUnheard, Self::Unknown, Self::Ends];
}

/// What a stop signal will do. The worst comes first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing: the container sits out its grace period, then gets SIGKILL.
    Killed,
    /// It cannot be told from outside.
    Unknown,
    /// The container ends.
    Ends,
}

/// Judges one container.
#[must_use]
pub fn judge(facts: &Facts) -> ExitSignal {
    let judged = judge::of_container(facts);
    ExitSignal {
        container: facts.container.clone(),
        main: facts.main.brief(),
        stop_signal: facts.signal.clone(),
        grace: facts.grace.clone(),
        shared_pid_namespace: facts.shared_pid_namespace,
        verdict: judged.verdict,
        confidence: judged.confidence,
        summary: judged.summary,
        facts: judged.facts,
        unheard: judged.unheard,
        cures: judged.cures,
        probes: facts.probes.iter().flat_map(Probe::findings).collect(),
        notes: facts.notes.clone(),
    }
}

/// The same verdict, told without arguments of commands, which may be secret.
#[must_use]
pub fn judge_without_arguments(facts: &Facts) -> ExitSignal {
    let judged = judge(facts);
    let mut shown = facts.clone();
    shown.main.hide_arguments();
    let shown = judge(&shown);
    if (shown.verdict, shown.confidence) == (judged.verdict, judged.confidence) {
        return shown;
    }
    // The arguments decide, so that no other sentence is true without them.
    ExitSignal {
        verdict: judged.verdict,
        confidence: judged.confidence,
        summary: "Arguments that are not shown here decide: `sexton audit` on the node tells all."
            .to_owned(),
        facts: vec![],
        cures: vec![],
        ..shown
    }
}

#[cfg(test)]
mod tests;
