//! Ending a holder: who is ended, who never is, and what becomes of the zombies. In real
//! containers, with the inits of the distribution.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that panics fails the test"
)]

mod actors;

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use actors::{Actor, example};
use sexton_lab::program::find;
use sexton_lab::{
    Container, Leak, Program, Runtime, Skip, identity, live_children_of, require, require_root,
    wait_until, zombies_of,
};
use sexton_reap::terminate::{self, End, Options, Plan, ReapsSince, TerminateOutcome};
use sexton_reap::{Error, Refusal};
use sexton_scan::{Roots, Scanner};

const GRACE: Duration = Duration::from_secs(30);

fn scanner() -> Scanner {
    Scanner::new(Roots::default()).unwrap()
}

fn plan_with(pid: u32, options: &Options) -> Plan {
    let mut scanner = scanner();
    let id = scanner.holder(pid).unwrap().unwrap().id;
    terminate::plan(&mut scanner, id, options).unwrap().unwrap()
}

fn plan(pid: u32) -> Plan {
    plan_with(pid, &Options::default())
}

fn execute(plan: &Plan, grace: Duration) -> Result<TerminateOutcome, Error> {
    terminate::execute(&mut scanner(), plan, grace, || ControlFlow::Continue(()))
}

/// A leak that holds this many zombies and then sleeps, as a command of a shell.
fn leak(count: u32) -> (String, PathBuf) {
    let program = Leak::new().count(count).then_sleep().program();
    (program.argv.join(" "), program.binds[0].clone())
}

fn container(runtime: &Runtime, argv: &[&str], bind: PathBuf) -> Container {
    Container::builder(runtime).start(&Program {
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        binds: vec![bind],
    })
}

/// The leak in a container, once it holds `count` zombies.
fn leak_below(pid: u32, count: usize) -> u32 {
    fn all_below(pid: u32, found: &mut Vec<u32>) {
        for child in live_children_of(pid) {
            found.push(child);
            all_below(child, found);
        }
    }
    wait_until("the leak holds its zombies", || {
        let mut found = Vec::new();
        all_below(pid, &mut found);
        found
            .into_iter()
            .find(|&pid| zombies_of(pid).len() == count)
    })
}

/// Its parent has ended and it has come to PID 1.
fn orphaned_leak(pid: u32, count: usize) -> u32 {
    wait_until("the leak is an orphan", || {
        live_children_of(pid)
            .into_iter()
            .find(|&pid| zombies_of(pid).len() == count)
    })
}

fn program(name: &str) -> Result<String, Skip> {
    find(name)
        .map(|path| path.to_string_lossy().into_owned())
        .ok_or_else(|| Skip(format!("{name} is not installed")))
}

#[test]
fn below_an_init_it_ends_and_its_zombies_are_waited_for() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for name in ["tini", "dumb-init", "catatonit"] {
        let Some(init) = require(program(name)) else {
            continue;
        };
        let (leak, bind) = leak(12);
        let script = format!("({leak} &); exec sleep 1000");
        let container = container(&runtime, &[&init, "--", "sh", "-c", &script], bind);
        let holder = orphaned_leak(container.pid(), 12);
        let before = container.identity();

        let plan = plan(holder);

        assert_eq!(plan.refusal, None, "{name}");
        assert_eq!((plan.zombies, plan.live_children), (12, 0));
        let adopter = plan.adopter.as_ref().unwrap();
        assert_eq!(adopter.id.pid, container.pid());
        assert_eq!(adopter.reaps_since, ReapsSince::Init);
        let outcome = execute(&plan, GRACE).unwrap();
        assert_eq!(outcome.end, End::Terminated, "{name}");
        assert_eq!((outcome.zombies, outcome.gone), (12, 12), "{outcome:?}");
        assert!(outcome.waited_for && outcome.held.is_empty());
        assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
        assert_eq!(container.identity(), before);
        // The main process, which was never asked about, lives on.
        assert_eq!(live_children_of(container.pid()).len(), 1);
    }
}

#[test]
fn what_does_not_end_on_sigterm_is_killed_and_can_be_spared_until_then() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let Some(tini) = require(program("tini")) else {
        return;
    };
    let (leak, bind) = leak(5);
    let script = format!("(trap '' TERM; exec {leak} &); exec sleep 1000");
    let container = container(&runtime, &[&tini, "--", "sh", "-c", &script], bind);
    let holder = orphaned_leak(container.pid(), 5);
    let plan = plan(holder);
    assert_eq!(plan.refusal, None);

    // Called off before and in the middle: nothing more is sent.
    let stop_after = |questions: u32| {
        let mut asked = 0;
        let began = Instant::now();
        let outcome = terminate::execute(&mut scanner(), &plan, GRACE, || {
            asked += 1;
            match asked > questions {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(began.elapsed() < GRACE, "it waited for all of its time");
        outcome.unwrap()
    };
    let outcome = stop_after(0);
    assert_eq!(outcome.end, End::CalledOff { signalled: false });
    let outcome = stop_after(3);
    assert_eq!(outcome.end, End::CalledOff { signalled: true });
    assert_eq!((outcome.zombies, outcome.gone), (5, 0));
    assert_eq!(outcome.held[0].pid, holder);
    assert!(!outcome.waited_for);
    assert_eq!(identity(holder).unwrap().1, plan.holder.id.start_ticks);

    let outcome = execute(&plan, Duration::from_millis(200)).unwrap();

    assert_eq!(outcome.end, End::Killed { seconds: 0 });
    assert_eq!((outcome.gone, outcome.waited_for), (5, true));
    // It is gone, and nobody else is taken for it.
    let outcome = execute(&plan, GRACE).unwrap();
    assert_eq!(outcome.end, End::ByItself);
}

#[test]
fn a_containers_main_process_is_never_ended() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let (leak, bind) = leak(3);
    let words: Vec<&str> = leak.split(' ').collect();

    // PID 1.
    let first = container(&runtime, &words, bind.clone());
    let pid = wait_until("it holds its zombies", || {
        (zombies_of(first.pid()).len() == 3).then_some(first.pid())
    });
    assert_eq!(plan(pid).refusal, Some(Refusal::NamespaceInit));
    assert!(matches!(
        execute(&plan(pid), GRACE),
        Err(Error::Refused(Refusal::NamespaceInit))
    ));

    // In the machine's own PID namespace it is no PID 1.
    let words = [&words[..]].concat();
    let shared = Container::builder(&runtime).host_pid().start(&Program {
        argv: words.iter().map(|&word| word.to_owned()).collect(),
        binds: vec![bind.clone()],
    });
    let pid = wait_until("it holds its zombies", || {
        (zombies_of(shared.pid()).len() == 3).then_some(shared.pid())
    });
    is_main_process(pid);

    // What a shell runs, and what an init was given to run: the container ends with it.
    let script = format!("{leak}; true");
    let timeout = format!("timeout 1000 {leak}; true");
    let mut cases = vec![vec!["sh", "-c", &script], vec!["sh", "-c", &timeout]];
    let tini = require(program("tini"));
    if let Some(tini) = &tini {
        cases.push([&[tini, "--"], &words[..]].concat());
        cases.push(vec![tini, "--", "sh", "-c", &script]);
    }
    for argv in cases {
        let container = container(&runtime, &argv, bind.clone());
        is_main_process(leak_below(container.pid(), 3));
        assert!(container.identity().is_some());
    }
}

fn is_main_process(pid: u32) {
    let refusal = plan(pid).refusal;
    assert!(
        matches!(refusal, Some(Refusal::MainProcess { .. })),
        "{refusal:?}"
    );
}

#[test]
fn where_nobody_would_wait_for_its_zombies_it_is_spared() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let (leak, bind) = leak(3);
    let script = format!("({leak} &); exec sleep 1000");
    let container = container(&runtime, &["sh", "-c", &script], bind);
    let holder = orphaned_leak(container.pid(), 3);
    let refusal = plan(holder).refusal;
    assert_eq!(
        refusal,
        Some(Refusal::AdopterMayNotReap {
            adopter: container.pid(),
            name: "sleep".to_owned()
        })
    );
    assert!(matches!(
        execute(&plan(holder), GRACE),
        Err(Error::Refused(_))
    ));
    assert!(identity(holder).is_some());
}

/// The kernel then waits in its place, for what it is given as well. (dash resets it at exec.)
#[test]
fn an_adopter_that_ignores_sigchld_will_do() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    if require(program("bash")).is_none() {
        return;
    }
    let (leak, bind) = leak(3);
    let script = format!("({leak} &); trap '' CHLD; exec sleep 1000");
    let container = container(&runtime, &["bash", "-c", &script], bind);
    let holder = orphaned_leak(container.pid(), 3);
    let plan = wait_until("sleep is there", || {
        let plan = plan(holder);
        plan.refusal.is_none().then_some(plan)
    });
    assert_eq!(
        plan.adopter.as_ref().unwrap().reaps_since,
        ReapsSince::IgnoresSigchld
    );
    let outcome = execute(&plan, GRACE).unwrap();
    assert_eq!((outcome.end, outcome.gone), (End::Terminated, 3));
    assert!(outcome.waited_for);
}

/// A shell that is in `wait4(-1)`; between it and the leak stands a program that is neither.
#[test]
fn an_adopter_that_is_seen_waiting_for_any_child_will_do() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    // Where the container sees it.
    let python = "/usr/bin/python3";
    if !std::path::Path::new(python).exists() || require(program("bash")).is_none() {
        println!("SKIP: no {python}, or no bash");
        return;
    }
    let (leak, bind) = leak(3);
    let script = format!(
        "{python} -c 'import subprocess as s; s.run(\"{leak}\".split()); s.run([\"sleep\", \"1000\"])'; true"
    );
    let container = container(&runtime, &["bash", "-c", &script], bind);
    let holder = leak_below(container.pid(), 3);
    let plan = plan(holder);
    assert_eq!(plan.refusal, None);
    assert_eq!(
        plan.adopter.as_ref().unwrap().reaps_since,
        ReapsSince::WaitsForAny
    );
    let outcome = execute(&plan, GRACE).unwrap();
    assert_eq!((outcome.end, outcome.gone), (End::Terminated, 3));
    // Python waited for its child.
    assert!(outcome.waited_for);
}

#[test]
fn an_adopter_that_is_stopped_will_not_do() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let Some(tini) = require(program("tini")) else {
        return;
    };
    let (leak, bind) = leak(3);
    let script = format!("({leak} &); exec sleep 1000");
    let container = container(&runtime, &[&tini, "--", "sh", "-c", &script], bind);
    let holder = orphaned_leak(container.pid(), 3);
    let signal = |signal| {
        // SAFETY: the first process of our own container.
        unsafe { libc::kill(container.pid().cast_signed(), signal) };
    };
    signal(libc::SIGSTOP);
    let refusal = wait_until("it is stopped", || plan(holder).refusal);
    let name = "tini".to_owned();
    assert_eq!(
        refusal,
        Refusal::AdopterHeldUp {
            adopter: container.pid(),
            name
        }
    );
    signal(libc::SIGCONT);
    wait_until("it goes on", || {
        plan(holder).refusal.is_none().then_some(())
    });
}

/// It bears the name of an init and leaves its zombies standing.
#[test]
fn an_adopter_that_has_zombies_of_its_own_will_not_do() {
    if require(require_root()).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let init = directory.path().join("tini");
    fs::copy(example("holder"), &init).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(&init);
    let mut first = Actor::start_command(&mut command);
    first.pid = live_children_of(first.process_id())[0];
    first.tell("zombies 2");
    first.tell("leaker 4");
    let holder = leak_below(first.pid, 4);
    let refusal = plan(holder).refusal;
    let name = "tini".to_owned();
    assert_eq!(
        refusal,
        Some(Refusal::AdopterHoldsZombies {
            adopter: first.pid,
            name,
            zombies: 2
        })
    );
}

#[test]
fn hosts_processes_protected_ones_and_those_without_zombies_are_spared() {
    let mut holder = Actor::holder();
    if plan(holder.pid).container.is_some() {
        println!("SKIP: these tests run inside a container, where no process is the host's");
        return;
    }
    assert_eq!(plan(holder.pid).refusal, Some(Refusal::HostProcess));
    let allowed = Options { allow_host: true };
    assert_eq!(
        plan_with(holder.pid, &allowed).refusal,
        Some(Refusal::NoZombies)
    );
    holder.tell("zombies 1");
    // A plan is for one process, not for a number.
    let mut other = plan(holder.pid).holder.id;
    other.start_ticks += 1;
    assert!(
        terminate::plan(&mut scanner(), other, &allowed)
            .unwrap()
            .is_none()
    );

    let directory = tempfile::tempdir().unwrap();
    let kubelet = directory.path().join("kubelet");
    fs::copy(example("holder"), &kubelet).unwrap();
    let mut kubelet = Actor::start_command(&mut Command::new(kubelet));
    kubelet.tell("zombies 1");
    let refusal = plan_with(kubelet.pid, &allowed).refusal;
    assert!(
        matches!(refusal, Some(Refusal::Protected { .. })),
        "{refusal:?}"
    );
    assert!(holder.is_well() && kubelet.is_well());
}
