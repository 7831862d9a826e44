//! Known programs with known zombies, by programs that bear their names.

use std::path::Path;

use rustix::process::Signal;
use sexton_core::Confidence::{High, Medium};
use sexton_lab::{Running, Skip, require, wait_until};

use crate::situation::{Situation, copy, directory, kill, link, parent, python, script, which};

/// A program of this name is PID 1 and does nothing; then a probe in its namespace, a shell that
/// runs `probe`, is killed as the kubelet's time limit does it, and `probe` ends later.
fn killed_probe(first: &str, probe: &str) -> Result<Situation, Skip> {
    let dir = directory();
    let first = copy(&parent()?, dir.path(), first);
    let probe = copy(Path::new("/bin/sleep"), dir.path(), probe);
    let situation = Situation::pid1(&[&first, "idle"])?;
    for _ in 0..3 {
        let shell = situation.exec(&["sh", "-c", &format!("{probe} 0.4; :")]);
        let inner = wait_until("the probe's shell", || inner_shell(&shell));
        kill(inner, Signal::KILL);
    }
    Ok(situation)
}

/// nsenter forks to enter the namespace; its child is the shell. Ready when the shell has
/// a child of its own.
fn inner_shell(running: &Running) -> Option<u32> {
    let child = |pid: u32| -> Option<u32> {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(path).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    let shell = child(running.pid())?;
    let probe = child(shell)?;
    // It has become the probe, and is no copy of the shell any more.
    let comm = std::fs::read_to_string(format!("/proc/{probe}/comm")).ok()?;
    (comm != "sh\n").then_some(shell)
}

#[test]
fn probe_redis() {
    let Some(situation) = require(killed_probe("redis-server", "redis-cli")) else {
        return;
    };
    situation
        .diagnose(3)
        .is("probe-redis", High)
        .says("redis-cli (3)")
        .is_not("probe-killed");
    // redis-server that holds something else is not taken for that.
    let Some(situation) = require(killed_probe("redis-server", "backup")) else {
        return;
    };
    situation.diagnose(3).is_not("probe-redis");
}

#[test]
fn probe_etcd() {
    let Some(situation) = require(killed_probe("etcd", "etcdctl")) else {
        return;
    };
    situation.diagnose(3).is("probe-etcd", High);
}

#[test]
fn probe_killed() {
    let Some(situation) = require(killed_probe("server", "pg_isready")) else {
        return;
    };
    situation
        .diagnose(3)
        .is("probe-killed", Medium)
        .says("pg_isready (3)");
    // A server's own children of that name are no probes.
    let Some(parent) = require(parent()) else {
        return;
    };
    let argv = [parent.to_str().unwrap(), "own", "curl", "3"];
    let Some(situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    situation.diagnose(3).is_not("probe-killed");
}

#[test]
fn probe_shim() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    let shim = copy(&parent, dir.path(), "containerd-shim-runc-v2");
    let situation = Situation::child(&[&shim, "own", "runc", "3"]);
    let diagnosis = situation.diagnose(3);
    diagnosis.is("probe-shim", High);
    assert!(diagnosis.causes[0].now[0].contains("never touches"));
    assert!(
        !diagnosis.causes[0]
            .now
            .iter()
            .any(|step| step.contains("sexton reap")),
        "Sexton refuses to reap for a shim"
    );
}

#[test]
fn busybox_timeout() {
    let Some(busybox) = require(which("busybox")) else {
        return;
    };
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    let timeout = link(&busybox, dir.path(), "timeout");
    let argv = [parent.to_str().unwrap(), "idle"];
    let Some(situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    for _ in 0..2 {
        let mut probe = situation.exec(&[&timeout, "1", "true"]);
        assert!(probe.child().wait().unwrap().success());
    }
    situation
        .diagnose(2)
        .is("busybox-timeout", Medium)
        .says("timeout (2)");
}

fn pid1_named(name: &str, mode: &str, zombies: &str) -> Result<Situation, Skip> {
    let dir = directory();
    let program = copy(&parent()?, dir.path(), name);
    Situation::pid1(&[&program, mode, zombies, "5"])
}

#[test]
fn argocd_git() {
    let Some(situation) = require(pid1_named("argocd", "daemons", "git")) else {
        return;
    };
    situation.diagnose(5).is("argocd-git", High).says("git (5)");
}

#[test]
fn nested_runtime() {
    let Some(situation) = require(pid1_named("dockerd", "daemons", "containerd-shim")) else {
        return;
    };
    let diagnosis = situation.diagnose(5);
    diagnosis.is("nested-runtime", High);
    assert!(
        !diagnosis.causes[0]
            .now
            .iter()
            .any(|step| step.contains("sexton reap"))
    );
}

#[test]
fn airflow_scheduler() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    let airflow = copy(&parent, dir.path(), "airflow");
    Situation::child(&[&airflow, "own", "airflow schedul", "5"])
        .diagnose(5)
        .is("airflow-scheduler", High);
}

/// A driver that starts browsers in sessions of their own, as it lives on; each browser leaves
/// a process behind.
fn driver(dir: &Path, name: &str) -> String {
    let chrome = copy(Path::new("/bin/sleep"), dir, "chrome");
    let text = format!(
        "#!/bin/sh\nfor i in 1 2 3; do setsid sh -c '{chrome} 0.3 & exit'; done\nsleep 1000\n:\n"
    );
    script(dir, name, &text)
}

fn python_with(dir: &Path, name: &str) -> Result<Situation, Skip> {
    std::fs::create_dir_all(dir).unwrap();
    let driver = driver(dir, name);
    let program =
        format!("import subprocess, time\nd = subprocess.Popen(['{driver}'])\ntime.sleep(1000)");
    Situation::pid1(&[&python()?, "-c", &program])
}

#[test]
fn selenium_python() {
    let dir = directory();
    let Some(situation) = require(python_with(dir.path(), "chromedriver")) else {
        return;
    };
    let diagnosis = situation.diagnose_only(3, "chrome");
    diagnosis
        .is("selenium-python", High)
        .says("chrome (3)")
        .says("chromedriver (pid ")
        .includes("browser-orphans")
        .includes("python-init")
        .is_not("playwright");
    assert_eq!(diagnosis.causes[0].cure.language.as_deref(), Some("python"));
}

#[test]
fn playwright_driver() {
    let dir = directory();
    let place = dir.path().join("playwright/driver");
    let Some(situation) = require(python_with(&place, "run")) else {
        return;
    };
    situation
        .diagnose_only(3, "chrome")
        .is("playwright", High)
        .is_not("selenium-python");
}

#[test]
fn puppeteer_node() {
    let Some(node) = require(which("node")) else {
        return;
    };
    let dir = directory();
    let chrome = copy(Path::new("/bin/sleep"), dir.path(), "chrome");
    let program = format!(
        "const {{ spawn }} = require('child_process');
         for (let i = 0; i < 3; i++) spawn('sh', ['-c', '{chrome} 0.3 & exit'], {{ detached: true }});
         setInterval(() => {{}}, 1000);"
    );
    let Some(situation) = require(Situation::pid1(&[&node, "-e", &program])) else {
        return;
    };
    situation
        .diagnose_only(3, "chrome")
        .is("puppeteer-node", High)
        .includes("node-init")
        .is_not("selenium-python");
}

#[test]
fn browser_orphans() {
    let Some(situation) = require(pid1_named("crawler", "daemons", "chrome")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("browser-orphans", High)
        .is_not("selenium-python");
    // Browsers that a living program started and does not wait for are its own fault.
    let Some(parent) = require(parent()) else {
        return;
    };
    Situation::child(&[parent.to_str().unwrap(), "own", "chrome", "5"])
        .diagnose(5)
        .is("native-fork-without-wait", High)
        .is_not("browser-orphans");
}
