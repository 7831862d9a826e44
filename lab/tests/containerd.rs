//! The lab's containerd and its pods are what they say, and leave nothing.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use sexton_lab::{
    Containerd, Leak, Program, identity, live_children_of, require, wait_until, zombies_of,
};

/// Directories of this containerd's cgroups in every hierarchy, and its files.
fn traces(containerd: &Containerd) -> Vec<PathBuf> {
    let tops = [containerd.cgroup().path(), containerd.pods_cgroup().path()];
    let all = sexton_lab::Hierarchies::find()
        .expect("it was found before")
        .all;
    let cgroups = all
        .iter()
        .flat_map(|mount| tops.iter().map(|top| mount.join(&top[1..])));
    let files = containerd.socket().parent().map(PathBuf::from);
    cgroups.chain(files).filter(|path| path.exists()).collect()
}

#[test]
fn a_pod_is_where_a_kubelet_would_put_it_and_goes_on_drop() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let daemon = containerd.pid();
    let pod = containerd.pod("web-0").start();
    let leak = Leak::new().count(100).then_sleep();
    let main = pod.container("main").start(&leak.program());
    main.wait_for_line(0, |line| line == "done");
    wait_until("all have ended", || {
        (zombies_of(main.pid()).len() == 100).then_some(())
    });

    let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", main.pid())).expect("it runs");
    let place = format!("/kubepods/burstable/pod{}/{}", pod.uid(), main.id());
    assert!(
        cgroup.lines().any(|line| line.ends_with(&place)),
        "{cgroup}"
    );
    let current = fs::read_to_string(main.cgroup_dir().join("pids.current"));
    assert_eq!(current.expect("a cgroup's file").trim(), "101");
    assert_eq!(
        main.exec(&["/bin/cat", "/proc/1/comm"]).stdout,
        "sexton-test-lea\n"
    );
    // The machine sees none of its mounts.
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let dir = containerd.socket().parent().expect("it has one");
    assert!(!mounts.contains(&*dir.to_string_lossy()), "{mounts}");

    let traces = traces(&containerd);
    assert!(traces.len() >= 3, "{traces:?}");
    let pid = main.pid();
    drop((main, pod, containerd));
    for path in traces {
        assert!(!path.exists(), "{}", path.display());
    }
    for pid in [daemon, pid] {
        wait_until("it is gone", || identity(pid).is_none().then_some(()));
    }
}

#[test]
fn a_panic_leaves_nothing_either_and_a_frozen_daemon_is_no_hindrance() {
    let mut left = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let Some(containerd) = require(Containerd::start()) else {
            return;
        };
        let pod = containerd.pod("web-0").start();
        let _main = pod
            .container("main")
            .start(&Program::system(["/bin/sleep", "1000"]));
        left = traces(&containerd);
        containerd.freeze();
        panic!("as a failing test would");
    }));
    assert_eq!(result.is_err(), !left.is_empty());
    for path in left {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn in_a_shared_pid_namespace_pause_reaps_orphans_and_not_the_zombies_of_the_living() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("shared").share_process_namespace().start();
    let leak = Leak::new().count(5).then_sleep();
    let main = pod.container("main").start(&leak.program());
    main.wait_for_line(0, |line| line == "done");
    assert_eq!(main.exec(&["/bin/cat", "/proc/1/comm"]).stdout, "pause\n");
    // An orphan ends; pause waits for it.
    let _ = main.exec(&["/bin/sh", "-c", "sleep 0 & exit 0"]);
    wait_until("all have ended", || {
        (zombies_of(main.pid()).len() == 5).then_some(())
    });
    let stat = main
        .exec(&["/bin/sh", "-c", "cat /proc/[0-9]*/stat"])
        .stdout;
    assert_eq!(
        stat.lines().filter(|line| line.contains(") Z 1 ")).count(),
        0,
        "{stat}"
    );
}

#[test]
fn a_probe_that_takes_too_long_is_killed_and_what_it_started_is_not() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("probed").start();
    let main = pod
        .container("main")
        .start(&Program::system(["/bin/sleep", "1000"]));
    let probe = main.try_exec(
        &["/bin/sh", "-c", "sleep 900 >/dev/null 2>&1; true"],
        Duration::from_secs(1),
    );
    let said = probe.expect_err("it takes longer");
    assert!(said.contains("timeout"), "{said}");
    // Its child is the container's PID 1's now.
    let orphan = wait_until("there is an orphan", || live_children_of(main.pid()).pop());
    let comm = fs::read_to_string(format!("/proc/{orphan}/comm"));
    assert_eq!(comm.expect("it sleeps").trim(), "sleep");
}

#[test]
fn pids_max_of_a_pod_binds() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("small").start();
    pod.set_pids_max(40);
    let main = pod.container("main").start(&Leak::new().program());
    main.wait_for_line(0, |line| line.ends_with("EAGAIN"));
    let before = main.identity();
    // As the kubelet would, after its end: another container of the same name.
    main.stop(Duration::from_secs(0));
    assert_eq!(main.identity().filter(|_| main.is_running()), None);
    let again = main.start_again();
    assert_ne!(again.id(), main.id());
    assert_ne!(again.identity(), before);
    again.wait_for_line(0, |line| line.ends_with("EAGAIN"));
}

#[test]
fn what_is_kept_running_comes_back_under_another_id() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("kept").start();
    let main = pod
        .container("main")
        .start(&Program::system(["/bin/sleep", "1000"]));
    let first = main.clone();
    let kept = main.keep_running();
    first.stop(Duration::ZERO);
    let next = wait_until("it is back", || {
        let current = kept.current();
        (current.id() != first.id()).then_some(current)
    });
    assert!(next.is_running());
    assert!(!first.is_running());
    // While containerd is away nothing is known, and nothing is done.
    let before = next.identity();
    containerd.kill();
    containerd.restart();
    assert_eq!(kept.current().id(), next.id());
    assert_eq!(next.identity(), before);
}
