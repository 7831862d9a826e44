//! What reaches a terminal: colours where they are wanted, and never a control character that
//! a process put into its name.

use std::process::Command;

use sexton_lab::{Container, Leak, Skip, program::find, require};

use crate::sexton::{Answer, SEXTON, sexton};
use crate::situation::{leaking, runtime};

/// As a process might call itself to clear the screen, add a line, or turn the text around.
const HOSTILE: &str = "a\x1b[2J\nb\u{202e}";

/// Runs `sexton` on a pseudo-terminal.
fn on_a_terminal(args: &[&str], variables: &[(&str, &str)]) -> Option<Answer> {
    require(find("script").ok_or_else(|| Skip("there is no script(1)".to_owned())))?;
    let line = [&[SEXTON], args].concat().join(" ");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs([("TERM", "xterm-256color")])
        .envs(variables.iter().copied());
    for variable in ["CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    if !variables.iter().any(|(name, _)| *name == "NO_COLOR") {
        command.env_remove("NO_COLOR");
    }
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("script was found");
    Some(Answer {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
        stderr: String::new(),
    })
}

#[test]
fn a_terminal_gets_colours_and_no_color_takes_them_away() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let args = ["scan", "--container", container.id()];
    let Some(coloured) = on_a_terminal(&args, &[]) else {
        return;
    };
    assert!(coloured.stdout.contains("\x1b["), "{coloured:?}");
    let Some(plain) = on_a_terminal(&args, &[("NO_COLOR", "1")]) else {
        return;
    };
    assert!(!plain.stdout.contains('\x1b'), "{plain:?}");
    assert!(
        plain.stdout.contains(&container.pid().to_string()),
        "{plain:?}"
    );
}

#[test]
fn piped_output_has_no_escape_codes() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let (id, pid) = (container.id(), container.pid().to_string());
    let commands: [&[&str]; 10] = [
        &["scan", "--container", id],
        &["scan", "--container", id, "-o", "wide"],
        &[
            "scan",
            "--container",
            id,
            "--watch",
            "--count",
            "2",
            "--interval",
            "0.1",
        ],
        &["limits", "--pid", &pid],
        &["explain", &pid, "--sample", "0.5"],
        &["reap", id, "--settle", "0"],
        &["reap", id, "--settle", "0", "--yes"],
        &["--help"],
        &["reap", "--help"],
        &["limits", "--pid", "4194304"],
    ];
    for args in commands {
        let answer = sexton(args.iter().copied());
        assert!(!answer.stdout.contains('\x1b'), "{args:?}: {answer:?}");
        assert!(!answer.stderr.contains('\x1b'), "{args:?}: {answer:?}");
    }
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let Some(runtime) = runtime() else { return };
    // The children bear the name, and the holder has it among its arguments.
    let container = leaking(Container::builder(&runtime), Leak::new().name(HOSTILE), 5);
    let (id, pid) = (container.id(), container.pid().to_string());
    let wide = sexton(["scan", "--container", id, "-o", "wide"]).expect(1);
    assert!(
        wide.stdout.contains(r"a\x1b[2J\nb"),
        "the name is shown, escaped: {wide:?}"
    );
    let commands: [&[&str]; 7] = [
        &["scan", "--container", id],
        &["scan", "--container", id, "-o", "wide"],
        &["scan", "--container", id, "-o", "json"],
        &["limits", "--pid", &pid],
        &["explain", &pid, "--sample", "0"],
        &["reap", id, "--settle", "0"],
        &["reap", id, "--settle", "0", "--yes"],
    ];
    for args in commands {
        let answer = sexton(args.iter().copied());
        assert!(answer.status < 2, "{args:?}: {answer:?}");
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        // JSON keeps the bidirectional mark, which is no control character, as it is.
        let steers = |c: char| steers(c) && !(c == '\u{202e}' && args.contains(&"json"));
        assert!(!answer.stdout.contains(steers), "{args:?}: {answer:?}");
        assert!(!answer.stderr.contains(steers), "{args:?}: {answer:?}");
        // The newline of the name would begin a line with what follows it.
        assert!(
            !answer.stdout.lines().any(|line| line.starts_with('b')),
            "{args:?}: {answer:?}"
        );
    }
}
