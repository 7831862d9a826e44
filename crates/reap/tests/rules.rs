//! Each rule of safety, by a target that would come to harm, or a zombie that would be taken,
//! without it.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that panics fails the test"
)]

mod actors;

use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use actors::{Actor, Dice, example, zombies_of};
use sexton_core::ProcessId;
use sexton_reap::{End, Error, LeftBecause, Nudge, Options, Plan, ReapOutcome, Refusal, Trace};
use sexton_scan::{Roots, Scanner};

/// Everything allowed.
fn all() -> Options {
    Options {
        settle: Duration::ZERO,
        allow_host: true,
        ..Options::default()
    }
}

fn plan(pid: u32, options: &Options) -> Plan {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let id = scanner.holder(pid).unwrap().unwrap().id;
    sexton_reap::plan(&mut scanner, id, options)
        .unwrap()
        .unwrap()
}

fn execute(plan: &Plan) -> Result<ReapOutcome, Error> {
    let scanner = Scanner::new(Roots::default()).unwrap();
    sexton_reap::execute(scanner.proc(), plan, |_| ControlFlow::Continue(()))
}

fn reap(pid: u32) -> ReapOutcome {
    execute(&plan(pid, &all())).unwrap()
}

/// The holder still does what it is told, which a broken one would not.
fn is_whole(holder: &mut Actor) {
    assert_eq!(holder.tell("zombies 1"), "done");
    assert!(!zombies_of(holder.pid).is_empty());
}

#[test]
fn exit_statuses_are_told_and_the_holder_goes_on() {
    let mut holder = Actor::holder();
    holder.tell("zombies 7");
    let outcome = reap(holder.pid);
    assert_eq!((outcome.taken, outcome.end), (7, End::Complete));
    // Marked where only a tracer may write there (PROC_MEM_FORCE_PTRACE).
    assert_ne!(outcome.trace, Trace::Untouched);
    let statuses: Vec<_> = outcome
        .statuses
        .iter()
        .map(|status| (status.command.as_str(), status.exit, status.count))
        .collect();
    use sexton_core::report::Exit::Code;
    assert_eq!(
        statuses,
        [
            ("holder", Some(Code(0)), 3),
            ("holder", Some(Code(1)), 2),
            ("holder", Some(Code(2)), 2)
        ]
    );
    assert_eq!(holder.tell("left"), "0");
    is_whole(&mut holder);
}

#[test]
fn a_process_of_the_host_needs_an_explicit_allow() {
    let mut holder = Actor::holder();
    holder.tell("zombies 2");
    let options = Options {
        allow_host: false,
        ..all()
    };
    let plan = plan(holder.pid, &options);
    if plan.container.is_some() {
        println!("SKIP: these tests run inside a container, where no process is the host's");
        return;
    }
    assert_eq!(plan.refusal, Some(Refusal::HostProcess));
    assert_eq!(
        plan.refusal.as_ref().unwrap().overridden_by(),
        Some("--allow-host")
    );
    assert!(matches!(
        execute(&plan),
        Err(Error::Refused(Refusal::HostProcess))
    ));
    assert_eq!(zombies_of(holder.pid).len(), 2);
}

#[test]
fn a_protected_process_is_never_touched_whatever_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let shim = directory.path().join("containerd-shim-runc-v2");
    fs::copy(example("holder"), &shim).unwrap();
    let mut holder = Actor::start_command(&mut Command::new(&shim));
    holder.tell("zombies 2");
    let plan = plan(holder.pid, &all());
    let Some(refusal @ Refusal::Protected { .. }) = &plan.refusal else {
        panic!("{:?}", plan.refusal);
    };
    assert_eq!(refusal.overridden_by(), None);
    assert!(matches!(execute(&plan), Err(Error::Refused(_))));
    assert_eq!(zombies_of(holder.pid).len(), 2);
    // Nor are we ourselves, nor PID 1.
    for pid in [std::process::id(), 1] {
        let refusal = self::plan(pid, &all()).refusal;
        assert!(
            matches!(refusal, Some(Refusal::Protected { .. })),
            "{refusal:?}"
        );
    }
}

#[test]
fn the_young_are_left() {
    let mut holder = Actor::holder();
    holder.tell("zombies 3");
    let options = Options {
        settle: Duration::from_secs(60),
        ..all()
    };
    let plan = plan(holder.pid, &options);
    assert_eq!(plan.refusal, None);
    assert!(plan.take.is_empty());
    assert_eq!(plan.left[0].because, LeftBecause::Young { seconds: 60 });
    assert_eq!(plan.left[0].count, 3);
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.visits), (0, 0));
    assert_eq!(outcome.trace, Trace::Untouched);
    assert_eq!(zombies_of(holder.pid).len(), 3);
}

/// A pid that belongs to another zombie of the same holder by the time we act.
#[test]
fn a_reused_pid_is_not_taken_for_its_predecessor() {
    let mut holder = Actor::holder();
    holder.tell("zombies 3");
    let plan = plan(holder.pid, &all());
    holder.tell("reuse");
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.gone), (2, 1), "{outcome:?}");
    assert_eq!(zombies_of(holder.pid), [plan.take[2].id.pid]);
    is_whole(&mut holder);
}

#[test]
fn a_holder_is_its_start_time_too() {
    let holder = Actor::holder();
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let id = scanner.holder(holder.pid).unwrap().unwrap().id;
    let other = ProcessId {
        start_ticks: id.start_ticks + 1,
        ..id
    };
    assert!(
        sexton_reap::plan(&mut scanner, other, &all())
            .unwrap()
            .is_none()
    );
    // A plan for one that is another by the time we act.
    let mut plan = plan(holder.pid, &all());
    plan.holder.id = other;
    assert!(matches!(execute(&plan), Err(Error::Refused(Refusal::Gone))));
}

#[test]
fn zombies_in_a_namespace_below_are_named_as_their_holder_knows_them() {
    let mut holder = Actor::holder();
    if !is_root() {
        println!("SKIP: PID namespaces need root");
        return;
    }
    holder.tell("zombies 2");
    holder.tell("deep");
    let plan = plan(holder.pid, &all());
    let deep = &plan.take[2];
    assert_eq!(
        deep.ns_pids.last(),
        Some(&1),
        "it was PID 1 of its own namespace"
    );
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.left.len()), (3, 0), "{outcome:?}");
    assert_eq!(holder.tell("left"), "0");
}

/// Two namespaces down, and from there another one for the zombie.
#[test]
fn a_holder_two_namespaces_down_is_reaped() {
    if !is_root() {
        println!("SKIP: PID namespaces need root");
        return;
    }
    let unshare = ["unshare", "--pid", "--fork", "--kill-child"];
    let mut command = Command::new(unshare[0]);
    command
        .args(&unshare[1..])
        .args(unshare)
        .arg(example("holder"));
    let mut holder = Actor::start_command(&mut command);
    // It speaks of itself as PID 1.
    let inner = holder.pid;
    assert_eq!(inner, 1);
    holder.pid = only_leaf_below(holder.process_id());
    holder.tell("zombies 5");
    holder.tell("deep");
    let plan = plan(
        holder.pid,
        &Options {
            allow_host: false,
            ..all()
        },
    );
    assert_eq!(
        plan.refusal, None,
        "its own PID namespace makes it a container"
    );
    assert_eq!(plan.holder.ns_pids.len(), 3);
    assert_eq!(plan.take[5].ns_pids.len(), 4);
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.left.len()), (6, 0), "{outcome:?}");
    assert_eq!(holder.tell("left"), "0");
}

#[test]
fn false_zombies_and_traced_ones_are_left() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    holder.tell("leaderless");
    holder.tell("traced");
    let plan = plan(holder.pid, &all());
    assert_eq!(plan.take.len(), 1);
    let reasons: Vec<_> = plan.left.iter().map(|left| &left.because).collect();
    assert!(
        matches!(
            reasons[..],
            [LeftBecause::LiveThreads, LeftBecause::Traced { .. }]
        ),
        "{reasons:?}"
    );
    assert_eq!(execute(&plan).unwrap().taken, 1);
    for child in fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.pid))
        .unwrap()
        .split_whitespace()
    {
        // SAFETY: children of our own holder, which sleep for long.
        unsafe { libc::kill(child.parse().unwrap(), libc::SIGKILL) };
    }
}

#[test]
fn a_stopped_holder_is_refused_and_so_is_a_traced_one() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    let pid = holder.pid.cast_signed();
    // SAFETY: our own child.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    await_state(holder.pid, 'T');
    assert_eq!(plan(holder.pid, &all()).refusal, Some(Refusal::Stopped));
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    await_state(holder.pid, 'S');
    // SAFETY: our own child; it goes on when we let it go.
    unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
    let refusal = plan(holder.pid, &all()).refusal;
    // `TracerPid` is the thread that traces.
    let matched = matches!(refusal, Some(Refusal::TracedByAnother { .. }));
    assert!(matched, "{refusal:?}");
    drop(holder);
}

/// Stopped between plan and act.
#[test]
fn a_holder_that_is_stopped_in_the_middle_stays_stopped() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    let plan = plan(holder.pid, &all());
    // SAFETY: our own child.
    unsafe { libc::kill(holder.pid.cast_signed(), libc::SIGSTOP) };
    await_state(holder.pid, 'T');
    let outcome = execute(&plan).unwrap();
    assert_eq!(outcome.end, End::HolderStopped, "{outcome:?}");
    assert_eq!(outcome.taken, 0);
    await_state(holder.pid, 'T');
    // SAFETY: as above.
    unsafe { libc::kill(holder.pid.cast_signed(), libc::SIGCONT) };
    is_whole(&mut holder);
}

#[test]
fn an_uninterruptible_holder_is_refused() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    assert_eq!(holder.tell("vfork"), "sleeping");
    await_state(holder.pid, 'D');
    assert_eq!(
        plan(holder.pid, &all()).refusal,
        Some(Refusal::Uninterruptible)
    );
    assert_eq!(holder.hear(), "done");
    is_whole(&mut holder);
}

#[test]
fn a_frozen_holder_is_refused() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    let root = Path::new("/sys/fs/cgroup/freezer");
    let Some(cgroup) = Cgroup::new(root, "sexton-test-frozen") else {
        println!("SKIP: no v1 freezer to make a cgroup in");
        return;
    };
    cgroup.write("cgroup.procs", &holder.pid.to_string());
    cgroup.write("freezer.state", "FROZEN");
    let deadline = Instant::now() + Duration::from_secs(5);
    while cgroup.read("freezer.state").trim() != "FROZEN" {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(plan(holder.pid, &all()).refusal, Some(Refusal::Frozen));
    cgroup.write("freezer.state", "THAWED");
    assert_eq!(reap(holder.pid).taken, 1);
    fs::write(root.join("cgroup.procs"), holder.pid.to_string()).unwrap();
}

#[test]
fn a_filter_of_its_own_is_a_reason_to_refuse() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    holder.tell("seccomp");
    let refused = plan(holder.pid, &all());
    let Some(refusal @ Refusal::Seccomp { .. }) = refused.refusal else {
        panic!("{:?}", refused.refusal);
    };
    assert_eq!(refusal.overridden_by(), Some("--ignore-seccomp"));
    let options = Options {
        ignore_seccomp: true,
        ..all()
    };
    assert_eq!(execute(&plan(holder.pid, &options)).unwrap().taken, 1);
}

#[test]
fn a_handler_is_nudged_before_anything_is_borrowed() {
    let mut holder = Actor::holder();
    holder.tell("zombies 4");
    assert_eq!(plan(holder.pid, &all()).nudge, Nudge::NoHandler);
    holder.tell("handler");
    let plan = plan(holder.pid, &all());
    assert_eq!((plan.nudge, plan.take.len()), (Nudge::MayHelp, 4));
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.nudged, outcome.taken, outcome.visits), (4, 0, 0));
}

/// What another tool has put into the tail is left there.
#[test]
fn a_tail_that_is_not_empty_is_left_alone() {
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    let maps = fs::read_to_string(format!("/proc/{}/maps", holder.pid)).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let end = line.split(['-', ' ']).nth(1).unwrap();
    let end = u64::from_str_radix(end, 16).unwrap();
    let memory = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{}/mem", holder.pid))
        .unwrap();
    if memory.write_all_at(b"x", end - 1).is_err() {
        println!("SKIP: this kernel lets only a tracer write there");
        return;
    }
    assert_eq!(plan(holder.pid, &all()).refusal, Some(Refusal::TailTaken));
    memory.write_all_at(b"\0", end - 1).unwrap();
    assert_eq!(reap(holder.pid).taken, 1);
}

#[test]
fn without_permission_nothing_is_done_and_the_capability_is_named() {
    if !is_root() {
        println!("SKIP: only root can become another user");
        return;
    }
    let mut holder = Actor::holder();
    holder.tell("zombies 1");
    // Where everybody may run it.
    let directory = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let reaper = directory.path().join("reaper");
    fs::copy(example("reaper"), &reaper).unwrap();
    let output = Command::new(reaper)
        .arg(holder.pid.to_string())
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("CAP_SYS_PTRACE"), "{said}");
    assert_eq!(zombies_of(holder.pid).len(), 1);
}

/// Neither of them can fork any more, and reaping needs no fork.
#[test]
fn it_works_at_the_very_limit_with_the_reaper_in_it() {
    let root = Path::new("/sys/fs/cgroup/pids");
    let Some(cgroup) = Cgroup::new(root, "sexton-test-limit") else {
        println!("SKIP: no v1 pids controller to make a cgroup in");
        return;
    };
    let mut holder = Actor::holder();
    cgroup.write("cgroup.procs", &holder.pid.to_string());
    holder.tell("zombies 20");
    // Attaching is always allowed, so nobody below gets another process or thread.
    cgroup.write("pids.max", "1");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "echo $$ > {} && exec {} {}",
            cgroup.0.join("cgroup.procs").display(),
            example("reaper").display(),
            holder.pid
        ))
        .output()
        .unwrap();
    let outcome: ReapOutcome = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(outcome.taken, 20);
    cgroup.write("pids.max", "max");
    is_whole(&mut holder);
    drop(holder);
}

/// Plan, then execve, then act: the zombies are still its children, and the new program has a
/// tail of its own.
#[test]
fn a_holder_that_became_another_program_is_reaped_as_that() {
    let mut holder = Actor::holder();
    holder.tell("zombies 3");
    let plan = plan(holder.pid, &all());
    assert_eq!(holder.tell("exec"), holder.pid.to_string());
    let outcome = execute(&plan).unwrap();
    assert_eq!((outcome.taken, outcome.end), (3, End::Complete));
    is_whole(&mut holder);
}

/// Killed at random moments of a reap: an outcome, never an error or a hang.
#[test]
fn a_holder_may_end_in_the_middle() {
    let mut dice = Dice::new(11);
    let mut ended = 0;
    for _ in 0..15 {
        let mut holder = Actor::holder();
        holder.tell("zombies 150");
        let plan = plan(holder.pid, &all());
        let pid = holder.pid.cast_signed();
        let wait = Duration::from_micros(dice.below(2_500));
        let killer = thread::spawn(move || {
            thread::sleep(wait);
            // SAFETY: our own child, which is not waited for before this.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        });
        match execute(&plan) {
            Ok(outcome) => ended += u32::from(outcome.end != End::Complete),
            Err(Error::Refused(Refusal::Gone | Refusal::HolderIsZombie)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
        killer.join().unwrap();
    }
    println!("{ended} of 15 ended in the middle");
}

/// It execs over and over while it is reaped.
#[test]
fn a_holder_may_replace_its_program_in_the_middle() {
    for _ in 0..10 {
        let mut holder = Actor::holder();
        holder.tell("zombies 150");
        let plan = plan(holder.pid, &all());
        let executing = thread::spawn(move || execute(&plan));
        for _ in 0..20 {
            assert_eq!(holder.tell("exec"), holder.pid.to_string());
        }
        let outcome = executing.join().unwrap().unwrap();
        assert!(
            matches!(
                outcome.end,
                End::Complete | End::HolderReplaced | End::NoThread { .. }
            ),
            "{outcome:?}"
        );
        is_whole(&mut holder);
    }
}

/// Between two visits: what was taken is told, and so is what was not.
#[test]
fn it_can_be_called_off_between_two_visits() {
    let mut holder = Actor::holder();
    holder.tell("zombies 400");
    let plan = plan(holder.pid, &all());
    let scanner = Scanner::new(Roots::default()).unwrap();
    let outcome = sexton_reap::execute(scanner.proc(), &plan, |at| match at.visits {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    })
    .unwrap();
    assert_eq!(outcome.end, End::CalledOff);
    assert_eq!(outcome.visits, 1);
    let left: u64 = outcome.left.iter().map(|left| left.count).sum();
    assert_eq!(outcome.taken + left, 400);
    assert_eq!(zombies_of(holder.pid).len() as u64, left);
    assert_ne!(outcome.trace, Trace::Untouched);
    is_whole(&mut holder);
}

/// While it waits for a thread that sleeps, which it would do for ten seconds.
#[test]
fn it_can_be_called_off_while_it_waits() {
    let mut holder = Actor::holder();
    holder.tell("zombies 3");
    let plan = plan(holder.pid, &all());
    assert_eq!(holder.tell("spin"), "spinning");
    let scanner = Scanner::new(Roots::default()).unwrap();
    let mut asked = 0;
    let outcome = sexton_reap::execute(scanner.proc(), &plan, |_| {
        asked += 1;
        match asked {
            0..5 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })
    .unwrap();
    assert_eq!(
        (outcome.end, asked, outcome.trace),
        (End::CalledOff, 5, Trace::Untouched)
    );
    assert_eq!(zombies_of(holder.pid).len(), 3);
}

/// A visit in the middle of a long `epoll_wait` would begin its timeout anew.
#[test]
fn a_long_timeout_is_not_lengthened() {
    let mut actor = Actor::start(&["epoll_long", "zombies=30"]);
    actor.await_zombies(30);
    let mut dice = Dice::new(5);
    let mut complete = 0;
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(dice.below(400)));
        // On a machine that is busy enough no moment is fresh enough; then nothing is done.
        match reap(actor.pid).end {
            End::Complete => complete += 1,
            End::NoThread { .. } => {}
            end => panic!("{end}"),
        }
        assert!(actor.is_well());
    }
    actor.end();
    assert!(complete > 0);
}

fn is_root() -> bool {
    // SAFETY: always succeeds.
    unsafe { libc::geteuid() == 0 }
}

fn await_state(pid: u32, state: char) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(") ").next().unwrap().starts_with(state) {
            return;
        }
        assert!(Instant::now() < deadline, "not {state}: {stat}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Follows only children down.
fn only_leaf_below(mut pid: u32) -> u32 {
    loop {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        match children.split_whitespace().next() {
            Some(child) => pid = child.parse().unwrap(),
            None => return pid,
        }
    }
}

/// A cgroup of the test's own, removed in the end.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(root: &Path, name: &str) -> Option<Self> {
        let path = root.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Some(Self(path)),
            Err(_) => None,
        }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    fn write(&self, file: &str, what: &str) {
        fs::write(self.0.join(file), what).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("pids.max"), "max");
        for pid in fs::read_to_string(self.0.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
        {
            if let Some(root) = self.0.parent() {
                let _ = fs::write(root.join("cgroup.procs"), pid);
            }
        }
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn of_one_zombie_that_was_named_nothing_is_said_of_the_others() {
    let mut holder = Actor::holder();
    holder.tell("zombies 5");
    let named = zombies_of(holder.pid)[2];
    let young = Options {
        settle: Duration::from_secs(60),
        only: Some(named),
        ..all()
    };
    let plan = plan(holder.pid, &young);
    assert_eq!(plan.take, []);
    assert_eq!(plan.left.iter().map(|left| left.count).sum::<u64>(), 1);
    let plan = self::plan(
        holder.pid,
        &Options {
            only: Some(named),
            ..all()
        },
    );
    assert_eq!(execute(&plan).unwrap().taken, 1);
    assert_eq!(zombies_of(holder.pid).len(), 4);
}

/// The kernel gives a traced zombie to its tracer first (`wait_consider_task`, `kernel/exit.c`).
#[test]
fn zombies_that_a_tracer_holds_are_left_to_it() {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/causes/trace.py");
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let tracer = Command::new("python3")
        .args([
            &trace,
            Path::new("hold"),
            Path::new(&child.id().to_string()),
        ])
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut tracer) = tracer else {
        println!("SKIP: python3 is not installed");
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    };
    let mut said = String::new();
    io::BufRead::read_line(
        &mut io::BufReader::new(tracer.stdout.take().unwrap()),
        &mut said,
    )
    .unwrap();
    child.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut refusal = None;
    // The child takes a moment to end.
    while refusal.is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
        refusal = plan(tracer.id(), &all()).refusal;
    }
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    child.wait().unwrap();
    assert_eq!(said.trim(), "traced");
    assert_eq!(refusal, Some(Refusal::HeldAsTracer));
}
