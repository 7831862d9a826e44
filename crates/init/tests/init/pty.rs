//! A pseudo-terminal with a program at it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use crate::job::{eventually, with_default_dispositions};

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_Z: &str = "\x1a";

/// The user's side: types, and sees what is on the screen.
pub(crate) struct Terminal {
    user: File,
    screen: Arc<Mutex<Vec<u8>>>,
    pub(crate) child: Child,
}

impl Terminal {
    /// Starts a program as the leader of a session whose controlling terminal this is, as
    /// container runtimes and sshd do.
    pub(crate) fn start(mut command: Command) -> Self {
        let (mut user, mut program) = (0, 0);
        let null = std::ptr::null_mut();
        // SAFETY: two ints are written; no name, attributes or size are given.
        let made = unsafe {
            libc::openpty(
                &raw mut user,
                &raw mut program,
                null,
                null.cast(),
                null.cast(),
            )
        };
        assert_eq!(made, 0, "no pseudo-terminal");
        // SAFETY: both were just opened, and belong to nobody else.
        let (user, program) = unsafe { (File::from_raw_fd(user), OwnedFd::from_raw_fd(program)) };
        let raw = user.as_raw_fd();
        // SAFETY: a descriptor of ours.
        unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) };
        command.stdin(program.try_clone().unwrap());
        command.stdout(program.try_clone().unwrap()).stderr(program);
        with_default_dispositions(&mut command);
        // SAFETY: only system calls.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        // The command holds the program's side; the last close of it is what hangs up.
        drop(command);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (shared, mut from) = (Arc::clone(&screen), user.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            user,
            screen,
            child,
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the screen shows a text.
    pub(crate) fn shows(&self, text: &str) -> bool {
        eventually(|| self.screen().contains(text))
    }

    /// The foreground process group.
    pub(crate) fn foreground(&self) -> u32 {
        // SAFETY: a descriptor of ours.
        let group = unsafe { libc::tcgetpgrp(self.user.as_raw_fd()) };
        u32::try_from(group).unwrap_or(0)
    }

    /// The exit code of the program; negative: the signal that killed it.
    pub(crate) fn end(mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "does not end; the screen: {:?}", self.screen());
        let status = status.unwrap();
        status.code().unwrap_or_else(|| -status.signal().unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            for pid in crate::job::below(self.child.id()) {
                crate::job::send(pid, libc::SIGKILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
