//! Processes as /proc shows them, read without memory of how many there are.

use core::ffi::CStr;

use crate::errno::Errno;
use crate::line::{Line, number};
use crate::sys::{self, Open, Pid};

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    name: [u8; 16],
    state: u8,
    pub(crate) parent: Pid,
    pub(crate) group: Pid,
    threads: u32,
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
        let pid = |number| Pid::try_from(number).ok();
        Some(Self {
            name,
            state,
            parent: pid(parent)?,
            group: pid(group)?,
            threads,
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

    /// Dead and not waited for. A leader that has ended before its threads is none.
    pub(crate) fn is_zombie(&self) -> bool {
        self.state == b'Z' && self.threads <= 1
    }
}

/// The first bytes of a file.
pub(crate) fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let fd = sys::open(path, Open::Read)?;
    let count = sys::read(fd, buffer);
    sys::close(fd);
    Ok(buffer.get(..count?).unwrap_or_default())
}

/// Calls `visit` for each process of this PID namespace, as /proc lists them.
pub(crate) fn each(mut visit: impl FnMut(Pid)) -> Result<(), Errno> {
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
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    All,
    Group(Pid),
}

/// Sends a signal to descendants of init.
///
/// Only the owner of the PID namespace may use `kill(-1)`: there everybody else descends from
/// it, or was sent in. Elsewhere that call would reach bystanders, so each process is looked
/// at, and held while it is: its number may come to mean another one.
pub(crate) fn signal(reach: Reach, owns_namespace: bool, signal: u8) -> Result<(), Errno> {
    if owns_namespace && matches!(reach, Reach::All) {
        return sys::kill(-1, signal);
    }
    let init = sys::getpid();
    each(|pid| {
        if pid == init || !is_meant(pid, init, reach) {
            return;
        }
        match sys::pidfd_open(pid) {
            Ok(fd) => {
                // Looked at again, now that it is held: what is read is about it, or it is dead.
                if is_meant(pid, init, reach) {
                    let _ = sys::pidfd_signal(fd, signal);
                }
                sys::close(fd);
            }
            Err(Errno::ENOSYS) => {
                let _ = sys::kill(pid, signal);
            }
            Err(_) => {}
        }
    })
}

fn is_meant(pid: Pid, init: Pid, reach: Reach) -> bool {
    let in_reach = match reach {
        Reach::All => true,
        Reach::Group(group) => Stat::of(pid).is_some_and(|stat| stat.group == group),
    };
    in_reach && descends(pid, init)
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
        each(|pid| seen += u32::from(pid == me)).unwrap();
        assert_eq!(seen, 1);
    }
}
