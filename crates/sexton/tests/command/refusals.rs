//! `sexton reap`: whom it does not touch, and what it says then.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use sexton_lab::{
    Container, Leak, Program, Running, require, require_root, wait_until, zombies_of,
};

use crate::sexton::{Answer, sexton, validates};
use crate::situation::{leaking, runtime, settled};

/// A refusal is exit status 2, with the reason and the override or the word that there is none.
#[track_caller]
fn refused(target: u32, more: &[&str], because: &str, overridden_by: &str) -> Answer {
    let target = target.to_string();
    let before = zombies_of(target.parse().expect("a pid")).len();
    let base = ["reap", &target, "--yes", "--settle", "0"];
    let answer = sexton(base.iter().chain(more).copied()).expect(2);
    let said = answer
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains("Refused"), "{answer:?}");
    assert!(said.contains(because), "{answer:?}");
    assert!(
        said.contains(&format!("override {overridden_by}")),
        "{answer:?}"
    );
    let json = sexton(base.iter().chain(more).chain(&["-o", "json"]).copied()).expect(2);
    validates("reap", &json.json());
    let after = zombies_of(target.parse().expect("a pid")).len();
    assert_eq!(before, after, "it was refused and done all the same");
    answer
}

/// A leaking process outside any container.
fn on_the_host(program: &Program, count: u32) -> Running {
    // Its output is of no interest here; a test of libtest's would be cluttered by it.
    let running = Running::start(program.command().stdout(std::process::Stdio::null()));
    wait_until("all children have ended", || {
        (zombies_of(running.pid()).len() == count as usize).then_some(())
    });
    running
}

#[test]
fn a_process_of_the_host_needs_an_explicit_word() {
    if require(require_root()).is_none() {
        return;
    }
    let holder = on_the_host(&Leak::new().count(3).then_sleep().program(), 3);
    refused(holder.pid(), &[], "host", "--allow-host");

    let pid = holder.pid().to_string();
    sexton(["reap", &pid, "--yes", "--settle", "0", "--allow-host"]).expect(0);
    assert_eq!(zombies_of(holder.pid()), [0_u32; 0]);
}

/// The leak program under another name, in a directory of its own.
fn named(name: &str) -> (tempfile::TempDir, Program) {
    let mut program = Leak::new().count(3).then_sleep().program();
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    let path = dir.path().join(name);
    fs::copy(&program.argv[0], &path).expect("a copy");
    program.argv[0] = path.to_string_lossy().into_owned();
    program.binds = vec![dir.path().to_owned()];
    (dir, program)
}

#[test]
fn runtimes_and_node_agents_are_never_touched() {
    if require(require_root()).is_none() {
        return;
    }
    for name in ["containerd-shim", "kubelet", "conmon"] {
        let (_dir, program) = named(name);
        let holder = on_the_host(&program, 3);
        refused(holder.pid(), &["--allow-host"], name, "none");
    }
}

#[test]
fn the_name_of_a_runtime_protects_nothing_in_a_container() {
    let Some(runtime) = runtime() else { return };
    for name in ["containerd-shim", "kubelet", "conmon"] {
        let (_dir, program) = named(name);
        let container = Container::builder(&runtime).start(&program);
        settled(&container, 3);
        let pid = container.pid().to_string();
        sexton(["reap", &pid, "--yes", "--settle", "0"]).expect(0);
        assert_eq!(zombies_of(container.pid()), [0_u32; 0], "{name}");
    }
}

#[test]
fn what_runs_in_the_hosts_pid_namespace_and_was_started_by_the_host_is_of_the_host() {
    if require(require_root()).is_none() {
        return;
    }
    // As a service of systemd's with a mount namespace of its own.
    let (_dir, program) = named("kubelet");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--"]).args(&program.argv);
    let holder = Running::start(command.stdout(std::process::Stdio::null()));
    wait_until("all children have ended", || {
        (zombies_of(holder.pid()).len() == 3).then_some(())
    });
    refused(holder.pid(), &["--allow-host"], "kubelet", "none");
}

#[test]
fn a_protected_process_of_the_host_stays_protected_whatever_is_allowed() {
    if require(require_root()).is_none() {
        return;
    }
    let (_dir, program) = named("dockerd");
    let holder = on_the_host(&program, 3);
    refused(holder.pid(), &["--allow-host"], "dockerd", "none");
}

#[test]
fn a_protected_name_in_argv_0_alone_is_enough() {
    if require(require_root()).is_none() {
        return;
    }
    let program = Leak::new().count(3).then_sleep().program();
    let mut command = program.argv.clone();
    command.remove(0);
    let shell = Program {
        argv: [
            vec!["/bin/bash".to_owned(), "-c".to_owned()],
            vec![
                format!("exec -a kubelet {} \"$@\"", program.argv[0]),
                "sh".to_owned(),
            ],
            command,
        ]
        .concat(),
        binds: program.binds,
    };
    if !std::path::Path::new("/bin/bash").exists() {
        require::<()>(Err(sexton_lab::Skip("there is no bash".to_owned())));
        return;
    }
    let holder = on_the_host(&shell, 3);
    refused(holder.pid(), &["--allow-host"], "kubelet", "none");
}

#[test]
fn a_stopped_holder_may_yet_wait_itself() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let pid = Pid::from_raw(i32::try_from(container.pid()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::STOP).expect("it is ours");
    wait_until("it is stopped", || {
        let status = fs::read_to_string(format!("/proc/{}/stat", container.pid())).ok()?;
        status.contains(") T ").then_some(())
    });
    let base = ["reap", container.id(), "--yes", "--settle", "0"];
    let answer = sexton(base).expect(2);
    assert!(answer.stdout.contains("stopped"), "{answer:?}");
    assert_eq!(zombies_of(container.pid()).len(), 3);
    // It is still stopped, and goes on when its owner lets it.
    kill_process(pid, Signal::CONT).expect("it is ours");
    sexton(base).expect(0);
}

#[test]
fn a_traced_holder_is_left_to_its_debugger() {
    let Some(runtime) = runtime() else { return };
    if sexton_lab::program::find("gdb").is_none() {
        require::<()>(Err(sexton_lab::Skip("there is no gdb".to_owned())));
        return;
    }
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let pid = container.pid().to_string();
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-p", &pid, "-ex", "shell sleep 1000"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        // It and its sleep end together.
        .process_group(0);
    let gdb = Running::start(&mut gdb);
    let group = Pid::from_raw(i32::try_from(gdb.pid()).expect("a pid")).expect("a pid");
    wait_until("gdb has attached", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status
            .contains(&format!("TracerPid:\t{}\n", gdb.pid()))
            .then_some(())
    });

    refused(container.pid(), &[], "traces it", "none");

    rustix::process::kill_process_group(group, Signal::KILL).expect("it is ours");
}

#[test]
fn pid_1_of_the_machine_is_refused_or_holds_nothing() {
    let answer = sexton(["reap", "1", "--yes", "--settle", "0", "--allow-host"]);
    if zombies_of(1).is_empty() && answer.status == 0 {
        assert!(answer.stdout.contains("no zombies"), "{answer:?}");
    } else {
        assert!(
            answer.status == 2 || answer.stdout.contains("no zombies"),
            "{answer:?}"
        );
    }
}
