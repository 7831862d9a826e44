//! `sexton explain`.

use serde_json::Value;
use sexton_lab::{Container, Leak, Program, Runtime, require};

use crate::sexton::{leak_of, sexton, validates};
use crate::situation::{leaking, quiet, runtime};

/// A container in which `program` is a child of PID 1, as in the story, and its pid.
fn below_pid_1(runtime: &Runtime, program: &Program) -> (Container, u32) {
    let shell = Program {
        argv: ["/bin/sh", "-c", r#""$@" & wait"#, "sh"]
            .into_iter()
            .map(str::to_owned)
            .chain(program.argv.iter().cloned())
            .collect(),
        binds: program.binds.clone(),
    };
    let container = Container::builder(runtime).pids_limit(5_000).start(&shell);
    container.wait_for_line(0, |line| line == "12 ok");
    let name = container.id();
    let report = sexton(["scan", "-o", "json", "--container", name])
        .expect(1)
        .json();
    let pid = report["leaks"][0]["holder"]["pid"].as_u64().expect("a pid");
    (container, u32::try_from(pid).expect("a pid"))
}

#[track_caller]
fn best_cause(pid: u32) -> Value {
    let args = ["explain", &pid.to_string(), "--sample", "0", "-o", "json"];
    let report = sexton(args).expect(0).json();
    validates("report", &report);
    leak_of(&report, pid)["causes"][0].clone()
}

#[test]
fn the_go_program_of_the_story_is_recognised_with_its_cure() {
    let Some(runtime) = runtime() else { return };
    let Some(program) = require(Program::go_story(0, 20)) else {
        return;
    };
    let (_container, pid) = below_pid_1(&runtime, &program);

    let cause = best_cause(pid);

    assert_eq!(cause["id"], "go-start-without-wait", "{cause:#}");
    assert_eq!(cause["cure"]["language"], "go");
    assert!(
        cause["cure"]["code"]
            .as_str()
            .is_some_and(|code| code.contains("Wait()"))
    );
    assert!(!cause["facts"].as_array().expect("a list").is_empty());

    let answer = sexton(["explain", &pid.to_string(), "--sample", "0"]).expect(0);
    assert!(answer.stdout.contains("Wait()"), "{answer:?}");
}

#[test]
fn the_python_program_is_recognised() {
    let Some(runtime) = runtime() else { return };
    let Some(program) = require(Program::python_story(0, 20)) else {
        return;
    };
    let (_container, pid) = below_pid_1(&runtime, &program);
    let cause = best_cause(pid);
    assert_eq!(cause["id"], "python-popen-without-wait", "{cause:#}");
    assert_eq!(cause["cure"]["language"], "python");
}

#[test]
fn the_forecast_names_rate_and_limit() {
    let Some(runtime) = runtime() else { return };
    let leak = Leak::new().interval_ms(50).program();
    let container = Container::builder(&runtime).pids_limit(1_000).start(&leak);
    let pid = container.pid();
    container.wait_for_line(0, |line| line == "3 ok");

    let args = ["explain", &pid.to_string(), "--sample", "3", "-o", "json"];
    let report = sexton(args).expect(0).json();

    let forecast = &leak_of(&report, pid)["forecast"];
    assert_eq!(forecast["trend"], "growing", "{forecast}");
    assert_eq!(forecast["limit"], "cgroupPids", "{forecast}");
    let rate = forecast["ratePerSecond"].as_f64().expect("a number");
    assert!((0.5..=20.5).contains(&rate), "{forecast}");
}

#[test]
fn a_target_without_zombies_is_exit_status_1() {
    let Some(runtime) = runtime() else { return };
    let container = quiet(&runtime);
    let answer = sexton(["explain", &container.pid().to_string(), "--sample", "0"]).expect(1);
    assert!(answer.stdout.contains("no zombies"), "{answer:?}");
}

#[test]
fn a_target_that_is_not_there_is_an_error() {
    for target in ["4194304", "pod/nosuch", "container/nosuch", "nosuch"] {
        let answer = sexton(["explain", target, "--sample", "0"]).expect(2);
        let name = target.rsplit('/').next().unwrap_or(target);
        assert!(answer.stderr.contains(name), "{answer:?}");
        assert_eq!(answer.stdout, "");
    }
}

#[test]
fn container_and_pod_are_targets_too() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(sexton_lab::Layout::Crio);
    let container = leaking(builder, Leak::new(), 4);
    let pod = format!("pod/{}", container.pod_uid().expect("it has a pod"));
    let by_id = format!("container/{}", container.id());
    for target in [pod.as_str(), &by_id, &container.id()[..12]] {
        let answer = sexton(["explain", target, "--sample", "0", "-o", "json"]).expect(0);
        assert_eq!(leak_of(&answer.json(), container.pid())["zombies"], 4);
    }
}
