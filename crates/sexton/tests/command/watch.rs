//! `sexton scan --watch`.

use sexton_lab::{Container, Leak};

use crate::sexton::sexton;
use crate::situation::{leaking, runtime};

#[test]
fn a_growing_leak_gets_a_rate() {
    let Some(runtime) = runtime() else { return };
    let leak = Leak::new().interval_ms(50).program();
    let container = Container::builder(&runtime).pids_limit(2_000).start(&leak);
    container.wait_for_line(0, |line| line == "5 ok");

    let args = [
        "scan",
        "--watch",
        "--interval",
        "0.5",
        "--count",
        "5",
        "-o",
        "json",
    ];
    let answer = sexton(args.into_iter().chain(["--container", container.id()])).expect(1);

    let looks: Vec<serde_json::Value> = answer
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one document a line"))
        .collect();
    assert_eq!(looks.len(), 5);
    let forecast = &looks[4]["leaks"][0]["forecast"];
    assert_eq!(forecast["trend"], "growing", "{forecast}");
    let rate = forecast["ratePerSecond"].as_f64().expect("a number");
    // One every 50 ms and the time that starting one takes, which may be long.
    assert!((0.5..=20.5).contains(&rate), "{forecast}");
    assert_eq!(forecast["limit"], "cgroupPids", "{forecast}");
    let left = forecast["secondsLeft"].as_f64().expect("a number");
    assert!((1_000.0..=2_000.0).contains(&(left * rate)), "{forecast}");
}

#[test]
fn a_burst_that_is_over_is_not_growing() {
    let Some(runtime) = runtime() else { return };
    // So many within the last minute would be 5 a second, which two seconds of none disprove.
    let container = leaking(Container::builder(&runtime), Leak::new(), 300);
    let args = [
        "scan",
        "--watch",
        "--interval",
        "0.3",
        "--count",
        "6",
        "-o",
        "json",
    ];
    let answer = sexton(args.into_iter().chain(["--container", container.id()])).expect(1);
    let last = answer.stdout.lines().last().expect("six lines");
    let last: serde_json::Value = serde_json::from_str(last).expect("a document");
    let forecast = &last["leaks"][0]["forecast"];
    assert_eq!(forecast["trend"], "notGrowing", "{forecast}");
    assert!(forecast["secondsLeft"].is_null(), "{forecast}");
}
