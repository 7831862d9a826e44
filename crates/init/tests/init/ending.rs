//! The end: what the command leaves behind is asked, given time, and killed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::job::{Job, Launch, below, both_ways, eventually, send, state};
use crate::subject::{Verdict, ensure, only_ours, ours, rival};

/// Leaves a process behind that takes half a second to end when asked, and says so.
const POLITE: &str = "
sh -c 'trap \"sleep 0.5; echo tidied; exit\" TERM; echo ready; while :; do sleep 0.05; done' &
sleep 0.3; exit 7";

#[test]
fn what_is_left_is_asked_and_waited_for() {
    both_ways(|launch, _| {
        let ended = launch.args(["-G", "60", "--", "sh", "-c", POLITE]).run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (7, "ready\ntidied\n"),
            "{ended:?}"
        );
        // It is gone long before its time is over, and so is init.
        assert!(ended.took < Duration::from_secs(20), "{ended:?}");
    });
}

/// The same by a variable, so that an image changes nothing but this and the file.
#[test]
fn under_every_name_a_grace_can_be_given_which_the_rivals_do_not_know() {
    only_ours(&["tini", "dumb-init", "catatonit"], |init| {
        let Some(launch) = Launch::pid1(init) else {
            return Err("no namespace".into());
        };
        let launch = launch.env("SEXTON_INIT_GRACE", "60");
        let ended = launch.args(["--", "sh", "-c", POLITE]).run();
        ensure!(ended.code == 7 && ended.out.contains("tidied"), "{ended:?}");
        Ok(())
    });
}

#[test]
fn those_that_left_the_session_are_ended_too() {
    both_ways(|launch, _| {
        let script = POLITE.replacen("sh -c", "setsid sh -c", 1);
        let ended = launch.args(["--", "sh", "-c", &script]).run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (7, "ready\ntidied\n"),
            "{ended:?}"
        );
    });
}

#[test]
fn a_stopped_one_is_continued_to_hear_it() {
    both_ways(|launch, _| {
        let script = "
sh -c 'trap \"echo tidied; exit\" TERM; echo ready; kill -STOP $$; sleep 60' &
sleep 0.3; exit 7";
        let ended = launch.args(["-G", "60", "--", "sh", "-c", script]).run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (7, "ready\ntidied\n"),
            "{ended:?}"
        );
    });
}

/// One that ignores the stop signal, in a session of its own, with children that do so too.
const STUBBORN: &str = "
setsid sh -c 'trap \"\" TERM; sleep 600 & echo $$ $!; sleep 600; sleep 600' &
sleep 0.3; exit 7";

#[test]
fn what_does_not_end_in_time_is_killed() {
    both_ways(|launch, pid1| {
        let ended = launch.args(["-G", "0.3", "--", "sh", "-c", STUBBORN]).run();
        assert_eq!(ended.code, 7, "{ended:?}");
        assert!(
            ended
                .err
                .contains("did not end within 0.300 s of signal 15 (TERM) and was killed"),
            "{ended:?}"
        );
        if !pid1 {
            for pid in ended.out.split_whitespace() {
                let pid: u32 = pid.parse().unwrap();
                assert_eq!(state(pid), None, "{pid} lives on");
            }
        }
    });
}

#[test]
fn no_grace_kills_at_once() {
    both_ways(|launch, _| {
        let ended = launch.args(["-G", "0", "--", "sh", "-c", POLITE]).run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (7, "ready\n"),
            "{ended:?}"
        );
    });
}

#[test]
fn off_leaves_the_rest_alone() {
    let launch = Launch::plain(&ours("sexton-init")).args(["-G", "off", "--"]);
    let ended = launch
        .args(["sh", "-c", "sleep 60 & echo $!; exit 7"])
        .run();
    let pid: u32 = ended.out.trim().parse().unwrap();
    assert_eq!((ended.code, state(pid)), (7, Some('S')));
    send(pid, libc::SIGKILL);
}

#[test]
fn another_stop_signal_is_given_to_the_rest() {
    both_ways(|launch, _| {
        let script = "
sh -c 'trap \"\" TERM; trap \"echo interrupted; exit\" INT; echo ready; while :; do sleep 0.05; done' &
sleep 0.3; exit 7";
        // A shell without job control starts background commands with INT ignored, and a trap
        // cannot undo that; so does bash, but not for the `sh -c` of a subshell in Python.
        let ended = launch
            .args([
                "-S",
                "USR1",
                "-G",
                "60",
                "--",
                "sh",
                "-c",
                &script.replace("INT", "USR1"),
            ])
            .run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (7, "ready\ninterrupted\n"),
            "{ended:?}"
        );
    });
}

/// Forks faster than anybody can look, and ignores TERM.
#[test]
fn even_what_keeps_forking_is_ended() {
    both_ways(|launch, _| {
        let script = "
sh -c 'trap \"\" TERM; echo ready; while :; do (trap \"\" TERM; setsid sleep 30 >/dev/null 2>&1 &); sleep 0.01; done' &
sleep 0.5; exit 7";
        let ended = launch.args(["-G", "0.2", "--", "sh", "-c", script]).run();
        assert_eq!(ended.code, 7, "{ended:?}");
        assert!(ended.err.contains("and was killed"), "{ended:?}");
    });
}

/// As a subreaper init shares its PID namespace with others.
#[test]
fn bystanders_are_left_alone() {
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let ended = Launch::plain(&ours("sexton-init"))
        .args(["-G", "0", "--", "sh", "-c", STUBBORN])
        .run();
    assert_eq!(ended.code, 7);
    assert_eq!(
        bystander.try_wait().unwrap(),
        None,
        "a bystander was killed"
    );
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_command_that_ignores_the_stop_signal_is_killed_after_the_time_given() {
    both_ways(|launch, _| {
        let job = launch
            .args([
                "-G",
                "0",
                "-K",
                "0.4",
                "--",
                "sh",
                "-c",
                "trap '' TERM; echo ready; sleep 600; sleep 600",
            ])
            .start();
        assert!(job.says("ready"));
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(ended.code, 137, "{ended:?}");
        assert!(ended.took > Duration::from_millis(350), "{ended:?}");
        assert!(ended.err.contains("which init sent since it was still there 0.400 s after signal 15 (TERM); exit code 137"), "{ended:?}");
    });
}

#[test]
fn without_that_it_is_left_to_end_by_itself() {
    let script = "trap 'echo asked' TERM; echo ready; sleep 0.6; sleep 0.3; exit 3";
    let job = Launch::plain(&ours("sexton-init"))
        .args(["sh", "-c", script])
        .start();
    assert!(job.says("ready"));
    job.signal(libc::SIGTERM);
    let ended = job.end();
    assert_eq!((ended.code, ended.out.as_str()), (3, "ready\nasked\n"));
}

#[test]
fn a_second_stop_signal_does_not_begin_the_time_again() {
    let script = "trap '' TERM; echo ready; sleep 600; sleep 600";
    let launch = Launch::plain(&ours("sexton-init")).args(["-G", "0", "-K", "1"]);
    let job = launch.args(["--", "sh", "-c", script]).start();
    assert!(job.says("ready"));
    let main = job.main();
    let ended = eventually(|| {
        std::thread::sleep(Duration::from_millis(200));
        job.signal(libc::SIGTERM);
        state(main).is_none_or(|state| state == 'Z')
    });
    assert!(ended, "the time begins again and again");
    assert_eq!(job.end().code, 137);
}

/// dumb-init asks the group when the main process has ended, and waits for nobody. Under its
/// name so do we; as PID 1 that leaves no time to react, so this is looked at elsewhere.
#[test]
fn dumb_init_asks_the_group_and_not_a_single_childs() {
    fn check(init: &Path, options: &[&str], asked: bool) -> Verdict {
        let job = Launch::plain(init)
            .args(options.iter().chain(&["sh", "-c", POLITE]))
            .start();
        ensure!(job.says("ready"), "{}", job.err());
        let left: Vec<u32> = below(job.pid);
        let told = |job: &Job| job.out().contains("tidied");
        let heard = if asked {
            eventually(|| told(&job))
        } else {
            std::thread::sleep(Duration::from_millis(1_500));
            told(&job)
        };
        left.iter().for_each(|pid| send(*pid, libc::SIGKILL));
        let ended = job.end();
        ensure!(
            heard == asked && ended.code == 7,
            "asked: {heard}; {ended:?}"
        );
        Ok(())
    }
    for init in [Some(ours("dumb-init")), rival("dumb-init")]
        .into_iter()
        .flatten()
    {
        check(&init, &[], true).unwrap();
        check(&init, &["-c"], false).unwrap();
    }
}
