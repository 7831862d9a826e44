//! Defects of Sexton's own: a panic in the work on one holder costs that holder, and nobody else.

use std::process::Command;

use sexton_lab::{Container, Leak, Runtime, require, require_root, wait_until, zombies_of};

use crate::agent::{Agent, Place, SEXTON, metric};

const ENFORCE: &str = "  mode: enforce\n  settle: 100ms\n";

fn leaking(runtime: &Runtime) -> Container {
    let program = Leak::new().count(3).then_sleep().program();
    let container = Container::builder(runtime).start(&program);
    container.wait_for_line(0, |line| line == "done");
    wait_until("all children have ended", || {
        (zombies_of(container.pid()).len() == 3).then_some(())
    });
    container
}

fn with_fault(place: &Place, fault: &str) -> Agent {
    let mut command = Command::new(SEXTON);
    place.arguments(&mut command);
    command.env("SEXTON_FAULT", fault);
    Agent::start(command)
}

#[test]
fn a_panic_over_one_holder_costs_that_holder_alone() {
    if require(crate::faults()).is_none() {
        return;
    }
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for point in ["judge", "act", "limits"] {
        let (bad, good) = (leaking(&runtime), leaking(&runtime));
        let place = Place::new();
        place.covers("bad", &bad, ENFORCE);
        let agent = with_fault(&place, &format!("panic-{point}:{}", bad.pid()));
        agent.says("left alone after a defect in Sexton");
        place.covers("good", &good, ENFORCE);
        wait_until("the other one is served", || {
            zombies_of(good.pid()).is_empty().then_some(())
        });
        agent.looks(5);
        let metrics = agent.get("/metrics").1;
        // It is not tried again.
        assert_eq!(metric(&metrics, "sexton_panics_total"), 1.0, "{point}");
        let errors = metric(&metrics, "sexton_errors_total{kind=\"panic\"}");
        assert_eq!(errors, 1.0, "{point}");
        assert_eq!(zombies_of(bad.pid()).len(), 3, "{point}");
        assert!(
            agent.get("/").1.contains("left alone after a defect"),
            "{point}"
        );
        assert_eq!(agent.get("/readyz").0, 200, "{point}");
        // An intent that was written has its outcome.
        let kinds = |kind| {
            let records = place.records();
            records.iter().filter(|line| line["entry"] == kind).count()
        };
        assert_eq!(kinds("intent"), kinds("outcome"), "{point}");
        assert_eq!(place.outcomes("failed").len(), usize::from(point == "act"));
    }
}

#[test]
fn a_panic_over_a_cause_or_an_audit_costs_that_cause_or_audit() {
    if require(crate::faults()).is_none() {
        return;
    }
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    for point in ["causes", "audit"] {
        let (bad, good) = (leaking(&runtime), leaking(&runtime));
        let place = Place::new();
        place.covers("bad", &bad, ENFORCE);
        let whom = match point {
            "causes" => bad.pid().to_string(),
            _ => bad.id().to_owned(),
        };
        let agent = with_fault(&place, &format!("panic-{point}:{whom}"));
        agent.says("for a defect in Sexton");
        // The zombies themselves are dealt with all the same.
        wait_until("it is served", || {
            zombies_of(bad.pid()).is_empty().then_some(())
        });
        let report = wait_until("the other one has been looked at", || {
            let report = agent.get("/report").1;
            let audited = report.split("\"exitSignals\"").nth(1)?;
            audited.contains(good.id()).then_some(report)
        });
        let audited = report.split("\"exitSignals\"").nth(1).unwrap();
        assert_eq!(audited.contains(bad.id()), point == "causes", "{point}");
        let panics = metric(&agent.get("/metrics").1, "sexton_panics_total");
        assert_eq!(panics, 1.0, "{point}");
    }
}

#[test]
fn a_look_that_fails_as_a_whole_is_told_and_shows_no_old_figures() {
    if require(require_root()).is_none() || require(crate::faults()).is_none() {
        return;
    }
    let place = Place::new();
    let agent = with_fault(&place, "panic-look:all");
    agent.says("the look failed");
    let (status, ready) = agent.get("/readyz");
    assert_eq!(status, 503);
    assert!(ready.contains("the last look failed: a defect"), "{ready}");
    assert_eq!(agent.get("/report").0, 503);
    // To be started anew would help nobody.
    assert_eq!(agent.get("/healthz").0, 200);
    assert!(agent.get("/").1.contains("The last look failed."));
    let metrics = agent.get("/metrics").1;
    assert!(metric(&metrics, "sexton_errors_total{kind=\"panic\"}") >= 1.0);
    assert!(!metrics.contains("sexton_leaks"), "{metrics}");
}

#[test]
fn without_one_of_its_threads_it_ends_and_says_so() {
    if require(crate::faults()).is_none() {
        return;
    }
    let place = Place::new();
    for thread in ["causes", "ender", "serve"] {
        let output = {
            let mut command = Command::new(SEXTON);
            place.arguments(&mut command);
            command.env("SEXTON_FAULT", format!("panic-thread:{thread}"));
            command.output().unwrap()
        };
        assert_eq!(output.status.code(), Some(2), "{thread}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("thread '{thread}'")), "{said}");
    }
}
