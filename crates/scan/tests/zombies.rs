//! Zombies of real processes in every state that a parent can be in.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sexton_core::holder::HoldsAs;
use sexton_core::report::Exit;
use sexton_core::{Leak as Leaked, Report, State};
use sexton_lab::{Cgroup, Leak, Program, Running, Skip, require, wait_until, zombies_of};
use sexton_scan::{Options, Roots, Scanner};

fn scanner() -> Scanner {
    Scanner::new(Roots::default()).unwrap()
}

fn scan() -> Report {
    scanner().scan(&Options::default()).unwrap()
}

fn leak_of(report: Report, holder: u32) -> Option<Leaked> {
    report
        .leaks
        .into_iter()
        .find(|leak| leak.holder.id.pid == holder)
}

/// A Python program that prints a line when it is where the test wants it.
fn python(script: &str) -> Option<(Running, String)> {
    let python = Path::new("/usr/bin/python3");
    require(if python.exists() {
        Ok(())
    } else {
        Err(Skip("no /usr/bin/python3".to_owned()))
    })?;
    let prelude = "import os, sys, time, ctypes, signal, threading\nlibc = ctypes.CDLL(None)\n";
    let mut running = Running::start(
        Command::new(python)
            .arg("-c")
            .arg(format!("{prelude}{script}"))
            .stdout(Stdio::piped()),
    );
    let mut line = String::new();
    let stdout = running.child().stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    Some((running, line.trim().to_owned()))
}

#[test]
fn a_leak_of_the_host_is_told_in_full() {
    let leak = Leak::new().count(12).then_sleep().exit(3).threads(3);
    let holder = Running::start(leak.program().command().stdout(Stdio::null()));
    wait_until("twelve zombies", || {
        (zombies_of(holder.pid()).len() == 12).then_some(())
    });
    let found = leak_of(scan(), holder.pid()).unwrap();
    assert_eq!((found.zombies, found.inspected), (12, 12));
    assert_eq!(found.commands.len(), 1);
    assert_eq!(
        (found.commands[0].name.as_str(), found.commands[0].count),
        ("true", 12)
    );
    assert_eq!(found.sample.len(), 8);
    assert!(
        found
            .sample
            .iter()
            .all(|zombie| zombie.exit == Some(Exit::Code(3)))
    );
    assert!(found.ages.oldest_seconds.unwrap() < 60);
    assert_eq!(found.ages.started.last_minute, 12);
    assert!(found.container.is_none());
    assert_eq!(found.protected, None);
    let holder = found.holder;
    assert_eq!(holder.threads, 3);
    assert_eq!(
        (holder.uid, holder.namespace_init, holder.subreaper),
        (0, false, false)
    );
    assert_eq!(
        (holder.holds_as, holder.state),
        (HoldsAs::Parent, State::Sleeping)
    );
    assert!(!holder.frozen && holder.traced_by.is_none());
    let mut zombies: Vec<u32> = scanner()
        .zombies_of(holder.id)
        .unwrap()
        .iter()
        .map(|zombie| zombie.id.pid)
        .collect();
    zombies.sort_unstable();
    let mut seen = zombies_of(holder.id.pid);
    seen.sort_unstable();
    assert_eq!(zombies, seen);
}

#[test]
fn a_busy_machine_hides_no_zombie() {
    let leak = Leak::new().count(2).then_sleep();
    let holder = Running::start(leak.program().command().stdout(Stdio::null()));
    wait_until("two zombies", || {
        (zombies_of(holder.pid()).len() == 2).then_some(())
    });
    // Forks during a count stand in the lists where the zombies are missing.
    let churn: Vec<Running> = (0..3)
        .map(|_| {
            let mut shell = Command::new("sh");
            Running::start(shell.args(["-c", "while :; do (:); done"]))
        })
        .collect();
    let mut scanner = scanner();
    for round in 0..40 {
        let report = scanner.scan(&Options::default()).unwrap();
        let method = report.scan.method;
        let zombies = leak_of(report, holder.pid()).map(|leak| leak.zombies);
        assert_eq!(zombies, Some(2), "round {round}, {method:?}");
    }
    drop(churn);
}

#[test]
fn full_and_cheap_scans_agree() {
    let holder = Running::start(
        Leak::new()
            .count(30)
            .then_sleep()
            .signal(9)
            .program()
            .command()
            .stdout(Stdio::null()),
    );
    wait_until("thirty zombies", || {
        (zombies_of(holder.pid()).len() == 30).then_some(())
    });
    let full = Options {
        full: true,
        ..Options::default()
    };
    let mut cheap = leak_of(scan(), holder.pid()).unwrap();
    let full = leak_of(scanner().scan(&full).unwrap(), holder.pid()).unwrap();
    // All but how old each was at that very moment.
    cheap.ages.starts = full.ages.starts.clone();
    assert_eq!(cheap, full);
    assert_eq!(full.sample[0].exit, Some(Exit::Signal(9)));
}

#[test]
fn a_zombie_that_is_waited_for_soon_is_not_reported() {
    // There mostly is one when looked at, and never the same for more than 10 ms of its time.
    let Some((holder, _)) = python(
        "print('on', flush=True)\nwhile True:\n pid = os.fork()\n if pid == 0: os._exit(0)\n time.sleep(0.01)\n os.waitpid(pid, 0)\n",
    ) else {
        return;
    };
    let options = Options {
        second_look: Duration::from_millis(500),
        ..Options::default()
    };
    for full in [false, true] {
        for _ in 0..3 {
            let options = Options {
                full,
                ..options.clone()
            };
            let report = scanner().scan(&options).unwrap();
            assert_eq!(leak_of(report, holder.pid()), None, "full: {full}");
        }
    }
}

#[test]
fn a_leader_that_ended_before_its_threads_is_no_zombie_but_can_hold_some() {
    // 60 and 93: exit of the calling thread alone on x86-64 and on aarch64.
    let Some((parent, line)) = python(
        "
pid = os.fork()
if pid == 0:
    def rest():
        time.sleep(0.2)
        for _ in range(3):
            if os.fork() == 0: os._exit(5)
        time.sleep(0.2)
        print(os.getpid(), flush=True)
        time.sleep(600)
    threading.Thread(target=rest).start()
    libc.syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
time.sleep(600)
",
    ) else {
        return;
    };
    let leader: u32 = line.parse().unwrap();
    let _killed = Killed(leader);
    for full in [false, true] {
        let options = Options {
            full,
            ..Options::default()
        };
        let report = scanner().scan(&options).unwrap();
        assert_eq!(leak_of(report.clone(), parent.pid()), None, "full: {full}");
        let leak = leak_of(report, leader).unwrap();
        assert_eq!(leak.zombies, 3);
        // The leader shows no arguments any more; its threads do.
        assert_eq!(leak.holder.command_line[0], "/usr/bin/python3");
        assert!(leak.holder.executable.is_some());
        assert_eq!((leak.holder.state, leak.holder.threads), (State::Zombie, 2));
    }
    assert!(
        scanner()
            .zombies_of(scanner().holder(parent.pid()).unwrap().unwrap().id)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_adopted_orphan_gives_its_subreaper_away() {
    // A shell's child in a session of its own dies, and leaves its child to the subreaper (36:
    // PR_SET_CHILD_SUBREAPER).
    let Some((holder, _)) = python(
        "
libc.prctl(36, 1, 0, 0, 0)
first = os.fork()
if first == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.2)
        os._exit(0)
    os._exit(0)
os.waitpid(first, 0)
time.sleep(0.5)
print('on', flush=True)
time.sleep(600)
",
    ) else {
        return;
    };
    let leak = leak_of(scan(), holder.pid()).unwrap();
    assert_eq!(leak.zombies, 1);
    assert!(leak.holder.subreaper);
}

#[test]
fn a_tracer_holds_the_zombies_that_it_traces() {
    // 16: PTRACE_ATTACH. The child of the parent is traced by another, which never waits again.
    let Some((parent, line)) = python(
        "
child = os.fork()
if child == 0:
    time.sleep(600)
tracer = os.fork()
if tracer == 0:
    libc.ptrace(16, child, 0, 0)
    os.waitpid(child, 0x40000000)
    os.kill(child, signal.SIGKILL)
    time.sleep(0.3)
    print(tracer or os.getpid(), child, flush=True)
    time.sleep(600)
time.sleep(600)
",
    ) else {
        return;
    };
    let (tracer, child) = line.split_once(' ').unwrap();
    let (tracer, child): (u32, u32) = (tracer.parse().unwrap(), child.parse().unwrap());
    let _killed = Killed(tracer);
    let report = scan();
    assert_eq!(leak_of(report.clone(), parent.pid()), None);
    let leak = leak_of(report, tracer).unwrap();
    assert_eq!((leak.zombies, leak.holder.holds_as), (1, HoldsAs::Tracer));
    assert_eq!(leak.sample[0].id.pid, child);
    let mut scanner = scanner();
    assert_eq!(
        scanner.zombies_traced_by(leak.holder.id).unwrap(),
        leak.sample
    );
    let parent = scanner.holder(parent.pid()).unwrap().unwrap();
    assert!(scanner.zombies_of(parent.id).unwrap().is_empty());
}

#[test]
fn odd_names_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some((holder, _)) = python(&format!(
        "
import shutil
for name in [b'a) Z 1 (b', b'new\\nline', b'\\xff\\xfe', b'\\x1b[31mred', b' ']:
    path = b'{}/' + name
    shutil.copy('/bin/true', path)
    os.spawnv(os.P_NOWAIT, path, [path])
time.sleep(0.3)
print('on', flush=True)
time.sleep(600)
",
        dir.path().display()
    )) else {
        return;
    };
    let leak = leak_of(scan(), holder.pid()).unwrap();
    let names: Vec<&str> = leak.commands.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "\u{1b}[31mred",
            " ",
            "a) Z 1 (b",
            "new\nline",
            "\u{fffd}\u{fffd}"
        ]
    );
}

#[test]
fn stopped_and_frozen_holders_are_told() {
    let leak = Leak::new().count(2).then_sleep();
    let stopped = Running::start(leak.program().command().stdout(Stdio::null()));
    wait_until("two zombies", || {
        (zombies_of(stopped.pid()).len() == 2).then_some(())
    });
    signal("STOP", stopped.pid());
    let state = wait_until("it is stopped", || {
        let state = leak_of(scan(), stopped.pid())?.holder.state;
        (state != State::Sleeping).then_some(state)
    });
    assert_eq!(state, State::Stopped);

    let Some(cgroup) = require(Cgroup::new("frozen")) else {
        return;
    };
    let Program { argv, .. } = leak.program();
    let frozen = Running::start(
        cgroup
            .command(&argv[0])
            .args(&argv[1..])
            .stdout(Stdio::null()),
    );
    wait_until("two zombies", || {
        (zombies_of(frozen.pid()).len() == 2).then_some(())
    });
    assert!(!leak_of(scan(), frozen.pid()).unwrap().holder.frozen);
    let unified = sexton_lab::Hierarchies::find().unwrap().unified;
    let freeze = unified.map(|root| root.join(&cgroup.path()[1..]).join("cgroup.freeze"));
    let Some(freeze) = freeze.filter(|path| path.exists()) else {
        println!("SKIP: no unified hierarchy with a freezer");
        return;
    };
    std::fs::write(&freeze, "1").unwrap();
    wait_until("it is frozen", || {
        leak_of(scan(), frozen.pid())?.holder.frozen.then_some(())
    });
    std::fs::write(&freeze, "0").unwrap();
}

#[test]
fn a_parent_outside_the_cgroup_is_found() {
    let Some(cgroup) = require(Cgroup::new("outside")) else {
        return;
    };
    // This test is the parent, and waits only when it is done.
    let child = Running::start(&mut cgroup.command("/bin/true"));
    let own = std::process::id();
    wait_until("it has ended", || {
        zombies_of(own).contains(&child.pid()).then_some(())
    });
    let leak = leak_of(scan(), own).unwrap();
    assert!(leak.zombies >= 1);
    assert_eq!(leak.protected.as_deref(), Some("Sexton itself"));
}

#[test]
fn a_pid_namespace_without_a_cgroup_is_a_container_of_its_own() {
    let leak = Leak::new().count(3).then_sleep().program();
    let unshare = Running::start(
        Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--"])
            .args(&leak.argv)
            .stdout(Stdio::null()),
    );
    let found = wait_until("its child leaks, or it has failed", || {
        let ended = zombies_of(std::process::id()).contains(&unshare.pid());
        let leak = scan()
            .leaks
            .into_iter()
            .find(|leak| leak.holder.parent_pid == unshare.pid() && leak.zombies == 3);
        (ended || leak.is_some()).then_some(leak)
    });
    let Some(leak) = found else {
        println!("SKIP: unshare --pid does not work here");
        return;
    };
    let container = leak.container.unwrap();
    let namespace = leak.holder.pid_namespace.unwrap();
    assert_eq!(container.id, format!("pidns:{namespace}"));
    assert!(leak.holder.namespace_init);
    assert_eq!(leak.holder.inner_pid(), 1);
}

#[test]
fn a_user_without_privileges_sees_what_may_be_seen() {
    let Some(()) = require(sexton_lab::require_root()) else {
        return;
    };
    let holder = Running::start(
        Leak::new()
            .count(4)
            .then_sleep()
            .exit(2)
            .program()
            .command()
            .stdout(Stdio::null()),
    );
    wait_until("four zombies", || {
        (zombies_of(holder.pid()).len() == 4).then_some(())
    });
    let Some(report) = require(scan_as_nobody(None)) else {
        return;
    };
    let leak = leak_of(report, holder.pid()).unwrap();
    assert_eq!(leak.zombies, 4);
    assert_eq!(leak.holder.executable, None);
    assert_eq!(leak.holder.pid_namespace, None);
    assert!(leak.container.is_none());
    // The kernel shows others a 0 for the exit status of root's process.
    assert_eq!(leak.sample[0].exit, None);

    // The same with hidepid: nothing to be seen, and the report says so.
    let Some(report) = require(scan_as_nobody(Some("hidepid=2"))) else {
        return;
    };
    assert_eq!(leak_of(report.clone(), holder.pid()), None);
    let notes = report.notes.join("\n");
    assert!(
        notes.contains("hidepid") && notes.contains("run as root"),
        "{notes}"
    );
}

/// This test binary again as another user, on a `/proc` mounted with an option.
fn scan_as_nobody(option: Option<&str>) -> Result<Report, Skip> {
    let dir = tempfile::tempdir().unwrap();
    let proc = match option {
        Some(_) => dir.path().join("proc"),
        None => "/proc".into(),
    };
    let mount = option.map_or(String::new(), |option| {
        format!(
            "mkdir {0} && chmod 755 {0}/.. && mount -t proc -o {option} proc {0} && ",
            proc.display()
        )
    });
    let exe = dir.path().join("sexton-test-nobody");
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), permissions).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!(
            "{mount} exec setpriv --reuid 65534 --regid 65534 --clear-groups -- {} --ignored --exact print_a_scan --nocapture",
            exe.display()
        ))
        .env("SEXTON_TEST_PROC", &proc)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text
        .lines()
        .find_map(|line| line.split_once("REPORT ")?.1.into());
    json.map(|json: &str| serde_json::from_str(json).unwrap())
        .ok_or_else(|| {
            Skip(format!(
                "cannot scan as another user: {text} {}",
                String::from_utf8_lossy(&output.stderr)
            ))
        })
}

/// Not a test: what [`scan_as_nobody`] runs.
#[test]
#[ignore = "run by another test"]
fn print_a_scan() {
    let roots = Roots {
        proc: std::env::var_os("SEXTON_TEST_PROC").unwrap().into(),
        ..Roots::default()
    };
    let report = Scanner::new(roots).unwrap().scan(&Options::default());
    println!(
        "REPORT {}",
        serde_json::to_string(&report.unwrap()).unwrap()
    );
}

#[test]
fn a_thousand_and_more_are_counted_exactly() {
    let _alone = sexton_lab::storm_lock();
    let holder = Running::start(
        Leak::new()
            .count(1_300)
            .then_sleep()
            .program()
            .command()
            .stdout(Stdio::null()),
    );
    wait_until("all zombies", || {
        (zombies_of(holder.pid()).len() == 1_300).then_some(())
    });
    let leak = leak_of(scan(), holder.pid()).unwrap();
    assert_eq!((leak.zombies, leak.inspected), (1_300, 1_024));
    assert_eq!(
        leak.commands
            .iter()
            .map(|command| command.count)
            .sum::<u64>(),
        1_300
    );
    assert_eq!(scanner().zombies_of(leak.holder.id).unwrap().len(), 1_300);
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// A grandchild, which dies with the test.
struct Killed(u32);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-s", "KILL", &self.0.to_string()])
            .status();
    }
}
