//! Signals that a process takes without a handler: from a signalfd, or in `sigwaitinfo`.

use std::os::unix::fs::FileExt;

use crate::notes::Notes;
use crate::proc::{Process, bounds};

/// Threads that are looked at for a wait.
const MAX_THREADS: usize = 64;

/// The mask of all that it awaits.
pub(crate) fn by(process: &Process, blocked: &[u64], notes: &mut Notes) -> u64 {
    let waited_for = in_waits(process, notes);
    // A signal is taken from a signalfd only while it is blocked (`signalfd(2)`).
    if blocked.iter().all(|mask| *mask == 0) {
        return waited_for;
    }
    waited_for | by_descriptors(process, notes)
}

fn by_descriptors(process: &Process, notes: &mut Notes) -> u64 {
    let mut files = notes.take(process.fds(bounds::OPEN_FILES.saturating_add(1)));
    let files = files.get_or_insert_default();
    if files.len() > bounds::OPEN_FILES {
        files.truncate(bounds::OPEN_FILES);
        notes.push(format!(
            "only {} of its open files were looked at for a signalfd",
            bounds::OPEN_FILES
        ));
    }
    let masks = files.iter().filter_map(|fd| {
        let info = process.beginning(&format!("fdinfo/{fd}"), bounds::FILE_INFO);
        mask_of(&info.ok()??.0)
    });
    masks.fold(0, |all, mask| all | mask)
}

/// `sigmask:` of a signalfd's fdinfo (`proc_pid_fdinfo(5)`).
fn mask_of(info: &[u8]) -> Option<u64> {
    let mask = info
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"sigmask:"))?;
    u64::from_str_radix(str::from_utf8(mask).ok()?.trim(), 16).ok()
}

/// The set that each thread in `rt_sigtimedwait` waits for: its first argument points to it.
pub(super) fn in_waits(process: &Process, notes: &mut Notes) -> u64 {
    let tasks = notes.take(process.tasks()).unwrap_or_default();
    let mut all = 0;
    for tid in tasks.into_iter().take(MAX_THREADS) {
        let Ok(Some(call)) = process.read(&format!("task/{tid}/syscall")) else {
            continue;
        };
        let Some(address) = waits_at(&call) else {
            continue;
        };
        let mut mask = [0; 8];
        let memory = notes.take(process.open_file("mem"));
        if memory.is_some_and(|memory| memory.read_exact_at(&mut mask, address).is_ok()) {
            all |= u64::from_ne_bytes(mask);
        }
    }
    all
}

/// `128 0xADDRESS …`
fn waits_at(call: &[u8]) -> Option<u64> {
    let text = str::from_utf8(call).ok()?;
    let mut words = text.split_ascii_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    if number != libc::SYS_rt_sigtimedwait {
        return None;
    }
    u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signalfd_tells_its_mask() {
        let info = b"pos:\t0\nflags:\t02004002\nmnt_id:\t16\nino:\t1\nsigmask:\t0000000000004002\n";
        assert_eq!(mask_of(info), Some(0x4002));
        assert_eq!(mask_of(b"pos:\t0\neventfd-count: 0\n"), None);
        assert_eq!(mask_of(b"sigmask:\tx\n"), None);
    }

    #[test]
    fn a_wait_tells_where_its_set_is() {
        let call = format!(
            "{} 0x7ffd00001000 0x0 0x0 0x8 0x0 0x0 0x1 0x2",
            libc::SYS_rt_sigtimedwait
        );
        assert_eq!(waits_at(call.as_bytes()), Some(0x7ffd_0000_1000));
        for other in ["running", "-1 0x1 0x2", "0 0x7ffd00001000", ""] {
            assert_eq!(waits_at(other.as_bytes()), None, "{other}");
        }
    }
}
