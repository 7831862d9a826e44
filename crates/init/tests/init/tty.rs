//! At a terminal: who has the foreground, what Ctrl-C and Ctrl-Z do, what a shell sees.

use std::path::Path;
use std::process::Command;

use crate::job::{Launch, children, eventually, state, status};
use crate::pty::{CTRL_C, CTRL_Z, Terminal};
use crate::subject::{Verdict, both, ensure, every_name, only_ours, ours};

fn at_terminal(init: &Path, args: &[&str]) -> Terminal {
    let mut command = Command::new(init);
    command.args(args).env("TINI_SUBREAPER", "");
    Terminal::start(command)
}

/// The leader of the session, as in `docker run -it`.
fn session_leader(init: &Path) -> Verdict {
    let mut terminal = at_terminal(
        init,
        &[
            "--",
            "sh",
            "-c",
            "echo ready; read line; echo \"got $line\"; exit 3",
        ],
    );
    ensure!(terminal.shows("ready"), "{:?}", terminal.screen());
    terminal.types("hello\n");
    ensure!(terminal.shows("got hello"), "{:?}", terminal.screen());
    let code = terminal.end();
    ensure!(code == 3, "exit code {code}");
    let mut terminal = at_terminal(init, &["--", "sh", "-c", "echo ready; exec sleep 60"]);
    ensure!(terminal.shows("ready"), "{:?}", terminal.screen());
    terminal.types(CTRL_C);
    let code = terminal.end();
    ensure!(code == 130, "Ctrl-C gave {code}");
    Ok(())
}

#[test]
fn the_command_reads_the_terminal_and_ctrl_c_ends_it() {
    every_name(session_leader);
    both(&["tini", "dumb-init", "catatonit"], session_leader);
}

fn job_control(init: &Path) -> Verdict {
    let mut terminal = at_terminal(init, &["--", "bash", "--norc", "-i"]);
    terminal.types("echo \"flags [$-]\"; PS1='go''> '\n");
    ensure!(terminal.shows("go> "), "{:?}", terminal.screen());
    let screen = terminal.screen();
    ensure!(!screen.contains("no job control"), "{screen:?}");
    let flags = screen
        .rsplit("flags [")
        .next()
        .unwrap()
        .split(']')
        .next()
        .unwrap();
    ensure!(flags.contains('m'), "no job control: {screen:?}");
    terminal.types("sleep 60\n");
    let shell = children(terminal.child.id());
    // Between fork and exec the shell's child still ignores what would stop it.
    let sleeps = || {
        let job = shell
            .first()
            .and_then(|shell| children(*shell).first().copied());
        job.is_some_and(|job| terminal.foreground() == job && status(job, "Name") == "sleep")
    };
    ensure!(
        eventually(sleeps),
        "sleep is not in the foreground: {:?}",
        terminal.screen()
    );
    terminal.types(CTRL_Z);
    ensure!(terminal.shows("Stopped"), "Ctrl-Z: {:?}", terminal.screen());
    terminal.types("kill %1; exit 4\n");
    terminal.types("exit 4\n");
    let code = terminal.end();
    ensure!(code == 4, "exit code {code}");
    Ok(())
}

#[test]
fn a_shell_has_job_control_which_catatonit_fails() {
    every_name(job_control);
    both(&["tini", "dumb-init"], job_control);
    only_ours_quickly("catatonit", job_control);
}

/// The rival hangs where it fails, so it is looked at only as far as that is quick.
fn only_ours_quickly(name: &str, check: fn(&Path) -> Verdict) {
    check(&ours(name)).unwrap();
    if let Some(rival) = crate::subject::rival(name) {
        let ended = Launch::plain(&rival)
            .args(["grep", "SigBlk", "/proc/self/status"])
            .run();
        assert_ne!(
            ended.out, "SigBlk:\t0000000000000000\n",
            "{name} blocks TSTP no more"
        );
    }
}

/// Without a parent in its session the command's group is orphaned: the kernel stops nobody
/// whom nobody could continue, just as without init.
#[test]
fn ctrl_z_does_not_hang_a_container_which_tini_fails() {
    fn check(init: &Path) -> Verdict {
        let mut terminal = at_terminal(init, &["--", "sh", "-c", "echo ready; exec sleep 60"]);
        ensure!(terminal.shows("ready"), "{:?}", terminal.screen());
        let main = children(terminal.child.id())[0];
        terminal.types(CTRL_Z);
        ensure!(terminal.shows("^Z"), "{:?}", terminal.screen());
        let stopped = (0..150).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            state(main) == Some('T')
        });
        ensure!(
            !stopped,
            "the command is stopped, and nobody can continue it"
        );
        terminal.types(CTRL_C);
        let code = terminal.end();
        ensure!(code == 130, "{code}");
        Ok(())
    }
    every_name(check);
    only_ours(&["tini"], check);
}

/// A shell at a terminal that runs init as a job.
fn shell(init: &Path) -> Terminal {
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "go> ").env("INIT", init);
    let terminal = Terminal::start(command);
    assert!(terminal.shows("go> "), "{:?}", terminal.screen());
    terminal
}

#[test]
fn as_a_job_it_stops_and_continues_with_the_command_which_tini_and_catatonit_fail() {
    let mut terminal = shell(&ours("sexton-init"));
    terminal.types("$INIT sleep 61\n");
    let bash = terminal.child.id();
    assert!(eventually(
        || children(bash).len() == 1 && children(children(bash)[0]).len() == 1
    ));
    let init = children(bash)[0];
    let main = children(init)[0];
    assert!(
        eventually(|| terminal.foreground() == main),
        "the command is not in the foreground"
    );
    terminal.types(CTRL_Z);
    assert!(terminal.shows("Stopped"), "{:?}", terminal.screen());
    assert!(eventually(
        || state(init) == Some('T') && state(main) == Some('T')
    ));
    assert!(eventually(|| terminal.foreground() == bash));
    // In the background it goes on, without the terminal.
    terminal.types("bg\n");
    assert!(eventually(
        || state(init) == Some('S') && state(main) == Some('S')
    ));
    assert_eq!(terminal.foreground(), bash);
    // And in the foreground the keys reach it again: bash does not say so to a running job,
    // and the terminal still signals init's group, so init passes that on.
    terminal.types("fg\n");
    assert!(
        eventually(|| terminal.foreground() == init),
        "{:?}",
        terminal.screen()
    );
    terminal.types(CTRL_Z);
    assert!(eventually(
        || state(init) == Some('T') && state(main) == Some('T')
    ));
    // A stopped job is told.
    terminal.types("fg\n");
    assert!(
        eventually(|| terminal.foreground() == main),
        "{:?}",
        terminal.screen()
    );
    terminal.types(CTRL_C);
    assert!(eventually(|| children(bash).is_empty()));
    terminal.types("echo \"code $?\"\n");
    assert!(terminal.shows("code 130"), "{:?}", terminal.screen());
    terminal.types("exit 0\n");
    assert_eq!(terminal.end(), 0);
}

/// A command in the background that reads the terminal stops, and init with it; in the
/// foreground it reads on.
#[test]
fn a_command_that_reads_gets_the_terminal_with_the_foreground() {
    let mut terminal = shell(&ours("sexton-init"));
    let bash = terminal.child.id();
    terminal.types("$INIT sh -c 'read line; echo \"got \"$line' &\n");
    assert!(eventually(|| children(bash)
        .first()
        .is_some_and(|init| state(*init) == Some('T'))));
    terminal.types("fg\n");
    let main = children(children(bash)[0])[0];
    assert!(
        eventually(|| terminal.foreground() == main),
        "{:?}",
        terminal.screen()
    );
    terminal.types("hello\n");
    assert!(terminal.shows("got hello"), "{:?}", terminal.screen());
    assert!(eventually(|| children(bash).is_empty()));
    // A running job is not told that it is in the foreground: it is found out when it reads.
    terminal.types("$INIT sh -c 'sleep 1.5; read line; echo \"now \"$line' &\n");
    assert!(eventually(|| !children(bash).is_empty()));
    terminal.types("fg\n");
    let init = children(bash)[0];
    assert!(eventually(|| children(init)
        .first()
        .is_some_and(|main| terminal.foreground() == *main)));
    terminal.types("again\n");
    assert!(terminal.shows("now again"), "{:?}", terminal.screen());
    terminal.types("exit 0\n");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn in_the_background_it_leaves_the_foreground_to_the_shell_which_tini_fails() {
    fn check(init: &Path) -> Verdict {
        let mut terminal = shell(init);
        let bash = terminal.child.id();
        terminal.types("$INIT -- sleep 62 &\n");
        let main = || children(*children(bash).first()?).first().copied();
        let runs = || main().is_some_and(|main| status(main, "Name") == "sleep");
        ensure!(eventually(runs), "not started");
        let stolen = terminal.foreground() != bash;
        if let Some(main) = main() {
            crate::job::send(main, libc::SIGKILL);
        }
        ensure!(!stolen, "the shell lost the foreground");
        terminal.types("exit 0\n");
        ensure!(terminal.end() == 0, "the shell did not read on");
        Ok(())
    }
    for name in ["sexton-init", "tini", "catatonit"] {
        check(&ours(name)).unwrap();
    }
    only_ours(&["tini"], check);
}

/// A script goes on after init, in its own group: the terminal must be its own again.
#[test]
fn the_foreground_is_given_back_which_tini_and_catatonit_fail() {
    fn check(init: &Path) -> Verdict {
        let script = "\"$1\" -- true; echo \"after\"; read line && echo \"got $line\" || echo lost";
        let mut outer = Command::new("bash");
        outer
            .args(["-c", script, "bash"])
            .arg(init)
            .env("TINI_SUBREAPER", "");
        let mut terminal = Terminal::start(outer);
        ensure!(terminal.shows("after"), "{:?}", terminal.screen());
        terminal.types("hello\n");
        let read = eventually(|| {
            let screen = terminal.screen();
            screen.contains("got hello") || screen.contains("lost")
        });
        ensure!(
            read && terminal.screen().contains("got hello"),
            "{:?}",
            terminal.screen()
        );
        ensure!(terminal.end() == 0, "an error");
        Ok(())
    }
    for name in ["sexton-init", "tini", "catatonit"] {
        check(&ours(name)).unwrap();
    }
    only_ours(&["tini", "catatonit"], check);
}

/// `a | init b`: kept in the job's group, Ctrl-C reaches the command once, from the kernel.
#[test]
fn kept_in_the_group_a_key_is_one_signal_which_dumb_init_fails() {
    fn check(init: &Path, option: &str) -> Verdict {
        if !crate::job::python() {
            return Ok(());
        }
        let program = "
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [2])
print('ready', flush=True)
signal.sigwait([2])
print('first', flush=True)
print('second' if signal.sigtimedwait([2], 0.7) else 'no more', flush=True)
";
        let args: Vec<&str> = option
            .split(' ')
            .chain(["--", "python3", "-c", program])
            .collect();
        let mut terminal = at_terminal(init, &args);
        ensure!(terminal.shows("ready"), "{:?}", terminal.screen());
        terminal.types(CTRL_C);
        ensure!(terminal.shows("no more"), "{:?}", terminal.screen());
        Ok(())
    }
    check(&ours("sexton-init"), "-n keep").unwrap();
    check(&ours("dumb-init"), "-c").unwrap();
}

#[test]
fn a_hang_up_reaches_the_command() {
    let terminal = at_terminal(
        &ours("sexton-init"),
        &["-D", "off", "sh", "-c", "echo ready; exec sleep 60"],
    );
    assert!(terminal.shows("ready"));
    let (init, main) = (terminal.child.id(), children(terminal.child.id())[0]);
    assert_eq!(
        status(main, "NSsid"),
        main.to_string(),
        "the command leads its session"
    );
    // The handing over of the terminal is no hang-up.
    assert!(eventually(|| state(main) == Some('S')));
    crate::job::send(init, libc::SIGHUP);
    assert_eq!(terminal.end(), 129);
}
