//! Between two looks: a signal, or the time is up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What ended the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// It is time for the next look.
    Time,
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: read the policies again.
    Reload,
    /// A thread of ours has something.
    News,
}

/// The agent's signals, taken as a descriptor: no handler runs anywhere.
pub struct Wake {
    signals: SignalFd,
    news: OwnedFd,
}

impl Wake {
    /// Blocks the signals for this thread and all that it starts later, so this comes first.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self {
            signals: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            news: rustix::event::eventfd(
                0,
                rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK,
            )?,
        })
    }

    /// A bell that ends the wait from another thread.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn bell(&self) -> io::Result<Bell> {
        Ok(Bell(Arc::new(self.news.try_clone()?)))
    }

    /// Waits for at most `time`.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn wait(&self, time: Duration) -> io::Result<Woken> {
        let [_, rung] = poll_for([self.signals.as_fd(), self.news.as_fd()], time)?;
        let woken = self.signal()?;
        if woken == Woken::Time && rung {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.news, &mut count);
            return Ok(Woken::News);
        }
        Ok(woken)
    }

    /// The same, while news waits.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn wait_for_signals(&self, time: Duration) -> io::Result<Woken> {
        poll_for([self.signals.as_fd()], time)?;
        self.signal()
    }

    /// Takes a signal, where one has come.
    fn signal(&self) -> io::Result<Woken> {
        Ok(match self.signals.read_signal()? {
            Some(signal) if signal.ssi_signo == Signal::SIGHUP as u32 => Woken::Reload,
            Some(_) => Woken::Stop,
            None => Woken::Time,
        })
    }

    /// Whether the agent is told to stop; the signal stays for [`Wake::wait`].
    pub fn is_stopping(&self) -> bool {
        // Pending signals show in the descriptor without being taken by poll.
        let mut polled = [PollFd::new(&self.signals, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1))
    }
}

/// Waits until one of them can be read; which.
fn poll_for<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    time: Duration,
) -> io::Result<[bool; N]> {
    let timeout = Timespec::try_from(time).unwrap_or(Timespec {
        tv_sec: 300,
        tv_nsec: 0,
    });
    let mut polled = descriptors.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    Ok(polled.map(|fd| fd.revents().contains(PollFlags::IN)))
}

/// Ends the main thread's wait.
#[derive(Clone)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Rings it.
    pub fn ring(&self) {
        // Full means that it has been rung already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}
