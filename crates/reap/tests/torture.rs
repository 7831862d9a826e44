//! kill -9 of the reaper at any moment leaves the program whole.
//!
//! The short tests run always. The long one:
//! ```sh
//! cargo build --release -p sexton-reap --examples
//! cargo test --release -p sexton-reap --test torture -- --ignored --nocapture
//! ```

mod actors;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use actors::{Actor, Dice, example, reap};

/// The kinds of sleep that the actor knows, but for `epoll_long`, which can be visited too seldom.
const KINDS: &[&str] = &[
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_abs",
    "poll",
    "ppoll",
    "select",
    "pselect",
    "epoll_wait",
    "epoll_wait_event",
    "epoll_pwait",
    "epoll_pwait2",
    "futex",
    "read",
    "accept",
    "recv_timeout",
    "wait4",
    "waitid",
    "sigtimedwait",
    "semtimedop",
    "msgrcv",
    "io_uring",
    "pause",
    "sigsuspend",
];

/// Kinds in one process, one thread each. `pause` and `sigsuspend` use the process's timer.
const THREADS: &str = "nanosleep,read,epoll_wait,futex,wait4,semtimedop";
const THREADS_WITHOUT_WAITS: &str = "nanosleep,read,epoll_wait,futex,semtimedop";

/// Arguments of the reaper: take all zombies; let the kernel take the next ones, or not any more.
const REAP: &str = "0";
const AUTOREAP: &str = "autoreap";
const UNDO: &str = "undo";

/// Without any kill: no harm, and not one EINTR, however it rains.
#[test]
fn no_kind_of_sleep_notices() {
    for rain in ["rain=none", "rain=plain", "rain=restart"] {
        for kind in KINDS {
            let Some(actor) = start(&[kind, "zombies=24", rain]) else {
                continue;
            };
            let mut taken = 0;
            for _ in 0..3 {
                actor.await_zombies(8);
                taken += taken_by(reap(actor.pid));
            }
            assert!(taken > 0, "{kind} {rain}");
            let said = actor.end();
            println!("{kind} {rain}: took {taken}, {said:?}");
        }
    }
}

/// A process with a thread a kind; each leaks, so there are several lists of children.
#[test]
fn no_thread_of_several_notices() {
    let Some(actor) = start(&[THREADS, "zombies=10", "rain=restart"]) else {
        return;
    };
    actor.await_zombies(50);
    let outcome = reap(actor.pid);
    assert!(taken_by(outcome.clone()) >= 50, "{outcome}");
    println!("{:?}", actor.end());
}

/// The reaper is killed once at the entry and once at the exit of each system call that it makes
/// from its first request to trace on.
#[test]
fn it_may_be_killed_at_each_of_its_system_calls() {
    for kind in ["nanosleep", "read", "futex", "epoll_wait"] {
        let Some(mut actor) = start(&[kind, "zombies=6", "forgive=yes"]) else {
            continue;
        };
        let mut at = 0;
        loop {
            actor.await_zombies(2);
            match run_and_kill_at(actor.pid, REAP, at) {
                Run::Killed => {}
                Run::Ended => break,
                // The code of the one before has taken them a moment ago.
                Run::NothingToDo => continue,
            }
            assert!(actor.is_well(), "{kind}: killed at stop {at}");
            at += 1;
        }
        assert!(at > 40, "{kind}: it made only {at} stops");
        // Whatever the killed ones left in the tail does not hinder the next.
        actor.await_zombies(2);
        let taken = taken_by(reap(actor.pid));
        assert!(taken > 0);
        println!("{kind}: killed at {at} places, {:?}", actor.end());
    }
}

/// Random moments, a fixed seed, a few rounds a kind.
#[test]
fn it_may_be_killed_at_random_moments() {
    let mut dice = Dice::new(4);
    for (i, kind) in KINDS.iter().enumerate() {
        let rain = ["rain=none", "rain=plain", "rain=restart"][i % 3];
        kill_rounds(kind, rain, 12, &mut dice);
    }
    kill_rounds(THREADS, "rain=plain", 12, &mut dice);
}

/// The same of autoreap, there and back. What waits for its own children is left out: they would
/// not be there any more, which is what is said of it.
#[test]
fn autoreap_may_be_killed_at_each_of_its_system_calls() {
    for kind in ["nanosleep", "read", "futex", "epoll_wait"] {
        for what in [AUTOREAP, UNDO] {
            let Some(mut actor) = start(&[kind, "zombies=2", "forgive=yes"]) else {
                continue;
            };
            let (mut at, mut tries) = (0, 0);
            loop {
                match run_and_kill_at(actor.pid, what, at) {
                    Run::Killed => at += 1,
                    Run::Ended if at > 40 => break,
                    // On a machine that is busy enough no moment is fresh enough for a thread
                    // with a timeout; then nothing is done.
                    Run::Ended | Run::NothingToDo => tries += 1,
                }
                assert!(actor.is_well(), "{kind} {what}: killed at stop {at}");
                assert!(tries < 10, "{kind} {what}: it made only {at} stops");
            }
            ends_well(actor, kind);
        }
    }
}

#[test]
fn autoreap_may_be_killed_at_random_moments() {
    let mut dice = Dice::new(5);
    for (i, kind) in non_waiting().enumerate() {
        let rain = ["rain=none", "rain=plain", "rain=restart"][i % 3];
        kill_sets(kind, rain, 12, &mut dice);
    }
    kill_sets(THREADS_WITHOUT_WAITS, "rain=restart", 12, &mut dice);
}

/// The long version, as below.
#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn torture_of_autoreap() {
    let (rounds, mut dice) = long();
    let each = rounds / (3 * (KINDS.len() as u32 - 1)) + 1;
    let mut killed = 0;
    for rain in ["rain=none", "rain=plain", "rain=restart"] {
        for kind in non_waiting().chain([THREADS_WITHOUT_WAITS]) {
            killed += kill_sets(kind, rain, each, &mut dice);
        }
    }
    println!("{killed} rounds, 0 harmed");
    assert!(killed >= rounds);
}

fn non_waiting() -> impl Iterator<Item = &'static str> {
    KINDS
        .iter()
        .copied()
        .filter(|kind| !kind.starts_with("wait"))
}

/// Sets it and unsets it by turns, killed in the middle.
fn kill_sets(kind: &str, rain: &str, rounds: u32, dice: &mut Dice) -> u32 {
    let Some(mut actor) = start(&[kind, rain, "zombies=2", "forgive=yes"]) else {
        return rounds;
    };
    // How long a whole run takes, so that the kills fall within.
    let began = Instant::now();
    set(actor.pid, AUTOREAP);
    let whole = began
        .elapsed()
        .clamp(Duration::from_millis(2), Duration::from_millis(40));
    for round in 0..rounds {
        let what = [UNDO, AUTOREAP][(round % 2) as usize];
        let mut reaper = spawn_reaper(actor.pid, what);
        thread::sleep(Duration::from_micros(dice.below(whole.as_micros() as u64)));
        let _ = reaper.kill();
        let _ = reaper.wait();
        if !actor.is_well() {
            // It says what it met.
            actor.end();
            panic!("{kind} {rain}: ended in round {round}");
        }
    }
    ends_well(actor, kind);
    rounds
}

/// Whatever the killed ones left hinders neither it nor its contrary, and both take effect.
fn ends_well(actor: Actor, kind: &str) {
    assert_eq!(set(actor.pid, UNDO)["waiter"], "process", "{kind}");
    actor.await_zombies(2);
    assert_eq!(set(actor.pid, AUTOREAP)["waiter"], "kernel", "{kind}");
    taken_by(reap(actor.pid));
    // It forks again and again, to have its two zombies. One that is just ending may be seen.
    let seen = actor.zombies();
    thread::sleep(Duration::from_millis(30));
    let mut stay = actor.zombies();
    stay.retain(|pid| seen.contains(pid));
    assert_eq!(stay, [0_u32; 0], "{kind}");
    println!("{kind}: {:?}", actor.end());
}

/// Runs it to its end; on a machine under load a thread may be away for long.
fn set(pid: u32, what: &str) -> serde_json::Value {
    for _ in 0..10 {
        let output = Command::new(example("reaper"))
            .args([&pid.to_string(), what])
            .output()
            .expect("the reaper starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let outcome: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("the reaper prints an outcome");
        if outcome["end"]["how"] != "noThread" {
            return outcome;
        }
    }
    panic!("no thread of {pid} could be borrowed");
}

/// The long version: `SEXTON_TORTURE_ROUNDS` (2,500) rounds over all kinds and all weathers.
#[test]
#[ignore = "takes minutes; run by `make torture`"]
fn torture() {
    let (rounds, mut dice) = long();
    let each = rounds / (3 * (KINDS.len() as u32 + 1)) + 1;
    let mut sum = Sum::default();
    for rain in ["rain=none", "rain=plain", "rain=restart"] {
        for kind in KINDS.iter().chain([&THREADS]) {
            sum += kill_rounds(kind, rain, each, &mut dice);
        }
    }
    println!(
        "{} rounds, 0 harmed, {} EINTR of never-restarted calls (killed between stop and rewind), \
         {} zombies taken meanwhile",
        sum.rounds, sum.forgiven, sum.taken
    );
    assert!(sum.rounds >= rounds);
}

/// How many rounds, and the dice.
fn long() -> (u32, Dice) {
    let rounds = std::env::var("SEXTON_TORTURE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(2_500);
    let seed = std::env::var("SEXTON_TORTURE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("{rounds} rounds, seed {seed}");
    (rounds, Dice::new(seed))
}

#[derive(Default)]
struct Sum {
    rounds: u32,
    forgiven: u64,
    taken: u64,
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.forgiven += other.forgiven;
        self.taken += other.taken;
    }
}

fn kill_rounds(kind: &str, rain: &str, rounds: u32, dice: &mut Dice) -> Sum {
    let Some(mut actor) = start(&[kind, rain, "zombies=40", "forgive=yes"]) else {
        return Sum::default();
    };
    actor.await_zombies(20);
    // How long a whole run takes, so that the kills fall within.
    let began = Instant::now();
    let mut taken = taken_by(reap(actor.pid));
    let whole = began
        .elapsed()
        .clamp(Duration::from_millis(3), Duration::from_millis(40));
    for round in 0..rounds {
        let before = actor.zombies().len();
        let mut reaper = spawn_reaper(actor.pid, REAP);
        let wait = dice.below(whole.as_micros() as u64);
        thread::sleep(Duration::from_micros(wait));
        let _ = reaper.kill();
        let _ = reaper.wait();
        taken += before.saturating_sub(actor.zombies().len()) as u64;
        if !actor.is_well() {
            // It says what it met.
            actor.end();
            panic!("{kind} {rain}: ended in round {round}");
        }
    }
    let said = actor.end().unwrap_or_default();
    let forgiven = said
        .rsplit("forgiven=")
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    println!("{kind} {rain}: {rounds} kills, {said}");
    Sum {
        rounds,
        forgiven,
        taken,
    }
}

fn taken_by(outcome: serde_json::Value) -> u64 {
    outcome["taken"].as_u64().expect("a count")
}

/// An actor, unless its calls are not there: it says so itself.
fn start(arguments: &[&str]) -> Option<Actor> {
    let mut actor = Actor::start(arguments);
    thread::sleep(Duration::from_millis(30));
    if actor.is_well() {
        return Some(actor);
    }
    actor.end();
    None
}

fn spawn_reaper(pid: u32, what: &str) -> Child {
    Command::new(example("reaper"))
        .args([&pid.to_string(), what])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the reaper starts")
}

/// How far a run came.
enum Run {
    Killed,
    Ended,
    NothingToDo,
}

/// Runs the reaper and kills it at its stop number `at` after its first `ptrace` call, where each
/// system call has a stop before and one after.
#[expect(
    clippy::zombie_processes,
    reason = "it is waited for by its pid, as a tracer has to"
)]
fn run_and_kill_at(pid: u32, what: &str, at: usize) -> Run {
    let mut command = Command::new(example("reaper"));
    command.args([&pid.to_string(), what]).stdout(Stdio::null());
    // SAFETY: PTRACE_TRACEME is a plain system call and asks for nothing but the next execve
    // to stop.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let mut child = command.spawn().expect("the reaper starts");
    let reaper = child.id().cast_signed();
    let mut counted = None;
    loop {
        let mut status = 0;
        // Not `child.wait()`, which does not tell of stops.
        // SAFETY: `status` is valid for writes.
        let waited = unsafe { libc::waitpid(reaper, &raw mut status, 0) };
        assert_eq!(waited, reaper);
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            assert_eq!(status, 0, "the reaper itself failed");
            return if counted.is_some() {
                Run::Ended
            } else {
                Run::NothingToDo
            };
        }
        // SAFETY: the structure is plain integers, and the reaper is stopped.
        let registers = unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            libc::ptrace(libc::PTRACE_GETREGS, reaper, 0, &raw mut registers);
            registers
        };
        if counted.is_none() && registers.orig_rax == libc::SYS_ptrace.cast_unsigned() {
            counted = Some(0);
        }
        if let Some(count) = &mut counted {
            if *count == at {
                let _ = child.kill();
                let _ = child.wait();
                return Run::Killed;
            }
            *count += 1;
        }
        let signal = match libc::WSTOPSIG(status) {
            libc::SIGTRAP => 0,
            signal => signal,
        };
        // SAFETY: the reaper is stopped and we trace it.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, reaper, 0, signal) };
    }
}
