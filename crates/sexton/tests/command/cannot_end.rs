//! A container that cannot end: what keeps its PID 1, and what frees it, carried out each time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sexton_lab::containerd::Containerd;
use sexton_lab::{
    Cgroup, Container, Program, Running, Runtime, Skip, require, require_root, wait_until,
};

use crate::sexton::{Answer, sexton, validates};

const PYTHON: &str = "/usr/bin/python3";

/// Joins the PID namespace of argv[1], starts a child there that ends at once, says its pid, and
/// never waits: what an open `docker exec` of a runtime with a bug is.
const JOINS: &str = "
import ctypes, os, signal, sys, time
# Whoever started us may ignore it, and then the kernel takes what has ended.
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
ns = os.open(f'/proc/{sys.argv[1]}/ns/pid', os.O_RDONLY)
assert ctypes.CDLL(None, use_errno=True).setns(ns, 0) == 0
child = os.fork()
if child == 0:
    os._exit(0)
print(child, flush=True)
time.sleep(1000)
";

/// A FUSE file system on argv[1] whose daemon answers INIT and nothing else (fuse(4), fuse.h).
const SILENT_FUSE: &str = "
import ctypes, os, struct, sys
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
libc = ctypes.CDLL(None, use_errno=True)
where = sys.argv[1].encode()
if libc.mount(b'sexton-test', where, b'fuse.sexton-test', 0, options) != 0:
    sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')
request = os.read(fuse, 1 << 17)
unique, = struct.unpack_from('=Q', request, 8)
answer = struct.pack('=IIIIHHIIHHI28x', 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, 0)
os.write(fuse, struct.pack('=IiQ', 16 + len(answer), 0, unique) + answer)
print('mounted', flush=True)
while True:
    os.read(fuse, 1 << 17)
";

fn python() -> Result<(), Skip> {
    require_root()?;
    (Path::new(PYTHON).exists().then_some(())).ok_or_else(|| Skip(format!("no {PYTHON}")))
}

/// A Python program that runs, and the first line that it said.
fn started(program: &str, argument: &str) -> (Running, String) {
    let mut command = Command::new(PYTHON);
    command
        .args(["-c", program, argument])
        .stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    let mut line = String::new();
    let stdout = running.child().stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    (running, line.trim().to_owned())
}

fn signal(pid: u32, signal: Signal) {
    assert!(pid > 1);
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("no 0");
    // It may be gone already.
    let _ = kill_process(pid, signal);
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// PID 1 was killed and waits for the rest: it has `PF_EXITING` (4), in field 9, and is no zombie.
fn dying(pid: u32) {
    signal(pid, Signal::KILL);
    wait_until("PID 1 waits for the rest", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, flags) = (fields.next()?, fields.nth(5)?);
        let flags: u32 = flags.parse().ok()?;
        (state != "Z" && flags & 4 != 0).then_some(())
    });
}

fn gone(pid: u32) {
    wait_until("PID 1 has ended", || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let ended = state.is_none_or(|stat| stat.contains(") Z "));
        ended.then_some(())
    });
}

/// The one ending of `explain TARGET`, and what it says to people.
fn explained(target: &str) -> (Value, String) {
    let args = ["explain", target, "--sample", "0"];
    let report = sexton(args.into_iter().chain(["-o", "json"]))
        .expect(0)
        .json();
    validates("report", &report);
    let endings = report["cannotEnd"].as_array().expect("a list");
    assert_eq!(endings.len(), 1, "{report:#}");
    let Answer { stdout, .. } = sexton(args).expect(0);
    (
        endings[0].clone(),
        stdout
            .replace('\n', " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn why(ending: &Value) -> &Value {
    &ending["heldBy"][0]["why"]
}

/// Those of `command` in the cures, as a shell takes them.
fn carry_out(text: &str, begins: &str) {
    let at = text
        .find(begins)
        .unwrap_or_else(|| panic!("no {begins}: {text}"));
    let command: String = text[at..]
        .split([';', '('])
        .next()
        .expect("a command")
        .to_owned();
    // Up to the next sentence, which begins with a capital.
    let end = command.find(". ").unwrap_or(command.len());
    let end = command.find(" What ").unwrap_or(end).min(end);
    let status = Command::new("/bin/sh")
        .args(["-c", &command[..end]])
        .status();
    assert!(status.expect("a shell").success(), "{}", &command[..end]);
}

#[test]
fn a_zombie_of_a_parent_outside_is_named_and_taken() {
    if require(python()).is_none() {
        return;
    }
    for runtime in Runtime::all() {
        let container =
            Container::builder(&runtime).start(&Program::system(["/bin/sleep", "1000"]));
        let first = container.pid();
        let (parent, zombie) = started(JOINS, &first.to_string());
        let inner: u32 = zombie.parse().expect("a pid");
        dying(first);

        let mut targets = vec![first.to_string(), parent.pid().to_string()];
        // On v1 a process that is ending has left its cgroup, and no shim tells the id.
        let (ending, _) = explained(&targets[0]);
        if !ending["container"].is_null() {
            targets.push(format!("container/{}", container.id()));
        }
        for target in targets {
            let (ending, text) = explained(&target);
            assert_eq!(ending["first"]["pid"], first, "{ending:#}");
            assert_eq!(why(&ending)["kind"], "parent", "{ending:#}");
            assert_eq!(why(&ending)["parent"]["pid"], parent.pid(), "{ending:#}");
            assert!(text.contains("outside of the PID namespace"), "{text}");
            assert!(
                text.contains(&format!("sexton reap {}", parent.pid())),
                "{text}"
            );
        }
        let zombie = sexton_lab::zombies_of(parent.pid())[0];
        let status = fs::read_to_string(format!("/proc/{zombie}/status")).expect("it is there");
        assert!(status.contains(&format!("\t{inner}\n")), "{status}");

        // Without --yes nothing is done; with it, by the rules of reaping: the parent is of the host.
        let target = first.to_string();
        let args = ["explain", &target, "--sample", "0", "--settle", "0"];
        let dry = sexton(args.into_iter().chain(["--allow-host"])).expect(0);
        assert!(
            dry.stdout.contains("would be done: --yes"),
            "{}",
            dry.stdout
        );
        let refused = sexton(args.into_iter().chain(["--yes"])).expect(0);
        assert!(
            refused.stdout.contains("--allow-host"),
            "{}",
            refused.stdout
        );
        assert!(is_there(zombie));
        sexton(args.into_iter().chain(["--allow-host", "--yes"])).expect(0);
        gone(first);
        assert!(is_there(parent.pid()));
    }
}

/// It can start no thread that would wait.
#[test]
fn a_parent_outside_that_is_at_its_limit_is_told_as_that() {
    if require(python()).is_none() {
        return;
    }
    let (Some(cgroup), Some(runtime)) = (
        require(Cgroup::new("full-monitor")),
        require(Runtime::any()),
    ) else {
        return;
    };
    let container = Container::builder(&runtime).start(&Program::system(["/bin/sleep", "1000"]));
    let first = container.pid();
    let (parent, _) = started(JOINS, &first.to_string());
    cgroup.add(parent.pid());
    cgroup.set_pids_max(1);
    dying(first);

    let (ending, text) = explained(&first.to_string());

    assert_eq!(why(&ending)["hindrance"], "atLimit", "{ending:#}");
    assert!(
        text.contains(&format!("sexton limits {}", parent.pid())),
        "{text}"
    );
    drop(parent);
    gone(first);
}

#[test]
fn a_tracer_outside_is_named() {
    let strace = Path::new("/usr/bin/strace");
    let is_there = strace
        .exists()
        .then_some(())
        .ok_or_else(|| Skip("no strace".to_owned()));
    if require(python().and(is_there)).is_none() {
        return;
    }
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let shell = "/bin/sleep 1000 & echo started; exec /bin/sleep 1001";
    let container = Container::builder(&runtime).start(&Program::system(["/bin/sh", "-c", shell]));
    container.wait_for_line(0, |line| line == "started");
    let first = container.pid();
    let member = sexton_lab::live_children_of(first)[0];
    let mut strace = Command::new(strace);
    strace.args(["-o", "/dev/null", "-p", &member.to_string()]);
    let tracer = Running::start(&mut strace);
    wait_until("it is traced", || {
        let status = fs::read_to_string(format!("/proc/{member}/status")).ok()?;
        status
            .contains(&format!("TracerPid:\t{}\n", tracer.pid()))
            .then_some(())
    });
    signal(tracer.pid(), Signal::STOP);
    dying(first);

    let (ending, text) = explained(&first.to_string());

    assert_eq!(why(&ending)["kind"], "tracer", "{ending:#}");
    assert_eq!(why(&ending)["tracer"]["pid"], tracer.pid(), "{ending:#}");
    // What is said to people: quit it. Stopped as it is here, only SIGKILL gets through.
    assert!(text.contains(&format!("kill {}", tracer.pid())), "{text}");
    signal(tracer.pid(), Signal::KILL);
    gone(first);
}

#[test]
fn a_frozen_container_that_was_killed_is_thawed() {
    if require(require_root()).is_none() {
        return;
    }
    for runtime in Runtime::all() {
        let container =
            Container::builder(&runtime).start(&Program::system(["/bin/sleep", "1000"]));
        let first = container.pid();
        let own = fs::read_to_string(format!("/proc/{first}/cgroup")).expect("it lives");
        let v1 = own.lines().find_map(|line| line.split_once(":freezer:"));
        let (file, freeze): (PathBuf, &str) = match v1 {
            Some((_, path)) => (
                format!("/sys/fs/cgroup/freezer{path}/freezer.state").into(),
                "FROZEN",
            ),
            None => (container.cgroup_dir().join("cgroup.freeze"), "1"),
        };
        fs::write(&file, freeze).expect("it can be frozen");
        signal(first, Signal::KILL);
        if v1.is_none() {
            // SIGKILL passes cgroup v2's freezer.
            gone(first);
            continue;
        }
        let target = format!("container/{}", container.id());
        wait_until("the kill waits", || {
            let status = fs::read_to_string(format!("/proc/{first}/status")).ok()?;
            status.contains("ShdPnd:\t0000000000000100").then_some(())
        });
        let (ending, text) = explained(&target);
        assert_eq!(why(&ending)["kind"], "frozen", "{ending:#}");
        assert_eq!(
            why(&ending)["file"],
            file.display().to_string(),
            "{ending:#}"
        );
        carry_out(&text, "echo THAWED");
        gone(first);
    }
}

/// A mounted FUSE file system whose daemon does not answer.
struct Silent {
    mount: String,
    daemon: Running,
    /// The connections of FUSE can be aborted here.
    control: Option<Control>,
    _unmount: Unmount,
    _dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Who waits for one such file system is told of all that do not answer, and the first is aborted.
static ALONE: Mutex<()> = Mutex::new(());

impl Silent {
    fn mounted() -> Option<Self> {
        let fuse = Path::new("/dev/fuse").exists().then_some(());
        require(python().and(fuse.ok_or_else(|| Skip("no /dev/fuse".to_owned()))))?;
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::Builder::new()
            .prefix("sexton-test-fuse")
            .tempdir()
            .expect("a folder");
        let mount = dir.path().display().to_string();
        let (daemon, said) = started(SILENT_FUSE, &mount);
        let is_mounted = (said == "mounted").then_some(());
        require(is_mounted.ok_or_else(|| Skip("FUSE cannot be mounted here".to_owned())))?;
        Some(Self {
            mount,
            daemon,
            control: Control::mounted().ok(),
            _unmount: Unmount(dir.path().to_owned()),
            _dir: dir,
            _alone: alone,
        })
    }

    /// It is told as what is waited for; then the advice is carried out.
    fn tells_and_ends(self, ending: &Value, text: &str) {
        assert_eq!(why(ending)["kind"], "kernel", "{ending:#}");
        let waits_for = &why(ending)["waitsFor"];
        assert_eq!(waits_for["kind"], "fuse", "{ending:#}");
        assert_eq!(waits_for["mounts"][0]["point"], self.mount, "{ending:#}");
        let daemons = waits_for["daemons"].as_array().expect("a list");
        assert!(
            daemons.iter().any(|d| d["pid"] == self.daemon.pid()),
            "{ending:#}"
        );
        if self.control.is_some() {
            carry_out(text, "echo 1 > /sys/fs/fuse/connections/");
        } else {
            drop(self.daemon);
        }
    }
}

/// PID 1 of a PID namespace made for it, and who made that.
fn apart(command: &[&str]) -> (Running, u32) {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]);
    let outside = Running::start(unshare.args(command));
    // Alive or not: its first thread may have left already.
    let children = format!("/proc/{0}/task/{0}/children", outside.pid());
    let first = wait_until("PID 1", || {
        let children = fs::read_to_string(&children).ok()?;
        children.split_ascii_whitespace().next()?.parse().ok()
    });
    (outside, first)
}

#[test]
fn a_member_that_waits_for_a_fuse_daemon_is_told_with_the_connection() {
    let Some(silent) = Silent::mounted() else {
        return;
    };
    let shell = format!("/bin/ls {}/x & exec /bin/sleep 1000", silent.mount);
    let (_outside, first) = apart(&["/bin/sh", "-c", &shell]);
    let member = wait_until("a member that waits", || {
        let member = *sexton_lab::live_children_of(first).first()?;
        let state = fs::read_to_string(format!("/proc/{member}/wchan")).ok()?;
        (state.contains("fuse") || state.contains("request_wait")).then_some(member)
    });
    dying(first);
    wait_until("it cannot be killed", || {
        let stat = fs::read_to_string(format!("/proc/{member}/stat")).ok()?;
        stat.contains(") D ").then_some(())
    });

    let (ending, text) = explained(&first.to_string());

    silent.tells_and_ends(&ending, &text);
    gone(first);
}

/// An ext4 in a file, mounted and frozen; thawed and unmounted on drop.
struct FrozenDisk {
    dir: tempfile::TempDir,
}

impl FrozenDisk {
    fn new() -> Result<Self, Skip> {
        require_root()?;
        let dir = tempfile::Builder::new()
            .prefix("sexton-test-frozen")
            .tempdir()
            .expect("a folder");
        let disk = Self { dir };
        fs::create_dir(disk.point()).expect("a folder");
        let image = disk.dir.path().join("image");
        let file = fs::File::create(&image).expect("a file");
        file.set_len(16 << 20).expect("it can be long");
        let (image, point) = (image.display().to_string(), disk.point());
        let does = |command: &[&str]| {
            let output = Command::new(command[0]).args(&command[1..]).output();
            let done = output.is_ok_and(|output| output.status.success());
            done.then_some(())
                .ok_or_else(|| Skip(format!("{} fails here", command[0])))
        };
        does(&["mkfs.ext4", "-q", &image])?;
        does(&["mount", "-o", "loop", &image, &point])?;
        does(&["fsfreeze", "-f", &point])?;
        Ok(disk)
    }

    fn point(&self) -> String {
        self.dir.path().join("mounted").display().to_string()
    }

    fn thaw(&self) -> bool {
        let thaw = Command::new("fsfreeze")
            .args(["-u", &self.point()])
            .output();
        thaw.is_ok_and(|output| output.status.success())
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount").args(["-l", &self.point()]).output();
    }
}

#[test]
fn a_member_that_writes_to_a_frozen_file_system_is_told() {
    let Some(disk) = require(FrozenDisk::new()) else {
        return;
    };
    let shell = format!("(: > {}/x) & exec /bin/sleep 1000", disk.point());
    let (_outside, first) = apart(&["/bin/sh", "-c", &shell]);
    wait_until("a member that waits", || {
        let member = *sexton_lab::live_children_of(first).first()?;
        let stat = fs::read_to_string(format!("/proc/{member}/stat")).ok()?;
        stat.contains(") D ").then_some(())
    });
    dying(first);

    let (ending, text) = explained(&first.to_string());

    let waits_for = &why(&ending)["waitsFor"];
    assert_eq!(waits_for["kind"], "frozenFileSystem", "{ending:#}");
    assert!(text.contains("fsfreeze -u"), "{text}");
    assert!(disk.thaw());
    gone(first);
}

/// A program of several threads shows as a zombie as soon as its first one has ended.
#[test]
fn a_thread_of_pid_1_that_sleeps_in_the_kernel_is_told_though_the_first_has_ended() {
    const THREADS: &str = "
import os, sys, threading, time
threading.Thread(target=lambda: os.stat(sys.argv[1] + '/x'), daemon=True).start()
time.sleep(1000)
";
    let Some(silent) = Silent::mounted() else {
        return;
    };
    let (_outside, first) = apart(&[PYTHON, "-c", THREADS, &silent.mount]);
    let tasks = || fs::read_dir(format!("/proc/{first}/task")).ok();
    let thread = wait_until("a thread that waits", || {
        let mut tasks = tasks()?.filter_map(|task| task.ok()?.file_name().into_string().ok());
        tasks.find(|task| {
            let wchan = fs::read_to_string(format!("/proc/{first}/task/{task}/wchan"));
            wchan.is_ok_and(|wchan| wchan.contains("fuse") || wchan.contains("request_wait"))
        })
    });
    signal(first, Signal::KILL);
    gone(first);

    let (ending, text) = explained(&first.to_string());

    assert_eq!(ending["first"]["pid"], first, "{ending:#}");
    assert_eq!(why(&ending)["thread"].to_string(), thread, "{ending:#}");
    scan_tells(first);
    silent.tells_and_ends(&ending, &text);
    wait_until("its last thread has ended", || {
        tasks().is_none_or(|tasks| tasks.count() < 2).then_some(())
    });
}

/// `scan` tells it once it has been ending for two seconds.
fn scan_tells(first: u32) {
    wait_until("scan tells it", || {
        let report = sexton(["scan", "-o", "json"]).json();
        validates("report", &report);
        let endings = report["cannotEnd"].as_array()?.clone();
        (endings.iter().any(|ending| ending["first"]["pid"] == first)).then_some(())
    });
}

/// The first thread of a program may leave by itself while the others work on: nothing is ending.
#[test]
fn a_pid_1_whose_first_thread_has_left_is_not_ending() {
    const LEAVES: &str = "
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(1000)).start()
ctypes.CDLL(None).syscall(60, 0)
";
    let is_x86 = cfg!(target_arch = "x86_64").then_some(());
    let is_x86 = is_x86.ok_or_else(|| Skip("exit has another number here".to_owned()));
    if require(python().and(is_x86)).is_none() {
        return;
    }
    let (_outside, first) = apart(&[PYTHON, "-c", LEAVES]);
    gone(first);
    let report = sexton(["explain", &first.to_string(), "--sample", "0", "-o", "json"]);
    let report = report.expect(1).json();
    assert!(report["cannotEnd"].is_null(), "{report:#}");
}

/// A sandbox that a program made and did not wait for is a leak as any other: nothing keeps its
/// parent, and no container is ending.
#[test]
fn a_pid_1_that_its_program_leaks_is_no_container_that_cannot_end() {
    const LEAKS: &str = "
import ctypes, os, time
CLONE_NEWPID = 0x20000000
assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWPID) == 0
if os.fork() == 0:
    os._exit(0)
time.sleep(1000)
";
    if require(python()).is_none() {
        return;
    }
    let of_host = Running::start(Command::new(PYTHON).args(["-c", LEAKS]));
    let (_outside, apart) = apart(&[PYTHON, "-c", LEAKS]);
    for holder in [of_host.pid(), apart] {
        let zombie = wait_until("a zombie", || {
            sexton_lab::zombies_of(holder).first().copied()
        });
        let report = sexton([
            "explain",
            &zombie.to_string(),
            "--sample",
            "0",
            "-o",
            "json",
        ]);
        let report = report.expect(0).json();
        assert_eq!(report["leaks"][0]["holder"]["pid"], holder, "{report:#}");
        assert!(report["cannotEnd"].is_null(), "{report:#}");
    }
}

/// Who lives in a PID namespace nested in another one keeps both.
#[test]
fn a_member_of_a_namespace_nested_below_is_told_at_the_outer_pid_1() {
    if require(python()).is_none() {
        return;
    }
    let (_outside, outer) = apart(&[
        "unshare",
        "--pid",
        "--fork",
        "/bin/sh",
        "-c",
        "/bin/sleep 1000; :",
    ]);
    let inner = wait_until("PID 1 of the inner one", || {
        sexton_lab::live_children_of(outer).first().copied()
    });
    let (parent, _) = started(JOINS, &inner.to_string());
    let zombie = wait_until("a zombie", || {
        sexton_lab::zombies_of(parent.pid()).first().copied()
    });
    dying(outer);

    let report = sexton(["explain", &outer.to_string(), "--sample", "0", "-o", "json"]);
    let report = report.expect(0).json();

    let endings = report["cannotEnd"].as_array().expect("a list");
    let ending = (endings
        .iter()
        .find(|ending| ending["first"]["pid"] == outer))
    .expect("the outer");
    let holds = |held: &Value| {
        held["process"]["pid"] == zombie && held["why"]["parent"]["pid"] == parent.pid()
    };
    let held_by = ending["heldBy"].as_array().expect("a list");
    assert!(held_by.iter().any(holds), "{report:#}");
    scan_tells(outer);
    drop(parent);
    gone(outer);
}

/// Unmounts on drop.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The file system of FUSE's connections; what is mounted for a test goes with it.
struct Control(bool);

impl Control {
    const PLACE: &str = "/sys/fs/fuse/connections";

    fn mounted() -> Result<Self, ()> {
        let is_there = || fs::read_dir(Self::PLACE).is_ok_and(|mut all| all.next().is_some());
        if is_there() {
            return Ok(Self(false));
        }
        let mount = Command::new("mount")
            .args(["-t", "fusectl", "none", Self::PLACE])
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then_some(Self(true))
            .ok_or(())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if self.0 {
            let _ = Command::new("umount").arg(Self::PLACE).status();
        }
    }
}

#[test]
fn a_pid_1_that_its_stopped_shim_does_not_take_is_told() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("ending").start();
    let container = pod
        .container("app")
        .start(&Program::system(["/bin/sleep", "1000"]));
    let first = container.pid();
    let stat = fs::read_to_string(format!("/proc/{first}/stat")).expect("it lives");
    let shim = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(1));
    let shim: u32 = shim.and_then(|pid| pid.parse().ok()).expect("a parent");
    signal(shim, Signal::STOP);
    signal(first, Signal::KILL);
    gone(first);

    let told = std::panic::catch_unwind(|| explained(&format!("container/{}", container.id())));

    let (ending, text) = told.unwrap_or_else(|panic| {
        signal(shim, Signal::CONT);
        std::panic::resume_unwind(panic)
    });
    assert_eq!(ending["first"]["pid"], first, "{ending:#}");
    assert_eq!(why(&ending)["hindrance"], "stopped", "{ending:#}");
    carry_out(&text, &format!("kill -CONT {shim}"));
    wait_until("the shim has taken it", || (!is_there(first)).then_some(()));
}

#[test]
fn a_container_that_ends_as_it_should_costs_nothing_and_is_not_told() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let container = Container::builder(&runtime).start(&Program::system(["/bin/sleep", "1000"]));
    let report = sexton(["scan", "-o", "json"]).json();
    assert!(report["cannotEnd"].is_null(), "{report:#}");
    let answer = sexton(["explain", &container.pid().to_string(), "--sample", "0"]).expect(1);
    assert!(
        answer.stdout.contains("holds no zombies"),
        "{}",
        answer.stdout
    );
}
