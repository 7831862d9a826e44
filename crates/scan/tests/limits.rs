//! Limits against the kernel: where the headroom is 0, fork must fail, and where it is not, it
//! must not.
//!
//! The actors are Python, which forks when told to and says what the kernel answered.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use sexton_core::{Limit, LimitKind};
use sexton_scan::{Hierarchies, Roots, Scanner, limits};

const ACTOR: &str = r#"
import ctypes, errno, os, resource, sys
def zombies(count):
    for made in range(count):
        try: pid = os.fork()
        except OSError as e: return f"{made} {errno.errorcode[e.errno]}"
        if pid == 0: os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return f"{count} ok"
def fork():
    try: pid = os.fork()
    except OSError as e: return errno.errorcode[e.errno]
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
    return "ok"
def nproc(count):
    resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
    return "ok"
def become(uid):
    os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    return "ok"
def userns():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
        return errno.errorcode[ctypes.get_errno()]
    return "ok"
for line in sys.stdin:
    name, *arguments = line.split()
    print(globals()[name](*map(int, arguments)), flush=True)
"#;

/// A process that does as it is told, and ends with the test.
struct Actor {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Actor {
    fn start() -> Self {
        Self::start_under(&[])
    }

    /// `wrapper` is a program and its arguments that execs what follows.
    fn start_under(wrapper: &[&str]) -> Self {
        let line: Vec<&str> = [wrapper, &["python3", "-c", ACTOR]].concat();
        let mut child = Command::new(line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cgroup of the hierarchy that counts pids; removed with its children at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let hierarchies = Hierarchies::detect(Path::new("/sys/fs/cgroup"));
        let root = hierarchies.v1("pids").or_else(|| {
            hierarchies.unified().filter(|root| {
                fs::read_to_string(root.join("cgroup.subtree_control"))
                    .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "pids"))
            })
        })?;
        let path = root.join(format!("sexton-test-limits-{}-{name}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn child(&self, name: &str) -> Self {
        // Needed on v2 and absent on v1.
        let _ = fs::write(self.0.join("cgroup.subtree_control"), "+pids");
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn allow(&self, tasks: u64) {
        fs::write(self.0.join("pids.max"), tasks.to_string()).unwrap();
    }

    fn take_in(&self, actor: &Actor) {
        fs::write(self.0.join("cgroup.procs"), actor.pid().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was killed a moment ago is charged until its last thread is gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        eprintln!("could not remove {}", self.0.display());
    }
}

fn limits_of(pid: u32) -> Vec<Limit> {
    let scanner = Scanner::new(Roots::default()).unwrap();
    limits::of_process(&scanner, pid).unwrap().unwrap()
}

fn first(limits: &[Limit]) -> &Limit {
    limits.iter().find(|limit| limit.first).unwrap()
}

fn nproc(pid: u32) -> Limit {
    let mut limits = limits_of(pid);
    limits.retain(|limit| limit.kind == LimitKind::Nproc);
    limits.pop().unwrap()
}

/// Why a test cannot run here.
fn missing(needs_cgroup: bool) -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root");
    }
    if Command::new("python3").arg("-V").output().is_err() {
        return Some("no python3");
    }
    if needs_cgroup && Cgroup::new("probe").is_none() {
        return Some("no pids controller that lets us make a cgroup");
    }
    None
}

macro_rules! skip_unless_possible {
    ($needs_cgroup:expr) => {
        if let Some(reason) = missing($needs_cgroup) {
            println!("SKIP: {reason}");
            return;
        }
    };
}

/// One pass for many says of each what a look at that one alone says, as far as it is about
/// which limit zombies reach first.
#[test]
fn one_pass_names_the_same_limit() {
    skip_unless_possible!(true);
    let cgroup = Cgroup::new("pass").unwrap();
    cgroup.allow(60);
    let mut near = Actor::start();
    cgroup.take_in(&near);
    assert_eq!(near.ask("zombies 20"), "20 ok");
    let mut bound = Actor::start();
    cgroup.take_in(&bound);
    // His own limit is the nearer one.
    assert_eq!(bound.ask("nproc 9"), "ok");
    assert_eq!(bound.ask("become 64247"), "ok");
    assert_eq!(bound.ask("zombies 3"), "3 ok");
    let host = Actor::start();

    let scanner = Scanner::new(Roots::default()).unwrap();
    let node = limits::of_node(&scanner, None);
    let pass = limits::Pass::new(&scanner, &node);
    for (actor, kind) in [
        (&near, Some(LimitKind::CgroupPids)),
        (&bound, Some(LimitKind::Nproc)),
        // pid_max or threads-max, by the machine; its tasks come and go.
        (&host, None),
    ] {
        let shared = pass.of(actor.pid()).unwrap().unwrap();
        let alone = limits_of(actor.pid());
        let (shared, alone) = (first(&shared), first(&alone));
        assert_eq!((shared.kind, &shared.scope), (alone.kind, &alone.scope));
        if let Some(kind) = kind {
            // Who fills it is told only where one is asked about.
            let alone = sexton_core::Limit {
                users: vec![],
                ..alone.clone()
            };
            assert_eq!(*shared, alone);
            assert_eq!(shared.kind, kind);
        }
    }
    assert!(pass.of(4_194_305).unwrap().is_none());
}

#[test]
fn a_cgroup_full_of_zombies() {
    skip_unless_possible!(true);
    let cgroup = Cgroup::new("full").unwrap();
    cgroup.allow(50);
    let mut actor = Actor::start();
    cgroup.take_in(&actor);

    assert_eq!(actor.ask("zombies 48"), "48 ok");
    let limits = limits_of(actor.pid());
    let level = first(&limits);
    assert_eq!(level.kind, LimitKind::CgroupPids);
    assert_eq!(
        level.scope,
        format!("cgroup /{}", cgroup.0.file_name().unwrap().display())
    );
    assert_eq!((level.used, level.limit), (Some(49), Some(50)));
    assert_eq!(level.zombies, Some(48));
    assert_eq!(level.headroom(), Some(1));
    assert_eq!(level.note, None);
    assert_eq!(actor.ask("fork"), "ok");

    assert_eq!(actor.ask("zombies 5"), "1 EAGAIN");
    let limits = limits_of(actor.pid());
    let level = first(&limits);
    assert_eq!(level.headroom(), Some(0));
    assert_eq!(level.zombies, Some(49));
    assert!(
        level.note.as_ref().unwrap().contains("refused"),
        "{level:?}"
    );
    // Zombies of the machine are at least these.
    for kind in [LimitKind::ThreadsMax, LimitKind::PidMax] {
        let node = limits.iter().find(|limit| limit.kind == kind).unwrap();
        assert!(node.zombies.unwrap() >= 49, "{node:?}");
        assert!(node.used.unwrap() > node.zombies.unwrap(), "{node:?}");
    }
}

#[test]
fn the_tightest_of_nested_cgroups_is_first() {
    skip_unless_possible!(true);
    let outer = Cgroup::new("nested").unwrap();
    let middle = outer.child("middle");
    let inner = middle.child("inner");
    let beside = middle.child("beside");
    outer.allow(500);
    middle.allow(40);
    inner.allow(60);
    let (mut actor, mut neighbour) = (Actor::start(), Actor::start());
    inner.take_in(&actor);
    beside.take_in(&neighbour);
    assert_eq!(actor.ask("zombies 10"), "10 ok");
    assert_eq!(neighbour.ask("zombies 20"), "20 ok");

    let limits = limits_of(actor.pid());
    let levels: Vec<&Limit> = limits
        .iter()
        .filter(|limit| limit.kind == LimitKind::CgroupPids)
        .collect();
    let figures: Vec<_> = levels
        .iter()
        .map(|level| (level.used, level.limit, level.zombies, level.first))
        .collect();
    // Innermost first; the neighbour's zombies count in the levels that it shares.
    assert_eq!(
        figures,
        [
            (Some(11), Some(60), Some(10), false),
            (Some(32), Some(40), Some(30), true),
            (Some(32), Some(500), Some(30), false),
        ]
    );
    assert_eq!(actor.ask("zombies 20"), "8 EAGAIN");
    assert_eq!(first(&limits_of(neighbour.pid())).headroom(), Some(0));
    assert_eq!(neighbour.ask("fork"), "EAGAIN");
    drop((actor, neighbour));
    drop((inner, beside));
    drop(middle);
}

/// A user that nobody else has, not even another run of these tests.
fn new_user(number: u32) -> u32 {
    1_000_000_000 + std::process::id() * 4 + number
}

#[test]
fn processes_of_a_user() {
    skip_unless_possible!(false);
    let uid = new_user(0);
    let mut actor = Actor::start();
    assert_eq!(actor.ask("nproc 30"), "ok");
    let exempt = nproc(actor.pid());
    assert_eq!(exempt.limit, None);
    assert!(exempt.note.unwrap().contains("root is exempt"));
    assert_eq!(actor.ask("zombies 35"), "35 ok");

    let mut actor = Actor::start();
    assert_eq!(actor.ask("nproc 30"), "ok");
    assert_eq!(actor.ask(&format!("become {uid}")), "ok");
    assert_eq!(actor.ask("zombies 10"), "10 ok");
    let limit = nproc(actor.pid());
    assert_eq!(limit.scope, format!("user {uid}"));
    assert_eq!((limit.used, limit.limit), (Some(11), Some(30)));
    assert_eq!(limit.zombies, Some(10));

    // Another process of the same user counts.
    let mut other = Actor::start();
    assert_eq!(other.ask(&format!("become {uid}")), "ok");
    assert_eq!(other.ask("zombies 5"), "5 ok");
    assert_eq!(nproc(actor.pid()).used, Some(17));
    assert_eq!(actor.ask("zombies 20"), "13 EAGAIN");
    let limits = limits_of(actor.pid());
    assert_eq!(first(&limits).kind, LimitKind::Nproc);
    assert_eq!(first(&limits).headroom(), Some(0));
    assert_eq!(actor.ask("fork"), "EAGAIN");
}

#[test]
fn root_of_a_user_namespace_is_not_exempt() {
    skip_unless_possible!(false);
    let uid = new_user(1);
    let (mut maker, mut actor) = (Actor::start(), Actor::start());
    for one in [&mut maker, &mut actor] {
        assert_eq!(one.ask("nproc 40"), "ok");
        assert_eq!(one.ask(&format!("become {uid}")), "ok");
    }
    if actor.ask("userns") != "ok" {
        println!("SKIP: this kernel lets users make no user namespace");
        return;
    }
    fs::write(
        format!("/proc/{}/uid_map", actor.pid()),
        format!("0 {uid} 1"),
    )
    .unwrap();
    assert_eq!(actor.ask("nproc 20"), "ok");
    assert_eq!(maker.ask("zombies 5"), "5 ok");
    assert_eq!(actor.ask("zombies 8"), "8 ok");

    let inner = nproc(actor.pid());
    assert!(
        inner
            .scope
            .starts_with(&format!("user {uid} in user namespace")),
        "{inner:?}"
    );
    // Before Linux 5.14 namespaces were not told apart.
    let used = inner.used.unwrap();
    assert!(used == 9 || used == 15, "{inner:?}");
    assert_eq!(inner.limit, Some(20));
    // The maker pays for what his namespace holds.
    assert_eq!(nproc(maker.pid()).used, Some(15));

    let left = inner.headroom().unwrap();
    assert_eq!(actor.ask("zombies 30"), format!("{left} EAGAIN"));
    assert_eq!(nproc(actor.pid()).headroom(), Some(0));
    let left = nproc(maker.pid()).headroom().unwrap();
    assert_eq!(maker.ask("zombies 40"), format!("{left} EAGAIN"));
    assert_eq!(nproc(maker.pid()).headroom(), Some(0));
}

#[test]
fn mappings_are_those_of_maps() {
    skip_unless_possible!(false);
    let actor = Actor::start();
    sleep(Duration::from_millis(300));
    let limits = limits_of(actor.pid());
    let mappings = limits
        .iter()
        .find(|limit| limit.kind == LimitKind::MaxMapCount)
        .unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", actor.pid())).unwrap();
    let counted = maps
        .lines()
        .filter(|line| !line.ends_with("[vsyscall]"))
        .count();
    assert_eq!(mappings.used, Some(counted as u64));
    assert!(!mappings.first);
}

#[test]
fn an_inner_pid_namespace_has_a_pid_max_of_its_own() {
    skip_unless_possible!(false);
    let mut actor = Actor::start_under(&["unshare", "--pid", "--fork", "--kill-child"]);
    if actor.ask("fork") != "ok" {
        println!("SKIP: no PID namespace here");
        return;
    }
    let pid = actor.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let inside = children.trim().parse().unwrap();
    let limits = limits_of(inside);
    let pid_max: Vec<&Limit> = limits
        .iter()
        .filter(|limit| limit.kind == LimitKind::PidMax)
        .collect();
    let namespaced = Path::new("/proc/sys/kernel/pid_max").exists() && pid_max.len() == 2;
    if namespaced {
        assert!(pid_max[0].scope.starts_with("PID namespace "));
        assert_eq!(pid_max[0].headroom(), None);
    }
    let node = pid_max.last().unwrap();
    assert_eq!(node.scope, "node");
    assert!(node.headroom().is_some());
}

/// In a PID namespace of its own: leaves some low numbers free, takes all others, and becomes
/// the helper, since at the limit nothing else can be started.
const FILLER: &str = r#"
import os, sys
open("/proc/sys/kernel/pid_max", "w").write("700")
for _ in range(150):
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
made = 0
try:
    while made < 1000:
        if os.fork() == 0: os._exit(0)
        made += 1
except OSError as e: pass
os.environ["SEXTON_TEST_PID"] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn the_numbers_of_a_small_pid_namespace_run_out() {
    skip_unless_possible!(false);
    // Before, this file was one for the whole machine, and must not be touched.
    if kernel_version() < (6, 14) {
        println!("SKIP: PID namespaces have no pid_max of their own before Linux 6.14");
        return;
    }
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["python3", "-c", FILLER])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "helper_prints_limits",
            "--ignored",
            "--nocapture",
        ])
        // The harness would start a thread, which cannot be had.
        .arg("--test-threads=1")
        .output()
        .unwrap();
    let limits = printed(&output).unwrap();
    let pid_max = limits
        .iter()
        .find(|limit| limit.kind == LimitKind::PidMax)
        .unwrap();
    assert_eq!(pid_max.scope, "own PID namespace");
    assert_eq!(pid_max.limit, Some(700));
    assert!(pid_max.reserved > 100, "{pid_max:?}");
    assert_eq!(pid_max.headroom(), Some(0), "{pid_max:?}");
    assert_eq!(pid_max.zombies.map(|zombies| zombies + 1), pid_max.used);
    assert!(pid_max.first);
}

fn kernel_version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse().unwrap();
    (next(), next())
}

#[test]
fn a_process_that_is_gone_is_none() {
    let scanner = Scanner::new(Roots::default()).unwrap();
    // Above PID_MAX_LIMIT.
    assert!(limits::of_process(&scanner, 4_194_305).unwrap().is_none());
}

/// Run by other tests in a place of their choice: prints the limits of one process.
#[test]
#[ignore = "a helper of the tests below"]
fn helper_prints_limits() {
    let pid = std::env::var("SEXTON_TEST_PID").unwrap().parse().unwrap();
    let json = serde_json::to_string(&limits_of(pid)).unwrap();
    println!("\n{json}");
}

/// The limits of `pid` as another process sees them.
fn limits_seen_under(wrapper: &[&str], pid: u32, place: Option<&Cgroup>) -> Option<Vec<Limit>> {
    let exe = std::env::current_exe().unwrap();
    let enter = place.map_or(String::new(), |cgroup| {
        format!("echo $$ > {}/cgroup.procs; ", cgroup.0.display())
    });
    let line = format!(
        "{enter}exec {} {} --exact helper_prints_limits --ignored --nocapture",
        wrapper.join(" "),
        exe.display()
    );
    let output = Command::new("sh")
        .args(["-c", &line])
        .env("SEXTON_TEST_PID", pid.to_string())
        .output()
        .unwrap();
    printed(&output)
}

/// What [`helper_prints_limits`] printed.
fn printed(output: &Output) -> Option<Vec<Limit>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text.lines().find(|line| line.starts_with("[{"));
    if json.is_none() {
        println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    json.map(|json| serde_json::from_str(json).unwrap())
}

#[test]
fn seen_from_a_private_cgroup_namespace() {
    skip_unless_possible!(true);
    let (here, there) = (Cgroup::new("seer").unwrap(), Cgroup::new("seen").unwrap());
    there.allow(50);
    let mut actor = Actor::start();
    there.take_in(&actor);
    assert_eq!(actor.ask("zombies 7"), "7 ok");
    let Some(limits) = limits_seen_under(&["unshare", "--cgroup"], actor.pid(), Some(&here)) else {
        println!("SKIP: no cgroup namespace here");
        return;
    };
    let level = first(&limits);
    assert_eq!(
        (level.used, level.limit, level.zombies),
        (Some(8), Some(50), Some(7))
    );
}

#[test]
fn what_is_hidden_from_a_user_is_said() {
    skip_unless_possible!(false);
    let actor = Actor::start();
    let id = new_user(2);
    let (user, group) = (format!("--reuid={id}"), format!("--regid={id}"));
    let wrapper = ["setpriv", user.as_str(), group.as_str(), "--clear-groups"];
    let Some(limits) = limits_seen_under(&wrapper, actor.pid(), None) else {
        println!("SKIP: the test's program cannot be run by another user");
        return;
    };
    let mappings = limits
        .iter()
        .find(|limit| limit.kind == LimitKind::MaxMapCount)
        .unwrap();
    assert_eq!(mappings.used, None);
    assert!(mappings.note.as_ref().unwrap().contains("hidden"));
    // What is open to all is there.
    assert_eq!(first(&limits).kind, LimitKind::PidMax);
}
