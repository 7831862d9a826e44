//! TARGET: the same grammar for every command, and an answer that is true when nothing fits.

use std::fs;

use sexton_lab::{
    Container, Layout, Leak, Program, Running, Skip, live_children_of, program::find, require,
    wait_until, zombies_of,
};

use crate::sexton::{leak_of, sexton, validates};
use crate::situation::{leaking, quiet, runtime};

#[test]
fn every_command_takes_every_form() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::KubepodsSystemd);
    let container = leaking(builder, Leak::new(), 4);
    let (id, pid) = (container.id(), container.pid());
    let pod = container.pod_uid().expect("it has a pod");
    let forms = [
        pid.to_string(),
        format!("pid/{pid}"),
        zombies_of(pid)[0].to_string(),
        format!("container/{id}"),
        format!("container/{}", &id[..12]),
        id[..12].to_owned(),
        format!("pod/{pod}"),
    ];
    for target in &forms {
        let scanned = sexton(["scan", target, "-o", "name"]).expect(1);
        assert_eq!(scanned.stdout, format!("{pid}\n"), "{target}");
        let explained = sexton(["explain", target, "--sample", "0", "-o", "json"]).expect(0);
        assert_eq!(leak_of(&explained.json(), pid)["zombies"], 4, "{target}");
        let limits = sexton(["limits", target, "-o", "json"]).json();
        validates("limits", &limits);
        assert_eq!(limits["pid"], pid, "{target}");
        let audited = sexton(["audit", target, "-o", "json"]).json();
        assert_eq!(audited["exitSignals"][0]["container"]["id"], id, "{target}");
        let planned = sexton(["reap", target, "-o", "json"]);
        assert_eq!(planned.json()["holders"][0]["plan"]["holder"]["pid"], pid);
        let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/policies");
        let judged = sexton([
            "policy", "explain", target, "--policy", policies, "-o", "json",
        ]);
        assert_eq!(judged.expect(0).json()["leaks"][0]["holder"]["pid"], pid);
    }
}

#[test]
fn a_program_is_a_target_by_its_name() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .expect("a directory");
    let mut program = Leak::new().count(2).then_sleep().program();
    let name = format!("leak{}", std::process::id());
    let path = dir.path().join(&name);
    fs::copy(&program.argv[0], &path).expect("a copy");
    program.argv[0] = path.to_string_lossy().into_owned();
    program.binds = vec![dir.path().to_owned()];
    let container = Container::builder(&runtime).start(&program);
    crate::situation::settled(&container, 2);
    let explained = sexton(["explain", &name, "--sample", "0", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(leak_of(&explained, container.pid())["zombies"], 2);

    let second = Container::builder(&runtime).start(&program);
    crate::situation::settled(&second, 2);
    let answer = sexton(["reap", &name, "--yes", "--settle", "0"]).expect(2);
    for pid in [container.pid(), second.pid()] {
        assert!(answer.stderr.contains(&format!("pid/{pid}")), "{answer:?}");
        assert_eq!(zombies_of(pid).len(), 2);
    }
    let both = sexton(["scan", &name, "-o", "json"]).expect(1).json();
    assert_eq!(both["zombies"], 4);
}

#[test]
fn what_fits_nothing_is_an_error_of_every_command() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let slip = format!("container/{}x", &container.id()[..11]);
    for target in [
        "nosuchthing77",
        "container/nosuchthing77",
        "pod/nope/nosuchthing77",
        &slip,
    ] {
        let name = target.rsplit('/').next().expect("a word");
        for command in ["scan", "explain", "limits", "reap", "audit"] {
            let answer = sexton([command, target]).expect(2);
            assert!(answer.stderr.contains(name), "{command} {answer:?}");
            assert_eq!(answer.stdout, "", "{command}");
        }
    }
    let answer = sexton(["explain", &slip]).expect(2);
    assert!(answer.stderr.contains("nearest"), "{answer:?}");
    assert!(answer.stderr.contains(&container.id()[..12]), "{answer:?}");
    for options in [
        ["scan", "--container", "nosuchthing77"],
        ["scan", "--pod", "nope/nosuchthing77"],
        ["scan", "--pid", "4194304"],
        ["audit", "--container", "nosuchthing77"],
        ["audit", "--pod", "nosuchthing77"],
        ["limits", "--container", "nosuchthing77"],
        ["limits", "--pod", "nosuchthing77"],
    ] {
        let answer = sexton(options).expect(2);
        let named = options[2].rsplit('/').next().expect("a word");
        assert!(answer.stderr.contains(named), "{answer:?}");
    }
}

#[test]
fn a_container_without_zombies_is_not_called_a_node_without_zombies() {
    let Some(runtime) = runtime() else { return };
    let _other = leaking(Container::builder(&runtime), Leak::new(), 3);
    let container = quiet(&runtime);
    let id = &container.id()[..12];
    for args in [["scan", id], ["scan", &format!("container/{id}")]] {
        let said = sexton(args).expect(0).stdout;
        assert!(
            said.contains("No zombies in") && said.contains(id),
            "{said}"
        );
    }
    let said = sexton(["scan", "--pid", &container.pid().to_string()])
        .expect(0)
        .stdout;
    assert!(
        said.contains(&format!("No zombies of process {}", container.pid())),
        "{said}"
    );
    let said = sexton(["explain", id, "--sample", "0"]).expect(1).stdout;
    assert_eq!(said, format!("Container {id} holds no zombies.\n"));
}

/// Its first thread ends; another leaks three children and sleeps.
const DEAD_FIRST_THREAD: &str = "
import ctypes, os, threading, time
def work():
    time.sleep(0.2)
    for _ in range(3):
        if os.fork() == 0: os._exit(7)
    time.sleep(1000)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(0)
";

#[test]
fn a_process_whose_first_thread_has_ended_is_meant_by_its_pid() {
    let Some(runtime) = runtime() else { return };
    let python = "/usr/bin/python3";
    if require(
        Some(())
            .filter(|()| fs::exists(python).unwrap_or(false))
            .ok_or_else(|| Skip(format!("no {python}"))),
    )
    .is_none()
    {
        return;
    }
    // Below PID 1, which would end with it.
    let shell = format!("{python} -c '{DEAD_FIRST_THREAD}' & wait; sleep 1000");
    let container = Container::builder(&runtime).start(&Program {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), shell],
        binds: vec![],
    });
    let pid = wait_until("its first thread has ended", || {
        let pid = *zombies_and_children(container.pid()).first()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let children = fs::read_dir(format!("/proc/{pid}/task"))
            .ok()?
            .flatten()
            .map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let count: usize = children.map(|list| list.split_whitespace().count()).sum();
        (status.contains("State:\tZ") && count == 3).then_some(pid)
    });
    let target = pid.to_string();
    let explained = sexton(["explain", &target, "--sample", "0", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(leak_of(&explained, pid)["zombies"], 3);
    let scanned = sexton(["scan", "--pid", &target, "-o", "name"]).expect(1);
    assert_eq!(scanned.stdout, format!("{pid}\n"));
    assert_eq!(sexton(["limits", &target, "-o", "json"]).json()["pid"], pid);
    // Reaped, or refused for that reason; never said to be done and not done.
    let reaped = sexton(["reap", &target, "--yes", "--settle", "0"]);
    let left = sexton(["scan", "--pid", &target, "-o", "json"]).json()["zombies"].clone();
    match reaped.status {
        0 => assert_eq!(left, 0, "{reaped:?}"),
        status => {
            assert_eq!((status, left), (2, 3.into()), "{reaped:?}");
            assert!(reaped.stdout.contains("thread"), "{reaped:?}");
        }
    }
}

fn zombies_and_children(parent: u32) -> Vec<u32> {
    let mut all = zombies_of(parent);
    all.extend(live_children_of(parent));
    all
}

/// Seizes its arguments, never waits.
const TRACER: &str = "
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
for pid in sys.argv[1:]:
    assert libc.ptrace(0x4206, int(pid), 0, 0) == 0, ctypes.get_errno()
time.sleep(1000)
";

#[test]
fn zombies_that_a_tracer_outside_holds_are_shown_with_their_container() {
    let Some(runtime) = runtime() else { return };
    let Some(python) = require(find("python3").ok_or_else(|| Skip("no python3".to_owned()))) else {
        return;
    };
    let shell = "sleep 2 & sleep 2 & wait; sleep 1000";
    let container = Container::builder(&runtime)
        .layout(Layout::Docker)
        .start(&Program::system(["/bin/sh", "-c", shell]));
    let children = wait_until("both run", || {
        let children = live_children_of(container.pid());
        (children.len() == 2).then_some(children)
    });
    let pids: Vec<String> = children.iter().map(u32::to_string).collect();
    let mut command = std::process::Command::new(python);
    let tracer = Running::start(command.args(["-c", TRACER]).args(&pids));
    wait_until("both are zombies", || {
        (zombies_of(container.pid()).len() == 2).then_some(())
    });

    let target = format!("container/{}", container.id());
    let report = sexton(["scan", &target, "-o", "json"]).expect(1).json();
    let leak = leak_of(&report, tracer.pid());
    assert_eq!(
        (&leak["zombies"], &leak["holder"]["holdsAs"]),
        (&2.into(), &"tracer".into())
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("counts 2 zombies") && notes.contains(&tracer.pid().to_string()),
        "{notes}"
    );
    let said = sexton(["explain", &target, "--sample", "0"])
        .expect(0)
        .stdout;
    assert!(said.contains(&tracer.pid().to_string()), "{said}");
    // What is asked for is the container: nothing is done to who stands outside of it.
    let reaped = sexton(["reap", &target, "--yes", "--settle", "0"])
        .expect(1)
        .stdout;
    assert!(reaped.contains("from outside"), "{reaped}");
}
