//! What is said of the time that is left, against what then is so; and what a look costs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use sexton_lab::{Cgroup, Container, Leak, Running, require, wait_until};

use crate::sexton::{SEXTON, answer, leak_of, sexton};
use crate::situation::{leaking, runtime};

/// Steady leaks, some of them younger than a minute, driven into their limit. Their pace is that
/// of a sleep, which a busy machine hardly changes.
#[test]
fn the_real_end_lies_in_the_range() {
    let Some(runtime) = runtime() else { return };
    let leaks: Vec<(Container, u64)> = [(300, 70), (500, 45), (1_000, 28)]
        .map(|(pause, limit)| {
            let leak = Leak::new().interval_ms(pause).program();
            let container = Container::builder(&runtime).pids_limit(limit).start(&leak);
            (container, limit)
        })
        .into_iter()
        .collect();
    let said: Vec<_> = leaks
        .iter()
        .map(|(container, limit)| {
            // Half of what fits.
            let half = format!("{} ok", limit / 2);
            container.wait_for_line(0, |line| line == half);
            let target = format!("container/{}", container.id());
            let report = sexton(["explain", &target, "--sample", "3", "-o", "json"]).expect(0);
            let forecast = leak_of(&report.json(), container.pid())["forecast"].clone();
            (Instant::now(), forecast)
        })
        .collect();
    for ((container, limit), (at, forecast)) in leaks.iter().zip(said) {
        container.wait_for_line(0, |line| line.ends_with("EAGAIN"));
        let real = at.elapsed().as_secs_f64();
        println!("of {limit}: really {real:.1} s, said {forecast}");
        assert_eq!(forecast["trend"], "growing", "{forecast}");
        assert_eq!(forecast["limit"], "cgroupPids", "{forecast}");
        let range = &forecast["secondsLeftRange"];
        let earliest = range[0].as_f64().expect("a number");
        let latest = range[1].as_f64().unwrap_or(f64::INFINITY);
        // The line is seen a little after it was written.
        assert!(
            (earliest - 2.0..=latest + 3.0).contains(&real),
            "of {limit}: really {real:.1} s: {forecast}"
        );
    }
}

#[test]
fn a_dozen_that_stand_still_have_no_time_left() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime).pids_limit(60), Leak::new(), 12);
    let target = format!("container/{}", container.id());
    // As old as a dozen that come one by one would have shown the next one in.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let report = sexton(["explain", &target, "--sample", "1", "-o", "json"]).expect(0);
    let report = report.json();
    let forecast = &leak_of(&report, container.pid())["forecast"];
    assert_eq!(forecast["trend"], "notGrowing", "{forecast}");
    assert!(forecast["secondsLeft"].is_null(), "{forecast}");
}

/// Files opened by `sexton ARGS`; the least of a few, since others come and go meanwhile.
fn opens(args: &[&str], trace: &Path) -> usize {
    (0..3)
        .map(|_| {
            let mut command = Command::new("strace");
            command
                .args(["-f", "-qq", "-e", "trace=open,openat", "-o"])
                .arg(trace)
                .arg(SEXTON)
                .args(args);
            answer(&mut command).expect(1);
            let text = std::fs::read_to_string(trace).expect("strace wrote it");
            text.lines().filter(|line| line.contains("open")).count()
        })
        .min()
        .expect("three")
}

#[test]
fn a_look_of_the_watch_opens_little_more_than_a_scan() {
    const HOLDERS: usize = 100;
    let strace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    if !strace.is_ok_and(|status| status.success()) {
        println!("SKIP: a_look_of_the_watch_opens_little_more_than_a_scan: strace does not work");
        return;
    }
    let Some(cgroup) = require(Cgroup::new("holders")) else {
        return;
    };
    let holder = "true & exec sleep 600";
    let script =
        format!("i=0; while [ $i -lt {HOLDERS} ]; do sh -c '{holder}' & i=$((i+1)); done; wait");
    let _holders = Running::start(
        cgroup
            .command("sh")
            .args(["-c", &script])
            .stdout(Stdio::null()),
    );
    wait_until("each holds one", || {
        let report = sexton(["scan", "-o", "json"]).json();
        let leaks = report["leaks"].as_array().expect("a list").len();
        (leaks >= HOLDERS).then_some(())
    });
    let dir = tempfile::tempdir().expect("room for a file");
    let trace = dir.path().join("trace");
    let scan = opens(&["scan"], &trace);
    let watch = opens(&["scan", "--watch", "--count", "1"], &trace);
    println!("{HOLDERS} leaks: scan opens {scan} files, a look of the watch {watch}");
    assert!(watch * 2 <= scan * 3, "{watch} is more than 1.5 x {scan}");
}
