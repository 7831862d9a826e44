//! Names that steer a terminal or forge a line, wherever init prints one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::job::{Ended, Launch, python};
use crate::subject::{ensure, every_name, ours};

const EVIL: &[u8] = b"\x1b[31m\nF\x07\xc2\x9b\xff";
const SHOWN: &str = "\\x1b[31m\\nF\\x07\\x9b\u{fffd}";

/// A program whose name is that: `sleep`, or `sh`.
fn evil(program: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("steering-{program}"));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(OsStr::from_bytes(EVIL));
    if std::fs::symlink_metadata(&path).is_err() {
        let _ = std::os::unix::fs::symlink(format!("/bin/{program}"), &path);
    }
    path
}

fn run(launch: Launch, words: &[&OsStr]) -> Ended {
    launch.args(words).run()
}

/// Every line is init's own, and nothing in it steers.
fn is_clean(text: &str) -> Result<(), String> {
    for line in text.lines() {
        let own = [
            "sexton-init: ",
            "{\"",
            "[",
            "FATAL",
            "ERROR",
            "WARN",
            "DEBUG",
            " (catatonit",
            "Usage",
            "Try",
            "usage",
        ];
        ensure!(
            own.iter().any(|start| line.starts_with(start)),
            "not init's line: {line:?}"
        );
        ensure!(
            !line.chars().any(char::is_control),
            "a control character: {line:?}"
        );
    }
    Ok(())
}

fn words<'a>(list: &[&'a str], evil: &'a Path) -> Vec<&'a OsStr> {
    let word = |&word: &&'a str| match word {
        "EVIL" => evil.as_os_str(),
        word => OsStr::new(word),
    };
    list.iter().map(word).collect()
}

#[test]
fn the_death_of_a_program_with_such_a_name() {
    let sh = evil("sh");
    for (options, shown) in [
        (["-D", "plain"], SHOWN),
        (["-D", "json"], "\\u001b[31m\\u000aF\\u0007"),
    ] {
        // It is the command itself, or what a shell has become.
        for command in [
            &["--", "EVIL", "-c", "kill -SEGV $$"][..],
            &["--", "sh", "-c", "exec \"$0\" -c 'kill -SEGV $$'", "EVIL"],
        ] {
            let all = words(&[&options, command].concat(), &sh);
            let ended = run(Launch::plain(&ours("sexton-init")), &all);
            assert_eq!(ended.code, 139, "{ended:?}");
            is_clean(&ended.err).unwrap();
            assert!(ended.err.contains(shown), "{ended:?}");
        }
    }
}

#[test]
fn the_death_line_names_what_has_died() {
    for (script, name, key) in [
        ("kill -SEGV $$", "sh", None),
        (
            "exec python3 -c 'import os; os.kill(os.getpid(), 11)'",
            "python3",
            Some("python3"),
        ),
        ("exec sh -c 'exec sleep 60 & kill -SEGV $$'", "sh", None),
        ("sleep 0.2; exec env sh -c 'kill -SEGV $$'", "sh", None),
    ] {
        if !python() {
            return;
        }
        let ended = Launch::plain(&ours("sexton-init"))
            .args(["--", "sh", "-c", script])
            .run();
        let said = format!(" ({name}) was killed by signal 11 (SEGV)");
        assert!(ended.err.contains(&said), "{script}: {ended:?}");
        let json = Launch::plain(&ours("sexton-init"))
            .args(["-D", "json", "--", "sh", "-c", script])
            .run();
        let program = json
            .err
            .split_once("\"program\":\"")
            .map(|(_, rest)| rest.split('"').next().unwrap());
        assert_eq!(program, key, "{json:?}");
    }
}

/// The kernel keeps 15 bytes of a name; what was given is more than that.
#[test]
fn a_long_name_is_that_of_the_command() {
    let long = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-program-with-a-long-name");
    let _ = std::os::unix::fs::symlink("/bin/sh", &long);
    let command = ["--", long.to_str().unwrap(), "-c", "kill -SEGV $$"];
    let ended = Launch::plain(&ours("sexton-init")).args(command).run();
    let said = format!(" ({}) was killed", long.display());
    assert!(ended.err.contains(&said), "{ended:?}");
}

#[test]
fn what_is_left_and_what_is_killed() {
    let sleep = evil("sleep");
    let script = "(\"$0\" 600 &) ; sleep 0.3; exit 7";
    let options = [
        "-v",
        "-w",
        "-G",
        "0",
        "--orphans",
        "end=60",
        "--",
        "sh",
        "-c",
        script,
        "EVIL",
    ];
    let ended = run(
        Launch::plain(&ours("sexton-init")),
        &words(&options, &sleep),
    );
    assert_eq!(ended.code, 7, "{ended:?}");
    is_clean(&ended.err).unwrap();
    let options = [
        "-v",
        "-G",
        "0.2",
        "--orphans",
        "end",
        "--",
        "sh",
        "-c",
        "(trap '' TERM; \"$0\" 600 &); exec sleep 2",
        "EVIL",
    ];
    let ended = run(
        Launch::plain(&ours("sexton-init")),
        &words(&options, &sleep),
    );
    assert!(ended.err.matches(SHOWN).count() >= 2, "{ended:?}");
    is_clean(&ended.err).unwrap();
}

/// Holders of zombies: in the report, and when init ends.
#[test]
fn who_holds_zombies() {
    if !python() {
        return;
    }
    let script = "
import ctypes, os, subprocess, sys, time
for n in range(12):
    if os.fork() == 0: os._exit(0)
time.sleep(0.3)
ctypes.CDLL(None).prctl(15, bytes.fromhex('1b5b33316d0a4607c29bff'), 0, 0, 0)
print('ready', flush=True)
if sys.argv[1] == 'report': sys.exit(subprocess.call([sys.argv[2], '--report']))
time.sleep(600)";
    let init = ours("sexton-init");
    let path = init.to_str().unwrap();
    let Some(launch) = Launch::pid1(&init) else {
        return;
    };
    let report = launch
        .args(["--", "python3", "-c", script, "report", path])
        .run();
    let lines = report.out.strip_prefix("ready\n").unwrap();
    is_clean(lines).unwrap();
    assert!(
        lines.contains(&format!("({SHOWN}) holds 12 zombies")),
        "{report:?}"
    );
    // It is its own death, and that of one in the background.
    let died = format!("({SHOWN}) left 12 zombies");
    assert!(report.err.contains(&died), "{report:?}");
    is_clean(&report.err).unwrap();
    let behind = "python3 -c \"$0\" stay & sleep 2; exit 4";
    let ended = Launch::plain(&init)
        .args(["-G", "0", "--", "sh", "-c", behind, script])
        .run();
    assert!(
        ended.err.contains(&format!("({SHOWN}) holds 12 zombies")),
        "{ended:?}"
    );
    is_clean(&ended.err).unwrap();
}

#[test]
fn commands_options_and_files_that_are_not_there() {
    let missing = [b"/nonexistent/", EVIL].concat();
    let missing = OsStr::from_bytes(&missing);
    every_name(|init| {
        let ended = Launch::plain(init)
            .env("TINI_SUBREAPER", "")
            .args([OsStr::new("--"), missing])
            .run();
        ensure!(ended.err.contains(SHOWN), "{ended:?}");
        is_clean(&ended.err)
    });
    for name in [
        "SEXTON_INIT_GRACE",
        "SEXTON_INIT_ORPHANS",
        "SEXTON_INIT_EXIT_CODE",
    ] {
        let launch = Launch::plain(&ours("sexton-init")).env(name, "\x1b[31m\nF\x07");
        let ended = launch.args(["--", "true"]).run();
        assert_eq!(ended.code, 125);
        assert!(ended.err.contains("\\x1b[31m\\nF\\x07"), "{ended:?}");
        is_clean(&ended.err).unwrap();
    }
    let log = [b"--termination-log=/nonexistent/", EVIL].concat();
    let options = [
        OsStr::from_bytes(&log),
        OsStr::new("--"),
        OsStr::new("true"),
    ];
    let ended = Launch::plain(&ours("sexton-init")).args(options).run();
    assert!(ended.err.contains(SHOWN), "{ended:?}");
    is_clean(&ended.err).unwrap();
}
