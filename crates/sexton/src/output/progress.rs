//! One line on standard error that says how far a long step has come.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Shown only on a terminal, only once a step has taken a second, and wiped when it is over.
pub struct Progress {
    label: String,
    show: fn(u64) -> String,
    started: Instant,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Begins a step whose parts are counted.
    pub fn new(label: impl Into<String>) -> Self {
        Self::with(label, super::text::count)
    }

    /// Begins a step; `show` says in words how far it has come.
    pub fn with(label: impl Into<String>, show: fn(u64) -> String) -> Self {
        Self {
            label: label.into(),
            show,
            started: Instant::now(),
            drawn: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The step has come this far; cheap enough to be called in any loop.
    pub fn at(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let due = match self.drawn {
            None => now - self.started >= Duration::from_millis(800),
            Some(last) => now - last >= Duration::from_millis(100),
        };
        if !self.terminal || !due || total == 0 {
            return;
        }
        self.drawn = Some(now);
        const CELLS: u64 = 24;
        let full = usize::try_from(CELLS * done.min(total) / total).unwrap_or(0);
        let bar = "█".repeat(full) + &"░".repeat(usize::try_from(CELLS).unwrap_or(0) - full);
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{} {bar} {} of {}",
            self.label,
            (self.show)(done),
            (self.show)(total)
        );
    }
}

/// Does `step`, whose end nobody can tell, and says every second for how long it has gone on.
pub fn during<T>(label: &str, step: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return step();
    }
    let (over, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        // Without room for a thread nothing is said, and the step is done all the same.
        let _ = thread::Builder::new().spawn_scoped(scope, move || {
            let began = Instant::now();
            while wait.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let seconds = super::text::duration(began.elapsed().as_secs());
                let _ = write!(io::stderr(), "\r\x1b[K{label}, for {seconds} …");
            }
            if began.elapsed() >= Duration::from_secs(1) {
                let _ = write!(io::stderr(), "\r\x1b[K");
            }
        });
        let done = step();
        drop(over);
        done
    })
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
