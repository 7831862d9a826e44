//! The programs of `examples/`, started and watched.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program of `examples/`, built by the same `cargo test`.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a test has an executable");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path = path.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is built by `cargo build --examples`",
        path.display()
    );
    path
}

/// A target: it leaks, sleeps, and says whether it came to harm.
pub(crate) struct Actor {
    child: Child,
    /// Closed to end it.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub(crate) pid: u32,
}

impl Actor {
    /// Starts `actor` with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(example("actor"));
        command.args(arguments);
        Self::start_command(&mut command)
    }

    /// Starts a program that prints its pid when it is ready.
    pub(crate) fn start_command(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the actor starts");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the actor speaks");
        let pid = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("a pid, not {line:?}"));
        Self {
            child,
            stdin,
            stdout,
            pid,
        }
    }

    /// Starts `holder`, which does what it is told.
    pub(crate) fn holder() -> Self {
        Self::start_command(&mut Command::new(example("holder")))
    }

    /// Tells `holder` to do something and waits until it has; its answer.
    pub(crate) fn tell(&mut self, what: &str) -> String {
        let stdin = self.stdin.as_mut().expect("it listens");
        writeln!(stdin, "{what}").expect("the holder listens");
        self.hear()
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the holder speaks");
        line.trim().to_owned()
    }

    /// It lives.
    pub(crate) fn is_well(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Pid of the process that was started, which may not be the one that speaks.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Pids of its dead children.
    pub(crate) fn zombies(&self) -> Vec<u32> {
        zombies_of(self.pid)
    }

    /// Waits until it has `count` zombies.
    pub(crate) fn await_zombies(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.zombies().len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count}",
                self.zombies().len()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to end; what it said last. `None` where this machine has no such call.
    pub(crate) fn end(mut self) -> Option<String> {
        drop(self.stdin.take());
        let mut said = String::new();
        self.stdout
            .read_to_string(&mut said)
            .expect("the actor speaks");
        let status = self.child.wait().expect("it is our child");
        let last = said.lines().last().unwrap_or_default().to_owned();
        if status.code() == Some(77) {
            println!("{last}");
            return None;
        }
        assert!(
            status.success() && last.starts_with("OK"),
            "{status}: {said}"
        );
        Some(last)
    }

    /// Waits for its end without asking for it.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pids of the dead children of `pid`, as `/proc` lists them.
pub(crate) fn zombies_of(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|child| {
            std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| {
                stat.rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with('Z'))
            })
        })
        .filter_map(|child| child.parse().ok())
        .collect()
}

/// Runs the reaper to its end.
pub(crate) fn reap(pid: u32) -> serde_json::Value {
    let output = Command::new(example("reaper"))
        .arg(pid.to_string())
        .output()
        .expect("the reaper starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the reaper prints an outcome")
}

/// Numbers that look random and are the same in each run with the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
