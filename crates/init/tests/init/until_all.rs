//! `--until-all`: init stays for what goes on in the background.

use crate::job::{Launch, both_ways, eventually};
use crate::subject::ours;

/// A command that starts a daemon, which says what it hears, and ends.
const DAEMON: &str = "
setsid sh -c 'trap \"echo reload\" HUP; trap \"echo asked; exit\" TERM; echo ready; while :; do sleep 0.05; done' &
exit 3";
const SHORT: &str =
    "(setsid sh -c 'sleep 0.7; (sleep 0.5; echo grandchild) & echo child' &); exit 3";

#[test]
fn it_stays_until_the_last_one_has_ended() {
    both_ways(|launch, _| {
        let ended = launch.args(["--until-all", "--", "sh", "-c", SHORT]).run();
        assert_eq!(
            (ended.code, ended.out.as_str(), ended.err.as_str()),
            (3, "child\ngrandchild\n", ""),
            "{ended:?}"
        );
    });
}

#[test]
fn signals_reach_the_daemon_and_the_stop_signal_ends_it() {
    both_ways(|launch, _| {
        let command = ["-G", "60", "--until-all", "--", "sh", "-c", DAEMON];
        let job = launch.args(command).start();
        assert!(job.says("ready"));
        assert!(eventually(|| crate::job::children(job.pid).len() == 1));
        job.signal(libc::SIGHUP);
        assert!(job.says("reload"), "{}", job.out());
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (3, "ready\nreload\nasked\n"),
            "{ended:?}"
        );
    });
}

#[test]
fn a_command_that_is_stopped_does_not_keep_it() {
    both_ways(|launch, _| {
        let script = "setsid sh -c 'trap \"\" TERM; sleep 600' & echo ready; exec sleep 601";
        let command = ["-G", "0.3", "--until-all", "--", "sh", "-c", script];
        let job = launch.args(command).start();
        assert!(job.says("ready"));
        std::thread::sleep(std::time::Duration::from_millis(200));
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(ended.code, 143, "{ended:?}");
        assert!(ended.err.contains("and was killed"), "{ended:?}");
    });
}

#[test]
fn under_the_other_names_a_variable_asks_for_it() {
    for name in ["tini", "dumb-init", "catatonit"] {
        for (value, out) in [("1", "child\ngrandchild\n"), ("0", "")] {
            let Some(launch) = Launch::pid1(&ours(name)) else {
                return;
            };
            let launch = launch.env("SEXTON_INIT_UNTIL_ALL", value);
            let ended = launch.args(["--", "sh", "-c", SHORT]).run();
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (3, out),
                "{name}: {ended:?}"
            );
        }
    }
}
