//! The kernel waits for a holder's future children: for whom, for whom never, and that it can be
//! undone. In real containers where it matters.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that panics fails the test"
)]

mod actors;

use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use actors::{Actor, example};
use sexton_lab::program::find;
use sexton_lab::{
    Container, Leak, Program, Runtime, Skip, identity, live_children_of, require, wait_until,
    zombies_of,
};
use sexton_reap::autoreap::{self, AutoreapOutcome, Options, Plan, Waiter};
use sexton_reap::{End, Error, Refusal, Trace};
use sexton_scan::{Roots, Scanner};

fn plan_with(pid: u32, options: &Options) -> Plan {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let id = scanner.holder(pid).unwrap().unwrap().id;
    autoreap::plan(&mut scanner, id, options).unwrap().unwrap()
}

fn plan(pid: u32) -> Plan {
    plan_with(pid, &Options::default())
}

fn refusal(pid: u32) -> Option<Refusal> {
    plan(pid).refusal
}

/// A process of the host, which our own holders are.
fn on_host() -> Options {
    Options {
        allow_host: true,
        ..Options::default()
    }
}

fn undo() -> Options {
    Options {
        waiter: Waiter::Process,
        ..on_host()
    }
}

fn execute(plan: &Plan) -> Result<AutoreapOutcome, Error> {
    let scanner = Scanner::new(Roots::default()).unwrap();
    autoreap::execute(scanner.proc(), plan, || ControlFlow::Continue(()))
}

fn set(pid: u32, options: &Options) {
    let plan = plan_with(pid, options);
    assert_eq!(plan.refusal, None);
    let outcome = execute(&plan).unwrap();
    assert_eq!(outcome.end, End::Complete);
    assert_eq!(outcome.waiter, Some(options.waiter));
    assert_ne!(outcome.trace, Trace::Untouched);
}

/// An orphan comes to PID 1 and ends there.
fn orphan(container: &Container) {
    let before = zombies_of(container.pid());
    let script = "sleep 0.1 & echo $!";
    let output = container.exec(&["sh", "-c", script]);
    let inner = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!inner.is_empty(), "{output:?}");
    wait_until("the orphan has ended", || {
        // Alive it is neither a zombie nor gone.
        let lives = container
            .exec(&["sh", "-c", &format!("kill -0 {inner} 2>/dev/null")])
            .status
            .success();
        let is_zombie = zombies_of(container.pid()).len() > before.len();
        (is_zombie || !lives).then_some(())
    });
}

#[test]
fn what_only_keeps_a_container_alive_leaves_no_zombies_any_more() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for argv in [
        Program::system(["sleep", "infinity"]),
        Program::system(["tail", "-f", "/dev/null"]),
        Program::system(["sh", "-c", "mkfifo /tmp/in; exec cat <>/tmp/in"]),
    ] {
        let container = Container::builder(&runtime).start(&argv);
        let pid = container.pid();
        let before = container.identity();
        wait_until("it has become what it is", || {
            plan(pid).keep_alive.then_some(())
        });
        orphan(&container);
        assert_eq!(zombies_of(pid).len(), 1);

        set(pid, &Options::default());
        for _ in 0..3 {
            orphan(&container);
        }
        // Those that were there stay; a reap takes them.
        assert_eq!(zombies_of(pid).len(), 1, "{argv:?}");
        assert_eq!(actors::reap(pid)["taken"], 1);
        assert_eq!(zombies_of(pid), [0_u32; 0]);

        // What a reap has made it wait for speaks against no keep-alive, and twice is once.
        assert!(plan(pid).has_waited);
        set(pid, &Options::default());
        orphan(&container);
        assert_eq!(zombies_of(pid), [0_u32; 0]);

        let usual = Options {
            waiter: Waiter::Process,
            ..Options::default()
        };
        set(pid, &usual);
        orphan(&container);
        assert_eq!(zombies_of(pid).len(), 1);
        assert_eq!(container.identity(), before);
    }
}

/// Zombies that come to it from another, dead long before, are waited for as well.
#[test]
fn what_it_adopts_leaves_no_zombies_either() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let leak = Leak::new().count(3).then_sleep().program();
    let script = format!("({} &); exec sleep 1000", leak.argv.join(" "));
    let container = Container::builder(&runtime).start(&Program {
        argv: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        binds: leak.binds,
    });
    let pid = container.pid();
    let leaker = wait_until("the leak is an orphan", || {
        let mut children = live_children_of(pid).into_iter();
        children.find(|&child| zombies_of(child).len() == 3)
    });
    wait_until("sleep is there", || plan(pid).keep_alive.then_some(()));
    set(pid, &Options::default());
    // SAFETY: a process of our own container.
    unsafe { libc::kill(leaker.cast_signed(), libc::SIGKILL) };
    wait_until("it is gone", || identity(leaker).is_none().then_some(()));
    assert_eq!(zombies_of(pid), [0_u32; 0]);
}

/// It leaks on and on, and never waits: from one moment to the next nothing stays.
#[test]
fn a_program_that_never_waits_goes_on_without_zombies() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let leak = Leak::new().interval_ms(5).program();
    let container = Container::builder(&runtime).start(&leak);
    let pid = container.pid();
    wait_until("it leaks", || (zombies_of(pid).len() > 5).then_some(()));
    set(pid, &Options::default());
    let forked = || container.output().lines().count();
    let (standing, so_far) = (zombies_of(pid).len(), forked());
    wait_until("it goes on", || (forked() > so_far + 50).then_some(()));
    assert!(zombies_of(pid).len() <= standing);
}

#[test]
fn what_a_program_set_up_is_never_replaced() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let loops = "while :; do sleep 1; done";
    let mut cases = vec![];
    for shell in ["bash", "dash"] {
        if require(program(shell)).is_some() {
            let shell = Program::system([shell, "-c", loops]);
            cases.push((shell, Refusal::HandlesSigchld));
        }
    }
    if require(program("bash")).is_some() {
        let ignoring = ["bash", "-c", "trap '' CHLD; exec sleep 1000"];
        cases.push((Program::system(ignoring), Refusal::IgnoresSigchld));
    }
    // By sigwait, with empty handlers, by a signalfd.
    for (init, refusal) in [
        ("tini", Refusal::BlocksSigchld),
        ("dumb-init", Refusal::HandlesSigchld),
        ("catatonit", Refusal::BlocksSigchld),
    ] {
        if require(program(init)).is_some() {
            let init = Program::system([init, "--", "sleep", "1000"]);
            cases.push((init, refusal));
        }
    }
    // The runtime of Go has a handler for every signal.
    if let Some(go) = require(Program::go_story(0, 100)) {
        cases.push((go, Refusal::HandlesSigchld));
    }
    for (argv, expected) in cases {
        let container = Container::builder(&runtime).start(&argv);
        let what = format!("{argv:?} is refused as it {expected}");
        wait_until(&what, || {
            (refusal(container.pid())? == expected).then_some(())
        });
        let insisting = Options {
            though_it_waits: true,
            ignore_seccomp: true,
            ..on_host()
        };
        let plan = plan_with(container.pid(), &insisting);
        assert_eq!(plan.refusal.as_ref(), Some(&expected), "{argv:?}");
        assert!(matches!(execute(&plan), Err(Error::Refused(_))));
    }
}

fn program(name: &str) -> Result<(), Skip> {
    let found = find(name).map(|_| ());
    found.ok_or_else(|| Skip(format!("{name} is not installed")))
}

/// Set up between the plan and the deed: the program's own action stays.
#[test]
fn a_handler_that_appears_in_the_middle_stays() {
    let mut holder = Actor::holder();
    let plan = plan_with(holder.pid, &on_host());
    assert_eq!(plan.refusal, None);
    holder.tell("handler");
    let outcome = execute(&plan).unwrap();
    assert_eq!(outcome.end, End::SigchldChanged);
    assert_eq!((outcome.waiter, outcome.trace), (None, Trace::Untouched));
    // It still runs and waits.
    holder.tell("zombies 3");
    wait_until("its handler waits", || {
        zombies_of(holder.pid).is_empty().then_some(())
    });
}

#[test]
fn a_program_that_waits_is_set_only_if_insisted_on_and_then_finds_no_child() {
    let mut holder = Actor::holder();
    assert_eq!(holder.tell("run"), "exited 3");
    let plan = plan_with(holder.pid, &on_host());
    assert!(plan.has_waited && !plan.keep_alive);
    assert_eq!(plan.refusal, Some(Refusal::Waits));
    assert!(plan.refusal.unwrap().overridden_by().is_some());
    let insisting = Options {
        though_it_waits: true,
        ..on_host()
    };
    set(holder.pid, &insisting);
    // This is what is told of it.
    assert_eq!(holder.tell("run"), "ECHILD");
    // Undone, all is as before.
    set(holder.pid, &undo());
    assert_eq!(holder.tell("run"), "exited 3");
    holder.tell("zombies 2");
    assert_eq!(zombies_of(holder.pid).len(), 2);
}

/// Asleep in `wait4` for its first child ever, it would be told that there is none.
#[test]
fn a_program_that_is_waiting_right_now_is_refused() {
    let actor = Actor::start(&["wait4", "zombies=0"]);
    wait_until("it waits", || {
        (plan_with(actor.pid, &on_host()).refusal == Some(Refusal::Waits)).then_some(())
    });
}

/// An ignored SIGCHLD would be handed on.
#[test]
fn programs_that_it_starts_do_not_inherit_it() {
    let mut holder = Actor::holder();
    set(holder.pid, &on_host());
    let no_child_wait = libc::SA_NOCLDWAIT;
    assert_eq!(holder.tell("flags"), format!("own {no_child_wait} child 0"));
    // The action is still the default one.
    let status = fs::read_to_string(format!("/proc/{}/status", holder.pid)).unwrap();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 1 << (libc::SIGCHLD - 1), 0);
    // Nor does the program that it becomes.
    wait_until("the child has ended", || {
        (holder.tell("left") == "0").then_some(())
    });
    assert_eq!(holder.tell("exec"), holder.pid.to_string());
    holder.tell("zombies 1");
    assert_eq!(zombies_of(holder.pid).len(), 1);
}

#[test]
fn the_rules_of_reaping_hold_for_it() {
    let mut holder = Actor::holder();
    if plan(holder.pid).container.is_some() {
        println!("SKIP: these tests run inside a container, where no process is the host's");
        return;
    }
    assert_eq!(refusal(holder.pid), Some(Refusal::HostProcess));
    assert!(matches!(
        execute(&plan(holder.pid)),
        Err(Error::Refused(Refusal::HostProcess))
    ));
    // A plan is for one process, not for a number.
    let allowed = plan_with(holder.pid, &on_host());
    let mut other = allowed.clone();
    other.holder.id.start_ticks += 1;
    assert!(matches!(
        execute(&other),
        Err(Error::Refused(Refusal::Gone))
    ));
    holder.tell("seccomp");
    let refused = plan_with(holder.pid, &on_host()).refusal;
    assert!(
        matches!(refused, Some(Refusal::Seccomp { .. })),
        "{refused:?}"
    );
    // SAFETY: our own child.
    let signal = |signal| unsafe { libc::kill(holder.pid.cast_signed(), signal) };
    signal(libc::SIGSTOP);
    wait_until("it is stopped", || {
        (plan_with(holder.pid, &on_host()).refusal == Some(Refusal::Stopped)).then_some(())
    });
    assert_eq!(execute(&allowed).unwrap().end, End::HolderStopped);
    signal(libc::SIGCONT);

    let directory = tempfile::tempdir().unwrap();
    let shim = directory.path().join("conmon");
    fs::copy(example("holder"), &shim).unwrap();
    let shim = Actor::start_command(&mut Command::new(shim));
    let refused = plan_with(shim.pid, &on_host()).refusal;
    assert!(
        matches!(refused, Some(Refusal::Protected { .. })),
        "{refused:?}"
    );
}

/// While it waits for a thread that sleeps, which it would do for ten seconds.
#[test]
fn it_can_be_called_off() {
    let mut holder = Actor::holder();
    let plan = plan_with(holder.pid, &on_host());
    assert_eq!(holder.tell("spin"), "spinning");
    let scanner = Scanner::new(Roots::default()).unwrap();
    let mut asked = 0;
    let outcome = autoreap::execute(scanner.proc(), &plan, || {
        asked += 1;
        match asked {
            0..5 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })
    .unwrap();
    assert_eq!((outcome.end, outcome.waiter), (End::CalledOff, None));
    assert_eq!(outcome.trace, Trace::Untouched);
    thread::sleep(Duration::from_millis(5));
    assert!(holder.is_well() && identity(holder.pid).is_some());
}
