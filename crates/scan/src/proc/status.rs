//! `/proc/PID/status` (`proc_pid_status(5)`).

use sexton_core::{SigchldAction, State};

use super::Malformed;

/// Bit of SIGCHLD (17) in a signal mask: signal n is bit n − 1.
const SIGCHLD_BIT: u64 = 1 << 16;

/// What `/proc/PID/status` says of interest. What this kernel does not show is zero or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `State`
    pub state: State,
    /// `Tgid`: the process that the thread belongs to.
    pub tgid: u32,
    /// `PPid`
    pub parent: u32,
    /// `TracerPid`; `None` if it is not traced.
    pub tracer: Option<u32>,
    /// `Uid`: real, effective, saved, file system.
    pub uids: [u32; 4],
    /// `NSpid`: its pid in each PID namespace, outermost (that of this `/proc`) first.
    pub ns_pids: Vec<u32>,
    /// `Threads`
    pub threads: u32,
    /// `SigPnd`: signals that wait for the main thread.
    pub pending: u64,
    /// `ShdPnd`: signals that wait for the process.
    pub shared_pending: u64,
    /// `SigBlk` of the main thread.
    pub blocked: u64,
    /// `SigIgn`
    pub ignored: u64,
    /// `SigCgt`
    pub caught: u64,
    /// `CapEff`
    pub effective_capabilities: u64,
    /// `Seccomp`: 0 none, 1 strict, 2 filter.
    pub seccomp: u32,
    /// `Seccomp_filters` (since Linux 5.9).
    pub seccomp_filters: Option<u32>,
}

impl Status {
    /// Parses the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut status = Self {
            state: State::Other,
            tgid: 0,
            parent: 0,
            tracer: None,
            uids: [0; 4],
            ns_pids: Vec::new(),
            threads: 0,
            pending: 0,
            shared_pending: 0,
            blocked: 0,
            ignored: 0,
            caught: 0,
            effective_capabilities: 0,
            seccomp: 0,
            seccomp_filters: None,
        };
        let (mut uids, mut tgid) = (None, None);
        // `Name` has its newlines escaped, so no name can pass for another line.
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut parts = line.splitn(2, |byte| *byte == b':');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            let value = value.trim_ascii();
            match name {
                b"State" => {
                    status.state = value
                        .first()
                        .map_or(State::Other, |l| State::from_letter(*l));
                }
                b"Tgid" => tgid = Some(number(value)),
                b"PPid" => status.parent = number(value),
                b"TracerPid" => status.tracer = Some(number(value)).filter(|pid| *pid != 0),
                b"Uid" => uids = four(value),
                b"NSpid" => status.ns_pids = numbers(value).collect(),
                b"Threads" => status.threads = number(value),
                b"SigPnd" => status.pending = mask(value),
                b"ShdPnd" => status.shared_pending = mask(value),
                b"SigBlk" => status.blocked = mask(value),
                b"SigIgn" => status.ignored = mask(value),
                b"SigCgt" => status.caught = mask(value),
                b"CapEff" => status.effective_capabilities = mask(value),
                b"Seccomp" => status.seccomp = number(value),
                b"Seccomp_filters" => status.seccomp_filters = Some(number(value)),
                _ => {}
            }
        }
        status.uids = uids.ok_or(Malformed("Uid"))?;
        status.tgid = tgid.ok_or(Malformed("Tgid"))?;
        if status.ns_pids.is_empty() {
            // Before Linux 4.1, and without CONFIG_PID_NS.
            status.ns_pids.push(status.tgid);
        }
        Ok(status)
    }

    /// It was waited for while the kernel wrote the file: its pids are gone already, and the
    /// file says 0 (`task_state` in `fs/proc/array.c`).
    pub(crate) fn vanished(&self) -> bool {
        self.tgid == 0
    }

    /// The first of `uids`.
    #[must_use]
    pub fn real_uid(&self) -> u32 {
        let [real, ..] = self.uids;
        real
    }

    /// What it does on SIGCHLD.
    #[must_use]
    pub fn sigchld(&self) -> SigchldAction {
        if self.caught & SIGCHLD_BIT != 0 {
            SigchldAction::Caught
        } else if self.ignored & SIGCHLD_BIT != 0 {
            SigchldAction::Ignored
        } else {
            SigchldAction::Default
        }
    }

    /// Its main thread blocks SIGCHLD.
    #[must_use]
    pub fn blocks_sigchld(&self) -> bool {
        self.blocked & SIGCHLD_BIT != 0
    }
}

fn numbers(value: &[u8]) -> impl Iterator<Item = u32> + '_ {
    value
        .split(u8::is_ascii_whitespace)
        .filter_map(super::pids::parse_pid)
}

fn number(value: &[u8]) -> u32 {
    numbers(value).next().unwrap_or(0)
}

fn four(value: &[u8]) -> Option<[u32; 4]> {
    let mut fields = numbers(value);
    Some([
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    ])
}

fn mask(value: &[u8]) -> u64 {
    str::from_utf8(value)
        .ok()
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .unwrap_or(0)
}
