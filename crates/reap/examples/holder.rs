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
//! - `answer CALL VALUE`: add a filter that answers this call with this value, and allows others
//! - `vdso RIGHTS`: take rights from the vdso: 0 leaves none, 1 reading, 4 executing
//! - `dispatch`: have calls from anywhere above the libraries stopped
//! - `nap MILLISECONDS`: `napping`, then what `nanosleep` gave, and whether it took that long
//! - `race`: while it reads on, a thread waits for the last of them and starts another with the
//!   same pid, over and over, until one is not there; `lost N` is which, `gone` if another process
//!   has got the pid
//! - `vfork`: sleep uninterruptibly for half a second, then read on
//! - `run`: start a child that exits with 3 and wait for it; `exited 3`, or `ECHILD`
//! - `flags`: `SA_*` of SIGCHLD, and what they are in a program that it starts
//! - `spin`: run for ever, so that no thread of it can be borrowed
//! - `exec`: replace the program by itself
//! - `left`: how many children there are, dead or alive

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};
use std::time::Duration;
use std::{env, fs, ptr, thread};

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
            Some("seccomp") => filter(&[statement(RETURN, libc::SECCOMP_RET_ALLOW)]),
            Some("answer") => {
                let mut number = || words.next().and_then(|word| word.parse().ok());
                let (call, value) = (number().expect("a call"), number().expect("a value"));
                filter(&[
                    statement(LOAD, 0),
                    libc::sock_filter {
                        jf: 1,
                        ..statement(IS_EQUAL, call)
                    },
                    statement(RETURN, value),
                    statement(RETURN, libc::SECCOMP_RET_ALLOW),
                ]);
            }
            Some("vdso") => {
                let rights = words.next().and_then(|word| word.parse().ok());
                let (start, end) = vdso();
                protect(start, end, rights.expect("rights"));
            }
            Some("dispatch") => {
                dispatch();
                continue;
            }
            Some("nap") => {
                let millis = words.next().and_then(|word| word.parse().ok());
                nap(millis.expect("how long"));
                continue;
            }
            Some("race") => {
                let pid = last;
                thread::spawn(move || race(pid));
            }
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
    // SAFETY: the status is not asked for.
    unsafe {
        libc::waitpid(pid, ptr::null_mut(), 0);
        // Its start must differ from the former's by a clock tick at least.
        thread::sleep(Duration::from_millis(30));
    }
    let child = start_as(pid);
    assert_eq!(child, i64::from(pid), "{}", io::Error::last_os_error());
    await_death(pid);
}

/// A child with this pid, which ends at once; its pid, or -1.
fn start_as(pid: i32) -> i64 {
    // SAFETY: plain system calls; the child ends at once.
    unsafe {
        let mut arguments: libc::clone_args = std::mem::zeroed();
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.set_tid = (&raw const pid) as u64;
        arguments.set_tid_size = 1;
        let size = size_of::<libc::clone_args>();
        match libc::syscall(libc::SYS_clone3, &raw const arguments, size) {
            0 => libc::_exit(9),
            child => child,
        }
    }
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

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IS_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn filter(program: &[libc::sock_filter]) {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, and does not write to it.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        let done = libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program);
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }
}

fn vdso() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").expect("it is there");
    let line = maps.lines().find(|line| line.ends_with(" [vdso]"));
    let range = line
        .and_then(|line| line.split_once(' '))
        .expect("a vdso")
        .0;
    let (start, end) = range.split_once('-').expect("a range");
    let parse = |text| usize::from_str_radix(text, 16).expect("an address");
    (parse(start), parse(end))
}

/// Nothing here asks for the time after that.
fn protect(start: usize, end: usize, rights: i32) {
    // SAFETY: whole pages of a mapping that this program does not use any more.
    let done = unsafe { libc::mprotect(start as *mut libc::c_void, end - start, rights) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

/// Calls from below the vdso are let through, whatever `BLOCK` says of the others.
fn dispatch() {
    static BLOCK: u8 = 1;
    const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
    let (start, _) = vdso();
    // SAFETY: the byte lives for ever; this program's own calls come from below.
    let done = unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, start, &raw const BLOCK) };
    say(if done == 0 { "on" } else { "none" });
}

fn nap(millis: u64) {
    say("napping");
    let began = std::time::Instant::now();
    let time = libc::timespec {
        tv_sec: (millis / 1_000) as i64,
        tv_nsec: (millis % 1_000 * 1_000_000) as i64,
    };
    // SAFETY: `time` is valid for reads; what is left of it is not asked for.
    let result = unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, 0) };
    let whole = began.elapsed() >= Duration::from_millis(millis);
    say(&format!("{result} {whole}"));
}

/// Waits for `pid` and starts another under that number, again and again, until somebody else has
/// taken one of them. Not for ever: it may have been the quicker one each time.
fn race(pid: i32) {
    for number in 0_u32..20_000 {
        // SAFETY: the status is not asked for.
        if unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } != pid {
            return say(&format!("lost {number}"));
        }
        if start_as(pid) != i64::from(pid) {
            // Some other process of this machine has got the pid.
            return say("gone");
        }
        await_death(pid);
    }
    say("kept");
}
