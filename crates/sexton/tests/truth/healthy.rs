//! Programs that wait: at once, every few seconds, or for whatever is given to them.

use sexton_lab::Skip;

use crate::scenario::Scenario;
use crate::situation::{Situation, python, which};

/// A program, its arguments.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// They start things all the time and wait for them; PID 1 of a namespace of their own.
const AS_FIRST: &[Case] = &[
    (
        "bash, a loop",
        "bash",
        &["-c", "while :; do /bin/true; sleep 0.2; done"],
    ),
    (
        "dash, a loop",
        "dash",
        &["-c", "while :; do /bin/true; sleep 0.2; done"],
    ),
    (
        "bash, jobs in the background and wait",
        "bash",
        &["-c", "while :; do /bin/true & sleep 1 & wait; done"],
    ),
    (
        "busybox sh, a loop",
        "busybox",
        &["sh", "-c", "while :; do /bin/true; sleep 0.2; done"],
    ),
    (
        "bash, a trap and wait",
        "bash",
        &["-c", "trap : TERM; sleep 1000 & wait"],
    ),
    (
        "xargs -P",
        "bash",
        &["-c", "yes | xargs -P 4 -I x sleep 0.3"],
    ),
    ("parallel", "bash", &["-c", "yes 0.3 | parallel -j2 sleep"]),
    (
        "perl, system in a loop",
        "perl",
        &[
            "-e",
            "while (1) { system('true'); select(undef,undef,undef,0.3) }",
        ],
    ),
    (
        "perl, $SIG{CHLD} that waits for all",
        "perl",
        &[
            "-e",
            "$SIG{CHLD}=sub{while(waitpid(-1,1)>0){}};while(1){fork or exit 0;$t=time;sleep 1 while time<$t+1}",
        ],
    ),
    (
        "ruby, Process.detach",
        "ruby",
        &["-e", "loop { Process.detach(spawn('true')); sleep 0.5 }"],
    ),
    (
        "php, pcntl_waitpid",
        "php",
        &[
            "-r",
            "while(1){ if(pcntl_fork()==0)exit(0); usleep(300000); while(pcntl_waitpid(-1,$s,WNOHANG)>0); }",
        ],
    ),
    (
        "node, spawn in a loop",
        "node",
        &[
            "-e",
            "setInterval(()=>require('child_process').spawn('true'),300)",
        ],
    ),
];

/// A pool that looks after its children every so many seconds.
const POLLS: &str = "
import subprocess, sys, time
every, kept = float(sys.argv[1]), []
while True:
    kept.append(subprocess.Popen(['true']))
    time.sleep(every)
    kept = [p for p in kept if p.poll() is None]
";

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for &(name, program, arguments) in AS_FIRST {
        all.push(Scenario::healthy(name, move |_| first(program, arguments)));
        all.push(Scenario::healthy(format!("{name}, no PID 1"), move |_| {
            let program = which(program)?;
            let mut argv = vec![program.as_str()];
            argv.extend(arguments);
            Situation::inside(&argv)
        }));
    }
    for init in ["tini", "dumb-init", "catatonit"] {
        all.push(Scenario::healthy(
            format!("{init}, given orphans"),
            move |_| {
                let shell = "while :; do setsid sh -c 'sleep 0.3 &'; sleep 0.5; done";
                first(init, &["--", "sh", "-c", shell])
            },
        ));
    }
    for every in ["1", "5", "15", "30"] {
        all.push(Scenario::healthy(
            format!("python, polls every {every} s"),
            move |_| Situation::inside(&[&python()?, "-c", POLLS, every]),
        ));
        all.push(Scenario::healthy(
            format!("python, polls every {every} s, as PID 1"),
            move |_| Situation::pid1(&[&python()?, "-c", POLLS, every]),
        ));
        all.push(Scenario::healthy(
            format!("C-like supervisor in perl, waits every {every} s"),
            move |_| {
                let text = format!(
                    "while (1) {{ for (1..3) {{ fork or exit 0 }} sleep {every}; while (waitpid(-1, 1) > 0) {{}} }}"
                );
                Situation::inside(&[&which("perl")?, "-e", &text])
            },
        ));
    }
    all
}

pub(crate) fn first(program: &str, arguments: &[&str]) -> Result<Situation, Skip> {
    let program = which(program)?;
    let mut argv = vec![program.as_str()];
    argv.extend(arguments);
    Situation::pid1(&argv)
}
