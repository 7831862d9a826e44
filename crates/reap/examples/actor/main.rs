//! A program that leaks zombies while it sleeps in one kind of system call over and over, and
//! checks that nothing but what it asked for ever happens to it.
//!
//! Usage: `actor KIND[,KIND…] [zombies=N] [rain=none|plain|restart] [forgive=yes]`
//!
//! One thread a kind, the first on the main thread. `rain` makes SIGALRM come every millisecond
//! or so, with a handler that has `SA_RESTART` or not. It ends with 0 when its standard input
//! is closed, and with 1 and a line `BAD …` as soon as something is wrong.
//!
//! `forgive` counts an `EINTR` of a call that the kernel never restarts instead of taking it for
//! wrong: a tracer that is killed between the stop and its rewind leaves one, whatever it does.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

mod calls;
mod checked;
mod ring;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io, mem, process, ptr};

use calls::Sleeper;

/// How often handlers have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    /// Without `SA_RESTART`.
    pub(crate) plain: u64,
    /// With it.
    pub(crate) restarting: u64,
}

impl Handled {
    pub(crate) fn any(self) -> u64 {
        self.plain + self.restarting
    }
}

static PLAIN: AtomicU64 = AtomicU64::new(0);
static RESTARTING: AtomicU64 = AtomicU64::new(0);
static FORGIVEN: AtomicU64 = AtomicU64::new(0);
static FORGIVES: AtomicBool = AtomicBool::new(false);
static SLEEPS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn handled() -> Handled {
    Handled {
        plain: PLAIN.load(Ordering::SeqCst),
        restarting: RESTARTING.load(Ordering::SeqCst),
    }
}

/// Whether an `EINTR` without a handler is only counted; counts it.
pub(crate) fn forgives() -> bool {
    FORGIVEN.fetch_add(1, Ordering::SeqCst);
    FORGIVES.load(Ordering::SeqCst)
}

extern "C" fn plain(_: libc::c_int) {
    PLAIN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn restarting(_: libc::c_int) {
    RESTARTING.fetch_add(1, Ordering::SeqCst);
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    // SAFETY: the handlers only touch atomics.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

/// SIGUSR1 and SIGUSR2 are always blocked; SIGUSR2 is always pending.
pub(crate) fn usual_mask() -> u64 {
    1 << (libc::SIGUSR1 - 1) | 1 << (libc::SIGUSR2 - 1)
}

fn set_mask(mask: u64) {
    // SAFETY: eight bytes are there.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            0,
            8,
        );
    }
}

fn check_signals() -> Result<(), String> {
    let (mut mask, mut pending) = (0u64, 0u64);
    // SAFETY: eight bytes each are there.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            0,
            &raw mut mask,
            8,
        );
        libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, 8);
    }
    if mask != usual_mask() {
        return Err(format!("the signal mask is {mask:#x}"));
    }
    // SIGALRM may be pending for an instant while the rain falls.
    if pending & !(1 << (libc::SIGALRM - 1)) != 1 << (libc::SIGUSR2 - 1) {
        return Err(format!("pending signals are {pending:#x}"));
    }
    Ok(())
}

fn set_timer(first: Duration, interval: Duration) {
    let timeval = |span: Duration| libc::timeval {
        tv_sec: span.as_secs() as i64,
        tv_usec: i64::from(span.subsec_micros()),
    };
    let timer = libc::itimerval {
        it_interval: timeval(interval),
        it_value: timeval(first),
    };
    // SAFETY: valid arguments.
    unsafe {
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const timer, 0);
    }
}

/// One SIGALRM. If it may not be lost before the call that it is to end, it is blocked until
/// then; if it cannot be blocked, it comes again and again.
pub(crate) fn alarm_after(span: Duration, block: bool) {
    if block {
        set_mask(usual_mask() | 1 << (libc::SIGALRM - 1));
        set_timer(span, Duration::ZERO);
    } else {
        set_timer(span, Duration::from_millis(100));
    }
}

pub(crate) fn alarm_off() {
    set_timer(Duration::ZERO, Duration::ZERO);
    set_mask(usual_mask());
}

/// Forks; `child` gives the exit code.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> Result<i32, String> {
    // SAFETY: the child calls nothing that could need a lock that another thread held.
    match unsafe { libc::fork() } {
        -1 => Err(format!("fork: {}", io::Error::last_os_error())),
        0 => {
            set_timer(Duration::ZERO, Duration::ZERO);
            let code = child();
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        pid => Ok(pid),
    }
}

/// Keeps this thread's children at `count`; they end at once and nobody waits for them.
fn leak(count: usize) -> Result<(), String> {
    let listed = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let there = listed.split_ascii_whitespace().count();
    for i in there..count {
        fork(|| i32::try_from(i % 3).unwrap_or(0))?;
    }
    Ok(())
}

/// Standard input is closed. Looked at between two sleeps: a thread or a signal of its own would
/// change what is tested.
fn ends() -> bool {
    let mut input = libc::pollfd {
        fd: 0,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry is there.
    unsafe { libc::poll(&raw mut input, 1, 0) > 0 }
}

fn live(kind: &str, zombies: usize) -> Result<(), String> {
    let mut sleeper = match Sleeper::new(kind) {
        Ok(sleeper) => sleeper,
        Err(error) => {
            println!("SKIP {kind}: {error}");
            process::exit(77);
        }
    };
    set_mask(usual_mask());
    // SAFETY: a signal that is blocked, sent to this very thread.
    unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
    leak(zombies)?;
    while !ends() {
        sleeper.sleep()?;
        check_signals()?;
        leak(zombies)?;
        SLEEPS.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

fn live_or_die(kind: &str, zombies: usize) {
    if let Err(what) = live(kind, zombies) {
        println!("BAD {kind}: {what}");
        process::exit(1);
    }
}

fn main() {
    let mut kinds = Vec::new();
    let mut zombies = 20;
    let mut rain = String::new();
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("zombies", count)) => zombies = count.parse().expect("a number"),
            Some(("forgive", _)) => FORGIVES.store(true, Ordering::SeqCst),
            Some(("rain", how)) => rain = how.to_owned(),
            Some(_) => panic!("unknown option {argument}"),
            None => kinds = argument.split(',').map(str::to_owned).collect(),
        }
    }
    match rain.as_str() {
        "restart" => handle(libc::SIGALRM, restarting, libc::SA_RESTART),
        _ => handle(libc::SIGALRM, plain, 0),
    }
    if matches!(rain.as_str(), "plain" | "restart") {
        set_timer(Duration::from_micros(700), Duration::from_micros(1_300));
    }
    let mut kinds = kinds.into_iter();
    let first = kinds.next().expect("at least one kind");
    for kind in kinds {
        std::thread::spawn(move || live_or_die(&kind, zombies));
    }
    println!("{}", process::id());
    live_or_die(&first, zombies);
    println!(
        "OK sleeps={} handlers={} forgiven={}",
        SLEEPS.load(Ordering::SeqCst),
        handled().any(),
        FORGIVEN.load(Ordering::SeqCst)
    );
}
