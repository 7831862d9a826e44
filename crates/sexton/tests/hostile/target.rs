//! A program that would die of being borrowed, or bring Sexton down: Sexton leaves it alone, and
//! says why. Each leaks three children as PID 1 of a container.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use sexton_lab::{Container, Layout, Program, Runtime, Skip, require, wait_until, zombies_of};

const SEXTON: &str = env!("CARGO_BIN_EXE_sexton");
const PYTHON: &str = "/usr/bin/python3";

/// What every one of them begins with.
const LEAK: &str = "
import ctypes, mmap, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for i in range(3):
    if os.fork() == 0:
        os._exit(i)
def answer(*pairs):
    program = b''
    for call, value in pairs:
        program += struct.pack('HBBI', 0x20, 0, 0, 0) + struct.pack('HBBI', 0x15, 0, 1, call)
        program += struct.pack('HBBI', 6, 0, 0, value)
    program = ctypes.create_string_buffer(program + struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
    head = struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(program))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.create_string_buffer(head), 0, 0) == 0
def vdso():
    for line in open('/proc/self/maps'):
        if line.endswith('[vdso]\\n'):
            return [int(end, 16) for end in line.split()[0].split('-')]
def done():
    print('done', flush=True)
";

/// Sleeps in `nanosleep`; any of the others is put before it.
const SLEEP: &str = "done()\nlibc.sleep(100000)\n";

fn target(runtime: &Runtime, attack: &str) -> Option<Container> {
    require(if Path::new(PYTHON).exists() {
        Ok(())
    } else {
        Err(Skip(format!("no {PYTHON}")))
    })?;
    let program = Program::system([PYTHON, "-S", "-c", &format!("{LEAK}{attack}")]);
    let builder = Container::builder(runtime).layout(Layout::Docker);
    let container = builder.uid(65_534).start(&program);
    container.wait_for_line(0, |line| line == "done");
    wait_until("all children have ended", || {
        (zombies_of(container.pid()).len() == 3).then_some(())
    });
    Some(container)
}

/// Exit status, and the document or what was said instead.
fn answer(command: &mut Command) -> (i32, Value) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status.code().unwrap_or_else(|| panic!("{said}"));
    let document = serde_json::from_slice(&output.stdout);
    (
        status,
        document.unwrap_or_else(|_| panic!("{status}: {said}")),
    )
}

fn reap(container: &Container, options: &[&str]) -> (i32, Value) {
    let args = [
        "reap",
        container.id(),
        "--yes",
        "--settle",
        "0",
        "-o",
        "json",
    ];
    answer(Command::new(SEXTON).args(args).args(options))
}

/// Becomes another program with fewer rights.
fn setpriv() -> Option<std::path::PathBuf> {
    let found = sexton_lab::program::find("setpriv");
    require(found.ok_or_else(|| Skip("no setpriv".to_owned())))
}

/// It is refused for `reason`, and lives with all that it had.
fn is_left_alone(container: &Container, (status, document): (i32, Value), reason: &str) {
    let refusal = &document["holders"][0]["plan"]["refusal"];
    assert_eq!(
        (status, &refusal["reason"]),
        (2, &Value::from(reason)),
        "{document:#}"
    );
    assert_eq!(zombies_of(container.pid()).len(), 3);
}

#[test]
fn a_filter_of_its_own_as_pid_1_is_asked_and_believed() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for action in ["0x80000000", "0", "0x30000", "0x50001"] {
        let attack = format!("answer((61, {action}))\n{SLEEP}");
        let Some(container) = target(&runtime, &attack) else {
            return;
        };
        is_left_alone(&container, reap(&container, &[]), "seccompForbids");
        is_left_alone(
            &container,
            reap(&container, &["--ignore-seccomp"]),
            "seccompForbids",
        );
    }
}

/// The stop alone ends its `nanosleep`, and the kernel goes on with that by `restart_syscall`.
#[test]
fn a_filter_against_going_on_with_a_sleep_ends_nobody() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let attack = format!("answer((219, 0x80000000))\n{SLEEP}");
    let Some(container) = target(&runtime, &attack) else {
        return;
    };
    let before = container.identity();
    let (status, document) = reap(&container, &[]);
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(
        document["holders"][0]["outcome"]["taken"], 3,
        "{document:#}"
    );
    assert_eq!(container.identity(), before);
    assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
}

#[test]
fn a_vdso_that_may_not_be_executed_is_left_alone() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for rights in [0, 1] {
        let attack = format!(
            "start, end = vdso()\ndone()\n\
             libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), {rights})\n\
             libc.syscall(34)\n"
        );
        let Some(container) = target(&runtime, &attack) else {
            return;
        };
        wait_until("it has taken the rights", || {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", container.pid())).ok()?;
            let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
            (!line.contains(" r-xp ")).then_some(())
        });
        is_left_alone(&container, reap(&container, &[]), "vdsoRights");
    }
}

/// Calls from above the vdso's beginning bring it SIGSYS.
#[test]
fn a_program_that_dispatches_its_own_calls_is_left_alone() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let attack = format!(
        "block = ctypes.create_string_buffer(b'\\x01')\n\
         print('on' if libc.prctl(59, 1, 0, ctypes.c_ulong(vdso()[0]), block) == 0 else 'none', \
         flush=True)\n{SLEEP}"
    );
    let Some(container) = target(&runtime, &attack) else {
        return;
    };
    if container.output().contains("none") {
        println!("SKIP: this kernel has no syscall user dispatch");
        return;
    }
    let (status, document) = reap(&container, &[]);
    if document["holders"][0]["outcome"]["end"]["how"] == "holderDied" {
        // Before Linux 6.4 the kernel does not show it. It is no success.
        assert_eq!(status, 2, "{document:#}");
        return;
    }
    is_left_alone(&container, (status, document), "syscallUserDispatch");
}

/// The timespec of its `rt_sigtimedwait`, and where that is, are changed after the call began.
#[test]
fn a_timespec_that_changes_under_the_call_brings_nobody_down() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for (seconds, nanos) in [
        (-1, 4_000_000_000_u64),
        (-1, 999_999_999),
        (i64::MAX, u64::MAX),
    ] {
        let attack = format!(
            "shared = mmap.mmap(-1, 4096)\n\
             time_ = ctypes.c_char.from_buffer(shared)\n\
             shared[:16] = struct.pack('qq', 100000, 0)\n\
             if os.fork() == 0:\n    \
                 time.sleep(0.3)\n    \
                 shared[:16] = struct.pack('qQ', {seconds}, {nanos})\n    \
                 print('changed', flush=True)\n    \
                 time.sleep(100000)\n\
             done()\n\
             set_ = ctypes.create_string_buffer(struct.pack('Q', 1 << 9))\n\
             while True:\n    \
                 libc.syscall(128, set_, None, ctypes.byref(time_), ctypes.c_size_t(8))\n"
        );
        let Some(container) = target(&runtime, &attack) else {
            return;
        };
        container.wait_for_line(0, |line| line == "changed");
        let before = container.identity();
        let (status, document) = reap(&container, &[]);
        assert!(status <= 2, "{document:#}");
        assert_eq!(container.identity(), before);
        let outcome = &document["holders"][0]["outcome"];
        let left = zombies_of(container.pid()).len();
        assert!(
            left == 0 || outcome["left"][0]["count"] == left,
            "{document:#}"
        );
    }
}

/// With the four capabilities of the chart filters cannot be asked, so the runtime's files have to
/// tell how many of them are its own.
#[test]
fn an_agents_rights_do_for_the_filter_of_the_runtime_and_no_other() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let Some(setpriv) = setpriv() else { return };
    let Some(container) = target(&runtime, &format!("answer()\n{SLEEP}")) else {
        return;
    };
    let host = tempfile::tempdir().unwrap();
    let bundle = host.path().join(format!(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/{}",
        container.id()
    ));
    std::fs::create_dir_all(&bundle).unwrap();
    let reap = || {
        let pid = container.pid().to_string();
        let mut command = Command::new(&setpriv);
        command
            .arg("--bounding-set=-all,+dac_override,+ipc_lock,+kill,+sys_ptrace")
            .args([SEXTON, "reap", &pid, "--yes", "--settle", "0", "-o", "json"])
            .arg("--path-rootfs")
            .arg(host.path());
        answer(&mut command)
    };
    is_left_alone(&container, reap(), "seccompUnknown");
    let config = bundle.join("config.json");
    std::fs::write(&config, r#"{"linux":{"namespaces":[]}}"#).unwrap();
    is_left_alone(&container, reap(), "seccomp");
    let profile = r#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW"}}}"#;
    std::fs::write(&config, profile).unwrap();
    let (status, document) = reap();
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(
        document["holders"][0]["outcome"]["taken"], 3,
        "{document:#}"
    );
}

/// Whatever kills it: nothing counts as taken, and nothing more is touched.
#[test]
fn a_program_that_dies_of_it_is_no_success() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let Some(setpriv) = setpriv() else { return };
    let Some(container) = target(&runtime, &format!("answer((61, 0x80000000))\n{SLEEP}")) else {
        return;
    };
    // Insisted on, and without the right to ask.
    let args = [
        "reap",
        container.id(),
        "--yes",
        "--settle",
        "0",
        "-o",
        "json",
        "--ignore-seccomp",
    ];
    let (status, document) = answer(
        Command::new(setpriv)
            .arg("--bounding-set=-sys_admin")
            .arg(SEXTON)
            .args(args),
    );
    let outcome = &document["holders"][0]["outcome"];
    assert_eq!(status, 2, "{document:#}");
    assert_eq!(outcome["taken"], 0, "{document:#}");
    assert_eq!(outcome["end"]["how"], "holderDied", "{document:#}");
    assert_eq!(
        document["stoppedAt"]["pid"],
        container.pid(),
        "{document:#}"
    );
}
