//! A started init: its output, its pid, how it ends.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No check waits longer; machines that build and test at once are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds; false: it did not in all that time.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    false
}

/// What is to be started.
pub(crate) struct Launch {
    command: Command,
    namespace: bool,
}

impl Launch {
    /// In the PID namespace of the test, so as a subreaper or nothing.
    pub(crate) fn plain(init: &Path) -> Self {
        let mut command = Command::new(init);
        with_default_dispositions(&mut command);
        Self {
            command,
            namespace: false,
        }
    }

    /// As PID 1 of a new PID namespace; `None` where the machine does not let us (said so).
    pub(crate) fn pid1(init: &Path) -> Option<Self> {
        let mut command = unshare();
        with_default_dispositions(&mut command);
        command.arg(init);
        if !can_unshare() {
            println!("SKIP: no PID namespace can be made here");
            return None;
        }
        Some(Self {
            command,
            namespace: true,
        })
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in the forked child, before exec: only system calls.
    pub(crate) fn before(mut self, act: fn()) -> Self {
        // SAFETY: the callers make plain system calls only.
        unsafe {
            self.command.pre_exec(move || {
                act();
                Ok(())
            });
        }
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub(crate) fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    pub(crate) fn start(self) -> Job {
        self.start_with_stderr(Stdio::piped())
    }

    /// What does not go to a pipe of our own is not collected.
    pub(crate) fn start_with_stderr(mut self, stderr: Stdio) -> Job {
        self.command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = self.command.spawn().unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = child.stderr.take().map(collect).unwrap_or_default();
        let started = child.id();
        let mut pid = started;
        if self.namespace {
            let of_unshare = || children(started).first().copied();
            assert!(
                eventually(|| of_unshare().is_some()),
                "unshare has started nothing"
            );
            pid = of_unshare().unwrap_or(started);
        }
        Job {
            child,
            pid,
            out,
            err,
        }
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(self) -> Ended {
        self.command_is_quick().start().end()
    }

    /// `start` would look for the pid of something that may be gone already.
    fn command_is_quick(mut self) -> Self {
        self.namespace = false;
        self
    }
}

/// What this process was started with (`nohup` ignores HUP) is not what a check is about, so its
/// children find what a container finds. Before everything else that is set in the child.
pub(crate) fn with_default_dispositions(command: &mut Command) {
    // SAFETY: plain system calls, in a child that is about to exec.
    unsafe {
        command.pre_exec(|| {
            for signal in 1..=libc::SIGRTMAX() {
                // Fails for KILL and STOP and what the C library keeps for itself.
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// Ours, as PID 1 (true) and as a subreaper.
pub(crate) fn both_ways(check: impl Fn(Launch, bool)) {
    let init = crate::subject::ours("sexton-init");
    check(Launch::plain(&init), false);
    if let Some(launch) = Launch::pid1(&init) {
        check(launch, true);
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

fn can_unshare() -> bool {
    static CAN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *CAN.get_or_init(|| {
        unshare()
            .arg("true")
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Reads to the end, in a thread that holds on to the buffer until then.
fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&all);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            shared.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    all
}

/// A running init. Killed when dropped, with all of its namespace.
pub(crate) struct Job {
    child: Child,
    /// Init's pid, as the test sees it.
    pub(crate) pid: u32,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
}

impl Job {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned()
    }

    pub(crate) fn signal(&self, signal: i32) {
        send(self.pid, signal);
    }

    /// Waits for a line of output to begin like this.
    pub(crate) fn says(&self, line: &str) -> bool {
        // A line that has not ended may be on its way.
        let said = |out: String| {
            out.split_inclusive('\n')
                .any(|l| l.starts_with(line) && l.ends_with('\n'))
        };
        eventually(|| said(self.out()))
    }

    /// The main process: init's first child.
    pub(crate) fn main(&self) -> u32 {
        assert!(
            eventually(|| !children(self.pid).is_empty()),
            "no main process: {}",
            self.err()
        );
        children(self.pid)[0]
    }

    pub(crate) fn end(mut self) -> Ended {
        let start = Instant::now();
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(
            ended,
            "does not end; out: {:?} err: {:?}",
            self.out(),
            self.err()
        );
        let took = start.elapsed();
        // To the end of the output, unless what init left behind holds the pipes open.
        for _ in 0..200 {
            if Arc::strong_count(&self.out) == 1 && Arc::strong_count(&self.err) == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = status.unwrap();
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap());
        Ended {
            code,
            out: self.out(),
            err: self.err(),
            took,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            for pid in below(self.pid) {
                send(pid, libc::SIGKILL);
            }
            send(self.pid, libc::SIGKILL);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; negative: the signal that killed init itself.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// From when its end was waited for.
    pub(crate) took: Duration,
}

pub(crate) fn send(pid: u32, signal: i32) {
    // SAFETY: the pid is that of a process of this test that has not been waited for.
    unsafe { libc::kill(i32::try_from(pid).unwrap(), signal) };
}

/// Children of a process, the oldest first.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    text.unwrap_or_default()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// All descendants.
pub(crate) fn below(pid: u32) -> Vec<u32> {
    children(pid)
        .into_iter()
        .flat_map(|child| [vec![child], below(child)].concat())
        .collect()
}

/// The state letter of a process; `None`: it is gone.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

/// A field of `/proc/PID/status`.
pub(crate) fn status(pid: u32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// A program that prints the number of each signal that it gets, and never ends by one but
/// KILL: all are blocked and taken one by one.
pub(crate) const PRINT_SIGNALS: &str = "
import signal
every = set(range(1, 65)) - {9, 19, 32, 33}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print('ready', flush=True)
while True:
    print(signal.sigwaitinfo(every - {17}).si_signo, flush=True)
";

/// `python3` is there; otherwise says that the check is skipped.
pub(crate) fn python() -> bool {
    let there =
        Path::new("/usr/bin/python3").exists() || Path::new("/usr/local/bin/python3").exists();
    if !there {
        println!("SKIP: python3 is not installed");
    }
    there
}
