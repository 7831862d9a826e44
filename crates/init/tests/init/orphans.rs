//! `--orphans`: what init adopts while the command runs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::job::{Job, Launch, both_ways, children, eventually, send, state};
use crate::subject::ours;

/// A file that is not there yet.
fn flag() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("orphan-{}", COUNT.fetch_add(1, Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// A command that leaves one behind, which does this when it gets TERM and which has said that
/// it is ready before it is an orphan, and runs on.
fn leaves_one(launch: Launch, options: &[&str], trap: &str) -> Job {
    let script = format!(
        "(sh -c 'trap \"{trap}\" TERM; echo ready; : > \"$0\"; while :; do sleep 0.05; [ -z \"$told\" ] || \
         [ $((told += 1)) -lt 20 ] || exit; done' \"$0\" & until [ -e \"$0\" ]; do sleep 0.02; done)
         echo main; exec sleep 600"
    );
    let flag = flag();
    let command = ["--", "sh", "-c", &script, flag.to_str().unwrap()];
    let job = launch.args(options.iter().chain(&command)).start();
    assert!(job.says("main"), "{}", job.err());
    job
}

/// What the command left behind is gone; the command is not.
fn main_alone(job: &Job) -> bool {
    eventually(|| children(job.pid).len() == 1) && state(job.main()) == Some('S')
}

const POLITE: &str = "echo asked; exit";
const DEAF: &str = "";
/// Takes a second to end.
const SLOW: &str = "echo asked; told=1";

#[test]
fn they_are_kept_unless_something_else_is_said() {
    for options in [&[][..], &["--orphans", "keep"]] {
        both_ways(|launch, _| {
            let job = leaves_one(launch, options, POLITE);
            std::thread::sleep(Duration::from_millis(1_500));
            assert!(!job.out().contains("asked"), "{}", job.out());
            assert_eq!(children(job.pid).len(), 2);
        });
    }
}

#[test]
fn they_are_asked_while_the_command_runs_on() {
    for (options, variable) in [
        (&["--orphans", "end"][..], None),
        (&["--orphans=end=0.3"], None),
        (&[], Some("end=300ms")),
    ] {
        both_ways(|mut launch, _| {
            if let Some(value) = variable {
                launch = launch.env("SEXTON_INIT_ORPHANS", value);
            }
            let job = leaves_one(launch, options, POLITE);
            assert!(job.says("asked"), "{options:?} {}", job.err());
            assert!(main_alone(&job));
            job.signal(libc::SIGTERM);
            assert_eq!(job.end().code, 143);
        });
    }
}

#[test]
fn they_live_on_for_the_time_given() {
    both_ways(|launch, _| {
        let start = Instant::now();
        let job = leaves_one(launch, &["--orphans", "end=2"], POLITE);
        assert!(job.says("asked"));
        assert!(start.elapsed() > Duration::from_secs(2));
    });
}

/// Its parent was no child of init, so nothing tells init that it has it now (tini's issue 236).
#[test]
fn also_one_whose_parent_was_ended_and_reaped_by_another() {
    both_ways(|launch, _| {
        let script = "
sh -c 'sh -c \"trap \\\"echo asked; exit\\\" TERM; : > \\\"$0\\\"; while :; do sleep 0.05; done\" \"$0\" & wait' \"$0\" &
middle=$!; until [ -e \"$0\" ]; do sleep 0.02; done
kill -KILL $middle; wait $middle; echo main; sleep 600; :";
        let flag = flag();
        let command = ["--orphans", "end", "--", "sh", "-c", script];
        let job = launch.args(command).args([&flag]).start();
        assert!(job.says("main"));
        assert!(job.says("asked"), "{}", job.err());
        // The command and what it has is not touched.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(crate::job::below(job.pid).len(), 2);
    });
}

#[test]
fn one_that_ignores_it_is_killed_after_the_grace() {
    both_ways(|launch, _| {
        let job = leaves_one(launch, &["--orphans", "end", "-G", "0.3"], DEAF);
        let orphan = *children(job.pid).last().unwrap();
        assert!(main_alone(&job), "{}", job.err());
        assert!(
            job.err()
                .ends_with(" (sh) did not end after signal 15 (TERM) and was killed\n"),
            "{}",
            job.err()
        );
        assert!(job.err().starts_with("sexton-init: orphan "));
        assert_eq!(state(orphan), None);
    });
}

#[test]
fn one_that_was_asked_is_not_asked_again_at_the_end() {
    both_ways(|launch, _| {
        let job = leaves_one(launch, &["--orphans", "end", "-G", "60"], SLOW);
        assert!(job.says("asked"));
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(ended.out.matches("asked").count(), 1, "{ended:?}");
        assert!(!ended.err.contains("killed it"), "{ended:?}");
    });
}

/// More than are watched at a time.
#[test]
fn many_are_all_ended() {
    let Some(launch) = Launch::pid1(&ours("sexton-init")) else {
        return;
    };
    let script = "i=0; while [ $i -lt 300 ]; do (sleep 600 &); i=$((i + 1)); done; echo made; exec sleep 601";
    let job = launch
        .args(["--orphans", "end", "--", "sh", "-c", script])
        .start();
    assert!(job.says("made"));
    assert!(main_alone(&job));
}

#[test]
fn under_the_other_names_a_variable_asks_for_it() {
    for name in ["tini", "dumb-init", "catatonit"] {
        let Some(launch) = Launch::pid1(&ours(name)) else {
            return;
        };
        let launch = launch.env("SEXTON_INIT_ORPHANS", "end");
        let job = leaves_one(launch, &[], POLITE);
        assert!(job.says("asked"), "{name}: {}", job.err());
        assert!(main_alone(&job));
        send(job.main(), libc::SIGKILL);
        assert_eq!(job.end().code, 137, "{name}");
    }
}
