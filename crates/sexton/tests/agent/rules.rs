//! The rules of docs/design.md, as the agent keeps them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use sexton_lab::{
    Container, Leak, Running, Runtime, identity, require, require_root, wait_until, zombies_of,
};

use crate::agent::{Agent, Place, SEXTON};

/// A leak outside any container, by a program of this name.
fn on_the_host(place: &Place, name: &str) -> Running {
    let program = Leak::new().count(6).then_sleep().program();
    let copy: PathBuf = place.path().join(name);
    std::fs::copy(&program.argv[0], &copy).unwrap();
    let running = Running::start(
        Command::new(copy)
            .args(&program.argv[1..])
            .stdout(Stdio::null()),
    );
    wait_until("it has leaked", || {
        (zombies_of(running.pid()).len() == 6).then_some(())
    });
    running
}

fn policy(place: &Place, selector: &str) {
    place.policy(
        "host",
        &format!(
            "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {{name: host}}\nspec:\n  \
             selector: {selector}\n  mode: enforce\n  settle: 100ms\n"
        ),
    );
}

#[test]
fn a_process_of_the_host_is_reaped_only_if_it_is_named() {
    if require(require_root()).is_none() {
        return;
    }
    let place = Place::new();
    let name = format!("sx{}", std::process::id());
    let leak = on_the_host(&place, &name);
    // A policy that fits it in every other way.
    policy(&place, &format!("{{commands: [\"{name}\"]}}"));
    let agent = place.agent();
    agent.looks(5);
    assert_eq!(zombies_of(leak.pid()).len(), 6);
    assert!(place.records().is_empty());

    let before = identity(leak.pid());
    policy(&place, &format!("{{hostProcesses: [\"{name}\"]}}"));
    wait_until("it is reaped", || {
        zombies_of(leak.pid()).is_empty().then_some(())
    });
    assert_eq!(identity(leak.pid()), before);
}

#[test]
fn whom_containers_hang_on_is_never_touched_even_if_it_is_named() {
    if require(require_root()).is_none() {
        return;
    }
    let place = Place::new();
    // As a shim of containerd is called.
    let leak = on_the_host(&place, "containerd-shim-sx");
    policy(
        &place,
        "{hostProcesses: [containerd-shim, containerd-shim-sx]}",
    );
    let agent = place.agent();
    agent.looks(6);
    assert_eq!(zombies_of(leak.pid()).len(), 6);
    assert!(place.records().is_empty(), "{:#?}", place.records());
}

/// The capabilities of the unit, as setpriv(1) takes them.
fn capabilities() -> String {
    let unit = include_str!("../../../../deploy/systemd/sexton-agent.service");
    let set = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .unwrap();
    let names = set.split(' ').map(|name| name.replace("CAP_", ",+"));
    format!("-all{}", names.collect::<String>().to_lowercase())
}

fn with_capabilities(place: &Place, capabilities: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--no-new-privs", "--inh-caps=-all", "--bounding-set"])
        .arg(capabilities)
        .arg(SEXTON);
    place.arguments(&mut command);
    command
}

/// A container of another user, which has leaked.
fn of_another_user() -> Option<Container> {
    let runtime = require(Runtime::any())?;
    let program = Leak::new().count(8).then_sleep().program();
    let container = Container::builder(&runtime).uid(12_345).start(&program);
    wait_until("it has leaked", || {
        (zombies_of(container.pid()).len() == 8).then_some(())
    });
    Some(container)
}

#[test]
fn the_capabilities_of_the_unit_are_enough() {
    let Some(container) = of_another_user() else {
        return;
    };
    let place = Place::new();
    place.covers("take", &container, "  mode: enforce\n  settle: 100ms\n");
    let _agent = Agent::start(with_capabilities(&place, &capabilities()));
    wait_until("it is reaped", || {
        zombies_of(container.pid()).is_empty().then_some(())
    });
}

#[test]
fn without_one_of_them_nothing_is_done_and_it_goes_on() {
    let Some(container) = of_another_user() else {
        return;
    };
    let place = Place::new();
    place.covers("take", &container, "  mode: enforce\n  settle: 100ms\n");
    for missing in [",+sys_ptrace", ",+dac_override"] {
        let capabilities = capabilities();
        assert!(capabilities.contains(missing), "{capabilities}");
        let without = capabilities.replace(missing, "");
        let agent = Agent::start(with_capabilities(&place, &without));
        agent.looks(4);
        assert_eq!(zombies_of(container.pid()).len(), 8);
        assert_eq!(agent.get("/healthz").0, 200);
    }
}

#[test]
fn killed_again_and_again_it_loses_no_record() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let program = Leak::new().interval_ms(2).program();
    let container = Container::builder(&runtime).pids_limit(400).start(&program);
    let before = container.identity();
    let place = Place::new();
    place.covers("take", &container, "  mode: enforce\n  settle: 100ms\n");
    for round in 0..20_u64 {
        let agent = place.agent();
        // Any moment will do, as long as it is another each time.
        std::thread::sleep(std::time::Duration::from_millis(20 + round * 37 % 400));
        agent.end(Signal::KILL);
    }
    let agent = place.agent();
    agent.looks(2);
    let (status, _) = agent.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(place.audit_log()).unwrap();
    for line in text.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
    let records = place.records();
    let of = |kind: &str| {
        let mut ids: Vec<String> = records
            .iter()
            .filter(|line| line["entry"] == kind)
            .map(|line| line["id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    assert!(!of("intent").is_empty());
    assert_eq!(of("intent"), of("outcome"), "each has one outcome");
    assert_eq!(container.identity(), before, "the holder lives");
}
