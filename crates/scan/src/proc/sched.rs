//! `/proc/PID/sched` (`kernel/sched/debug.c`; no manual page).

use super::Malformed;

/// What `/proc/PID/sched` says of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sched {
    /// `se.exec_start`: when the task last ran, for a zombie its death, in nanoseconds of the
    /// task clock of its last CPU ([`Stat::processor`](super::Stat::processor)). That clock
    /// leaves out interrupt and steal time; compare it only with itself.
    pub exec_start_ns: u64,
}

impl Sched {
    /// Parses the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        // The first line begins with the name of the command, which may hold a newline and
        // look like another line; it is too short (15 bytes) to carry a number as well.
        bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_prefix(b"se.exec_start"))
            .find_map(|rest| {
                let text = str::from_utf8(rest).ok()?;
                let (gap, number) = text.split_once(':')?;
                gap.trim().is_empty().then_some(())?;
                milliseconds(number.trim())
            })
            .map(|exec_start_ns| Self { exec_start_ns })
            .ok_or(Malformed("se.exec_start"))
    }
}

/// Nanoseconds of a number of milliseconds with six decimals.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.')?;
    if part.len() != 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    whole
        .checked_mul(1_000_000)?
        .checked_add(part.parse().ok()?)
}
