//! Processes as /proc shows them, read without memory of how many there are.

use core::ffi::CStr;

use crate::errno::Errno;
use crate::line::Line;
use crate::sys::{self, Open, Pid};
use crate::text::{hexadecimal, long_number, number};

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    name: [u8; 16],
    state: u8,
    pub(crate) parent: Pid,
    pub(crate) group: Pid,
    threads: u32,
    /// When it was started, on the clock of `sys::start_ticks`.
    pub(crate) start: u64,
}

impl Stat {
    /// Reads the line. The name may hold anything, `)` too, so its end is the last one.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let mut name = [0u8; 16];
        name.iter_mut()
            .zip(text.get(open + 1..close)?)
            .for_each(|(place, byte)| *place = *byte);
        let mut fields = text.get(close + 2..)?.split(|&byte| byte == b' ');
        let state = *fields.next()?.first()?;
        let mut next = || number(fields.next()?);
        let parent = next()?;
        let group = next()?;
        // Session, terminal, its foreground group (which may be −1), flags, faults, times.
        let threads = number(fields.nth(14)?)?;
        // A timer that is not kept any more.
        let start = long_number(fields.nth(1)?.trim_ascii_end())?;
        let pid = |number| Pid::try_from(number).ok();
        Some(Self {
            name,
            state,
            parent: pid(parent)?,
            group: pid(group)?,
            threads,
            start,
        })
    }

    pub(crate) fn of(pid: Pid) -> Option<Self> {
        let mut path = Line::new();
        path.text("/proc/").number(pid).text("/stat");
        let mut buffer = [0u8; 512];
        read_file(path.path(), &mut buffer)
            .ok()
            .and_then(Self::parse)
    }

    pub(crate) fn name(&self) -> &[u8] {
        CStr::from_bytes_until_nul(&self.name).map_or(&self.name[..], CStr::to_bytes)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state == b'T'
    }

    /// Dead and not waited for. A leader that has ended before its threads is none.
    pub(crate) fn is_zombie(&self) -> bool {
        self.state == b'Z' && self.threads <= 1
    }
}

impl Line {
    /// `7 (sh)`, with the name that the process has now.
    pub(crate) fn process(&mut self, pid: Pid) -> &mut Self {
        let stat = Stat::of(pid);
        self.number(pid).text(" (");
        self.name(stat.as_ref().map_or(b"gone", Stat::name))
            .text(")")
    }
}

/// The first bytes of a file.
pub(crate) fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let fd = sys::open(path, Open::Read)?;
    let count = sys::read(fd, buffer);
    sys::close(fd);
    Ok(buffer.get(..count?).unwrap_or_default())
}

/// Calls `visit` for each process of this PID namespace, as /proc lists them. Where /proc is
/// that of another PID namespace, the same numbers mean others: that is an error.
///
/// Not generic, so that there is one of it in the program.
#[inline(never)]
pub(crate) fn each(visit: &mut dyn FnMut(Pid)) -> Result<(), Errno> {
    let mut buffer = [0u8; 16];
    let own = read_file(c"/proc/self/stat", &mut buffer)?;
    let own = own.split(|&byte| byte == b' ').next().and_then(number);
    if own != u32::try_from(sys::getpid()).ok() {
        return Err(Errno::ESRCH);
    }
    let fd = sys::open(c"/proc", Open::Directory)?;
    let mut buffer = Entries([0; 2048]);
    let result = loop {
        match sys::entries(fd, &mut buffer.0) {
            Ok(0) => break Ok(()),
            Err(error) => break Err(error),
            Ok(count) => {
                let mut rest = buffer.0.get(..count).unwrap_or_default();
                while let Some((pid, next)) = entry(rest) {
                    if let Some(pid) = pid {
                        visit(pid);
                    }
                    rest = next;
                }
            }
        }
    };
    sys::close(fd);
    result
}

/// The kernel lays out entries for 8 bytes.
#[repr(align(8))]
struct Entries([u8; 2048]);

/// One `linux_dirent64`: inode and offset (8 bytes each), length (2), type (1), name.
fn entry(bytes: &[u8]) -> Option<(Option<Pid>, &[u8])> {
    let length = usize::from(u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?));
    let name = CStr::from_bytes_until_nul(bytes.get(19..length)?).ok()?;
    let pid = number(name.to_bytes()).and_then(|pid| Pid::try_from(pid).ok());
    Some((pid, bytes.get(length..)?))
}

/// Which of init's descendants are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Group(Pid),
}

/// How many processes a signal has reached, and how many init may not signal: those of another
/// user where it lacks CAP_KILL, or what a filter forbids.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) reached: u32,
    pub(crate) refused: u32,
}

impl Tally {
    pub(crate) fn count(&mut self, sent: Result<(), Errno>) {
        match sent {
            Ok(()) => self.reached += 1,
            // It has just ended.
            Err(Errno::ESRCH) => {}
            Err(_) => self.refused += 1,
        }
    }
}

/// Why init may not signal a process, if it may not.
pub(crate) fn refusal(pid: Pid) -> Option<Errno> {
    sys::kill(pid, 0)
        .err()
        .filter(|&error| error != Errno::ESRCH)
}

/// Sends a signal to descendants of init that /proc shows.
pub(crate) fn signal(reach: Reach, signal: u8) -> Result<Tally, Errno> {
    let init = sys::getpid();
    let is_meant = |pid| {
        let in_reach = match reach {
            Reach::All => true,
            Reach::Group(group) => Stat::of(pid).is_some_and(|stat| stat.group == group),
        };
        in_reach && descends(pid, init)
    };
    let mut tally = Tally::default();
    each(&mut |pid| {
        if pid != init && is_meant(pid) {
            tally.count(signal_held(pid, signal, &is_meant));
        }
    })?;
    Ok(tally)
}

/// Sends a signal to a process that was found to be meant. It is held meanwhile, and looked at
/// once more: its number may have come to mean another one.
#[inline(never)]
pub(crate) fn signal_held(
    pid: Pid,
    signal: u8,
    is_meant: &dyn Fn(Pid) -> bool,
) -> Result<(), Errno> {
    let fd = match sys::pidfd_open(pid) {
        Ok(fd) => fd,
        Err(Errno::ESRCH) => return Err(Errno::ESRCH),
        // An old kernel, or a filter that is older than this call.
        Err(_) => return sys::kill(pid, signal),
    };
    let sent = match is_meant(pid).then(|| sys::pidfd_signal(fd, signal)) {
        // A filter may know of one call and not of the other.
        Some(Err(error)) if error != Errno::ESRCH => sys::kill(pid, signal),
        sent => sent.unwrap_or(Err(Errno::ESRCH)),
    };
    sys::close(fd);
    sent
}

/// Whether a process ignores a signal (`SigIgn` in proc_pid_status(5)).
pub(crate) fn ignores(pid: Pid, signal: u8) -> bool {
    let mut path = Line::new();
    path.text("/proc/").number(pid).text("/status");
    let mut buffer = [0u8; 2048];
    let Ok(text) = read_file(path.path(), &mut buffer) else {
        return false;
    };
    let mut lines = text.split(|&byte| byte == b'\n');
    let ignored = lines
        .find_map(|line| line.strip_prefix(&b"SigIgn:\t"[..]))
        .and_then(hexadecimal);
    ignored.is_some_and(|set| set & crate::signal::set(signal) != 0)
}

/// Whether a process is below init.
pub(crate) fn descends(pid: Pid, init: Pid) -> bool {
    // A bound, since parents change while they are followed.
    const DEEPEST: usize = 10_000;
    let mut at = pid;
    for _ in 0..DEEPEST {
        match Stat::of(at).map(|stat| stat.parent) {
            Some(parent) if parent == init => return true,
            Some(0 | 1) => return false,
            Some(parent) => at = parent,
            // A parent has gone, and its children have another one: from the start again.
            None if at != pid => at = pid,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_of_a_nasty_name() {
        let text = b"7 (a) b) R 1) Z 3 4 5 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 1 0 123 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.name(), stat.parent, stat.group),
            (&b"a) b) R 1"[..], 3, 4)
        );
        assert!(stat.is_zombie());
    }

    #[test]
    fn a_dead_leader_with_threads_is_no_zombie() {
        let text = b"7 (a) Z 3 4 5 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 4 0 123 0\n";
        assert!(!Stat::parse(text).unwrap().is_zombie());
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let text = b"7 (a) Z 3 4 5 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 4 0 123 0\n";
        for end in 0..49 {
            assert_eq!(Stat::parse(&text[..end]), None, "{end}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let me = Pid::try_from(std::process::id()).unwrap();
        let stat = Stat::of(me).unwrap();
        assert_eq!(
            stat.parent,
            Pid::try_from(std::os::unix::process::parent_id()).unwrap()
        );
        let mut seen = 0;
        each(&mut |pid| seen += u32::from(pid == me)).unwrap();
        assert_eq!(seen, 1);
    }
}
