//! How often what Sexton says is true: situations whose truth is known, set up for real, and
//! the answers of the command compared with it.
//!
//! All are started first, then stand for longer than a minute (no answer is sure before that),
//! and then each is asked about. `make truth` prints the scores and writes them into
//! `docs/assurance.md`.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
// Whatever is not as it was made here fails the test.
#![allow(clippy::unwrap_used)]

mod first;
mod healthy;
mod languages;
mod orphans;
mod programs;
mod reaped;
mod scenario;
mod scores;
mod servers;
// The tests of the causes make their situations in the same way, and use more of it.
#[allow(dead_code)]
#[path = "../../../scan/tests/causes/situation.rs"]
mod situation;
mod states;
mod time_left;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use scenario::{Scenario, Scene, Verdict};
use scores::Scores;

/// Longer than the time for which Sexton takes a parent to be one that waits from time to time.
const STAND: Duration = Duration::from_secs(66);

/// Most of an answer's time is watching, so several are asked at once.
const ASKERS: usize = 8;

/// Every scenario; a new file adds its own here.
fn scenarios() -> Vec<Scenario> {
    [
        languages::scenarios(),
        orphans::scenarios(),
        programs::scenarios(),
        first::scenarios(),
        states::scenarios(),
        reaped::scenarios(),
        time_left::scenarios(),
        healthy::scenarios(),
        servers::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn what_sexton_says_is_true() {
    // A storm of another test would starve the situations of processes.
    let _alone = sexton_lab::storm_lock();
    let mut scores = Scores::default();
    let mut standing: VecDeque<(Scenario, Box<dyn Scene>)> = VecDeque::new();
    for scenario in scenarios() {
        match (scenario.start)() {
            Ok(scene) => standing.push_back((scenario, scene)),
            Err(reason) => scores.skip(&scenario, &reason),
        }
    }
    let last = Instant::now();
    thread::sleep(STAND.saturating_sub(last.elapsed()));
    let standing = Mutex::new(standing);
    let said: Mutex<Vec<(Scenario, Verdict)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| {
                loop {
                    let next = standing.lock().unwrap().pop_front();
                    let Some((scenario, scene)) = next else {
                        return;
                    };
                    let verdict = scene.judge();
                    said.lock().unwrap().push((scenario, verdict));
                }
            });
        }
    });
    for (scenario, verdict) in said.into_inner().unwrap() {
        scores.count(&scenario, verdict);
    }
    println!("{}", scores.table());
    scores.write_if_asked();
    scores.assert();
}

#[test]
fn the_names_of_scenarios_differ() {
    let mut names: Vec<_> = scenarios().iter().map(|s| s.name.clone()).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}
