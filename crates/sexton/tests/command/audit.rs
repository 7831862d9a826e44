//! `sexton audit`: what it says of containers, and `--prove`, which stops them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sexton_lab::{Container, Layout, Program, Runtime, live_children_of, wait_until};

use crate::sexton::{Answer, sexton, validates};
use crate::situation::runtime;

/// A shell that did not exec: it drops SIGTERM, and its child never hears of it.
fn deaf(runtime: &Runtime) -> Container {
    let shell = Program::system(["/bin/sh", "-c", "sleep 1000; true"]);
    let container = Container::builder(runtime)
        .layout(Layout::Docker)
        .start(&shell);
    wait_until("its child runs", || {
        (!live_children_of(container.pid()).is_empty()).then_some(())
    });
    container
}

/// A shell with a trap that waits for nothing else.
fn willing(runtime: &Runtime) -> Container {
    let script = "trap 'exit 0' TERM; sleep 1000 & echo ready; wait";
    let shell = Program::system(["/bin/sh", "-c", script]);
    let container = Container::builder(runtime)
        .layout(Layout::Kubepods)
        .start(&shell);
    container.wait_for_line(0, |line| line == "ready");
    // `wait` comes after the line.
    wait_until("it sits in wait", || {
        let state = fs::read_to_string(format!("/proc/{}/syscall", container.pid())).ok()?;
        state
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(())
    });
    container
}

fn is_alive(container: &Container) -> bool {
    Path::new(&format!("/proc/{}/exe", container.pid())).exists()
}

fn found(answer: &Answer) -> Value {
    let report = answer.json();
    validates("report", &report);
    let all = report["exitSignals"].as_array().expect("it has some");
    assert_eq!(all.len(), 1, "{report:#}");
    all[0].clone()
}

#[test]
fn one_container_in_all_formats() {
    let Some(runtime) = runtime() else { return };
    let container = deaf(&runtime);
    let id = container.id();

    let killed = found(&sexton(["audit", "--container", id, "-o", "json"]).expect(1));
    assert_eq!(killed["verdict"], "killed");
    assert_eq!(killed["main"]["pid"], container.pid());
    assert_eq!(killed["main"]["innerPid"], 1);
    assert_eq!(killed["stopSignal"]["number"], 15);
    assert_eq!(killed["grace"]["seconds"], 10);
    assert_eq!(killed["unheard"].as_array().map(Vec::len), Some(1));

    let table = sexton(["audit", "--container", id]).expect(1).stdout;
    assert!(
        table.contains("VERDICT") && table.contains("killed"),
        "{table}"
    );
    assert!(
        table.lines().all(|line| line.chars().count() <= 100),
        "{table}"
    );
    let wide = sexton(["audit", "--container", id, "-o", "wide"]).expect(1);
    assert!(wide.stdout.contains(id) && wide.stdout.contains("sleep 1000; true"));
    let names = sexton(["audit", "--container", id, "-o", "name"]).expect(1);
    assert_eq!(names.stdout.trim(), id);
    let none = sexton(["audit", "--container", id, "--verdict", "ends"]).expect(0);
    assert!(none.stdout.contains("No containers"), "{none:?}");
}

#[test]
fn a_target_is_told_in_full() {
    let Some(runtime) = runtime() else { return };
    let container = deaf(&runtime);
    let child = live_children_of(container.pid())[0].to_string();
    // By id, by the beginning of it, and by any process in it.
    let targets = [
        container.id().to_owned(),
        format!("container/{}", &container.id()[..12]),
        child,
    ];
    for target in &targets {
        let told = sexton(["audit", target]).expect(1).stdout;
        for words in [
            "will be killed",
            "SigCgt",
            "Never told",
            "exec",
            "ENTRYPOINT",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

#[test]
fn one_that_ends_is_exit_status_0() {
    let Some(runtime) = runtime() else { return };
    let container = willing(&runtime);
    let pod = container.pod_uid().expect("it has a pod").to_owned();
    let ends = found(&sexton(["audit", "--pod", &pod, "-o", "json"]).expect(0));
    assert_eq!(ends["verdict"], "ends");
    assert_eq!(ends["grace"]["seconds"], 30);
    assert!(ends.get("cures").is_none(), "{ends:#}");
}

#[test]
fn a_scan_has_no_audit_in_it() {
    let report = sexton(["scan", "-o", "json"]).json();
    assert!(report.get("exitSignals").is_none());
}

#[test]
fn without_yes_a_proof_does_nothing() {
    let Some(runtime) = runtime() else { return };
    let container = willing(&runtime);
    let answer = sexton(["audit", "--prove", container.id()]).expect(0);
    assert!(answer.stdout.contains("Would send SIGTERM"), "{answer:?}");
    assert!(answer.stdout.contains("--yes"), "{answer:?}");
    let proof = sexton(["audit", "--prove", container.id(), "-o", "json"]).expect(0);
    validates("proof", &proof.json());
    assert_eq!(proof.json()["dryRun"], true);
    assert!(is_alive(&container));
}

#[test]
fn a_proof_stops_what_ends() {
    let Some(runtime) = runtime() else { return };
    let container = willing(&runtime);
    let args = ["audit", "--prove", container.id(), "--yes", "-o", "json"];
    let proof = sexton(args).expect(0).json();
    validates("proof", &proof);
    assert_eq!(proof["outcome"]["ended"], true, "{proof:#}");
    assert_eq!(proof["outcome"]["asJudged"], true, "{proof:#}");
    assert!(!is_alive(&container));
}

#[test]
fn a_proof_kills_only_on_request() {
    let Some(runtime) = runtime() else { return };
    let container = deaf(&runtime);
    let id = container.id();
    let proof = sexton(["audit", "--prove", id, "--yes", "--grace", "0.5"]).expect(1);
    assert!(proof.stdout.contains("was still there after"), "{proof:?}");
    assert!(proof.stdout.contains(", as judged"), "{proof:?}");
    assert!(is_alive(&container));

    let args = [
        "audit", "--prove", id, "--yes", "--grace", "0.2", "--kill", "-o", "json",
    ];
    let proof = sexton(args).expect(1).json();
    validates("proof", &proof);
    assert_eq!(proof["outcome"]["ended"], false);
    assert_eq!(proof["outcome"]["killed"], true, "{proof:#}");
    assert!(!is_alive(&container));
}

#[test]
fn what_is_no_container_is_refused() {
    let own = std::process::id().to_string();
    for args in [
        &["audit", "1"][..],
        &["audit", "--prove", "1", "--yes"],
        &["audit", "4194304"],
        &["audit", "no-such-container"],
        &["audit", &own],
        &["audit", "--prove", "--yes"],
        &["audit", "x", "--yes"],
    ] {
        let answer = sexton(args.iter().copied());
        assert_eq!(answer.status, 2, "{args:?}: {answer:?}");
        assert!(!answer.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_container_runtime_in_a_container_is_never_signalled() {
    let Some(runtime) = runtime() else { return };
    // Docker in Docker: PID 1 bears a protected name. Busybox's sleep would not run under it.
    let script = "exec -a dockerd /bin/bash -c 'sleep 1000; true'";
    let program = Program::system(["/bin/bash", "-c", script]);
    let container = Container::builder(&runtime).start(&program);
    wait_until("it bears the name", || {
        let line = fs::read(format!("/proc/{}/cmdline", container.pid())).ok()?;
        line.starts_with(b"dockerd").then_some(())
    });
    let args = ["audit", "--prove", container.id(), "--yes", "-o", "json"];
    let proof = sexton(args).expect(2).json();
    validates("proof", &proof);
    let refusal = proof["refusal"].as_str().expect("it is refused");
    assert!(refusal.contains("never signalled"), "{refusal}");
    assert!(is_alive(&container));
}

#[test]
fn hostile_arguments_are_escaped() {
    let Some(runtime) = runtime() else { return };
    let hostile = "a\u{1b}[2J\nb\u{202e}";
    let program = Program::system(["/bin/bash", "-c", "sleep 1000; true", hostile]);
    let container = Container::builder(&runtime).start(&program);
    wait_until("its child runs", || {
        (!live_children_of(container.pid()).is_empty()).then_some(())
    });
    let id = container.id();
    for args in [
        &["audit", id][..],
        &["audit", "--container", id, "-o", "wide"],
        &["audit", "--prove", id],
    ] {
        let answer = sexton(args.iter().copied());
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!answer.stdout.contains(steers), "{args:?}: {answer:?}");
        assert!(answer.stdout.contains(r"a\x1b[2J"), "{args:?}: {answer:?}");
    }
}

/// A shell below tini ends, and what it runs is killed unheard.
#[test]
fn one_that_ends_and_loses_work_is_exit_status_1() {
    let Some(runtime) = runtime() else { return };
    let init = Path::new("/usr/bin/tini");
    if !init.exists() {
        println!("SKIP: one_that_ends_and_loses_work_is_exit_status_1: tini is not installed");
        return;
    }
    let under = ["/usr/bin/tini", "--", "/bin/sh", "-c", "sleep 1000; true"];
    let container = Container::builder(&runtime).start(&Program::system(under));
    wait_until("its sleep runs", || {
        let shell = *live_children_of(container.pid()).first()?;
        (!live_children_of(shell).is_empty()).then_some(())
    });
    let id = container.id();
    let lost = found(&sexton(["audit", "--container", id, "-o", "json"]).expect(1));
    assert_eq!(lost["verdict"], "ends");
    assert_eq!(lost["unheard"].as_array().map(Vec::len), Some(1));
    let table = sexton(["audit", "--container", id]).expect(1).stdout;
    assert!(table.contains("ends, but 1 killed"), "{table}");
    let named = [
        "audit",
        "--verdict",
        "unheard",
        "--container",
        id,
        "-o",
        "name",
    ];
    assert_eq!(sexton(named).expect(1).stdout.trim(), id);
}

/// `sexton audit | head -1`
#[test]
fn a_reader_that_goes_away_does_not_change_the_exit_status() {
    let Some(runtime) = runtime() else { return };
    let container = deaf(&runtime);
    for output in ["json", "name", "wide"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_sexton"))
            .args(["audit", "--container", container.id(), "-o", output])
            .stdout(writer)
            .status()
            .expect("it can be started");
        assert_eq!(status.code(), Some(1), "{output}");
    }
}

/// A probe's script lies in the container, and what it leaves behind there comes to a PID 1 that
/// never waits.
#[test]
fn a_probe_that_is_a_script_and_leaves_zombies() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("probe.sh");
    fs::write(
        &script,
        "#!/bin/sh\n# sleep 100\ntimeout 5 true\nsleep 0.01 &\n",
    )
    .expect("a script");
    let forever = Program::system(["/bin/sleep", "1000"]);
    let container = Container::builder(&runtime)
        .layout(Layout::Docker)
        .bind(dir.path())
        .start(&forever);
    for _ in 0..5 {
        container.exec(&["/bin/sh", &script.to_string_lossy()]);
    }
    let id = container.id();
    let probe = |command: Vec<&str>, seconds: u64| {
        let probes = serde_json::json!([{
            "name": "livenessProbe", "timeoutSeconds": seconds, "command": command}]);
        let target = format!("container/{id}");
        let probes = probes.to_string();
        let answer = sexton(["audit", &target, "--probes", &probes, "-o", "json"]);
        let found = found(&answer.expect(1));
        let told = found["probes"].as_array().cloned().unwrap_or_default();
        let told = told.iter().filter_map(|told| told["finding"].as_str());
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    let path = script.to_string_lossy();
    wait_until("five zombies stand", || {
        let told = probe(vec!["sh", &path], 5);
        let all = told.join("\n");
        let words = [
            "the two race",
            "in the background",
            "zombies an hour: 5 of `sleep` stand",
        ];
        words.iter().all(|word| all.contains(word)).then_some(())
    });
    assert!(probe(vec!["true"], 5).is_empty());
    // What is no file of text costs the probe its script and no more.
    for other in ["/proc/kmsg", "/bin/sh", "/dev/zero", "/no/such"] {
        assert!(probe(vec![other], 5).is_empty(), "{other}");
    }
}
