//! Between two looks: a signal, or the time is up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// The main thread has to hear of a stop within this time, or the agent ends without it: it may
/// wait for a file system that never answers. That is as harmless as `kill -9` is at any instant;
/// what was begun is closed in the audit log at the next start.
const HEARD_WITHIN: Duration = Duration::from_millis(900);
/// What it may then take to end in order: outcomes are written, the cluster is told.
const LAST_WORDS: Duration = Duration::from_secs(3);

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

/// The agent's signals, taken as descriptors: no handler runs anywhere. A thread of its own takes
/// those that stop the agent.
pub struct Wake {
    reload: SignalFd,
    news: OwnedFd,
    stop: Arc<Stop>,
}

struct Stop {
    told: AtomicBool,
    heard: AtomicBool,
    /// Can be read from then on.
    door: OwnedFd,
}

impl Wake {
    /// Blocks the signals for this thread and all that it starts later, so this comes first.
    ///
    /// # Errors
    /// No descriptors are left, or no thread can be made.
    pub fn new() -> io::Result<Self> {
        let stops: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        let reloads: SigSet = [Signal::SIGHUP].into_iter().collect();
        stops.thread_block()?;
        reloads.thread_block()?;
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = Self {
            reload: SignalFd::with_flags(&reloads, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            news: event()?,
            stop: Arc::new(Stop {
                told: AtomicBool::new(false),
                heard: AtomicBool::new(false),
                door: event()?,
            }),
        };
        let signals = SignalFd::with_flags(&stops, SfdFlags::SFD_CLOEXEC)?;
        let stop = wake.stop.clone();
        thread::Builder::new()
            .name("stop".to_owned())
            .stack_size(64 << 10)
            .spawn(move || stop.take(&signals))?;
        Ok(wake)
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
        let [_, _, rung] = poll_for(
            [
                self.reload.as_fd(),
                self.stop.door.as_fd(),
                self.news.as_fd(),
            ],
            time,
        )?;
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
        poll_for([self.reload.as_fd(), self.stop.door.as_fd()], time)?;
        self.signal()
    }

    /// Takes a signal, where one has come.
    fn signal(&self) -> io::Result<Woken> {
        if self.is_stopping() {
            self.stop.heard.store(true, Ordering::SeqCst);
            return Ok(Woken::Stop);
        }
        Ok(match self.reload.read_signal()? {
            Some(_) => Woken::Reload,
            None => Woken::Time,
        })
    }

    /// Whether the agent is told to stop; [`Wake::wait`] will say so, too.
    pub fn is_stopping(&self) -> bool {
        self.stop.told.load(Ordering::SeqCst)
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

impl Stop {
    /// Waits for the signal, tells the main thread, and ends the agent where that does not.
    fn take(&self, signals: &SignalFd) {
        while !matches!(signals.read_signal(), Ok(Some(_))) {
            // Interrupted.
        }
        self.told.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.door, &1u64.to_ne_bytes());
        thread::sleep(HEARD_WITHIN);
        if self.heard.load(Ordering::SeqCst) {
            thread::sleep(LAST_WORDS);
        }
        // Without a word: standard error may be what the main thread waits for.
        std::process::exit(0);
    }
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
