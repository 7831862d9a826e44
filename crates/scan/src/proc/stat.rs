//! `/proc/PID/stat` (`proc_pid_stat(5)`).

use std::fmt;
use std::ops::Deref;

use sexton_core::report::Exit;
use sexton_core::{ProcessId, State};

use super::Malformed;

/// A command name as the kernel keeps it: any bytes but NUL. At most 15 of a program; the
/// kernel's own threads show up to 63.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comm {
    bytes: [u8; 64],
    length: u8,
}

impl Comm {
    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 64];
        for (kept, byte) in bytes.iter_mut().zip(name) {
            *kept = *byte;
        }
        Self {
            bytes,
            length: u8::try_from(name.len()).unwrap_or(64).min(64),
        }
    }

    /// For people; bytes that are not UTF-8 are replaced, control characters are kept.
    #[must_use]
    pub fn to_lossy(&self) -> String {
        String::from_utf8_lossy(self).into_owned()
    }
}

impl Deref for Comm {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or_default()
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// What `/proc/PID/stat` says of interest; numbers in brackets are those of the manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// (1)
    pub pid: u32,
    /// (2)
    pub comm: Comm,
    /// (3) State of the main thread.
    pub state: State,
    /// (4) 0 for a parent outside the reader's PID namespace.
    pub parent: u32,
    /// (5) 0 for a leader outside the reader's PID namespace.
    pub process_group: u32,
    /// (6) 0 for a leader outside the reader's PID namespace.
    pub session: u32,
    /// (9) `PF_*` of the kernel's `include/linux/sched.h`.
    pub flags: u32,
    /// (11) Minor page faults of children that were waited for: 0 means that it has never
    /// waited for a child, since none starts without a fault.
    pub children_minor_faults: u64,
    /// (20) Threads. Of a zombie: itself and the threads that still live, so a real one has 1.
    pub threads: u32,
    /// (22) Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// (39) The CPU that it last ran on.
    pub processor: u32,
    /// (52) Wait status. 0 also where the reader may not trace the process, and absent before
    /// Linux 3.5.
    pub exit_status: Option<u32>,
}

impl Stat {
    /// Parses the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (pid, comm, rest) = parts(bytes).ok_or(Malformed("command in brackets"))?;
        let mut rest = Fields {
            text: rest,
            number: 2,
        };
        Ok(Self {
            pid: super::pids::parse_pid(pid).ok_or(Malformed("pid"))?,
            comm: Comm::new(comm),
            state: match rest.field(3) {
                Some([letter]) => State::from_letter(*letter),
                _ => return Err(Malformed("state")),
            },
            parent: rest.signed(4).ok_or(Malformed("parent"))?,
            process_group: rest.signed(5).ok_or(Malformed("process group"))?,
            session: rest.signed(6).ok_or(Malformed("session"))?,
            flags: rest.unsigned(9).ok_or(Malformed("flags"))?,
            children_minor_faults: rest.unsigned(11).ok_or(Malformed("cminflt"))?,
            threads: rest.unsigned(20).ok_or(Malformed("threads"))?,
            start_ticks: rest.unsigned(22).ok_or(Malformed("start time"))?,
            processor: rest.unsigned(39).ok_or(Malformed("processor"))?,
            exit_status: rest.unsigned(52),
        })
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        ProcessId {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }

    /// A zombie that its parent can wait for.
    #[must_use]
    pub fn is_reapable_zombie(&self) -> bool {
        self.state == State::Zombie && self.threads <= 1
    }

    /// A thread-group leader that ended while other threads live: it shows `Z` too, but cannot
    /// be reaped, and is no leak.
    #[must_use]
    pub fn is_dead_leader(&self) -> bool {
        self.state == State::Zombie && self.threads > 1
    }

    /// How it ended; of a zombie that the reader may trace.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.exit_status.map(Exit::from_wait_status)
    }
}

/// What stands before the name, the name, and what follows it.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // The name may hold brackets, spaces and newlines; nothing after it holds a bracket.
    let (before, rest) = bytes.split_at_checked(memchr::memchr(b'(', bytes)?)?;
    let (name, rest) = rest.split_at_checked(memchr::memrchr(b')', rest)?)?;
    Some((
        before.strip_suffix(b" ")?,
        name.strip_prefix(b"(")?,
        rest.strip_prefix(b")")?,
    ))
}

/// The fields after the name, taken by their number in the manual page, in rising order.
struct Fields<'a> {
    text: &'a [u8],
    number: u32,
}

impl<'a> Fields<'a> {
    fn field(&mut self, number: u32) -> Option<&'a [u8]> {
        loop {
            let start = self.text.iter().position(|b| !b.is_ascii_whitespace())?;
            let text = self.text.get(start..)?;
            let end = text
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(text.len());
            let (field, rest) = text.split_at_checked(end)?;
            self.text = rest;
            self.number = self.number.saturating_add(1);
            if self.number == number {
                return Some(field);
            }
        }
    }

    fn unsigned<T: TryFrom<u64>>(&mut self, number: u32) -> Option<T> {
        let field = self.field(number)?;
        let value: u64 = str::from_utf8(field).ok()?.parse().ok()?;
        value.try_into().ok()
    }

    /// A pid that the kernel prints as signed: -1 where there is none.
    fn signed(&mut self, number: u32) -> Option<u32> {
        let field = self.field(number)?;
        let value: i64 = str::from_utf8(field).ok()?.parse().ok()?;
        u32::try_from(value.max(0)).ok()
    }
}
