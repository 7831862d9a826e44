//! The words in which facts are told and the knowledge base asks for them.
//!
//! `build.rs` includes this file, so what an entry may say and what [`super::Facts`] can
//! hold cannot differ.

use serde::{Deserialize, Serialize};

/// What runs a program, as its executable and its mappings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Language {
    Go,
    Python,
    Node,
    Java,
    Ruby,
    Php,
    Perl,
    DotNet,
    Erlang,
    Rust,
    Shell,
    /// Machine code in which no runtime was recognised: C, C++, Zig, a stripped Rust program…
    Native,
    /// The executable could not be read.
    Unknown,
}

/// How the zombies came to their holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The holder started them itself.
    Direct,
    /// Their parent ended first, and the kernel gave them to the holder.
    Adopted,
    /// A script had them before it became the holder by exec.
    Inherited,
    /// Some of each.
    Mixed,
    /// The kernel keeps no record, and nothing else tells.
    Unknown,
}

/// What PID 1 of the holder's PID namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// An init that waits for whatever comes to it: tini, dumb-init, systemd…
    Init,
    /// The `pause` of a pod; it waits for orphans too.
    Pause,
    /// A command that does nothing but keep the container alive: `sleep infinity`,
    /// `tail -f /dev/null`, `cat`.
    KeepAlive,
    /// A shell.
    Shell,
    /// Any other program: the application itself.
    Program,
    /// It could not be read.
    Unknown,
}

/// Yes, no, or it could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The facts say so.
    Yes,
    /// The facts say that it is not so.
    No,
    /// Not readable, or the kernel does not tell.
    Unknown,
}

/// What keeps the holder from running at all, and so from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hindrance {
    /// It runs or sleeps as usual.
    None,
    /// Stopped by a signal (state `T`).
    Stopped,
    /// Held by the cgroup freezer.
    Frozen,
    /// In uninterruptible sleep (state `D`).
    DiskSleep,
    /// Stopped by a tracer (state `t`).
    Traced,
}

/// In how many of the holder's threads SIGCHLD is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocked {
    /// In none.
    None,
    /// In some: the kernel gives the signal to one of the others.
    Some,
    /// In all: the signal stays pending and no handler runs.
    All,
    /// The threads could not be read.
    Unknown,
}

/// Who leads the session of most of the zombies: field 6 of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// The holder's own session.
    Holder,
    /// Each leads its own: it called setsid itself.
    Own,
    /// A process that has ended: the mark of a double fork, of a killed probe, of a browser.
    Ended,
    /// Another process that lives.
    Other,
    /// Could not be read.
    Unknown,
}

/// What an entry of the knowledge base is about; of two that are equally sure, the one with
/// the greater comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A kind of parent, whatever the program.
    Generic,
    /// A language or runtime.
    Runtime,
    /// A known program with known zombies.
    Signature,
    /// The holder cannot run at all.
    State,
}
