//! What init says while it runs, in the manner of the name that it was called by.

use core::ffi::CStr;

use crate::config::Name;
use crate::errno::Errno;
use crate::line::{Line, STDERR, STDOUT};
use crate::signal;
use crate::status::Status;
use crate::sys::{self, Fd, Pid};

/// Speaks for one name at one level.
#[derive(Clone, Copy)]
pub(crate) struct Voice {
    pub(crate) name: Name,
    pub(crate) level: u8,
    pub(crate) log_reaped: bool,
}

/// tini's levels; the others say all or nothing.
const TINI_WARN: u8 = 1;
const TINI_INFO: u8 = 2;
const TINI_DEBUG: u8 = 3;

impl Voice {
    /// A line that begins as the lines of that program do.
    pub(crate) fn prefix(name: Name, level: &[u8]) -> Line {
        let mut line = Line::new();
        match name {
            Name::Own => line.text("sexton-init: "),
            Name::DumbInit => line.text("[dumb-init] "),
            Name::Tini => {
                let pad: &[u8] = if level.len() < 5 { b" " } else { b"" };
                line.text("[")
                    .bytes(level)
                    .bytes(pad)
                    .text(" tini (")
                    .number(sys::getpid())
                    .text(")] ")
            }
            Name::Catatonit => line
                .bytes(level)
                .text(" (catatonit:")
                .number(sys::getpid())
                .text("): "),
        };
        line
    }

    /// Something that is wrong, and always said (tini: unless its verbosity is 0).
    pub(crate) fn warn(self, words: &str, error: Option<Errno>) {
        if self.name == Name::Tini && self.level < TINI_WARN {
            return;
        }
        let mut line = Self::prefix(self.name, b"WARN");
        line.text(words);
        match error {
            Some(error) => line.because(error).write(STDERR),
            None => line.write(STDERR),
        }
    }

    /// Something that ends init.
    pub(crate) fn fatal(self, words: &str, error: Errno) {
        let level: &[u8] = if self.name == Name::Catatonit {
            b"ERROR"
        } else {
            b"FATAL"
        };
        Self::prefix(self.name, level)
            .text(words)
            .because(error)
            .write(STDERR);
    }

    /// The command could not be run.
    pub(crate) fn no_exec(self, command: &CStr, error: Errno) {
        let command = command.to_bytes();
        let level: &[u8] = if self.name == Name::Catatonit {
            b"ERROR"
        } else {
            b"FATAL"
        };
        let mut line = Self::prefix(self.name, level);
        match self.name {
            Name::Tini => line.text("exec ").name(command).text(" failed"),
            Name::Catatonit => line.text("failed to exec pid1: ").name(command),
            Name::Own | Name::DumbInit => line.name(command),
        };
        line.because(error).write(STDERR);
    }

    pub(crate) fn spawned(self, pid: Pid, command: &CStr) {
        let command = command.to_bytes();
        let Some((mut line, fd)) = self.detail(TINI_INFO, b"INFO") else {
            return;
        };
        match self.name {
            Name::Own => line
                .text("started ")
                .name(command)
                .text(" as process ")
                .number(pid),
            Name::Tini => line
                .text("Spawned child process '")
                .name(command)
                .text("' with pid '")
                .number(pid)
                .text("'"),
            Name::DumbInit => line.text("Child spawned with PID ").number(pid).text("."),
            Name::Catatonit => line
                .text("pid1 (")
                .number(pid)
                .text(") spawned: ")
                .name(command),
        }
        .write(fd);
    }

    pub(crate) fn received(self, signal: u8) {
        let Some((mut line, fd)) = self.detail(TINI_DEBUG, b"DEBUG") else {
            return;
        };
        match self.name {
            Name::DumbInit => line
                .text("Received signal ")
                .number(signal.into())
                .text("."),
            _ => line.text("received signal ").signal(signal),
        }
        .write(fd);
    }

    pub(crate) fn forwarded(self, signal: u8) {
        let Some((mut line, fd)) = self.detail(TINI_DEBUG, b"DEBUG") else {
            return;
        };
        match self.name {
            Name::DumbInit => line
                .text("Forwarded signal ")
                .number(signal.into())
                .text(" to children."),
            Name::Tini => line
                .text("Passing signal: '")
                .bytes(signal::name(signal))
                .text("'"),
            _ => line.text("passed on signal ").signal(signal),
        }
        .write(fd);
    }

    pub(crate) fn dropped(self, signal: u8) {
        let Some((mut line, fd)) = self.detail(TINI_DEBUG, b"DEBUG") else {
            return;
        };
        match self.name {
            Name::DumbInit => line
                .text("Not forwarding signal ")
                .number(signal.into())
                .text(" to children (ignored)."),
            _ => line.text("dropped signal ").signal(signal),
        }
        .write(fd);
    }

    /// Something about the terminal that may be of interest.
    pub(crate) fn terminal(self, words: &str, error: Option<Errno>) {
        let Some((mut line, fd)) = self.detail(TINI_DEBUG, b"DEBUG") else {
            return;
        };
        line.text(words);
        match error {
            None => line.text("."),
            Some(error) => line
                .text(" (errno=")
                .number(error.0)
                .text(" ")
                .bytes(error.words())
                .text(")."),
        }
        .write(fd);
    }

    /// Any child was reaped.
    pub(crate) fn reaped(self, pid: Pid, status: Status, main: bool) {
        if self.log_reaped && !main {
            let mut line = Self::prefix(self.name, b"WARN");
            return line
                .text("Reaped zombie process with pid=")
                .number(pid)
                .write(STDERR);
        }
        let Some((mut line, fd)) = self.detail(TINI_DEBUG, b"DEBUG") else {
            return;
        };
        match self.name {
            Name::Tini => {
                return line
                    .text("Reaped child with pid: '")
                    .number(pid)
                    .text("'")
                    .write(fd);
            }
            Name::DumbInit => line.text("A child with PID "),
            _ => line.text("reaped process "),
        };
        match status {
            Status::Exited(code) => line
                .number(pid)
                .text(" exited with exit status ")
                .number(code.into()),
            Status::Killed { signal, .. } => line
                .number(pid)
                .text(" was terminated by signal ")
                .number(signal.into()),
            Status::Stopped(_) => return,
        }
        .text(".")
        .write(fd);
    }

    /// The main child has ended.
    pub(crate) fn ended(self, status: Status) {
        let Some((mut line, fd)) = self.detail(TINI_INFO, b"INFO") else {
            return;
        };
        match (self.name, status) {
            (Name::DumbInit, status) => line
                .text("Child exited with status ")
                .number(status.code().into())
                .text(". Goodbye."),
            (Name::Tini, Status::Exited(code)) => line
                .text("Main child exited normally (with status '")
                .number(code.into())
                .text("')"),
            (Name::Tini, Status::Killed { signal, .. }) => line
                .text("Main child exited with signal (with signal '")
                .bytes(signal::name(signal))
                .text("')"),
            (_, status) => line
                .text("the main process ended; exit code ")
                .number(status.code().into()),
        }
        .write(fd);
    }

    /// tini ends when it may not pass a signal on.
    pub(crate) fn cannot_forward(self, error: Errno) {
        Self::prefix(self.name, b"FATAL")
            .text("Unexpected error when forwarding signal: '")
            .bytes(error.words())
            .text("'")
            .write(STDERR);
    }

    /// An orphan was asked to end.
    pub(crate) fn orphan(self, pid: Pid, signal: u8) {
        if let Some((mut line, fd)) = self.detail(TINI_INFO, b"INFO") {
            line.text("sent orphan ").process(pid).text(" signal ");
            line.signal(signal).write(fd);
        }
    }

    /// The start of a line of detail, and where it goes, if it is wanted.
    fn detail(self, tini: u8, level: &[u8]) -> Option<(Line, Fd)> {
        let wanted = if self.name == Name::Tini { tini } else { 1 };
        (self.level >= wanted).then(|| {
            (
                Self::prefix(self.name, level),
                if self.name == Name::Tini {
                    STDOUT
                } else {
                    STDERR
                },
            )
        })
    }
}
