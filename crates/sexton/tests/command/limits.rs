//! `sexton limits`.

use serde_json::Value;
use sexton_lab::{Container, Leak};

use crate::sexton::{sexton, validates};
use crate::situation::{cannot_fork, full, quiet, runtime};

#[track_caller]
fn first(document: &Value) -> &Value {
    let limits = document["limits"].as_array().expect("a list");
    let mut first = limits.iter().filter(|limit| limit["first"] == true);
    let limit = first
        .next()
        .unwrap_or_else(|| panic!("none is first: {document:#}"));
    assert!(first.next().is_none(), "two are first: {document:#}");
    limit
}

#[test]
fn a_full_container_is_told_from_everything_else_that_could_be_full() {
    let Some(runtime) = runtime() else { return };
    let container = full(&runtime, &Leak::new().program(), 40);
    let pid = container.pid().to_string();

    let document = sexton(["limits", "-o", "json", "--pid", &pid])
        .expect(1)
        .json();

    validates("limits", &document);
    let limit = first(&document);
    assert_eq!(limit["kind"], "cgroupPids", "{document:#}");
    assert_eq!(limit["used"], 40);
    assert_eq!(limit["limit"], 40);
    assert_eq!(limit["zombies"], 39);
    assert!(
        limit["scope"]
            .as_str()
            .is_some_and(|scope| scope.contains(container.id()))
    );
    // It is true: the program in it goes on failing.
    container.wait_for_line(container.output().len(), |line| line.ends_with("EAGAIN"));

    let answer = sexton(["limits", "--pid", &pid]).expect(1);
    assert!(answer.stdout.contains("EAGAIN"), "{answer:?}");
    assert!(
        answer.stdout.contains("Resource temporarily unavailable"),
        "{answer:?}"
    );
    let table = answer
        .stdout
        .lines()
        .take_while(|line| !line.starts_with("Reached"));
    for line in table {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn a_limit_further_up_is_found_where_the_containers_own_has_room() {
    let Some(runtime) = runtime() else { return };
    let container = quiet(&runtime);
    let above = container.cgroup_dir().join("../pids.max");
    std::fs::write(&above, "7").expect("it is the test's own");

    let document = sexton(["limits", "-o", "json", "--container", container.id()])
        .expect(0)
        .json();

    let limit = first(&document);
    assert_eq!(
        (&limit["kind"], &limit["limit"]),
        (&"cgroupPids".into(), &7.into())
    );
    assert_eq!(limit["used"], 1);
    assert!(
        !limit["scope"]
            .as_str()
            .is_some_and(|scope| scope.contains(container.id()))
    );
}

#[test]
fn a_users_own_limit_is_found_and_holds() {
    let Some(runtime) = runtime() else { return };
    // A uid that nobody else uses: the limit counts all processes of the user.
    let leak = Leak::new().program();
    let container = Container::builder(&runtime)
        .uid(1_234_567)
        .nproc(20)
        .start(&leak);
    cannot_fork(&container);

    let document = sexton(["limits", "-o", "json", "--container", container.id()])
        .expect(1)
        .json();

    let limit = first(&document);
    assert_eq!(limit["kind"], "nproc", "{document:#}");
    assert_eq!(limit["limit"], 20);
    assert_eq!(limit["used"], 20);
    assert_eq!(limit["zombies"], 19);
}

#[test]
fn the_machines_limits_are_those_of_the_kernel() {
    let document = sexton(["limits", "-o", "json"]).json();
    validates("limits", &document);
    for (kind, file) in [
        ("pidMax", "/proc/sys/kernel/pid_max"),
        ("threadsMax", "/proc/sys/kernel/threads-max"),
    ] {
        let said = std::fs::read_to_string(file).expect("/proc is mounted");
        let said: u64 = said.trim().parse().expect("a number");
        let limits = document["limits"].as_array().expect("a list");
        let limit = limits.iter().find(|limit| limit["kind"] == kind);
        let limit = limit.unwrap_or_else(|| panic!("no {kind}: {document:#}"));
        assert_eq!(limit["limit"], said);
        assert!(
            limit["used"]
                .as_u64()
                .is_some_and(|used| used > 0 && used <= said)
        );
    }
}

#[test]
fn a_process_that_is_not_there_is_an_error() {
    // pid_max is at most 2^22.
    let answer = sexton(["limits", "--pid", "4194304"]).expect(2);
    assert!(answer.stderr.contains("4194304"), "{answer:?}");
    let answer = sexton(["limits", "--container", "nosuchcontainer"]).expect(2);
    assert!(answer.stderr.contains("nosuchcontainer"), "{answer:?}");
}
