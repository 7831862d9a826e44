//! A program forgets to wait for its own children, in each language.

use std::path::Path;

use sexton_lab::{Leak, Program, Skip};

use crate::scenario::Category::OwnChildren;
use crate::scenario::Scenario;
use crate::situation::{Situation, copy, parent, python, which};

/// What is true of every parent that lives, starts its children and never waits.
const NEVER: &[&str] = &["parent-never-waits", "init-not-the-parent"];

/// An interpreter, how it takes a program, the program, and the causes that are right.
pub(crate) type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const OWN: &[Case] = &[
    (
        "python Popen kept",
        "python3",
        "-c",
        "import subprocess,time\nk=[subprocess.Popen(['true']) for _ in range(5)]\ntime.sleep(1000)",
        &["python-popen-without-wait"],
    ),
    (
        "python os.fork",
        "python3",
        "-c",
        "import os,time\nfor _ in range(5):\n    os.fork() or os._exit(0)\ntime.sleep(1000)",
        &["python-fork-without-wait"],
    ),
    (
        "python posix_spawn",
        "python3",
        "-c",
        "import os,time\nfor _ in range(5): os.posix_spawn('/bin/true',['true'],{})\ntime.sleep(1000)",
        &["python-popen-without-wait"],
    ),
    (
        "ruby spawn",
        "ruby",
        "-e",
        "5.times { spawn('true') }; sleep 1000",
        &["ruby-spawn-without-wait"],
    ),
    (
        "ruby fork",
        "ruby",
        "-e",
        "5.times { fork { exit! } }; sleep 1000",
        &["ruby-spawn-without-wait"],
    ),
    (
        "php pcntl_fork",
        "php",
        "-r",
        "for ($i = 0; $i < 5; $i++) if (pcntl_fork() == 0) exit(0); sleep(1000);",
        &["php-children-without-wait"],
    ),
    (
        "php proc_open",
        "php",
        "-r",
        "for ($i = 0; $i < 5; $i++) $k[] = proc_open(['true'], [], $p); sleep(1000);",
        &["php-children-without-wait"],
    ),
    (
        "perl fork",
        "perl",
        "-e",
        "for (1..5) { fork or exit 0 } sleep 1000",
        &["perl-fork-without-wait"],
    ),
    (
        "perl fork and exec",
        "perl",
        "-e",
        "for (1..5) { fork or exec 'true' } sleep 1000",
        &["perl-fork-without-wait"],
    ),
    (
        "node with a loop that is blocked",
        "node",
        "-e",
        "const {spawn}=require('child_process');for(let i=0;i<5;i++)spawn('true');for(;;)Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,100000);",
        &["node-loop-blocked"],
    ),
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for &(name, program, flag, text, first) in OWN {
        // By itself, as PID 1, and behind an entry point that runs a command before exec.
        all.push(Scenario::leak(OwnChildren, name, first, NEVER, move |_| {
            Situation::inside(&[&interpreter(program)?, flag, text])
        }));
        all.push(Scenario::leak(
            OwnChildren,
            format!("{name}, as PID 1"),
            first,
            NEVER,
            move |_| Situation::pid1(&[&interpreter(program)?, flag, text]),
        ));
        all.push(Scenario::leak(
            OwnChildren,
            format!("{name}, behind an entry point"),
            first,
            &["parent-never-waits", "pid1-own-or-orphans"],
            move |_| {
                let script = "mkdir -p /tmp; /bin/true; exec \"$@\"";
                let program = interpreter(program)?;
                Situation::pid1(&["sh", "-c", script, "sh", &program, flag, text])
            },
        ));
    }
    all.push(Scenario::leak(
        OwnChildren,
        "go cmd.Start",
        &["go-start-without-wait"],
        NEVER,
        |_| Situation::inside(&argv(&Program::go_story(0, 4_000)?)),
    ));
    all.push(Scenario::leak(
        OwnChildren,
        "go cmd.Start, as PID 1",
        &["go-start-without-wait"],
        NEVER,
        |_| Situation::pid1(&argv(&Program::go_story(0, 4_000)?)),
    ));
    all.push(Scenario::leak(
        OwnChildren,
        "go by another name",
        &["go-start-without-wait"],
        NEVER,
        |dir| {
            let go = Program::go_story(0, 4_000)?;
            let named = copy(Path::new(&go.argv[0]), dir.path(), "python3.11");
            Situation::inside(&[&named, "0", "4000"])
        },
    ));
    all.push(Scenario::leak(
        OwnChildren,
        "rust Child dropped",
        &["rust-child-dropped"],
        NEVER,
        |_| Situation::inside(&argv(&Leak::new().count(5).then_sleep().program())),
    ));
    all.push(Scenario::leak(
        OwnChildren,
        "C fork",
        &["native-fork-without-wait"],
        NEVER,
        |_| Situation::inside(&[&native()?, "own", "child", "5"]),
    ));
    all.push(Scenario::leak(
        OwnChildren,
        "C fork, as PID 1",
        &["native-fork-without-wait"],
        NEVER,
        |_| Situation::pid1(&[&native()?, "own", "child", "5"]),
    ));
    for init in ["tini", "dumb-init", "catatonit"] {
        all.push(Scenario::leak(
            OwnChildren,
            format!("C fork, behind {init}"),
            &["native-fork-without-wait", "init-not-the-parent"],
            NEVER,
            move |_| {
                let argv = [&which(init)?, "--", &native()?, "own", "child", "5"];
                Ok(Situation::pid1(&argv)?.holder_is("parent"))
            },
        ));
    }
    all
}

pub(crate) fn interpreter(name: &str) -> Result<String, Skip> {
    match name {
        "python3" => python(),
        _ => which(name),
    }
}

pub(crate) fn native() -> Result<String, Skip> {
    Ok(path(&parent()?).to_owned())
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn argv(program: &Program) -> Vec<&str> {
    program.argv.iter().map(String::as_str).collect()
}
