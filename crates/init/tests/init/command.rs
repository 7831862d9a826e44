//! The command: what is run, with what, and what comes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::job::{Launch, PATIENCE};
use crate::subject::{Verdict, both, ensure, every_name, only_ours, ours};

/// A directory of its own for a test, with files in it.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sexton-test-{name}"));
    fs::create_dir_all(&path).unwrap();
    path
}

fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn exit_codes(init: &Path) -> Verdict {
    for code in [0, 1, 2, 32, 64, 127, 254, 255] {
        let ended = Launch::plain(init)
            .args(["--", "sh", "-c", &format!("exit {code}")])
            .run();
        ensure!(ended.code == code, "exit {code} became {}", ended.code);
    }
    let Some(launch) = Launch::pid1(init) else {
        return Ok(());
    };
    let ended = launch.args(["--", "sh", "-c", "exit 42"]).run();
    ensure!(ended.code == 42, "as PID 1, exit 42 became {}", ended.code);
    Ok(())
}

#[test]
fn the_exit_code_is_the_commands() {
    every_name(exit_codes);
    both(&["dumb-init", "catatonit"], exit_codes);
}

fn killed_by_signals(init: &Path) -> Verdict {
    for signal in [
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGKILL,
        libc::SIGUSR1,
    ] {
        let ended = Launch::plain(init)
            .args(["--", "sh", "-c", &format!("kill -{signal} $$")])
            .run();
        ensure!(
            ended.code == 128 + signal,
            "signal {signal} became {}",
            ended.code
        );
    }
    Ok(())
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_its_number() {
    every_name(killed_by_signals);
    both(&["tini", "dumb-init", "catatonit"], killed_by_signals);
}

fn options_of_the_command(init: &Path) -> Verdict {
    let ended = Launch::plain(init)
        .args(["echo", "-l", "-V", "--version", "-x"])
        .run();
    ensure!(ended.out == "-l -V --version -x\n", "{ended:?}");
    Ok(())
}

#[test]
fn the_commands_options_are_never_eaten_which_tini_and_catatonit_fail() {
    every_name(options_of_the_command);
    both(&["dumb-init"], options_of_the_command);
    only_ours(&["tini", "catatonit"], options_of_the_command);
}

fn double_dash(init: &Path) -> Verdict {
    let ended = Launch::plain(init).args(["--", "true"]).run();
    ensure!(ended.code == 0, "-- true: {ended:?}");
    let ended = Launch::plain(init).args(["--", "--", "true"]).run();
    ensure!(ended.code != 0, "-- -- true: {ended:?}");
    Ok(())
}

#[test]
fn one_double_dash_is_taken_and_no_second_one() {
    every_name(double_dash);
    both(&["tini", "dumb-init", "catatonit"], double_dash);
}

/// What cannot be run, and the exit code that each name has for it.
fn failures(init: &Path, missing: i32, denied: i32) -> Verdict {
    let here = scratch("failures");
    let plain = here.join("not-executable");
    file(&plain, "#!/bin/sh\n", 0o644);
    for (command, code, words) in [
        (
            "sexton-test-no-such-command",
            missing,
            "No such file or directory",
        ),
        (
            "/sexton-test/no-such-command",
            missing,
            "No such file or directory",
        ),
        (plain.to_str().unwrap(), denied, "Permission denied"),
        ("/", denied, "Permission denied"),
    ] {
        let ended = Launch::plain(init).args(["--", command]).run();
        ensure!(
            ended.code == code,
            "{command}: {} and not {code}",
            ended.code
        );
        ensure!(ended.err.contains(words), "{command}: {:?}", ended.err);
    }
    Ok(())
}

#[test]
fn what_cannot_be_run_is_said_with_the_names_own_exit_code() {
    failures(&ours("sexton-init"), 127, 126).unwrap();
    both(&["tini"], |init| failures(init, 127, 126));
    both(&["dumb-init"], |init| failures(init, 2, 2));
    both(&["catatonit"], |init| failures(init, 1, 1));
}

#[test]
fn the_message_names_the_command() {
    let ended = Launch::plain(&ours("sexton-init"))
        .args(["sexton-test-none"])
        .run();
    assert_eq!(
        ended.err,
        "sexton-init: sexton-test-none: No such file or directory\n"
    );
    both(&["dumb-init"], |init| {
        let ended = Launch::plain(init).args(["sexton-test-none"]).run();
        let expected = "[dumb-init] sexton-test-none: No such file or directory\n";
        ensure!(ended.err == expected, "{:?}", ended.err);
        Ok(())
    });
    both(&["tini"], |init| {
        let ended = Launch::plain(init).args(["-s", "sexton-test-none"]).run();
        let expected = "exec sexton-test-none failed: No such file or directory\n";
        ensure!(ended.err.ends_with(expected), "{:?}", ended.err);
        Ok(())
    });
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_file() {
    let script = scratch("interpreter").join("script");
    file(&script, "#!/sexton-test/no-interpreter\n", 0o755);
    let ended = Launch::plain(&ours("sexton-init")).args([&script]).run();
    assert_eq!(ended.code, 127);
    assert!(
        ended.err.contains("is there, but not what runs it"),
        "{}",
        ended.err
    );
}

fn script_without_interpreter(init: &Path) -> Verdict {
    let script = scratch("script").join("plain");
    file(&script, "echo \"[$0] [$1] [$#]\"; exit 9\n", 0o755);
    let ended = Launch::plain(init)
        .args(["--", script.to_str().unwrap(), "a b"])
        .run();
    let expected = format!("[{}] [a b] [1]\n", script.display());
    ensure!((ended.code, &*ended.out) == (9, &*expected), "{ended:?}");
    Ok(())
}

#[test]
fn a_script_without_an_interpreter_is_given_to_the_shell() {
    every_name(script_without_interpreter);
    both(
        &["tini", "dumb-init", "catatonit"],
        script_without_interpreter,
    );
}

fn path_search(init: &Path) -> Verdict {
    let here = scratch("path");
    let (first, second) = (here.join("first"), here.join("second"));
    fs::create_dir_all(&first).unwrap();
    fs::create_dir_all(&second).unwrap();
    file(
        &first.join("sexton-test-tool"),
        "#!/bin/sh\necho first\n",
        0o644,
    );
    file(
        &second.join("sexton-test-tool"),
        "#!/bin/sh\necho second\n",
        0o755,
    );
    let path = format!(
        "/sexton-test-none:{}:{}:/bin",
        first.display(),
        second.display()
    );
    let ended = Launch::plain(init)
        .env("PATH", &path)
        .args(["sexton-test-tool"])
        .run();
    ensure!(
        ended.out == "second\n",
        "one that may not be run hides a later one: {ended:?}"
    );
    let ended = Launch::plain(init)
        .env("PATH", "/sexton-test-none:")
        .directory(&second)
        .args(["sexton-test-tool"])
        .run();
    ensure!(
        ended.out == "second\n",
        "an empty entry is the working directory: {ended:?}"
    );
    Ok(())
}

#[test]
fn path_is_searched_as_execvp_does() {
    every_name(path_search);
    both(&["tini", "dumb-init", "catatonit"], path_search);
}

fn stdin_is_passed(init: &Path) -> Verdict {
    let input = scratch("stdin").join("input");
    fs::write(&input, "from a pipe\n").unwrap();
    let cat = Launch::plain(init).stdin(Stdio::from(fs::File::open(&input).unwrap()));
    let ended = cat.args(["cat"]).run();
    ensure!(ended.out == "from a pipe\n" && ended.code == 0, "{ended:?}");
    Ok(())
}

#[test]
fn standard_input_reaches_the_command() {
    every_name(stdin_is_passed);
    both(&["tini", "dumb-init", "catatonit"], stdin_is_passed);
}

fn closed_stdin(init: &Path) -> Verdict {
    let close = || {
        // SAFETY: the descriptor is standard input of a child that is about to exec.
        unsafe { libc::close(0) };
    };
    let ended = Launch::plain(init)
        .before(close)
        .args(["--", "sh", "-c", "ls /proc/self/fd; exit 5"])
        .run();
    ensure!(ended.code == 5, "{ended:?}");
    Ok(())
}

#[test]
fn a_closed_standard_input_is_no_error_which_tini_fails() {
    every_name(closed_stdin);
    both(&["dumb-init", "catatonit"], closed_stdin);
    only_ours(&["tini"], closed_stdin);
}

/// Init holds neither a directory nor a file of whoever started it: a mount could not be
/// unmounted, a reader of a pipe would never see its end.
fn holds_nothing(init: &Path) -> Verdict {
    let here = scratch("cwd");
    let open = || {
        // SAFETY: a plain duplicate, number 17, inherited on purpose.
        unsafe { libc::dup2(1, 17) };
    };
    let job = Launch::plain(init)
        .directory(&here)
        .before(open)
        .args(["--", "sh", "-c", "pwd; echo ready; exec sleep 60"])
        .start();
    ensure!(job.says("ready"), "{}", job.err());
    // Init lets go while the command is still being loaded, or never.
    let lets_go = |reached: &dyn Fn() -> bool| {
        (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            reached()
        })
    };
    let cwd = || fs::read_link(format!("/proc/{}/cwd", job.pid)).unwrap();
    ensure!(
        lets_go(&|| cwd() == Path::new("/")),
        "init works in {}",
        cwd().display()
    );
    ensure!(
        job.out().starts_with(here.to_str().unwrap()),
        "the child is elsewhere: {}",
        job.out()
    );
    let held = format!("/proc/{}/fd/17", job.pid);
    ensure!(lets_go(&|| !Path::new(&held).exists()), "init holds a file");
    ensure!(
        Path::new(&format!("/proc/{}/fd/17", job.main())).exists(),
        "the child lost its file"
    );
    Ok(())
}

#[test]
fn init_holds_no_directory_and_no_file_which_the_rivals_of_debian_fail() {
    every_name(holds_nothing);
    only_ours(&["tini", "dumb-init", "catatonit"], holds_nothing);
}

fn listen_pid(init: &Path) -> Verdict {
    let script = "export LISTEN_PID=$$; exec \"$@\"";
    let tell = "[ \"$LISTEN_PID\" = $$ ]";
    let ended = Launch::plain(Path::new("sh"))
        .args([
            "-c",
            script,
            "sh",
            init.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            tell,
        ])
        .run();
    ensure!(
        ended.code == 0,
        "socket activation is told to init, not to the command"
    );
    let ended = Launch::plain(init)
        .env("LISTEN_PID", "1")
        .args(["--", "sh", "-c", "echo $LISTEN_PID"])
        .run();
    ensure!(ended.out == "1\n", "somebody else's: {ended:?}");
    Ok(())
}

#[test]
fn socket_activation_is_for_the_command_which_tini_and_dumb_init_fail() {
    every_name(listen_pid);
    both(&["catatonit"], listen_pid);
    only_ours(&["tini", "dumb-init"], listen_pid);
}

#[test]
fn help_and_version() {
    let init = ours("sexton-init");
    for option in ["-h", "--help"] {
        let ended = Launch::plain(&init).args([option]).run();
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        assert!(ended.out.starts_with("Usage: sexton-init") && ended.out.contains("Examples\n"));
    }
    for option in ["-V", "--version"] {
        let ended = Launch::plain(&init).args([option]).run();
        assert_eq!(
            ended.out,
            format!("sexton-init {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn what_is_wrong_with_the_command_line_is_named() {
    for (args, said) in [
        (&["-x", "true"][..], "-x is not an option"),
        (&["--nope", "true"], "--nope is not an option"),
        (&["--group=1", "true"], "--group takes no value"),
        (&["-G"], "-G needs a value"),
        (
            &["--grace", "soon", "true"],
            "--grace: 'soon' is not a duration or off",
        ),
        (
            &["-S", "FOO", "true"],
            "--stop-signal: 'FOO' is not a signal",
        ),
        (
            &["-r", "TERM", "true"],
            "--rewrite: 'TERM' is not SIGNAL:SIGNAL",
        ),
        (
            &["-e", "256", "true"],
            "--exit-code: '256' is not an exit code",
        ),
        (
            &["-D", "xml", "true"],
            "--death: 'xml' is not off, plain or json",
        ),
        (
            &["-n", "keep", "-g", "true"],
            "--session: 'keep' cannot go with --to group",
        ),
        (&[], "no command is given"),
    ] {
        let ended = Launch::plain(&ours("sexton-init")).args(args).run();
        assert_eq!(ended.code, 125, "{args:?}");
        assert!(
            ended.err.starts_with(&format!("sexton-init: {said}")),
            "{args:?}: {}",
            ended.err
        );
    }
    let launch = Launch::plain(&ours("tini")).env("SEXTON_INIT_GRACE", "soon");
    let ended = launch.args(["true"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .err
            .contains("SEXTON_INIT_GRACE: 'soon' is not a duration"),
        "{}",
        ended.err
    );
}

#[test]
fn an_exit_code_can_stand_for_another() {
    let run = |options: &[&str], code: i32| {
        let end = format!("exit {code}");
        let command = ["--", "sh", "-c", &end];
        Launch::plain(&ours("sexton-init"))
            .args(options.iter().chain(&command))
            .run()
            .code
    };
    assert_eq!(run(&["-e", "143"], 143), 0);
    assert_eq!(run(&["-e", "3:7", "-e", "4"], 3), 7);
    assert_eq!(run(&["-e", "3:7", "-e", "4"], 4), 0);
    assert_eq!(run(&["-e", "0:9"], 0), 9);
    assert_eq!(run(&["-e", "3:7"], 7), 7);
}

#[test]
fn a_fork_that_fails_is_said() {
    // One process is the limit of this user; init is it.
    let limit = || {
        // SAFETY: plain system calls with a valid struct; the child is about to exec.
        unsafe {
            let one = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 1,
            };
            libc::setrlimit(libc::RLIMIT_NPROC, &raw const one);
            libc::setgid(64_321);
            libc::setuid(64_321);
        }
    };
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIP: only root can become a user without processes");
        return;
    }
    // That user may not reach the build directory.
    let copy = Path::new("/tmp").join(format!("sexton-test-init-{}", std::process::id()));
    fs::copy(ours("sexton-init"), &copy).unwrap();
    let ended = Launch::plain(&copy).before(limit).args(["true"]).run();
    fs::remove_file(&copy).unwrap();
    assert_eq!(ended.code, 125, "{ended:?}");
    assert!(
        ended.err.contains("fork") && ended.err.contains("temporarily unavailable"),
        "{ended:?}"
    );
    assert!(ended.took < PATIENCE);
}
