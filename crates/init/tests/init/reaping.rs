//! Orphans: reaped at once, by PID 1 and by a subreaper, and at no cost while there are none.

use std::path::Path;
use std::time::Duration;

use crate::job::{Job, Launch, children, eventually, state, status};
use crate::subject::{Verdict, both, ensure, every_name, only_ours, ours};

/// Makes N orphans: each dies when its parent, which never waits, is gone.
fn orphans(count: u32) -> String {
    format!(
        "i=0; while [ $i -lt {count} ]; do (sleep 0.2 &); i=$((i + 1)); done; echo made; exec sleep 60"
    )
}

fn zombies(job: &Job) -> usize {
    children(job.pid)
        .into_iter()
        .filter(|pid| state(*pid) == Some('Z'))
        .count()
}

fn reaps(job: &Job) -> Verdict {
    ensure!(job.says("made"), "{}", job.err());
    let done = eventually(|| children(job.pid).len() == 1);
    ensure!(
        done,
        "{} children are left, {} zombies",
        children(job.pid).len(),
        zombies(job)
    );
    Ok(())
}

#[test]
fn pid_1_reaps_a_hundred_orphans() {
    let check = |init: &Path| match Launch::pid1(init) {
        Some(launch) => reaps(&launch.args(["--", "sh", "-c", &orphans(100)]).start()),
        None => Ok(()),
    };
    every_name(check);
    both(&["tini", "dumb-init", "catatonit"], check);
}

fn as_subreaper(init: &Path) -> Verdict {
    let job = Launch::plain(init)
        .args([
            "--",
            "sh",
            "-c",
            "(sleep 0.3 & echo $!); echo made; exec sleep 60",
        ])
        .start();
    ensure!(job.says("made"), "{}", job.err());
    let orphan: u32 = job.out().lines().next().unwrap().parse().unwrap();
    let adopted = status(orphan, "PPid") == job.pid.to_string();
    ensure!(adopted, "an orphan went to {}", status(orphan, "PPid"));
    reaps(&job)
}

#[test]
fn when_not_pid_1_it_takes_orphans_by_itself_which_tini_and_dumb_init_fail() {
    for name in ["sexton-init", "dumb-init", "catatonit"] {
        as_subreaper(&ours(name)).unwrap();
    }
    both(&["catatonit"], as_subreaper);
    only_ours(&["dumb-init"], as_subreaper);
    // tini does when told, and so do we under its name.
    assert!(as_subreaper(&ours("tini")).is_err());
    if let Some(tini) = crate::subject::rival("tini") {
        assert!(as_subreaper(&tini).is_err());
    }
}

/// Orphans that all die in one instant: one CHLD stands for many (catatonit's bug 4).
#[test]
fn deaths_in_one_instant_are_all_seen() {
    let script = "
mkfifo $0; i=0
while [ $i -lt 60 ]; do (cat $0 >/dev/null &); i=$((i + 1)); done
sleep 0.3; : > $0; rm $0; echo made; exec sleep 60";
    let check = |init: &Path| {
        let name = format!("fifo-{}", init.display().to_string().replace('/', "-"));
        let fifo = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_file(&fifo);
        match Launch::pid1(init) {
            Some(launch) => reaps(
                &launch
                    .args(["--", "sh", "-c", script, fifo.to_str().unwrap()])
                    .start(),
            ),
            None => Ok(()),
        }
    };
    every_name(check);
    both(&["catatonit"], check);
}

/// Ten thousand at once. Other storms on this machine wait for this one.
#[test]
fn ten_thousand_orphans_in_a_storm_leave_no_zombie() {
    let Some(launch) = Launch::pid1(&ours("sexton-init")) else {
        return;
    };
    let lock = std::fs::File::create(std::env::temp_dir().join("sexton-storm.lock")).unwrap();
    lock.lock().unwrap();
    // A middle process starts them all, each waiting for somebody to open the fifo, and dies.
    let script = "
mkfifo $0
sh -c 'i=0; while [ $i -lt 10000 ]; do : < \"$0\" & i=$((i + 1)); done' $0
exec 3<>$0
echo made; exec sleep 600";
    let fifo = Path::new(env!("CARGO_TARGET_TMPDIR")).join("storm");
    let _ = std::fs::remove_file(&fifo);
    let job = launch
        .args(["--", "sh", "-c", script, fifo.to_str().unwrap()])
        .start();
    // Forking that many takes a while on a machine with other work.
    assert!((0..5).any(|_| job.says("made")), "{}", job.err());
    assert!((0..5).any(|_| reaps(&job).is_ok()), "{:?}", reaps(&job));
}

fn stays_asleep(init: &Path) -> Verdict {
    let Some(launch) = Launch::pid1(init) else {
        return Ok(());
    };
    let job = launch
        .args(["--", "sh", "-c", "echo ready; exec sleep 60"])
        .start();
    ensure!(job.says("ready"), "{}", job.err());
    std::thread::sleep(Duration::from_millis(300));
    let wakes = || -> u32 { status(job.pid, "voluntary_ctxt_switches").parse().unwrap() };
    let before = wakes();
    std::thread::sleep(Duration::from_millis(2_500));
    ensure!(wakes() == before, "woke up {} times", wakes() - before);
    Ok(())
}

#[test]
fn at_rest_nothing_wakes_it_which_tini_fails() {
    every_name(stays_asleep);
    only_ours(&["tini"], stays_asleep);
}
