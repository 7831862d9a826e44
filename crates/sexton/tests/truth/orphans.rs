//! What a program did not start: orphans that are given to it, and what a script left to it.

use crate::languages::{Case, interpreter, native, path};
use crate::scenario::Category::{Inherited, Orphans};
use crate::scenario::Scenario;
use crate::situation::{Situation, go_init, python};

/// What is true of orphans that a PID 1 does not wait for, whatever it is.
const GIVEN: &[&str] = &["pid1-does-not-adopt", "double-fork-daemon", "probe-killed"];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = orphans();
    all.extend(inherited());
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
