//! One TERM means one: nobody hears of the end twice, and nobody past his master.

use crate::job::{Ended, Launch, both_ways, python};
use crate::subject::ours;

/// A worker that says each time that it is told to end, and takes a second to do so.
fn worker(signal: &str) -> String {
    format!(
        "trap 'echo told; told=1' {signal}; echo ready; left=20; while [ $left -gt 0 ]; do sleep 0.05; \
         [ -z \"$told\" ] || left=$((left - 1)); done; echo finished"
    )
}

/// Starts the script, with the worker's in `$0`, and sends a signal when the worker is ready.
fn told(launch: Launch, options: &[&str], script: &str, worker: &str, signal: i32) -> Ended {
    let command = ["--", "sh", "-c", script, worker];
    let job = launch.args(options.iter().chain(&command)).start();
    assert!(job.says("ready"), "{}", job.err());
    job.signal(signal);
    job.end()
}

/// Shells in front that end at once, and what is behind them.
const IN_THE_BACKGROUND: &str = "sh -c \"$0\" & wait";
const IN_FRONT: &str = "sh -c \"$0\"; echo over";
const SESSION: &str = "setsid sh -c \"$0\" & wait";
const TWO_SHELLS: &str = "sh -c 'sh -c \"$0\"; echo over' \"$0\"; echo over";
const ORPHAN: &str = "(sh -c \"$0\" &); sleep 60; echo over";

#[test]
fn whoever_is_reached_the_worker_hears_it_once() {
    both_ways_to_all(|launch, options| {
        for script in [IN_THE_BACKGROUND, IN_FRONT, SESSION, TWO_SHELLS, ORPHAN] {
            let ended = told(launch(), options, script, &worker("TERM"), libc::SIGTERM);
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (143, "ready\ntold\nfinished\n"),
                "{options:?} {script}: {ended:?}"
            );
        }
    });
}

/// Each way of being started, with each reach.
fn both_ways_to_all(check: impl Fn(&dyn Fn() -> Launch, &[&str])) {
    let init = ours("sexton-init");
    for options in [&[][..], &["-g"], &["--to", "all"]] {
        check(&|| Launch::plain(&init), options);
        if Launch::pid1(&init).is_some() {
            check(&|| Launch::pid1(&init).unwrap(), options);
        }
    }
}

/// What comes with another signal is one, too; but a shell has its background commands ignore
/// INT and QUIT, and these then hear TERM.
#[test]
fn another_signal_is_not_followed_by_term_unless_it_is_ignored() {
    both_ways_to_all(|launch, options| {
        for (signal, name) in [(libc::SIGINT, "INT"), (libc::SIGQUIT, "QUIT"), (37, "37")] {
            let worker = worker(&format!("{name} TERM"));
            for script in [IN_THE_BACKGROUND, IN_FRONT] {
                if script == IN_FRONT && name == "INT" {
                    // A shell whose command has caught INT goes on.
                    continue;
                }
                let ended = told(launch(), options, script, &worker, signal);
                assert_eq!(
                    ended.out.replace("over\n", ""),
                    "ready\ntold\nfinished\n",
                    "{options:?} {name} {script}: {ended:?}"
                );
            }
        }
    });
}

#[test]
fn with_another_stop_signal_it_is_that_once() {
    both_ways_to_all(|launch, options| {
        let options = [options, &["-S", "USR1"]].concat();
        let ended = told(
            launch(),
            &options,
            IN_THE_BACKGROUND,
            &worker("USR1"),
            libc::SIGUSR1,
        );
        assert_eq!(
            ended.out, "ready\ntold\nfinished\n",
            "{options:?} {ended:?}"
        );
    });
}

#[test]
fn under_the_other_names_too() {
    for (name, options) in [
        ("tini", &["-g"][..]),
        ("catatonit", &["-g"]),
        ("dumb-init", &[]),
    ] {
        let Some(launch) = Launch::pid1(&ours(name)) else {
            return;
        };
        let launch = launch.env("SEXTON_INIT_GRACE", "60");
        let ended = told(
            launch,
            options,
            IN_THE_BACKGROUND,
            &worker("TERM"),
            libc::SIGTERM,
        );
        assert_eq!(ended.out, "ready\ntold\nfinished\n", "{name}: {ended:?}");
    }
}

/// Without a grace dumb-init's name asks the group once more, unless the group was asked: where
/// init is not PID 1, the worker lives on to say what it heard.
#[test]
fn as_dumb_init_the_group_that_was_told_is_not_told_again() {
    let launch = Launch::plain(&ours("dumb-init"));
    let command = ["sh", "-c", IN_THE_BACKGROUND, &worker("TERM")];
    let job = launch.args(command).start();
    assert!(job.says("ready"));
    job.signal(libc::SIGTERM);
    assert!(job.says("finished"));
    assert_eq!(job.end().out, "ready\ntold\nfinished\n");
}

/// A master with two workers: its TERM lets them finish their jobs, which begin then; theirs
/// kills them.
const POOL: &str = "
import os, signal, time
r, w = os.pipe()
def warm(*_): os.write(w, b'xx')
signal.signal(signal.SIGTERM, warm)
workers = []
for n in range(2):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if n == 0: print('ready', flush=True)
        os.read(r, 1)
        time.sleep(0.7); os.write(1, b'job done\\n'); os._exit(0)
    workers.append(pid)
for pid in workers:
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status): print('job lost', flush=True)
print('in order', flush=True)
";

#[test]
fn workers_are_left_to_their_master() {
    if !python() {
        return;
    }
    for script in [
        "python3 -c \"$0\"; echo over",
        "python3 -c \"$0\" & wait",
        "setsid python3 -c \"$0\" & wait",
        "sh -c 'python3 -c \"$0\"; echo over' \"$0\"; echo over",
        "(setsid python3 -c \"$0\" &); exec sleep 60",
    ] {
        both_ways(|launch, _| {
            let ended = told(launch, &["-G", "60"], script, POOL, libc::SIGTERM);
            assert_eq!(
                ended.out, "ready\njob done\njob done\nin order\n",
                "{script}: {ended:?}"
            );
        });
    }
}

/// Without a /proc that shows the processes of its namespace, PID 1 reaches all at once.
#[test]
fn with_the_proc_of_others_all_are_told() {
    let init = ours("sexton-init");
    if Launch::pid1(&init).is_none() {
        return;
    }
    let command = ["--pid", "--fork", "--kill-child", init.to_str().unwrap()];
    let script = "sh -c \"$0\" & sleep 0.5; exit 7";
    let ended = Launch::plain(std::path::Path::new("unshare"))
        .args(command)
        .args(["--", "sh", "-c", script, &worker("TERM")])
        .run();
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (7, "ready\ntold\nfinished\n"),
        "{ended:?}"
    );
}
