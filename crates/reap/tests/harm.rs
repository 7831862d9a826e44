//! Sexton never ends a program, and if one ends all the same, that is no success. Each target
//! here would die of a visit that does not look, or be found out too late.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that panics fails the test"
)]

mod actors;

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use actors::{Actor, zombies_of};
use sexton_core::ProcessId;
use sexton_core::report::Exit;
use sexton_reap::{End, Error, Options, Plan, ReapOutcome, Refusal, Trust, autoreap};
use sexton_scan::{Roots, Scanner};

/// Everything allowed.
fn insisting() -> Options {
    Options {
        settle: Duration::ZERO,
        allow_host: true,
        ignore_seccomp: true,
        ..Options::default()
    }
}

fn id_of(scanner: &mut Scanner, pid: u32) -> ProcessId {
    scanner.holder(pid).unwrap().unwrap().id
}

fn plan(pid: u32) -> Plan {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let id = id_of(&mut scanner, pid);
    let plan = sexton_reap::plan(&mut scanner, id, &insisting());
    plan.unwrap().unwrap()
}

fn execute(plan: &Plan) -> Result<ReapOutcome, Error> {
    let scanner = Scanner::new(Roots::default()).unwrap();
    sexton_reap::execute(scanner.proc(), plan, |_| ControlFlow::Continue(()))
}

fn refused(pid: u32) -> Refusal {
    match execute(&plan(pid)) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// It lives, does what it is told, and has all its zombies.
fn is_untouched(holder: &mut Actor, zombies: usize) {
    assert_eq!(zombies_of(holder.pid).len(), zombies);
    assert_eq!(holder.tell("zombies 1"), "done");
    assert_eq!(zombies_of(holder.pid).len(), zombies + 1);
}

/// Whether the kernel gives filters to this test.
fn can_ask() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |key| status.lines().find_map(|line| line.strip_prefix(key));
    let caps = u64::from_str_radix(line("CapEff:").unwrap().trim(), 16).unwrap();
    let can = caps & (1 << 21) != 0 && line("Seccomp:").is_none_or(|mode| mode.trim() == "0");
    if !can {
        println!("SKIP: filters can be asked only with CAP_SYS_ADMIN, and under no filter");
    }
    can
}

/// Takes `CAP_SYS_ADMIN` from this thread, as an agent in a pod has it not.
fn drop_sys_admin() {
    // `capset(2)`, version 3: effective, permitted, inheritable; twice, for 64 bits.
    let header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    // SAFETY: both are as long as the kernel takes them to be.
    unsafe {
        let got = libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr());
        assert_eq!(got, 0);
        data[0] &= !(1 << 21);
        let set = libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr());
        assert_eq!(set, 0);
    }
}

#[test]
fn a_filter_that_forbids_wait4_is_believed_whatever_is_insisted_on() {
    if !can_ask() {
        return;
    }
    for (answer, said) in [
        (libc::SECCOMP_RET_KILL_PROCESS, "the end of the program"),
        (libc::SECCOMP_RET_KILL_THREAD, "the end of the thread"),
        (libc::SECCOMP_RET_TRAP, "SIGSYS"),
        (libc::SECCOMP_RET_ERRNO | 1, "an error"),
        (libc::SECCOMP_RET_TRACE, "its tracer"),
    ] {
        let mut holder = Actor::holder();
        holder.tell("zombies 2");
        holder.tell(&format!("answer {} {answer}", libc::SYS_wait4));
        let refusal = refused(holder.pid);
        let Refusal::SeccompForbids { call, action } = &refusal else {
            panic!("{refusal:?}");
        };
        assert!(call == "wait4" && action.contains(said), "{refusal}");
        assert_eq!(refusal.overridden_by(), None);
        is_untouched(&mut holder, 2);
    }
}

#[test]
fn a_filter_that_allows_is_asked_and_the_zombies_are_taken() {
    let mut holder = Actor::holder();
    holder.tell("zombies 5");
    holder.tell("seccomp");
    holder.tell(&format!(
        "answer {} {}",
        libc::SYS_getppid,
        libc::SECCOMP_RET_KILL_PROCESS
    ));
    let outcome = execute(&plan(holder.pid)).unwrap();
    assert_eq!((outcome.taken, outcome.end), (5, End::Complete));
    is_untouched(&mut holder, 0);
}

#[test]
fn a_filter_that_forbids_sigaction_keeps_autoreap_away() {
    if !can_ask() {
        return;
    }
    let mut holder = Actor::holder();
    holder.tell(&format!(
        "answer {} {}",
        libc::SYS_rt_sigaction,
        libc::SECCOMP_RET_KILL_PROCESS
    ));
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let id = id_of(&mut scanner, holder.pid);
    let options = autoreap::Options {
        allow_host: true,
        ignore_seccomp: true,
        ..autoreap::Options::default()
    };
    let plan = autoreap::plan(&mut scanner, id, &options).unwrap().unwrap();
    let done = autoreap::execute(scanner.proc(), &plan, || ControlFlow::Continue(()));
    let Err(Error::Refused(Refusal::SeccompForbids { call, .. })) = &done else {
        panic!("{done:?}");
    };
    assert_eq!(call, "rt_sigaction");
    is_untouched(&mut holder, 0);
}

/// The stop itself would kill this one: the kernel goes on with its sleep by `restart_syscall`.
#[test]
fn a_filter_that_forbids_going_on_with_a_sleep_kills_nobody() {
    if !can_ask() {
        return;
    }
    let mut holder = Actor::holder();
    holder.tell("zombies 2");
    let kill = libc::SECCOMP_RET_KILL_PROCESS;
    holder.tell(&format!("answer {} {kill}", libc::SYS_restart_syscall));
    let plan = plan(holder.pid);
    assert_eq!(holder.tell("nap 700"), "napping");
    thread::sleep(Duration::from_millis(200));
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.end), (2, End::Complete));
    assert_eq!(holder.hear(), "0 true");
    is_untouched(&mut holder, 0);
}

/// As an agent in a pod: it cannot ask, and only what the runtime put there is trusted.
#[test]
fn without_the_right_to_ask_a_filter_that_nobody_knows_is_a_refusal() {
    if !can_ask() {
        return;
    }
    let mut inside = Actor::start_command(
        std::process::Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child"])
            .arg(actors::example("holder")),
    );
    // It speaks of itself as PID 1.
    assert_eq!(inside.pid, 1);
    let unshare = inside.process_id();
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    inside.pid = std::fs::read_to_string(children)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    inside.tell("zombies 1");
    inside.tell("seccomp");
    let options = Options {
        ignore_seccomp: false,
        ..insisting()
    };
    let planned = |pid| {
        let mut scanner = Scanner::new(Roots::default()).unwrap();
        let id = id_of(&mut scanner, pid);
        sexton_reap::plan(&mut scanner, id, &options)
            .unwrap()
            .unwrap()
    };
    let asking = planned(inside.pid);
    assert_eq!((asking.refusal, asking.seccomp), (None, Trust::Asked));
    drop_sys_admin();
    let refusal = planned(inside.pid).refusal.unwrap();
    assert_eq!(refusal, Refusal::SeccompUnknown { filters: 1 });
    assert_eq!(refusal.overridden_by(), Some("--ignore-seccomp"));
    // A right that went away after the plan.
    let plan = Plan {
        seccomp: Trust::Asked,
        ..plan(inside.pid)
    };
    assert!(matches!(
        execute(&plan),
        Err(Error::Refused(Refusal::SeccompUnknown { filters: 1 }))
    ));
    is_untouched(&mut inside, 1);
}

#[test]
fn a_holder_that_dies_of_a_visit_is_no_success() {
    if !can_ask() {
        return;
    }
    let mut holder = Actor::holder();
    holder.tell("zombies 3");
    holder.tell(&format!(
        "answer {} {}",
        libc::SYS_wait4,
        libc::SECCOMP_RET_KILL_PROCESS
    ));
    // Nothing less makes Sexton do it: insisted on, and no right to ask.
    drop_sys_admin();
    let outcome = execute(&plan(holder.pid)).unwrap();
    let exit = Some(Exit::Signal(31));
    let dumps_core = false;
    assert_eq!(
        outcome.end,
        End::HolderDied { exit, dumps_core },
        "{outcome:?}"
    );
    assert_eq!((outcome.taken, outcome.statuses.len()), (0, 0));
    let death = outcome.end.holder_death().unwrap();
    assert!(death.by_us && death.certain && death.how == exit);
    assert!(
        outcome.end.to_string().contains("SIGSYS"),
        "{}",
        outcome.end
    );
    let left: u64 = outcome.left.iter().map(|left| left.count).sum();
    assert_eq!(left, 3);
}

#[test]
fn a_vdso_that_may_not_be_run_is_a_refusal() {
    for rights in ["---p", "r--p", "--xp"] {
        let mut holder = Actor::holder();
        holder.tell("zombies 2");
        let before = plan(holder.pid);
        assert_eq!(before.refusal, None);
        let number = ["---p", "r--p", "", "", "--xp"]
            .iter()
            .position(|it| *it == rights);
        holder.tell(&format!("vdso {}", number.unwrap()));
        let refusal = Refusal::VdsoRights {
            rights: rights.to_owned(),
        };
        assert_eq!(plan(holder.pid).refusal, Some(refusal.clone()));
        // Seen, too, where it was planned before.
        assert!(matches!(execute(&before), Err(Error::Refused(why)) if why == refusal));
        is_untouched(&mut holder, 2);
    }
}

#[test]
fn a_program_that_dispatches_its_own_calls_is_left_alone() {
    let mut holder = Actor::holder();
    holder.tell("zombies 2");
    if holder.tell("dispatch") == "none" {
        println!("SKIP: this kernel has no syscall user dispatch");
        return;
    }
    // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, since Linux 6.4.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|word| word.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(4)) {
        println!("SKIP: this kernel does not show it");
        return;
    }
    assert_eq!(refused(holder.pid), Refusal::SyscallUserDispatch);
    is_untouched(&mut holder, 2);
}

/// Another thread waits for that very zombie, and starts a child that gets its pid, over and
/// over: if that child was taken, the outcome does not say that it was the one of the plan.
#[test]
fn a_pid_that_is_reused_within_a_visit_is_not_told_as_verified() {
    let (mut unverified, mut others) = (0, 0);
    for _ in 0..40 {
        let mut holder = Actor::holder();
        holder.tell("zombies 1");
        let plan = plan(holder.pid);
        assert_eq!(plan.take.len(), 1);
        // Who starts in the same tick of the clock has the same identity. A zombie that has
        // settled is older than any child that could take its pid.
        thread::sleep(Duration::from_millis(30));
        assert_eq!(holder.tell("race"), "done");
        let outcome = execute(&plan).unwrap();
        if outcome.taken == 0 {
            continue;
        }
        let lost = holder.hear();
        if lost == "gone" {
            continue;
        }
        unverified += outcome.unverified;
        if lost == "kept" {
            // The holder's own wait was the quicker one, which nobody can tell from ours.
            assert_eq!(outcome.unverified, 1, "{outcome:?}");
            continue;
        }
        let number: u32 = lost.strip_prefix("lost ").unwrap().parse().unwrap();
        others += u32::from(number > 0);
        assert!(
            number == 0 || outcome.unverified == 1,
            "{lost}: {outcome:?}"
        );
    }
    println!("{others} of 40 took another child; {unverified} were marked");
}

/// Nothing else can run in a program of one thread without handlers: what it took is sure.
#[test]
fn what_one_thread_alone_took_is_verified() {
    let mut holder = Actor::holder();
    holder.tell("zombies 40");
    let outcome = execute(&plan(holder.pid)).unwrap();
    assert_eq!((outcome.taken, outcome.unverified), (40, 0));
}
