//! A program forgets to wait, in each language: for its own children, for orphans, for what a
//! script left to it.

use std::path::Path;

use sexton_lab::{Leak, Program, Skip};

use crate::scenario::Category::{Inherited, Orphans, OwnChildren};
use crate::scenario::Scenario;
use crate::situation::{Situation, copy, go_init, parent, python, which};

/// What is true of every parent that lives, starts its children and never waits.
const NEVER: &[&str] = &["parent-never-waits", "init-not-the-parent"];

/// What is true of orphans that a PID 1 does not wait for, whatever it is.
const GIVEN: &[&str] = &["pid1-does-not-adopt", "double-fork-daemon", "probe-killed"];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = own_children();
    all.extend(orphans());
    all.extend(inherited());
    all
}

/// An interpreter, how it takes a program, the program, and the causes that are right.
type Case = (
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

fn own_children() -> Vec<Scenario> {
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

/// A program that starts what it waits for, and leaves an orphan each time.
const ORPHANS: &[Case] = &[
    (
        "python",
        "python3",
        "-c",
        "import subprocess,time\nfor _ in range(5): subprocess.run(['setsid','sh','-c','sleep 0.3 &'])\ntime.sleep(1000)",
        &["python-init"],
    ),
    (
        "ruby",
        "ruby",
        "-e",
        "5.times { system('setsid', 'sh', '-c', 'sleep 0.3 &') }; sleep 1000",
        &["ruby-init"],
    ),
    (
        "perl",
        "perl",
        "-e",
        "for (1..5) { system('setsid', 'sh', '-c', 'sleep 0.3 &') } sleep 1000",
        &["perl-init"],
    ),
    (
        "php",
        "php",
        "-r",
        "for ($i = 0; $i < 5; $i++) exec(\"setsid sh -c 'sleep 0.3 >/dev/null 2>&1 &'\"); sleep(1000);",
        &["php-init"],
    ),
    (
        "node",
        "node",
        "-e",
        "const {spawn}=require('child_process');for(let i=0;i<5;i++)spawn('setsid',['sh','-c','sleep 0.3 &']);setInterval(()=>{},1000);",
        &["node-init"],
    ),
];

fn orphans() -> Vec<Scenario> {
    let mut all = Vec::new();
    for &(name, program, flag, text, first) in ORPHANS {
        all.push(Scenario::leak(
            Orphans,
            format!("{name}, given orphans"),
            first,
            GIVEN,
            move |_| Situation::pid1(&[&interpreter(program)?, flag, text]),
        ));
        all.push(Scenario::leak(
            Orphans,
            format!("{name}, given orphans, behind an entry point"),
            first,
            GIVEN,
            move |_| {
                let script = "mkdir -p /tmp; /bin/true; exec \"$@\"";
                let program = interpreter(program)?;
                Situation::pid1(&["sh", "-c", script, "sh", &program, flag, text])
            },
        ));
    }
    all.push(Scenario::leak(
        Orphans,
        "go, given orphans",
        &["go-init"],
        GIVEN,
        |_| Situation::pid1(&[path(&go_init()?)]),
    ));
    all.push(Scenario::leak(
        Orphans,
        "C, given daemons",
        &["pid1-does-not-adopt", "double-fork-daemon"],
        GIVEN,
        |_| Situation::pid1(&[&native()?, "daemons", "child", "5"]),
    ));
    all.push(Scenario::leak(
        Orphans,
        "a subreaper that does not wait",
        &["subreaper-does-not-wait"],
        GIVEN,
        |_| Situation::inside(&[&native()?, "subreaper", "child", "5"]),
    ));
    for (name, command) in [
        ("sleep infinity", &["sleep", "infinity"] as &[&str]),
        ("tail -f /dev/null", &["tail", "-f", "/dev/null"]),
    ] {
        all.push(Scenario::leak(
            Orphans,
            format!("{name}, given daemons"),
            &["keep-alive-init"],
            GIVEN,
            move |_| {
                let mut situation = Situation::pid1(command)?;
                for _ in 0..3 {
                    let other = situation.exec(&["setsid", "sh", "-c", "sleep 0.3 &"]);
                    situation.keep(other);
                }
                Ok(situation)
            },
        ));
    }
    all
}

/// `job & exec PROGRAM`: what is not known of the program is not said to be its fault.
fn inherited() -> Vec<Scenario> {
    let programs: &[(&str, &str)] = &[
        ("sleep", "exec sleep 1000"),
        ("C that forks nothing", "exec PARENT idle"),
        ("python", "exec PYTHON -c 'import time; time.sleep(1000)'"),
        ("perl", "exec perl -e 'sleep 1000'"),
        ("ruby", "exec ruby -e 'sleep 1000'"),
        ("php", "exec php -r 'sleep(1000);'"),
        ("node", "exec node -e 'setInterval(()=>{},1000)'"),
    ];
    let mut all = Vec::new();
    for &(name, exec) in programs {
        for as_first in [false, true] {
            let place = if as_first { ", as PID 1" } else { "" };
            all.push(Scenario::leak(
                Inherited,
                format!("{name}, behind `&` and exec{place}"),
                &[
                    "exec-after-background",
                    "pid1-own-or-orphans",
                    "not-known",
                    "keep-alive-init",
                    "node-loop-blocked",
                ],
                &["parent-never-waits"],
                move |_| {
                    let script = exec
                        .replace("PARENT", &native()?)
                        .replace("PYTHON", &python()?);
                    let script = format!("sleep 0.3 & sleep 0.4 & {script}");
                    if as_first {
                        Situation::pid1(&["sh", "-c", &script])
                    } else {
                        Situation::inside(&["sh", "-c", &script])
                    }
                },
            ));
        }
    }
    all
}

fn interpreter(name: &str) -> Result<String, Skip> {
    match name {
        "python3" => python(),
        _ => which(name),
    }
}

pub(crate) fn native() -> Result<String, Skip> {
    Ok(path(&parent()?).to_owned())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn argv(program: &Program) -> Vec<&str> {
    program.argv.iter().map(String::as_str).collect()
}
