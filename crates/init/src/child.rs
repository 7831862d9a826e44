//! The main child: how it is started.

use core::ffi::CStr;

use crate::args::Strings;
use crate::config::Name;
use crate::errno::Errno;
use crate::line::Line;
use crate::signal;
use crate::sys::{self, Pid, SignalSet};
use crate::terminal::Place;
use crate::text::number;
use crate::voice::Voice;

/// What the child is to find as init found it.
#[derive(Clone, Copy)]
pub(crate) struct Inherited {
    pub(crate) mask: SignalSet,
    pub(crate) children_ignored: bool,
}

/// A command with its arguments and environment.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) words: Strings<'a>,
    pub(crate) index: usize,
    pub(crate) environment: Strings<'a>,
}

impl<'a> Command<'a> {
    pub(crate) fn name(self) -> &'a CStr {
        self.words.get(self.index).unwrap_or_default()
    }

    /// Forks and becomes the command there. A plain fork, so that signals can be passed on
    /// while the program is still being loaded: with all of them blocked in the child until
    /// just before execve, they wait there.
    pub(crate) fn start(
        self,
        inherited: Inherited,
        place: Place,
        voice: Voice,
    ) -> Result<Pid, Errno> {
        let init = sys::getpid();
        match sys::fork()? {
            0 => self.become_it(init, inherited, place, voice),
            pid => Ok(pid),
        }
    }

    fn become_it(self, init: Pid, inherited: Inherited, place: Place, voice: Voice) -> ! {
        place.enter(voice);
        let variable = self.listen_pid(init);
        if let Some((index, text)) = &variable {
            // SAFETY: `variable` lives to the end of this function; no entry is borrowed.
            unsafe { self.environment.replace(*index, text.as_bytes().as_ptr()) };
        }
        if inherited.children_ignored {
            sys::ignore(signal::CHLD, true);
        }
        sys::set_mask(inherited.mask);
        let (error, interpreter) = self.exec();
        if interpreter && voice.name == Name::Own {
            let mut line = Voice::prefix(voice.name, b"");
            line.name(self.name().to_bytes())
                .text(": is there, but not what runs it (its #! line or its loader)")
                .write(crate::line::STDERR);
        } else {
            voice.no_exec(self.name(), error);
        }
        sys::exit(failed_exec(voice.name, error))
    }

    /// Socket activation (sd_listen_fds(3)): LISTEN_PID names init, but is meant for the child.
    fn listen_pid(self, init: Pid) -> Option<(usize, Line)> {
        let (index, value) = self.environment.variable(b"LISTEN_PID")?;
        let pid = number(value.to_bytes()).and_then(|pid| Pid::try_from(pid).ok())?;
        (pid == init).then(|| {
            let mut text = Line::new();
            text.text("LISTEN_PID=").number(sys::getpid());
            (index, text)
        })
    }

    /// As execvp(3): searches PATH, and gives what has no `#!` to the shell. Returns only on
    /// failure: the error that says most, and whether it is a missing interpreter.
    fn exec(self) -> (Errno, bool) {
        let name = self.name().to_bytes();
        if name.is_empty() {
            return (Errno::ENOENT, false);
        }
        if name.contains(&b'/') {
            return self.exec_path(self.name());
        }
        let path = self.environment.value(b"PATH");
        let path = path.map_or(&b"/usr/local/bin:/bin:/usr/bin"[..], CStr::to_bytes);
        let mut best = (Errno::ENOENT, false);
        let mut buffer = [0u8; 4096];
        for directory in path.split(|&byte| byte == b':') {
            let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            let Some(candidate) = join(&mut buffer, [directory, separator, name]) else {
                best.0 = Errno::ENAMETOOLONG;
                continue;
            };
            match self.exec_path(candidate) {
                (Errno::ENOENT, false) => {}
                // Not here, but it may be in a later directory.
                (Errno::EACCES, _) => best.0 = Errno::EACCES,
                (Errno::ENOENT, true) => best.1 = true,
                (Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT, _) => {}
                other => return other,
            }
        }
        best
    }

    fn exec_path(self, path: &CStr) -> (Errno, bool) {
        let (words, environment) = (self.words, self.environment.pointer(0));
        // SAFETY: both arrays came from the kernel and end with a null pointer.
        let error = unsafe { sys::exec(path, words.pointer(self.index), environment) };
        if error == Errno::ENOEXEC && self.index > 0 {
            // A script without `#!`: `sh path arguments…`. The word before the command is
            // ours, and is not needed any more.
            let shell = c"/bin/sh";
            // SAFETY: both texts live until execve; this child borrows no word any more.
            unsafe {
                words.replace(self.index - 1, shell.as_ptr().cast());
                words.replace(self.index, path.as_ptr().cast());
                return (
                    sys::exec(shell, words.pointer(self.index - 1), environment),
                    false,
                );
            }
        }
        let missing =
            error == Errno::ENOENT && sys::open(path, sys::Open::Read).map(sys::close).is_ok();
        (error, missing)
    }
}

/// The parts one behind the other, as a path, if they fit.
fn join<'a>(buffer: &'a mut [u8], parts: [&[u8]; 3]) -> Option<&'a CStr> {
    let mut length = 0;
    for part in parts {
        for &byte in part {
            *buffer.get_mut(length)? = byte;
            length += 1;
        }
    }
    *buffer.get_mut(length)? = 0;
    CStr::from_bytes_until_nul(buffer).ok()
}

/// The exit code of a command that could not be run, which each program has of its own.
fn failed_exec(name: Name, error: Errno) -> i32 {
    match (name, error) {
        (Name::Own | Name::Tini, Errno::ENOENT) => 127,
        (Name::Own, _) | (Name::Tini, Errno::EACCES) => 126,
        (Name::DumbInit, _) => 2,
        (Name::Tini | Name::Catatonit, _) => 1,
    }
}
