use std::process::Command;
use std::thread;

use sexton_scan::{Roots, Scanner};

use super::*;

/// A zombie of ours that was alive for `life`.
fn zombie(life: &str) -> (std::process::Child, Scanner, DeadChild) {
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let child = Command::new("sleep").arg(life).spawn().unwrap();
    let own = scanner.holder(std::process::id()).unwrap().unwrap().id;
    let dead = loop {
        if let [dead] = &scanner.dead_children(own, Some(child.id())).unwrap()[..] {
            break dead.clone();
        }
        thread::sleep(Duration::from_millis(5));
    };
    (child, scanner, dead)
}

#[test]
fn a_zombie_settles_from_its_death_on_not_from_its_start() {
    let (mut child, scanner, dead) = zombie("1.5");
    let settle = Duration::from_secs(1);
    let dead = [dead];
    let (judged, from) = judge(scanner.proc(), &dead, settle).unwrap();
    if from == AgesFrom::Start {
        println!("SKIP: this kernel has no /proc/PID/sched");
        child.wait().unwrap();
        return;
    }
    // Started long enough ago, and yet dead for an instant only.
    let [Settled::No(more)] = judged[..] else {
        panic!("{judged:?}");
    };
    assert!(more <= settle && more > Duration::ZERO, "{more:?}");
    assert_eq!(from, AgesFrom::Death);
    thread::sleep(Duration::from_millis(1_300));
    let (judged, _) = judge(scanner.proc(), &dead, settle).unwrap();
    assert_eq!(judged, [Settled::Yes]);
    child.wait().unwrap();
}

#[test]
fn nothing_has_to_be_known_to_take_all() {
    let (mut child, scanner, dead) = zombie("0");
    let judged = judge(scanner.proc(), &[dead], Duration::ZERO).unwrap();
    assert_eq!(judged, (vec![Settled::Yes], AgesFrom::Nothing));
    child.wait().unwrap();
}

#[test]
fn the_affinity_is_put_back() {
    let before = sched_getaffinity(None).unwrap();
    let (mut child, scanner, dead) = zombie("0.02");
    judge(scanner.proc(), &[dead], Duration::from_millis(10)).unwrap();
    let after = sched_getaffinity(None).unwrap();
    assert!((0..CpuSet::MAX_CPU).all(|cpu| before.is_set(cpu) == after.is_set(cpu)));
    child.wait().unwrap();
}
