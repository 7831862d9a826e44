//! `sexton scan`.

use sexton_lab::{Container, Layout, Leak, Runtime, wait_until, zombies_of};

use crate::sexton::{leak_of, sexton, validates};
use crate::situation::{leaking, quiet, runtime};

/// What `container.runtime` says for a cgroup that lies there.
fn runtime_by_path(layout: Layout) -> &'static str {
    match layout {
        // Neither path bears a mark of its runtime.
        Layout::Plain | Layout::Kubepods => "unknown",
        Layout::Docker | Layout::DockerSystemd => "docker",
        Layout::KubepodsSystemd => "containerd",
        Layout::Crio => "crio",
        Layout::Podman => "podman",
    }
}

#[test]
fn a_leak_is_attributed_to_its_container_whatever_made_it() {
    for runtime in Runtime::all() {
        for layout in Layout::ALL {
            let builder = Container::builder(&runtime).layout(layout);
            let container = leaking(builder, Leak::new().name("chrome"), 12);
            let (id, pid) = (container.id(), container.pid());

            let report = sexton(["scan", "-o", "json", "--container", id])
                .expect(1)
                .json();

            validates("report", &report);
            assert_eq!(report["zombies"], 12);
            let leak = leak_of(&report, pid);
            assert_eq!(leak["zombies"], 12);
            assert_eq!(leak["inspected"], 12);
            assert_eq!(leak["commands"][0]["name"], "chrome");
            assert_eq!(leak["commands"][0]["count"], 12);
            assert_eq!(leak["container"]["id"], id, "{layout:?}");
            assert_eq!(
                leak["container"]["runtime"],
                runtime_by_path(layout),
                "{layout:?}"
            );
            assert_eq!(
                leak["container"]["cgroup"],
                container.cgroup(),
                "{layout:?}"
            );
            assert_eq!(
                leak["container"]["pod"]["uid"].as_str(),
                container.pod_uid(),
                "{layout:?}"
            );
        }
    }
}

#[test]
fn the_holder_is_described_as_it_is() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(
        Container::builder(&runtime).uid(4321),
        Leak::new().threads(3),
        9,
    );
    let (pid, start_ticks) = container.identity().expect("it runs");

    let report = sexton(["scan", "-o", "json", "--pid", &pid.to_string()]).json();

    let holder = &leak_of(&report, pid)["holder"];
    assert_eq!(holder["startTicks"], start_ticks);
    assert_eq!(holder["nsPids"], serde_json::json!([pid, 1]));
    assert_eq!(holder["namespaceInit"], true);
    assert_eq!(holder["uid"], 4321);
    assert_eq!(holder["threads"], 3);
    assert_eq!(holder["state"], "sleeping");
    assert_eq!(holder["frozen"], false);
    assert_eq!(holder["holdsAs"], "parent");
    assert_eq!(holder["sigchld"], "default");
    let command_line = holder["commandLine"].as_array().expect("a list");
    assert!(command_line.iter().any(|argument| argument == "--threads"));
}

#[test]
fn zombies_are_shown_with_both_pids_and_their_exit_status() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new().exit(3), 2);
    let mut pids = zombies_of(container.pid());
    pids.sort_unstable();

    let report = sexton(["scan", "-o", "json", "--container", container.id()]).json();

    let sample = leak_of(&report, container.pid())["sample"].as_array();
    let sample = sample.expect("a list");
    let mut found: Vec<u64> = sample.iter().filter_map(|z| z["pid"].as_u64()).collect();
    found.sort_unstable();
    assert_eq!(found, pids.into_iter().map(u64::from).collect::<Vec<_>>());
    for zombie in sample {
        assert_eq!(zombie["nsPids"].as_array().map(Vec::len), Some(2));
        assert_eq!(zombie["nsPids"][0], zombie["pid"]);
        assert_eq!(zombie["exit"], serde_json::json!({"code": 3}));
    }
}

#[test]
fn nothing_found_is_exit_status_0() {
    let Some(runtime) = runtime() else { return };
    let container = quiet(&runtime);
    let answer = sexton(["scan", "--container", container.id()]).expect(0);
    assert!(answer.stdout.contains("No zombies"), "{answer:?}");
    let report = sexton(["scan", "-o", "json", "--container", container.id()]).expect(0);
    assert_eq!(report.json()["zombies"], 0);
}

#[test]
fn the_table_names_holder_and_container_in_100_columns() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Kubepods);
    let container = leaking(builder, Leak::new().name("chrome"), 15);

    let answer = sexton(["scan", "--container", container.id()]).expect(1);

    let table = answer.stdout.lines().take_while(|line| !line.is_empty());
    for line in table {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let holder = container.pid().to_string();
    let row = answer.stdout.lines().find(|line| line.contains(&holder));
    let row = row.unwrap_or_else(|| panic!("{answer:?}"));
    assert!(row.contains("15") && row.contains("chrome"), "{row}");
}

#[test]
fn wide_cuts_nothing() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Crio);
    let container = leaking(builder, Leak::new(), 3);
    let answer = sexton(["scan", "-o", "wide", "--container", container.id()]).expect(1);
    assert!(answer.stdout.contains(container.id()), "{answer:?}");
    assert!(
        answer
            .stdout
            .contains(container.pod_uid().expect("it has a pod")),
        "{answer:?}"
    );
}

#[test]
fn name_prints_the_holders_pid_and_nothing_else() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let answer = sexton(["scan", "-o", "name", "--container", container.id()]).expect(1);
    assert_eq!(answer.stdout, format!("{}\n", container.pid()));
}

#[test]
fn filters_choose_by_pid_container_pod_and_count() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::KubepodsSystemd);
    let container = leaking(builder, Leak::new(), 20);
    let holder = container.pid().to_string();
    let zombie = zombies_of(container.pid())[0].to_string();
    let pod = container.pod_uid().expect("it has a pod");

    let chosen: [&[&str]; 6] = [
        &["--pid", &holder],
        &["--pid", &zombie],
        &["--container", container.id()],
        &["--container", &container.id()[..12]],
        &["--pod", pod],
        &["--min", "20", "--pod", pod],
    ];
    for filter in chosen {
        let answer = sexton(["scan", "-o", "name"].iter().chain(filter).copied());
        assert_eq!(answer.stdout, format!("{holder}\n"), "{filter:?}");
        assert_eq!(answer.status, 1);
    }
    let others: [&[&str]; 2] = [
        &["--pid", "1", "--container", container.id()],
        &["--min", "21", "--pod", pod],
    ];
    for filter in others {
        let answer = sexton(["scan", "-o", "name"].iter().chain(filter).copied());
        assert_eq!(
            (answer.status, answer.stdout.as_str()),
            (0, ""),
            "{filter:?}"
        );
    }
    // There is no such pod, which is not the same as one without zombies.
    sexton(["scan", "--pod", "00000000-0000-4000-8000-000000000000"]).expect(2);
}

#[test]
fn a_full_scan_and_a_quick_one_agree() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new().name("chrome"), 30);
    let scan = |args: &[&str]| {
        let all = ["scan", "-o", "json", "--container", container.id()];
        let report = sexton(all.iter().chain(args).copied()).expect(1).json();
        let mut leak = leak_of(&report, container.pid()).clone();
        // These grow with time.
        leak["ages"] = serde_json::Value::Null;
        leak
    };
    assert_eq!(scan(&[]), scan(&["--full"]));
}

#[test]
fn zombies_of_an_orphaned_holder_are_pid_1s_of_the_container() {
    let Some(runtime) = runtime() else { return };
    // PID 1 is sleep, which never waits; the leaking program ends and leaves its zombies to it.
    let container = quiet(&runtime);
    let output = container.exec(&["/bin/sh", "-c", "(/bin/true & /bin/true & exec /bin/true)"]);
    assert!(output.status.success(), "{output:?}");
    wait_until("the orphans have come to PID 1", || {
        (zombies_of(container.pid()).len() == 2).then_some(())
    });

    let report = sexton(["scan", "-o", "json", "--container", container.id()])
        .expect(1)
        .json();

    let leak = leak_of(&report, container.pid());
    assert_eq!(leak["zombies"], 2);
    assert_eq!(leak["holder"]["name"], "sleep");
}
