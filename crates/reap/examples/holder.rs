//! A holder of zombies that does what it is told, one line of standard input a command, and
//! prints a line when it has done it. It sleeps in `read` meanwhile.
//!
//! - `zombies N`: leave N children that have ended
//! - `fill`: the same, until there is no room for another; how many
//! - `leaker N`: start a child that leaves N children that have ended, and sleeps
//! - `reuse`: wait for the last of them and start another with the same pid, which ends too
//! - `deep`: leave one that lives in a PID namespace below this one's
//! - `leaderless`: leave one whose first thread has ended while another lives
//! - `traced`: leave one that another child of ours traces
//! - `handler`: from now on wait for all children on SIGCHLD
//! - `seccomp`: add a filter that allows everything
//! - `vfork`: sleep uninterruptibly for half a second, then read on
//! - `run`: start a child that exits with 3 and wait for it; `exited 3`, or `ECHILD`
//! - `flags`: `SA_*` of SIGCHLD, and what they are in a program that it starts
//! - `spin`: run for ever, so that no thread of it can be borrowed
//! - `exec`: replace the program by itself
//! - `left`: how many children there are, dead or alive

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::{
    env, fs,
    io::{self, BufRead, Read, Write},
    os::unix::process::CommandExt,
    process::{self, Command, Stdio},
    ptr, thread,
    time::Duration,
};

fn main() {
    if env::args()
        .nth(1)
        .is_some_and(|argument| argument == "flags")
    {
        return say(&sigchld_flags().to_string());
    }
    say(&process::id().to_string());
    let mut last = 0;
    for line in io::stdin().lock().lines() {
        let line = line.expect("commands are text");
        let mut words = line.split_whitespace();
        match words.next() {
            Some("zombies") => {
                let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                for i in 0..count {
                    last = fork(|| i % 3);
                    await_death(last);
                }
            }
            Some("fill") => {
                let mut count = 0;
                // SAFETY: this program has one thread, and the child ends at once.
                while let pid @ 0.. = unsafe { libc::fork() } {
                    if pid == 0 {
                        // SAFETY: ends the child.
                        unsafe { libc::_exit(0) };
                    }
                    count += 1;
                }
                say(&count.to_string());
                continue;
            }
            Some("leaker") => {
                let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
                // Zombies of one clock tick with it could pass for it, as for who came first.
                thread::sleep(Duration::from_millis(30));
                fork(|| {
                    for _ in 0..count {
                        await_death(fork(|| 0));
                    }
                    thread::sleep(Duration::from_secs(1_000));
                    0
                });
            }
            Some("reuse") => reuse(last),
            Some("deep") => {
                // SAFETY: applies to children only; the fork is of this thread.
                let unshared = unsafe { libc::unshare(libc::CLONE_NEWPID) };
                assert_eq!(unshared, 0, "{}", io::Error::last_os_error());
                last = fork(|| 5);
                await_death(last);
            }
            Some("leaderless") => {
                fork(|| {
                    thread::spawn(|| thread::sleep(Duration::from_secs(30)));
                    // SAFETY: ends this thread alone.
                    unsafe { libc::syscall(libc::SYS_exit, 0) };
                    0
                });
                thread::sleep(Duration::from_millis(100));
            }
            Some("traced") => traced(),
            Some("handler") => handle(),
            Some("seccomp") => filter(),
            Some("vfork") => {
                say("sleeping");
                let flags = libc::CLONE_VFORK | libc::SIGCHLD;
                // SAFETY: the child shares nothing; CLONE_VFORK alone makes the parent wait.
                let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
                if child == 0 {
                    thread::sleep(Duration::from_millis(500));
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(0) };
                }
            }
            Some("run") => {
                let child = fork(|| 3);
                let mut status = 0;
                // SAFETY: `status` is valid for writes.
                match unsafe { libc::waitpid(child, &raw mut status, 0) } {
                    -1 => assert_eq!(
                        io::Error::last_os_error().raw_os_error(),
                        Some(libc::ECHILD)
                    ),
                    _ => {
                        say(&format!("exited {}", libc::WEXITSTATUS(status)));
                        continue;
                    }
                }
                say("ECHILD");
                continue;
            }
            Some("flags") => {
                let mut child = Command::new(env::current_exe().expect("it is there"));
                let child = child.arg("flags").stdout(Stdio::piped()).spawn();
                let mut said = String::new();
                let out = child.expect("it starts").stdout.take();
                out.expect("it is piped")
                    .read_to_string(&mut said)
                    .expect("it speaks");
                say(&format!("own {} child {}", sigchld_flags(), said.trim()));
                continue;
            }
            Some("spin") => {
                say("spinning");
                loop {
                    std::hint::spin_loop();
                }
            }
            Some("exec") => {
                let error = Command::new(env::current_exe().expect("it is there")).exec();
                panic!("execve: {error}");
            }
            Some("left") => {
                let listed = fs::read_to_string("/proc/thread-self/children");
                let count = listed.unwrap_or_default().split_whitespace().count();
                say(&count.to_string());
                continue;
            }
            other => panic!("no such command: {other:?}"),
        }
        say("done");
    }
}

fn say(what: &str) {
    println!("{what}");
    io::stdout().flush().expect("somebody listens");
}

fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        // SAFETY: ends the child without running anything of the parent's.
        0 => unsafe { libc::_exit(child()) },
        pid => pid,
    }
}

fn await_death(pid: i32) {
    // SAFETY: `info` is valid for writes; WNOWAIT leaves the zombie.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid.cast_unsigned(), &raw mut info, flags);
    }
}

/// Waits for `pid` and starts another under that number, by `clone3(2)` with `set_tid`.
fn reuse(pid: i32) {
    // SAFETY: plain system calls; the child ends at once.
    unsafe {
        libc::waitpid(pid, ptr::null_mut(), 0);
        // Its start must differ from the former's by a clock tick at least.
        thread::sleep(Duration::from_millis(30));
        let mut arguments: libc::clone_args = std::mem::zeroed();
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.set_tid = (&raw const pid) as u64;
        arguments.set_tid_size = 1;
        let size = size_of::<libc::clone_args>();
        match libc::syscall(libc::SYS_clone3, &raw const arguments, size) {
            0 => libc::_exit(9),
            child => assert_eq!(child, i64::from(pid), "{}", io::Error::last_os_error()),
        }
    }
    await_death(pid);
}

/// One child ends under the eyes of another, which does not look.
fn traced() {
    let target = fork(|| {
        thread::sleep(Duration::from_millis(100));
        0
    });
    fork(|| {
        // SAFETY: a child of our parent; it is never stopped.
        unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, target, 0, 0);
        }
        thread::sleep(Duration::from_secs(30));
        0
    });
    thread::sleep(Duration::from_millis(200));
}

extern "C" fn wait_for_all(_: libc::c_int) {
    // SAFETY: async-signal-safe.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

fn handle() {
    // SAFETY: the handler only waits.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = wait_for_all as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut());
    }
}

fn sigchld_flags() -> libc::c_int {
    // SAFETY: `action` is valid for writes; nothing is set.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action);
        action.sa_flags & !0x0400_0000 // SA_RESTORER, the C library's own
    }
}

fn filter() {
    let mut allow = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut allow,
    };
    // SAFETY: a program of one instruction that allows everything.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        let done = libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program);
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }
}
