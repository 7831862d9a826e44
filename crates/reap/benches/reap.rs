//! Reaping from outside, against the process's own `waitpid` calls and against one
//! single-stepped call a zombie. All in one run, so that the ratios mean something.
//!
//! `cargo bench -p sexton-reap --bench reap -- [zombies, default 25000]`

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use std::{env, io, ptr, thread};

use sexton_core::ProcessId;
use sexton_reap::{Options, ReapOutcome, execute, plan};
use sexton_scan::{Roots, Scanner};

fn main() {
    let zombies = env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(25_000);
    println!("{zombies} zombies of one process, three times each way, the best of each");
    let mut own = Vec::new();
    let mut looked_at = Vec::new();
    let mut stepped = Vec::new();
    let mut borrowed: Vec<ReapOutcome> = Vec::new();
    for _ in 0..3 {
        own.push(own_waits(zombies, false));
        looked_at.push(own_waits(zombies, true));
        borrowed.push(sexton(zombies));
        stepped.push(single_steps(zombies.min(2_000)));
    }
    let best = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    borrowed.sort_by_key(|outcome| outcome.borrowed_micros);
    let outcome = &borrowed[0];
    assert_eq!(outcome.taken, zombies as u64, "{outcome:?}");
    let each = |time: Duration, count: usize| time.as_secs_f64() * 1e6 / count as f64;
    let own = each(best(&own), zombies);
    let looked_at = each(best(&looked_at), zombies);
    let stepped = each(best(&stepped), zombies.min(2_000));
    let ours = outcome.borrowed_micros as f64 / zombies as f64;
    println!("own waitpid calls          {own:7.2} µs each");
    println!("own, after a look at /proc {looked_at:7.2} µs each");
    println!(
        "sexton, time borrowed      {ours:7.2} µs each   {:.2}x of its own calls, {:.2}x after a look (aim ≤ 1.5)",
        ours / own,
        ours / looked_at
    );
    println!(
        "one single-stepped call    {stepped:7.2} µs each   {:.2}x of its own calls",
        stepped / own
    );
    println!(
        "{} visits; one borrowing: p99 {} µs (aim ≤ 1500), longest {} µs; wall {} ms",
        outcome.visits,
        outcome.p99_borrowing_micros,
        outcome.longest_borrowing_micros,
        outcome.micros / 1000,
    );
}

/// A child that has `zombies` children of its own, all ended, and then does what it is told.
struct Holder {
    pid: i32,
    /// Written to by us: go on. Read by us: done, in nanoseconds.
    to: i32,
    from: i32,
}

impl Holder {
    fn start(zombies: usize) -> Self {
        let (there, back) = (pipe(), pipe());
        // SAFETY: the child only makes plain system calls; this program has no other thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            live(zombies, there.0, back.1);
        }
        assert!(pid > 0, "fork: {}", io::Error::last_os_error());
        // SAFETY: the ends of the child.
        unsafe {
            libc::close(there.0);
            libc::close(back.1);
        }
        let holder = Self {
            pid,
            to: there.1,
            from: back.0,
        };
        assert_eq!(holder.answer(), zombies as u64, "the holder could not fork");
        // Its children are dead when it says so, and asleep in a read a moment later.
        thread::sleep(Duration::from_millis(50));
        holder
    }

    fn answer(&self) -> u64 {
        let mut answer = [0; 8];
        // SAFETY: eight bytes are there.
        let read = unsafe { libc::read(self.from, answer.as_mut_ptr().cast(), 8) };
        assert_eq!(read, 8);
        u64::from_ne_bytes(answer)
    }

    fn children(&self) -> Vec<u64> {
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid))
            .expect("the list of children")
            .split_ascii_whitespace()
            .map(|child| child.parse().expect("a pid"))
            .collect()
    }

    fn go(&self) {
        // SAFETY: one byte is there.
        unsafe { libc::write(self.to, [1u8].as_ptr().cast(), 1) };
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // SAFETY: our child and our descriptors.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, ptr::null_mut(), 0);
            libc::close(self.to);
            libc::close(self.from);
        }
    }
}

fn pipe() -> (i32, i32) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    (ends[0], ends[1])
}

/// The holder: forks, waits until all are dead, and on a byte waits for each and says how long
/// that took.
fn live(zombies: usize, from: i32, to: i32) -> ! {
    // SAFETY: plain system calls with valid arguments; `_exit` ends the child.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut pids = Vec::with_capacity(zombies);
        for _ in 0..zombies {
            match libc::fork() {
                0 => libc::_exit(0),
                -1 => break,
                pid => pids.push(pid),
            }
        }
        for pid in &pids {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            libc::waitid(libc::P_PID, pid.cast_unsigned(), &raw mut info, flags);
        }
        libc::write(to, (pids.len() as u64).to_ne_bytes().as_ptr().cast(), 8);
        let mut byte = [0u8; 1];
        libc::read(from, byte.as_mut_ptr().cast(), 1);
        let began = Instant::now();
        for pid in &pids {
            libc::waitpid(*pid, ptr::null_mut(), 0);
        }
        let nanos = began.elapsed().as_nanos() as u64;
        libc::write(to, nanos.to_ne_bytes().as_ptr().cast(), 8);
        libc::_exit(0)
    }
}

/// `look`: somebody has read `stat` and `status` of each before, as whoever finds zombies must.
/// The kernel keeps what was looked up in /proc, and has to drop it again for each process that
/// is waited for (`proc_flush_pid` in `kernel/exit.c`), so this alone doubles the cost.
fn own_waits(zombies: usize, look: bool) -> Duration {
    let holder = Holder::start(zombies);
    if look {
        for child in holder.children() {
            for file in ["stat", "status"] {
                std::fs::read(format!("/proc/{child}/{file}")).expect("it is a zombie");
            }
        }
    }
    holder.go();
    Duration::from_nanos(holder.answer())
}

fn sexton(zombies: usize) -> ReapOutcome {
    let holder = Holder::start(zombies);
    let mut scanner = Scanner::new(Roots::default()).expect("/proc is there");
    let options = Options {
        settle: Duration::ZERO,
        allow_host: true,
        ..Options::default()
    };
    let found = scanner
        .holder(holder.pid.cast_unsigned())
        .expect("it can be read")
        .expect("it lives");
    let id: ProcessId = found.id;
    let plan = plan(&mut scanner, id, &options)
        .expect("it can be planned")
        .expect("it lives");
    execute(scanner.proc(), &plan, |_| ControlFlow::Continue(())).expect("it is not refused")
}

/// The classic way, for comparison only: registers saved, one `wait4` single-stepped, registers
/// put back, for each zombie. A kill at the wrong moment kills the target too.
fn single_steps(zombies: usize) -> Duration {
    let holder = Holder::start(zombies);
    let children = holder.children();
    let began = Instant::now();
    for child in children {
        while !step(holder.pid, child) {
            thread::yield_now();
        }
    }
    began.elapsed()
}

/// `false` if the holder was not in its call.
fn step(holder: i32, child: u64) -> bool {
    let null = ptr::null_mut::<libc::c_void>();
    // SAFETY: the holder is our child, stopped and traced between attach and detach; every
    // register is put back.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, holder, null, null), 0);
        libc::ptrace(libc::PTRACE_INTERRUPT, holder, null, null);
        libc::waitpid(holder, ptr::null_mut(), libc::__WALL);
        let mut before: libc::user_regs_struct = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETREGS, holder, null, &raw mut before);
        if before.orig_rax.cast_signed() < 0 {
            // Not back in its call yet after the step before.
            libc::ptrace(libc::PTRACE_DETACH, holder, null, null);
            return false;
        }
        let mut during = before;
        // The bytes before rip are its own `syscall` instruction.
        during.rip -= 2;
        during.rax = libc::SYS_wait4.cast_unsigned();
        during.orig_rax = u64::MAX;
        during.rdi = child;
        during.rsi = 0;
        during.rdx = libc::WNOHANG.cast_unsigned().into();
        during.r10 = 0;
        libc::ptrace(libc::PTRACE_SETREGS, holder, null, &raw mut during);
        libc::ptrace(libc::PTRACE_SINGLESTEP, holder, null, null);
        libc::waitpid(holder, ptr::null_mut(), libc::__WALL);
        let mut after: libc::user_regs_struct = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETREGS, holder, null, &raw mut after);
        assert_eq!(after.rax, child, "wait4 by single step");
        // The read that it sleeps in begins again.
        before.rip -= 2;
        before.rax = before.orig_rax;
        before.orig_rax = u64::MAX;
        libc::ptrace(libc::PTRACE_SETREGS, holder, null, &raw mut before);
        libc::ptrace(libc::PTRACE_DETACH, holder, null, null);
    }
    true
}
