//! A program that died of a visit: the tool that killed it does not go on.

use std::process::{Command, Output};

use sexton_lab::{
    Container, Leak, Program, Runtime, live_children_of, require, wait_until, zombies_of,
};

use crate::agent::{Agent, Place, SEXTON, metric};

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";

/// A container below whose first process another one holds so many zombies; its pid.
///
/// The kernel keeps deadly signals from the first process of a PID namespace.
fn leaking(runtime: &Runtime, count: u32) -> (Container, u32) {
    let leak = Leak::new().count(count).then_sleep().program();
    let mut argv: Vec<String> = ["/bin/sh", "-c", "\"$@\" & exec sleep 1000", "sh"]
        .map(str::to_owned)
        .to_vec();
    argv.extend(leak.argv);
    let program = Program { argv, ..leak };
    let container = Container::builder(runtime).start(&program);
    let holder = wait_until("all children have ended", || {
        let holder = *live_children_of(container.pid()).first()?;
        (zombies_of(holder).len() == count as usize).then_some(holder)
    });
    (container, holder)
}

fn resume(place: &Place, more: &[&str]) -> Output {
    Command::new(SEXTON)
        .args(["resume", "--state-dir"])
        .arg(place.path().join("run"))
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn after_a_death_nothing_is_done_until_someone_allows_it() {
    if require(crate::faults()).is_none() {
        return;
    }
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let (victim, holder) = leaking(&runtime, 200);
    let (_other, second) = leaking(&runtime, 3);
    let place = Place::new();
    place.covers("victim", &victim, ENFORCE);
    let mut command = place.command();
    command.env("SEXTON_FAULT", format!("kill-holder:{holder}"));
    let agent = Agent::start(command);
    agent.says("halted; `sexton resume`");

    // It is a failure, and nothing counts as taken.
    let outcome = wait_until("the outcome", || place.outcomes("failed").pop());
    assert!(outcome.get("zombies").is_none(), "{outcome}");
    assert!(place.outcomes("succeeded").is_empty());
    place.covers("other", &_other, ENFORCE);
    agent.looks(4);
    let (status, why) = agent.get("/readyz");
    assert_eq!(status, 503);
    assert!(
        why.contains("halted") && why.contains(&format!("pid {holder}")),
        "{why}"
    );
    let metrics = agent.get("/metrics").1;
    assert_eq!(metric(&metrics, "sexton_halted"), 1.0);
    assert_eq!(metric(&metrics, "sexton_acting"), 0.0);
    assert!(agent.get("/").1.contains("sexton resume"));
    assert_eq!(zombies_of(second).len(), 3);
    drop(agent);

    // However often it is started.
    let agent = place.agent();
    agent.says("only looking: halted");
    agent.looks(4);
    assert_eq!(zombies_of(second).len(), 3);

    let resumed = resume(&place, &["-o", "json"]);
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    let document: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
    assert_eq!(document["resumed"], true);
    assert!(
        document["reason"]
            .as_str()
            .unwrap()
            .contains(&holder.to_string())
    );
    wait_until("it goes on", || zombies_of(second).is_empty().then_some(()));
    assert_eq!(metric(&agent.get("/metrics").1, "sexton_halted"), 0.0);

    let again = resume(&place, &[]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stdout).contains("not halted"));
}
