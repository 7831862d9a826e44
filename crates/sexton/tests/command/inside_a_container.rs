//! Sexton in a container: an agent with the machine's PIDs, and `kubectl exec` into the leak.

use std::path::Path;
use std::process::Command;

use sexton_lab::{Container, Layout, Leak, Program, Runtime, wait_until, zombies_of};

use crate::sexton::{Answer, SEXTON, answer, leak_of};
use crate::situation::{leaking, runtime, settled};

/// Runs `sexton` in a container that was given [`sexton_dir`].
fn inside(container: &Container, args: &[&str]) -> Answer {
    let output = container.exec(&[&[SEXTON], args].concat());
    Answer {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn sexton_dir() -> &'static Path {
    Path::new(SEXTON)
        .parent()
        .expect("a file is in a directory")
}

#[test]
fn an_agent_with_the_machines_pids_tells_containers_apart() {
    for runtime in Runtime::all() {
        let pod = Container::builder(&runtime).layout(Layout::Kubepods);
        let pod = leaking(pod, Leak::new().name("chrome"), 11);
        let agent = Container::builder(&runtime)
            .layout(Layout::Crio)
            .host_pid()
            .cgroup_namespace()
            .privileged()
            .bind(sexton_dir())
            .start(&Program::system(["/bin/sleep", "1000"]));

        let args = ["scan", "-o", "json", "--container", pod.id()];
        let report = inside(&agent, &args).expect(1).json();

        let leak = leak_of(&report, pod.pid());
        assert_eq!(leak["zombies"], 11, "{}", runtime.name());
        assert_eq!(leak["container"]["pod"]["uid"].as_str(), pod.pod_uid());

        let reap = ["reap", pod.id(), "--yes", "--settle", "0"];
        inside(&agent, &reap).expect(0);
        assert_eq!(zombies_of(pod.pid()), [0_u32; 0]);
    }
}

#[test]
fn in_a_pod_variables_say_where_the_node_is_and_what_it_is_called() {
    let in_pod = |proc: &str, args: &[&str]| {
        let mut command = Command::new(SEXTON);
        command.args(args);
        command.env("NODE_NAME", "node-7");
        answer(command.env("SEXTON_PATH_PROCFS", proc))
    };
    let report = in_pod("/proc", &["scan", "-o", "json"]).json();
    assert_eq!(report["node"]["name"], "node-7", "{report}");

    let elsewhere = in_pod("/nowhere", &["scan"]).expect(2);
    assert!(elsewhere.stderr.contains("/nowhere"), "{elsewhere:?}");
    // What is typed wins.
    let typed = in_pod("/nowhere", &["limits", "--path-procfs=/proc"]);
    typed.expect(0);
}

#[test]
fn in_a_shared_pid_namespace_the_parents_container_is_named() {
    let Some(runtime) = runtime() else { return };
    let pause = Container::builder(&runtime)
        .layout(Layout::Kubepods)
        .start(&Program::system(["/bin/sleep", "1000"]));
    let builder = Container::builder(&runtime)
        .layout(Layout::Kubepods)
        .in_pid_namespace_of(pause.pid());
    let container = leaking(builder, Leak::new(), 5);

    let args = ["scan", "-o", "json", "--container", container.id()];
    let report = crate::sexton::sexton(args).expect(1).json();
    let holder = &leak_of(&report, container.pid())["holder"];
    assert_eq!(holder["namespaceInit"], false);
    assert_ne!(holder["nsPids"][1], 1);

    let reap = ["reap", container.id(), "--yes", "--settle", "0"];
    crate::sexton::sexton(reap).expect(0);
    assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
}

#[test]
fn inside_the_leaking_container_its_own_leak_is_seen() {
    let Some(runtime) = runtime() else { return };
    // The program is a child of a shell, as PID 1 of a container often is one.
    let leak = Leak::new().count(6).then_sleep().program();
    let mut program = leak.clone();
    program.argv = ["/bin/sh", "-c", r#""$@" & wait"#, "sh"]
        .map(str::to_owned)
        .to_vec();
    program.argv.extend(leak.argv);
    let container = Container::builder(&runtime)
        .privileged()
        .bind(sexton_dir())
        .start(&program);
    container.wait_for_line(0, |line| line == "done");
    let report = || inside(&container, &["scan", "-o", "json"]).json();
    let report = wait_until("all have ended", || {
        let report = report();
        (report["zombies"] == 6).then_some(report)
    });
    let holder = &report["leaks"][0]["holder"];
    assert_eq!(
        holder["nsPids"].as_array().map(Vec::len),
        Some(1),
        "{report:#}"
    );
    let pid = holder["pid"].as_u64().expect("a pid").to_string();

    let answer = inside(
        &container,
        &["reap", &pid, "--yes", "--settle", "0", "--allow-host"],
    );

    answer.expect(0);
    assert_eq!(
        inside(&container, &["scan", "-o", "name"]).expect(0).stdout,
        ""
    );
}

#[test]
fn pid_1_of_a_container_is_not_taken_for_the_machines() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).privileged().bind(sexton_dir());
    let container = builder.start(&Leak::new().count(4).then_sleep().program());
    settled(&container, 4);
    let answer = inside(
        &container,
        &["reap", "1", "--yes", "--settle", "0", "--allow-host"],
    );
    answer.expect(0);
    assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
}
