//! The lab makes what it says it makes. Checked against /proc and the cgroup tree.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::fs;

use sexton_lab::{
    Container, Layout, Leak, Program, Runtime, identity, require, wait_until, zombies_of,
};

#[test]
fn each_layout_is_where_a_runtime_would_put_it_and_goes_on_drop() {
    let mut ended = Vec::new();
    for runtime in Runtime::all() {
        for layout in Layout::ALL {
            let sleep = Program::system(["/bin/sleep", "1000"]);
            let container = Container::builder(&runtime).layout(layout).start(&sleep);
            let (pid, dir) = (container.pid(), container.cgroup_dir());

            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
            assert!(
                cgroup
                    .lines()
                    .any(|line| line.ends_with(container.cgroup())),
                "{layout:?}: {cgroup}"
            );
            assert!(container.cgroup().contains(container.id()));
            assert_eq!(layout.has_pod(), container.pod_uid().is_some());
            assert_ne!(
                fs::read_link(format!("/proc/{pid}/ns/pid")).expect("it runs"),
                fs::read_link("/proc/self/ns/pid").expect("we run")
            );

            drop(container);
            assert!(!dir.exists(), "{layout:?}: {}", dir.display());
            ended.push(pid);
        }
    }
    // Their parent is the machine's PID 1 now. Some wait for children only now and then.
    for pid in ended {
        wait_until("it is gone", || identity(pid).is_none().then_some(()));
    }
}

#[test]
fn a_leak_is_counted_by_the_cgroup_and_not_listed_in_it() {
    for runtime in Runtime::all() {
        let leak = Leak::new().count(100).then_sleep();
        let container = Container::builder(&runtime).start(&leak.program());
        container.wait_for_line(0, |line| line == "done");

        wait_until("all have ended", || {
            (zombies_of(container.pid()).len() == 100).then_some(())
        });
        let dir = container.cgroup_dir();
        let read = |file| fs::read_to_string(dir.join(file)).expect("a cgroup's file");
        assert_eq!(read("pids.current").trim(), "101");
        assert_eq!(read("cgroup.procs").lines().count(), 1);
    }
}

#[test]
fn several_threads_leak_together() {
    let leak = Leak::new().count(30).threads(3).then_sleep().exit(7);
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let container = Container::builder(&runtime).start(&leak.program());
    container.wait_for_line(0, |line| line == "done");
    wait_until("all have ended", || {
        (zombies_of(container.pid()).len() == 30).then_some(())
    });
}

/// What every program of the lab promises: it runs into the limit and lives.
fn runs_into_its_limit(program: &Program) {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let container = Container::builder(&runtime).pids_limit(40).start(program);
    let before = container.identity();
    let line = container.wait_for_line(0, |line| line.ends_with("EAGAIN"));
    let so_far = container.output().len();
    let next = container.wait_for_line(so_far, |line| line.ends_with("EAGAIN"));
    assert_ne!(line, next);
    // The last ones may take a moment to end on a slow machine.
    wait_until("most of its tasks are zombies", || {
        (zombies_of(container.pid()).len() >= 20).then_some(())
    });
    assert_eq!(before, container.identity());
}

#[test]
fn the_go_program_of_the_story_runs_into_its_limit_and_goes_on() {
    if let Some(program) = require(Program::go_story(0, 1)) {
        runs_into_its_limit(&program);
    }
}

#[test]
fn the_python_program_runs_into_its_limit_and_goes_on() {
    if let Some(program) = require(Program::python_story(0, 1)) {
        runs_into_its_limit(&program);
    }
}

#[test]
fn the_rust_program_runs_into_its_limit_and_goes_on() {
    runs_into_its_limit(&Leak::new().program());
}

#[test]
fn after_its_count_a_program_forks_without_leaking() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let programs = [
        require(Program::go_story(5, 0)),
        require(Program::python_story(5, 0)),
        Some(Leak::new().count(5).program()),
    ];
    for program in programs.into_iter().flatten() {
        let container = Container::builder(&runtime).start(&program);
        container.wait_for_line(0, |line| line == "12 ok");
        assert!((5..=6).contains(&zombies_of(container.pid()).len()));
    }
}

#[test]
fn exec_runs_inside() {
    for runtime in Runtime::all() {
        let sleep = Program::system(["/bin/sleep", "1000"]);
        let container = Container::builder(&runtime).start(&sleep);
        let output = container.exec(&["/bin/cat", "/proc/1/comm"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "sleep\n");
    }
}
