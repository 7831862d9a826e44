//! Processes of the tests, seen through /proc independently of `sexton-scan`: a test that
//! asked the code under test what is true would prove nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that is killed and waited for on drop.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts `command` without standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        // A program that was copied a moment ago is busy for as long as a child that another test
        // has forked meanwhile still has it open for writing: until its exec.
        let child = wait_until("it is not busy", || {
            match command.stdin(Stdio::null()).spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => None,
                child => Some(child),
            }
        });
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has been waited for already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long anything may take before a test gives up: no measure of speed.
/// `SEXTON_LAB_PATIENCE` (seconds) says otherwise, as for an emulated processor.
#[must_use]
pub fn patience() -> Duration {
    let seconds = std::env::var("SEXTON_LAB_PATIENCE").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(120))
}

/// Polls until `done` gives something.
///
/// # Panics
/// After [`patience`].
pub fn wait_until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < patience(), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Pid and start time in clock ticks: the same process or not. `None` when it is gone.
#[must_use]
pub fn identity(pid: u32) -> Option<(u32, u64)> {
    Some((pid, start_ticks(pid)?))
}

/// Waits until the process has a handler for this signal: sent earlier it would end a program
/// that means to catch it, or be ignored by a PID 1.
///
/// # Panics
/// After [`patience`].
pub fn wait_until_it_catches(pid: u32, signal: u8) {
    wait_until("the signal has a handler", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        (mask >> (signal - 1) & 1 == 1).then_some(())
    });
}

pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    stat_fields(pid)?.get(19)?.parse().ok()
}

/// Pids of the zombie children of `parent`, of all its threads.
#[must_use]
pub fn zombies_of(parent: u32) -> Vec<u32> {
    children_of(parent, |state| state == "Z")
}

/// Pids of the children of `parent` that have not ended.
#[must_use]
pub fn live_children_of(parent: u32) -> Vec<u32> {
    children_of(parent, |state| state != "Z")
}

fn children_of(parent: u32, wanted: impl Fn(&str) -> bool) -> Vec<u32> {
    let parent = parent.to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| {
            stat_fields(pid).is_some_and(|fields| wanted(&fields[0]) && fields[1] == parent)
        })
        .collect()
}

/// Fields of `/proc/PID/stat` from the state (field 3) on, as in `proc_pid_stat(5)`.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let path = Path::new("/proc").join(pid.to_string()).join("stat");
    let stat = fs::read(path).ok()?;
    // The name may hold anything, a `)` too.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = String::from_utf8_lossy(&stat[end + 1..]);
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}
