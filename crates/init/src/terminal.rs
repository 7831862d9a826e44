//! The child's place at the terminal: its session, its process group, the foreground.
//!
//! All signals are blocked here, TTOU among them, so that setting the foreground group from
//! the background is allowed and never stops us (tcsetpgrp(3)).

use crate::config::{Name, Session};
use crate::errno::Errno;
use crate::signal;
use crate::sys::{self, Fd, Open, Pid};
use crate::voice::Voice;

/// Where the child is put.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Where init is.
    Keep,
    /// A session of its own. The descriptor is the terminal that it tries to take.
    Session(Fd),
    /// A group of its own in init's session; `terminal`: there is one. The descriptor is the
    /// terminal if the group gets the foreground.
    Group {
        terminal: bool,
        foreground: Option<Fd>,
    },
}

impl Place {
    /// Decides, and gives up the terminal where the child is to have it.
    pub(crate) fn prepare(session: Session, voice: Voice) -> Self {
        match session {
            Session::Keep => Self::Keep,
            Session::New => {
                leave(0, voice);
                Self::Session(0)
            }
            Session::Auto => match open() {
                // Init leads the session, as it does in a container with a terminal. Then the
                // child gets all of it, as if it had been started without init: it can do job
                // control, hears of a hang-up, and Ctrl-Z cannot stop it where nobody could
                // continue it (its group is orphaned).
                Ok(terminal) if sys::getsid() == sys::getpid() && leave(terminal, voice) => {
                    Self::Session(terminal)
                }
                // Else init is somebody's job, and the child goes on as this job. The
                // foreground is handed down only by who has it: init may have been started
                // in the background.
                Ok(terminal) => {
                    let ours = sys::foreground(terminal) == Ok(sys::getpgrp());
                    Self::Group {
                        terminal: true,
                        foreground: ours.then_some(terminal),
                    }
                }
                Err(_) => Self::Group {
                    terminal: false,
                    foreground: None,
                },
            },
        }
    }

    /// Takes the place. Runs in the child.
    pub(crate) fn enter(self, voice: Voice) {
        match self {
            Self::Keep => {}
            Self::Session(terminal) => {
                if let Err(error) = sys::setsid() {
                    voice.fatal("cannot start a session", error);
                    sys::exit(1);
                }
                if let Err(error) = sys::take_terminal(terminal) {
                    voice.terminal("Unable to attach to controlling tty", Some(error));
                }
                if voice.name == Name::DumbInit {
                    voice.terminal("setsid complete", None);
                }
            }
            Self::Group { foreground, .. } => {
                if let Err(error) = sys::lead_group() {
                    voice.warn("cannot start a process group", Some(error));
                }
                if let Some(terminal) = foreground
                    && let Err(error) = sys::set_foreground(terminal, sys::getpid())
                {
                    voice.terminal("cannot hand over the foreground", Some(error));
                }
            }
        }
    }

    /// Whether a group was made that the child leads.
    pub(crate) fn leads_group(self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// If init has the foreground, the child gets it (true).
    pub(crate) fn hand_over(self, child: Pid) -> bool {
        self.pass_foreground(sys::getpgrp(), child)
    }

    /// The child is gone: a foreground that is still its group's would be nobody's.
    pub(crate) fn take_back(self, child: Pid) {
        self.pass_foreground(child, sys::getpgrp());
    }

    fn pass_foreground(self, from: Pid, to: Pid) -> bool {
        let Self::Group { terminal: true, .. } = self else {
            return false;
        };
        let Ok(terminal) = open() else {
            return false;
        };
        let passed =
            sys::foreground(terminal) == Ok(from) && sys::set_foreground(terminal, to).is_ok();
        if terminal > 2 {
            sys::close(terminal);
        }
        passed
    }
}

/// The controlling terminal, wherever standard input comes from.
fn open() -> Result<Fd, Errno> {
    sys::open(c"/dev/tty", Open::ReadWrite).or_else(|error| {
        // An image may lack the device; only the controlling terminal has a foreground group.
        sys::foreground(0).map(|_| 0).map_err(|_| error)
    })
}

/// Gives up the controlling terminal. When the leader of a session does, the kernel sends HUP
/// and CONT to the foreground group (`disassociate_ctty`), which is us; they mean nothing.
fn leave(terminal: Fd, voice: Voice) -> bool {
    const BY_THE_KERNEL: u64 = signal::set(signal::HUP) | signal::set(signal::CONT);
    let before = sys::pending();
    if let Err(error) = sys::leave_terminal(terminal) {
        voice.terminal("Unable to detach from controlling tty", Some(error));
        return false;
    }
    if sys::getsid() == sys::getpid() {
        let mut info = sys::SignalInfo::empty();
        while let Ok(signal) = sys::wait_signal(BY_THE_KERNEL & !before, &mut info, Some(0)) {
            voice.terminal(
                if signal == signal::HUP {
                    "Ignoring tty hand-off signal 1"
                } else {
                    "Ignoring tty hand-off signal 18"
                },
                None,
            );
        }
    }
    true
}
