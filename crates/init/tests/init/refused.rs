//! The end where init may not signal: no CAP_KILL (`cap_drop: ALL`), and a child of another user.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::job::{Launch, below, eventually, send, state};
use crate::subject::{Verdict, both, ensure, ours};

const WITHOUT_KILL: [&str; 4] = [
    "--bounding-set",
    "-kill,-sys_ptrace",
    "--inh-caps",
    "-kill,-sys_ptrace",
];
const ANOTHER: [&str; 6] = [
    "setpriv",
    "--reuid",
    "33",
    "--regid",
    "33",
    "--clear-groups",
];

/// Init as root without CAP_KILL, as PID 1 or not; `None` where it cannot be had (said so).
fn powerless(init: &Path, pid1: bool) -> Option<Launch> {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIP: only root can give up CAP_KILL and start a process of another user");
        return None;
    }
    let setpriv = Path::new("setpriv");
    let launch = if pid1 {
        Launch::pid1(setpriv)?
    } else {
        Launch::plain(setpriv)
    };
    Some(launch.args(WITHOUT_KILL).args([init]))
}

/// A command of another user that says when it is that.
fn of_another(script: &str) -> Vec<String> {
    let script = format!("echo ready $$; {script}");
    let mut words: Vec<String> = ANOTHER.iter().map(ToString::to_string).collect();
    words.extend(["sh".into(), "-c".into(), script]);
    words
}

#[test]
fn the_last_resort_of_pid_1_is_its_exit() {
    let Some(launch) = powerless(&ours("sexton-init"), true) else {
        return;
    };
    let command = of_another("exec sleep 600");
    let job = launch.args(["-K", "0.5", "--"]).args(command).start();
    assert!(job.says("ready"), "{}", job.err());
    job.signal(libc::SIGTERM);
    let ended = job.end();
    assert_eq!(ended.code, 137, "{ended:?}");
    let said = "(sleep) cannot be killed: Operation not permitted; init's exit ends all that is left; \
                exit code 137\n";
    assert!(ended.err.ends_with(said), "{ended:?}");
}

/// Nothing else can end it then, so there is nothing to wait for. dumb-init and catatonit stay.
#[test]
fn without_a_kill_after_it_ends_at_once_under_every_name_but_tinis_with_137() {
    for name in ["sexton-init", "dumb-init", "catatonit"] {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, 37] {
            let Some(launch) = powerless(&ours(name), true) else {
                return;
            };
            let command = of_another("exec sleep 600");
            let job = launch.args(["--"]).args(command).start();
            assert!(job.says("ready"), "{}", job.err());
            job.signal(signal);
            let ended = job.end();
            assert_eq!(ended.code, 137, "{name} {signal}: {ended:?}");
            assert!(ended.err.contains("cannot be killed"), "{name}: {ended:?}");
        }
    }
}

#[test]
fn another_signal_that_may_not_be_passed_on_is_said_and_no_more() {
    let Some(launch) = powerless(&ours("sexton-init"), true) else {
        return;
    };
    let command = of_another("sleep 1; exit 3");
    let job = launch.args(["--"]).args(command).start();
    assert!(job.says("ready"), "{}", job.err());
    job.signal(libc::SIGHUP);
    let ended = job.end();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(
        ended.err,
        "sexton-init: cannot pass on a signal: Operation not permitted\n"
    );
}

#[test]
fn tini_ends_at_once_with_1_at_any_signal() {
    fn check(init: &Path) -> Verdict {
        for options in [&[][..], &["-g"]] {
            for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGWINCH] {
                let Some(launch) = powerless(init, true) else {
                    return Ok(());
                };
                let launch = launch.args(options).args(["--"]);
                let job = launch.args(of_another("exec sleep 600")).start();
                ensure!(job.says("ready"), "{}", job.err());
                job.signal(signal);
                let ended = job.end();
                let said = "[FATAL tini (1)] Unexpected error when forwarding signal: 'Operation not permitted'\n";
                ensure!(
                    ended.code == 1 && ended.err == said,
                    "{options:?} {signal}: {ended:?}"
                );
            }
        }
        Ok(())
    }
    both(&["tini"], check);
}

#[test]
fn a_subreaper_names_whom_it_leaves() {
    for options in [&["-K", "0.3"][..], &[]] {
        let Some(launch) = powerless(&ours("sexton-init"), false) else {
            return;
        };
        let command = of_another("sleep 600; :");
        let job = launch.args(options).args(["--"]).args(command).start();
        assert!(job.says("ready"), "{}", job.err());
        let main = job.main();
        assert!(eventually(|| below(main).len() == 1));
        let left = [vec![main], below(main)].concat();
        job.signal(libc::SIGTERM);
        let ended = job.end();
        let alive = state(main);
        left.iter().for_each(|pid| send(*pid, libc::SIGKILL));
        assert_eq!((ended.code, alive), (125, Some('S')), "{ended:?}");
        let who = format!("sexton-init: left: process {main} (sh) (Operation not permitted), ");
        assert!(ended.err.contains(&who), "{ended:?}");
        assert!(
            ended
                .err
                .contains("(sleep) (Operation not permitted); left running\n")
        );
        let end = format!(
            "sexton-init: process {main} (sh) cannot be killed: Operation not permitted; left running; exit code 125\n"
        );
        assert!(ended.err.ends_with(&end), "{ended:?}");
    }
}

#[test]
fn what_is_left_behind_has_its_time_and_is_named() {
    for pid1 in [true, false] {
        let Some(launch) = powerless(&ours("sexton-init"), pid1) else {
            return;
        };
        let script = format!(
            "{} sh -c 'echo $$; exec sleep 600' & sleep 0.5; exit 7",
            ANOTHER.join(" ")
        );
        let ended = launch.args(["-G", "0.3", "--", "sh", "-c", &script]).run();
        assert_eq!(ended.code, 7, "{ended:?}");
        let left: u32 = ended.out.trim().parse().unwrap();
        let fate = if pid1 {
            "init's exit ends all that is left"
        } else {
            assert_eq!(state(left), Some('S'));
            send(left, libc::SIGKILL);
            "left running"
        };
        assert_eq!(
            ended.err,
            format!(
                "sexton-init: what the command left behind did not end within 0.300 s of signal 15 (TERM) \
                 and cannot be killed\n\
                 sexton-init: left: process {left} (sleep) (Operation not permitted); {fate}\n"
            )
        );
    }
}

#[test]
fn in_json_it_is_a_fact() {
    let Some(launch) = powerless(&ours("sexton-init"), true) else {
        return;
    };
    let command = of_another("exec sleep 600");
    let job = launch
        .args(["-D", "json", "-e", "137:9", "--"])
        .args(command)
        .start();
    assert!(job.says("ready"), "{}", job.err());
    job.signal(libc::SIGTERM);
    let ended = job.end();
    assert_eq!(ended.code, 9, "{ended:?}");
    assert!(
        ended
            .err
            .contains("\"exit_code\":9,\"remains\":true,\"killed_by_init\":false"),
        "{ended:?}"
    );
    assert!(ended.err.contains("\"rest\":\"remains\""), "{ended:?}");
}

/// As `sudo`: init of a plain user, its child root's, and below that a process of that user
/// again. Nobody tells that one but init.
#[test]
fn below_what_init_may_not_signal_it_tells_others() {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIP: only root can make a program that becomes root");
        return;
    }
    let sudo = become_root();
    let [sudo_path, user] = [sudo.to_str().unwrap(), &ANOTHER.join(" ")];
    let worker = "trap 'echo tidied; exit' TERM; echo ready; while :; do sleep 0.05; done";
    let script = format!("{user} sh -c \"{worker}\"; echo over; exit 4");
    let as_user = &ANOTHER[1..];
    for pid1 in [true, false] {
        let setpriv = Path::new("setpriv");
        let launch = if pid1 {
            Launch::pid1(setpriv)
        } else {
            Some(Launch::plain(setpriv))
        };
        let Some(launch) = launch else { continue };
        let init = world_readable();
        let launch =
            launch
                .args(as_user)
                .args([init.to_str().unwrap(), "-G", "60", "--", sudo_path]);
        let root = [
            "--reuid",
            "0",
            "--regid",
            "0",
            "--clear-groups",
            "sh",
            "-c",
            &script,
        ];
        let job = launch.args(root).start();
        assert!(job.says("ready"), "{}", job.err());
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (4, "ready\ntidied\nover\n"),
            "{ended:?}"
        );
    }
    std::fs::remove_dir_all(sudo.parent().unwrap()).unwrap();
}

/// A folder that every user can reach, of this test run.
fn shared(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sexton-init-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    folder.join(name)
}

fn become_root() -> PathBuf {
    let copy = shared("become-root");
    std::fs::copy("/usr/bin/setpriv", &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o4755)).unwrap();
    copy
}

fn world_readable() -> PathBuf {
    let copy = shared("sexton-init");
    if !copy.exists() {
        std::fs::copy(ours("sexton-init"), &copy).unwrap();
    }
    copy
}

/// A stop signal that is dropped ends nothing here either.
#[test]
fn a_dropped_stop_signal_is_dropped() {
    let Some(launch) = powerless(&ours("sexton-init"), true) else {
        return;
    };
    let command = of_another("sleep 1; exit 3");
    let job = launch.args(["-r", "TERM:0", "--"]).args(command).start();
    assert!(job.says("ready"), "{}", job.err());
    job.signal(libc::SIGTERM);
    let ended = job.end();
    assert_eq!((ended.code, ended.err.as_str()), (3, ""), "{ended:?}");
}

/// Init is root in a user namespace, and what was sent into its PID namespace is a user's that
/// its own namespace has no number for: CAP_KILL there does not reach it.
#[test]
fn a_user_namespace_does_not_keep_it() {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIP: only root can send a process into a namespace");
        return;
    }
    let unshare = Path::new("unshare");
    let namespaces = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ];
    let init = ours("sexton-init");
    let job = Launch::plain(unshare)
        .args(namespaces)
        .args([init.to_str().unwrap(), "-G", "0.3", "--"])
        .args(["sh", "-c", "echo ready; read line"])
        .stdin(std::process::Stdio::piped())
        .start();
    if !job.says("ready") {
        println!("SKIP: no user namespace can be made here: {}", job.err());
        return;
    }
    let pid1 = crate::job::children(job.pid)[0].to_string();
    let send_in = ["-t", &pid1, "--pid", "--mount", "--"];
    let script = "(sleep 600 >/dev/null 2>&1 &)";
    let sent = Launch::plain(Path::new("nsenter"))
        .args(send_in.iter().chain(&ANOTHER).chain(&["sh", "-c", script]))
        .run();
    assert_eq!(sent.code, 0, "{sent:?}");
    let pid1: u32 = pid1.parse().unwrap();
    assert!(eventually(|| crate::job::children(pid1).len() == 2));
    let orphan = crate::job::children(pid1)[1];
    send(pid1, libc::SIGTERM);
    let ended = job.end();
    assert_eq!(ended.code, 143, "{ended:?}");
    let said = "(sleep) (Operation not permitted); init's exit ends all that is left\n";
    assert!(ended.err.contains(said), "{ended:?}");
    assert_eq!(state(orphan), None);
}
