//! How a process ended, after somebody has waited for it: `PIDFD_GET_INFO` (`linux/pidfd.h`), which
//! tells that since Linux 6.15. A container's first process is waited for within microseconds, so
//! its `stat` mostly comes too late.

use std::os::fd::{AsRawFd, OwnedFd};

use libc::c_ulong;
use sexton_core::report::Exit;

/// `struct pidfd_info`, as of its first version.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// The status of the process of `pidfd`; `None` while nobody has waited for it, and on kernels that
/// do not tell.
pub(crate) fn of(pidfd: &OwnedFd) -> Option<Exit> {
    const EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, struct pidfd_info)
    const SIZE: c_ulong = size_of::<Info>() as c_ulong;
    const PIDFD_GET_INFO: c_ulong = (3 << 30) | (SIZE << 16) | (0xff << 8) | 11;
    let mut info = Info {
        mask: EXIT,
        ..Info::default()
    };
    // SAFETY: the kernel writes at most as many bytes as the request names, which is the length of
    // `info`; it outlives the call.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (done == 0 && info.mask & EXIT != 0)
        .then(|| Exit::from_wait_status(info.exit_code.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::borrow::held::{has_ended, open_pidfd};

    #[test]
    fn how_it_ended_is_told_after_it_was_waited_for() {
        for (script, exit) in [
            ("exit 7", Exit::Code(7)),
            ("kill -SYS $$", Exit::Signal(31)),
        ] {
            let mut child = Command::new("/bin/sh")
                .args(["-c", &format!("read go; {script}")])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("a shell");
            let pidfd = open_pidfd(child.id()).expect("a pidfd");
            assert_eq!(of(&pidfd), None, "it lives");
            drop(child.stdin.take());
            assert!(has_ended(&pidfd, std::time::Duration::from_secs(60)));
            assert_eq!(of(&pidfd), None, "it is a zombie, and its stat tells");
            child.wait().expect("it is ours");
            match of(&pidfd) {
                Some(told) => assert_eq!(told, exit),
                None => println!("SKIP: exit: this kernel does not tell it (before Linux 6.15)"),
            }
        }
    }
}
