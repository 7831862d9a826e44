//! Where reaping is not possible: the holder is ended, or its container restarted.

use sexton_lab::{Containerd, Program, require, wait_until, zombies_of};

use crate::agent::Place;
use crate::bystanders::Bystanders;
use crate::{agent_beside, policy};

/// Leaks ten children under a seccomp filter of its own, which might kill it for calling
/// wait4: nothing makes such a program wait.
const UNREAPABLE: &str = "
import ctypes, subprocess, time, struct
kept = [subprocess.Popen(['/bin/true']) for _ in range(10)]
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(allow)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
print('leaked', flush=True)
time.sleep(3000)
";

const PYTHON: &str = "/usr/bin/python3";

fn python() -> Option<()> {
    require(if std::path::Path::new(PYTHON).exists() {
        Ok(())
    } else {
        Err(sexton_lab::Skip(format!("no {PYTHON}")))
    })
}

#[test]
fn a_container_that_cannot_be_reaped_is_restarted_and_brought_back() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(program) = require(Program::leak_of_32_bits()) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    // The label of a Deployment's pods: their restart policy is Always.
    let pod = containerd
        .pod("web-7c5")
        .namespace("story")
        .label("pod-template-hash", "7c5")
        .start();
    let container = pod.container("app").grace_seconds(1).start(&program);
    container.wait_for_line(0, |line| line == "leaked");
    let old = container.id().to_owned();
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);
    let kept = container.keep_running();
    // Not by a policy that stops below.
    policy(&place, "story", "  maxRung: terminate\n");
    agent.says("following");
    agent.looks(6);
    assert_eq!(kept.current().id(), old);
    policy(
        &place,
        "story",
        "  maxRung: restart\n  disruption: {threshold: {minZombies: 1}, escalateAfter: 1s}\n",
    );
    let outcome = wait_until("it was restarted", || {
        let mut done = place.outcomes("succeeded");
        done.retain(|outcome| outcome["newContainer"].is_string());
        done.pop()
    });
    let new = kept.current();
    assert_ne!(new.id(), old);
    assert_eq!(outcome["newContainer"], new.id());
    assert!(new.is_running());
    bystanders.are_untouched();
}

#[test]
fn a_holder_below_an_init_is_ended_and_its_zombies_with_it() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(()) = python() else { return };
    let Some(init) = require(match sexton_lab::program::find("tini") {
        Some(tini) => Ok(tini.display().to_string()),
        None => Err(sexton_lab::Skip("tini is not installed".to_owned())),
    }) else {
        return;
    };
    let bystanders = Bystanders::of(&containerd);
    let pod = containerd.pod("jobs").namespace("story").start();
    // A server that starts workers: one of them leaks.
    let server = format!(
        "import subprocess, time\nworker = subprocess.Popen(['{PYTHON}', '-c', '''{UNREAPABLE}'''])\n\
         worker.wait()\nprint('ended', worker.returncode, flush=True)\ntime.sleep(3000)\n"
    );
    let program = Program {
        argv: [&init, "--", PYTHON, "-c", &server]
            .map(str::to_owned)
            .to_vec(),
        binds: vec![],
    };
    let container = pod.container("app").start(&program);
    container.wait_for_line(0, |line| line == "leaked");
    let identity = container.identity();
    let place = Place::new();
    let agent = agent_beside(&containerd, &place);
    policy(
        &place,
        "story",
        "  maxRung: terminate\n  disruption: {threshold: {minZombies: 1}, escalateAfter: 1s}\n",
    );
    let line = container.wait_for_line(0, |line| line.starts_with("ended"));
    assert_eq!(line, "ended -15", "on SIGTERM");
    wait_until("recorded", || place.outcomes("succeeded").pop());
    assert_eq!(container.identity(), identity, "the container goes on");
    assert!(zombies_of(container.pid()).is_empty());
    agent.looks(1);
    bystanders.are_untouched();
}
