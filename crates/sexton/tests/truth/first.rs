//! PID 1 is a command that starts one program and waits for that one only; the program leaves
//! orphans. And an init that is there, but not as PID 1.

use sexton_lab::Skip;
use tempfile::TempDir;

use crate::languages::native;
use crate::scenario::Category::Orphans;
use crate::scenario::Scenario;
use crate::situation::{Situation, which};

/// Leaves an orphan every second for a while, and goes on.
const PROGRAM: &str =
    "for i in 1 2 3 4 5; do setsid sh -c 'sleep 0.3 &'; sleep 1; done; exec sleep 1000";

/// A name and the command before the program.
type Case = (&'static str, fn(&TempDir) -> Result<Vec<String>, Skip>);

const WAITS_FOR_ONE: &[Case] = &[
    ("timeout", |_| words(&["timeout", "1000"])),
    ("flock", |dir| {
        words(&["flock", dir.path().join("lock").to_str().unwrap()])
    }),
    ("perl's system", |_| words(&["perl", "-e", "system(@ARGV)"])),
    ("runuser", |_| words(&["runuser", "-u", "root", "--"])),
    ("C, waitpid of one", |_| {
        Ok(vec![native()?, "wait-for-one".to_owned()])
    }),
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = WAITS_FOR_ONE
        .iter()
        .map(|&(name, before)| {
            Scenario::leak(
                Orphans,
                format!("{name} as PID 1"),
                &["pid1-waits-for-one", "pid1-does-not-adopt", "perl-init"],
                &["double-fork-daemon"],
                move |dir| {
                    let mut argv = before(dir)?;
                    if !argv[0].ends_with("parent") {
                        argv.extend(["sh", "-c", PROGRAM].map(str::to_owned));
                    }
                    Situation::pid1(&argv.iter().map(String::as_str).collect::<Vec<_>>())
                },
            )
        })
        .collect();
    // The shell is PID 1, and tini below it is given nothing.
    for init in ["tini", "dumb-init"] {
        all.push(Scenario::leak(
            Orphans,
            format!("{init}, but not as PID 1"),
            &["init-misplaced", "keep-alive-init"],
            &[
                "pid1-does-not-adopt",
                "double-fork-daemon",
                "shell-init-busy",
            ],
            move |_| {
                let init = which(init)?;
                let text = format!("{init} -- sh -c \"{PROGRAM}\" & exec sleep 1000");
                Situation::pid1(&["sh", "-c", &text])
            },
        ));
    }
    all
}

fn words(argv: &[&str]) -> Result<Vec<String>, Skip> {
    let mut argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    argv[0] = which(&argv[0])?;
    Ok(argv)
}
