//! The parent cannot run, or something keeps its wait from it.

use rustix::process::Signal;
use sexton_lab::wait_until;

use crate::languages::native;
use crate::scenario::Category::CannotWait;
use crate::scenario::Scenario;
use crate::situation::{Situation, kill, which, zombies_of};

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![
        Scenario::leak(
            CannotWait,
            "stopped",
            &["holder-stopped"],
            &["native-fork-without-wait", "parent-never-waits"],
            |_| {
                let situation = Situation::child(&[&native()?, "own", "child", "5"]);
                wait_until("its zombies", || {
                    (zombies_of(situation.holder).len() == 5).then_some(())
                });
                kill(situation.holder, Signal::STOP);
                Ok(situation)
            },
        ),
        Scenario::leak(
            CannotWait,
            "SIGCHLD collected by sigwait, taken by another thread",
            &["sigchld-to-other-thread"],
            &[],
            |_| Situation::inside(&[&native()?, "sigwait", "child", "5"]),
        ),
        Scenario::leak(
            CannotWait,
            "SIGCHLD collected by signalfd, taken by another thread",
            &["sigchld-to-other-thread"],
            &[],
            |_| Situation::inside(&[&native()?, "signalfd", "child", "5"]),
        ),
        Scenario::leak(
            CannotWait,
            "php reads a pipe that a daemon holds open",
            &["pipe-held"],
            &[],
            |_| {
                let text = "$p=proc_open(['sh','-c','sleep 1000 & exit 0'],[1=>['pipe','w']],$f);stream_get_contents($f[1]);proc_close($p);";
                Situation::inside(&[&which("php")?, "-r", text])
            },
        ),
        Scenario::leak(
            CannotWait,
            "python communicate reads a pipe that a daemon holds open",
            &["pipe-held"],
            &[],
            |_| {
                let text = "import subprocess\nsubprocess.run(['sh','-c','sleep 1000 & exit 0'],stdout=subprocess.PIPE)";
                Situation::inside(&[&crate::situation::python()?, "-c", text])
            },
        ),
        Scenario::leak(
            CannotWait,
            "perl's backticks read a pipe that a daemon holds open",
            &["pipe-held"],
            &[],
            |_| Situation::inside(&[&which("perl")?, "-e", "print `sh -c 'sleep 1000 & exit 0'`"]),
        ),
    ];
    let lets_them_be: &[&str] = &["native-fork-without-wait", "parent-never-waits"];
    for (mode, first, also) in [
        ("blocked", &["sigchld-blocked"], &[] as &[&str]),
        ("ignored", &["sigchld-ignored-late"], lets_them_be),
        ("handler", &["handler-misses-children"], lets_them_be),
    ] {
        all.push(Scenario::leak(
            CannotWait,
            format!("SIGCHLD: {mode}"),
            first,
            also,
            move |_| Situation::inside(&[&native()?, mode, "child", "5"]),
        ));
    }
    all
}
