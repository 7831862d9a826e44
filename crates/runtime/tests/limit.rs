//! At the limit of PIDs there is no other thread and no process to be had, and none is asked
//! for: the kernel counts those it refused.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sexton_lab::{Cgroup, Containerd, PodContainer, Program, require, wait_until_it_catches};
use sexton_runtime::{Cri, Error, Runtime};

/// How often the kernel refused a fork or a thread in this cgroup.
fn refused(cgroup: &Cgroup) -> u64 {
    let file = cgroup.dir().join("pids.events");
    let text = fs::read_to_string(&file);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let max = text.lines().find_map(|line| line.strip_prefix("max "));
    max.expect("it counts").trim().parse().expect("a number")
}

/// Built by the same `cargo test`.
fn example() -> PathBuf {
    let exe = std::env::current_exe().expect("/proc is mounted");
    let dir = exe.ancestors().nth(2).expect("TARGET/debug/deps/limit-…");
    let path = dir.join("examples/workloads");
    assert!(
        path.exists(),
        "{} is built by `cargo build --examples`",
        path.display()
    );
    path
}

fn sleeper(containerd: &Containerd) -> PodContainer {
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let pod = containerd.pod("at-the-limit").start();
    let main = pod.container("main");
    let main = main.start(&Program::system(["/bin/sh", "-c", script]));
    wait_until_it_catches(main.pid(), 15);
    main
}

#[test]
fn names_and_stops_take_no_second_thread() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let Some(cgroup) = require(Cgroup::new("limit")) else {
        return;
    };
    let main = sleeper(&containerd);
    // Room for one task: the shell that joins, and then becomes the example.
    cgroup.set_pids_max(1);
    let run = |args: &[&str]| {
        let mut command = cgroup.command(example());
        let output = command.arg(containerd.socket()).args(args).output();
        let output = output.expect("this process may fork");
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is JSON")
    };

    let told = run(&[]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("one workload");
    assert_eq!(told["id"], main.id());
    assert_eq!(told["pid"], main.pid());
    run(&["stop", main.id(), "600"]);
    assert!(!main.is_running());
    assert_eq!(refused(&cgroup), 0, "it asked for a thread or a process");

    // The limit does bind, and is counted.
    let forks = cgroup
        .command("/bin/sh")
        .args(["-c", "sleep 0; sleep 0"])
        .output();
    let forks = forks.expect("this process may fork");
    assert!(!forks.status.success(), "{forks:?}");
    assert!(refused(&cgroup) > 0);
}

/// What the ladder has to know: while nobody can fork, a runtime cannot stop a container
/// either, since it starts runc to send a signal. It says so.
#[test]
fn a_runtime_at_its_own_limit_refuses() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let main = sleeper(&containerd);
    let mut cri = Cri::new(containerd.socket()).deadline(Duration::from_secs(60));
    assert_eq!(cri.workloads().expect("it runs").len(), 1);

    let own = containerd.cgroup();
    own.set_pids_max(own.pids_current());
    assert_eq!(cri.workloads().expect("lists take no process").len(), 1);
    let stopped = cri.stop(main.id(), Duration::from_secs(1));
    let Err(Error::Refused { message, .. }) = &stopped else {
        panic!("{stopped:?}");
    };
    assert!(
        message.contains("resource temporarily unavailable"),
        "{message}"
    );
    assert!(main.is_running());

    // containerd sends a stop signal once, and counts the one that it could not send: the
    // second stop waits for the grace and kills.
    own.set_pids_max(10_000);
    cri.stop(main.id(), Duration::from_secs(1))
        .expect("it can fork again");
    assert!(!main.is_running());
}
