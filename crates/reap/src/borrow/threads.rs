//! Which thread of the holder to borrow: one that sleeps, and that will not notice.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use crate::Error;
use crate::borrow::arch::{self, Habit, Timeout};
use crate::borrow::brake::Brake;
use crate::borrow::held::Held;
use crate::borrow::pause::Pause;

/// A rewound timeout is not lengthened by more than this part of it …
const STRETCH: u32 = 50;
/// … or by this, whichever is more.
const LEAST_STRETCH: Duration = Duration::from_millis(1);

/// `/proc/PID/task/TID/syscall` of a thread that sleeps in a call (`proc_pid_syscall(5)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    pub(crate) call: u64,
    pub(crate) arguments: [u64; 6],
    pub(crate) sp: u64,
    pub(crate) pc: u64,
}

impl Sleep {
    /// `None` for a thread that runs, or that was stopped outside any call.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
        let call = fields.next()?.parse().ok()?;
        let mut hex = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = hex()?;
        }
        let (sp, pc) = (hex()?, hex()?);
        Some(Self {
            call,
            arguments,
            sp,
            pc,
        })
    }
}

/// Whether a thread that sleeps so waits for SIGCHLD by `rt_sigtimedwait(2)`; `None` where that
/// cannot be told. `SigBlk` of such a thread leaves out what it waits for: the kernel unblocks
/// that while it sleeps (`do_sigtimedwait`, `kernel/signal.c`).
pub(crate) fn sigwaits_for_sigchld(sleep: &Sleep, memory: &File) -> Option<bool> {
    const SIGCHLD_BIT: u64 = 1 << (libc::SIGCHLD - 1);
    if sleep.call.cast_signed() != libc::SYS_rt_sigtimedwait {
        return Some(false);
    }
    Some(word(memory, sleep.arguments[0])? & SIGCHLD_BIT != 0)
}

/// A thread that may be borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) thread: u32,
    pub(crate) sleep: Sleep,
    /// Lower is better.
    rank: u8,
    /// The relative timeout that begins anew with each visit.
    pub(crate) timeout: Option<Duration>,
}

/// How far a thread's timeout may be lengthened.
pub(crate) fn stretch(timeout: Duration) -> Duration {
    timeout
        .checked_div(STRETCH)
        .unwrap_or_default()
        .max(LEAST_STRETCH)
}

/// The threads that may be borrowed, best first.
pub(crate) fn candidates(holder: &Held, brake: &mut Brake<'_>) -> Result<Vec<Candidate>, Error> {
    let mut found = Vec::new();
    for thread in holder.process.tasks()?.unwrap_or_default() {
        if brake.is_on() {
            break;
        }
        found.extend(look(holder, thread)?);
    }
    found.sort_by_key(|candidate| (candidate.rank, candidate.thread));
    Ok(found)
}

/// Whether `thread` may be borrowed as it sleeps now.
pub(crate) fn look(holder: &Held, thread: u32) -> Result<Option<Candidate>, Error> {
    let Some(sleep) = sleep_of(holder, thread)? else {
        return Ok(None);
    };
    let Some(habit) = arch::habit(sleep.call, &sleep.arguments) else {
        return Ok(None);
    };
    let (rank, timeout) = match habit {
        Habit::Restarts => (0, None),
        Habit::RestartsPlainly => (1, None),
        Habit::ReadsDescriptor => match receive_timeout(holder, thread, sleep.arguments[0]) {
            Some(None) => (1, None),
            Some(timeout) => (3, timeout),
            None => return Ok(None),
        },
        Habit::Rewound(timeout) => match rewound_timeout(timeout, &sleep.arguments, &holder.memory)
        {
            Some(None) => (2, None),
            Some(timeout) => (3, timeout),
            None => return Ok(None),
        },
    };
    Ok(Some(Candidate {
        thread,
        sleep,
        rank,
        timeout,
    }))
}

/// The call that `thread` sleeps in; `None` where it runs or is gone.
pub(crate) fn sleep_of(holder: &Held, thread: u32) -> Result<Option<Sleep>, Error> {
    let bytes = holder.process.read(&format!("task/{thread}/syscall"))?;
    Ok(bytes.as_deref().and_then(Sleep::parse))
}

/// Waits until `candidate` has just gone to sleep, so that beginning its timeout anew lengthens
/// it by no more than [`stretch`]. Gives the moment before which it did not sleep yet.
pub(crate) fn await_fresh(
    holder: &Held,
    candidate: &Candidate,
    timeout: Duration,
    patience: Duration,
    brake: &mut Brake<'_>,
) -> Result<Option<Instant>, Error> {
    let began = Instant::now();
    let mut seen = switches(holder, candidate.thread)?;
    let mut seen_at = Instant::now();
    let mut pause = Pause::new();
    while began.elapsed() < patience && !brake.is_on() {
        if stretch(timeout) > Duration::from_millis(4) {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            pause.take();
        }
        let at = Instant::now();
        let now = switches(holder, candidate.thread)?;
        if now.is_none() {
            return Ok(None);
        }
        let fresh = now != seen && at.saturating_duration_since(seen_at) < stretch(timeout);
        if fresh {
            let sleep = sleep_of(holder, candidate.thread)?;
            if sleep.is_some_and(|sleep| sleep.call == candidate.sleep.call) {
                return Ok(Some(seen_at));
            }
        }
        (seen, seen_at) = (now, at);
    }
    Ok(None)
}

/// How often the thread has gone to sleep by itself.
pub(crate) fn switches(holder: &Held, thread: u32) -> Result<Option<u64>, Error> {
    let line = holder.status_line(thread, b"voluntary_ctxt_switches:")?;
    Ok(line.and_then(|line| line.parse().ok()))
}

/// The relative timeout of a call that is rewound; `None` where it cannot be told.
fn rewound_timeout(
    place: Timeout,
    arguments: &[u64; 6],
    memory: &File,
) -> Option<Option<Duration>> {
    /// `io_uring_enter(2)`.
    const IORING_ENTER_EXT_ARG: u64 = 1 << 3;
    const OFFSET_OF_TS: u64 = 16;

    let timespec = |address: u64| -> Option<Option<Duration>> {
        if address == 0 {
            return Some(None);
        }
        let (seconds, nanos) = (
            word(memory, address)?,
            word(memory, address.checked_add(8)?)?,
        );
        time(seconds, nanos).map(Some)
    };
    match place {
        Timeout::Never => Some(None),
        Timeout::Milliseconds(index) => {
            // An `int`: only the lower half counts.
            let millis = int(*arguments.get(index)?);
            Some(u64::try_from(millis).ok().map(Duration::from_millis))
        }
        Timeout::Timespec(index) => timespec(*arguments.get(index)?),
        Timeout::Ring if arguments[3] & IORING_ENTER_EXT_ARG == 0 => Some(None),
        Timeout::Ring => timespec(word(memory, arguments[4].checked_add(OFFSET_OF_TS)?)?),
    }
}

/// A `struct timespec` that the kernel takes. It looked at this one when the call began and took
/// it; whoever shares the memory may have written another there since, which tells nothing.
fn time(seconds: u64, nanos: u64) -> Option<Duration> {
    let seconds = u64::try_from(seconds.cast_signed()).ok()?;
    let nanos = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// The lower half of a register, which is all of it that counts for an `int`.
pub(crate) fn int(register: u64) -> i32 {
    let [a, b, c, d, ..] = register.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn word(memory: &File, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, address).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

/// The timeout of a read from descriptor `fd`; `None` where it cannot be told, or where an
/// interrupted read could report a part.
fn receive_timeout(holder: &Held, thread: u32, fd: u64) -> Option<Option<Duration>> {
    let fd = u32::try_from(int(fd)).ok()?.cast_signed();
    // By number: whoever has it by now, the thread that is stopped in the end is compared.
    let target = holder
        .directory
        .join(format!("task/{thread}/fd/{fd}"))
        .read_link()
        .ok()?;
    if !target
        .as_os_str()
        .as_encoded_bytes()
        .starts_with(b"socket:")
    {
        return Some(None);
    }
    // A copy of the descriptor (`pidfd_getfd(2)`): the options belong to the socket itself.
    let socket = pidfd_getfd(&holder.pidfd, fd, PidfdGetfdFlags::empty()).ok()?;
    let (timeout, low_water) = crate::borrow::socket::receive_options(socket.as_fd()).ok()?;
    (low_water <= 1).then_some(timeout)
}

#[cfg(test)]
mod tests;
