//! Shells in front of a program.

use crate::situation::{Case, compare, program};

#[test]
fn shells_without_a_trap() {
    let shell = |path| Some(["-c", "sleep 1000; true"]).zip(program(path));
    compare([
        shell("/bin/dash").map(|(arguments, shell)| {
            Case::new(
                "dash -c 'sleep; true'",
                &[&[shell], &arguments[..]].concat(),
            )
            .runs("sleep")
            .killed()
            .unheard(1)
            .says("did not `exec` it")
        }),
        shell("/bin/bash").map(|(arguments, shell)| {
            Case::new(
                "bash -c 'sleep; true'",
                &[&[shell], &arguments[..]].concat(),
            )
            .runs("sleep")
            .killed()
            .unheard(1)
        }),
        program("/bin/busybox").map(|busybox| {
            Case::new(
                "busybox sh -c 'sleep; true'",
                &[busybox, "sh", "-c", "/bin/sleep 1000; true"],
            )
            .runs("sleep")
            .killed()
            .unheard(1)
        }),
        Some(
            Case::new("exec form", &["/bin/sleep", "1000"])
                .runs("sleep")
                .killed()
                .says("is PID 1 without a handler"),
        ),
        program("/bin/bash").map(|bash| {
            Case::new(
                "bash whose script execs",
                &[bash, "-c", "true; exec /bin/sleep 1000"],
            )
            .runs("sleep")
            .killed()
        }),
        // Without a PID namespace of its own the same shell ends, and leaves its child behind.
        Some(
            Case::new(
                "sh in a shared namespace",
                &["/bin/sh", "-c", "sleep 1000; true"],
            )
            .runs("sleep")
            .shares_pid_namespace()
            .unheard(1),
        ),
        Some(
            Case::new("sleep in a shared namespace", &["/bin/sleep", "1000"])
                .runs("sleep")
                .shares_pid_namespace(),
        ),
    ]);
}

#[test]
fn shells_with_a_trap() {
    let with_trap = |name, shell: &'static str, rest: &str| {
        let script = format!("trap 'exit 0' TERM; {rest}");
        program(shell).map(|shell| Case::new(name, &[shell, "-c", &script]).runs("sleep"))
    };
    compare([
        with_trap("bash, command in front", "/bin/bash", "sleep 1000; true")
            .map(|case| case.killed().unheard(1)),
        with_trap("dash, command in front", "/bin/dash", "sleep 1000; true")
            .map(|case| case.killed().unheard(1)),
        with_trap("bash in wait", "/bin/bash", "sleep 1000 & wait"),
        with_trap("bash in wait for one", "/bin/bash", "sleep 1000 & wait $!"),
        with_trap("dash in wait", "/bin/dash", "sleep 1000 & wait"),
        with_trap(
            "bash in a loop of short sleeps",
            "/bin/bash",
            "while :; do sleep 0.4; done",
        ),
        program("/bin/bash").map(|bash| {
            let script = "trap '' TERM; sleep 1000; true";
            Case::new("bash that ignores it", &[bash, "-c", script])
                .runs("sleep")
                .killed()
                .says("ignores SIGTERM")
        }),
        // Every shell catches SIGINT, and waits for its command first.
        program("/bin/bash").map(|bash| {
            Case::new("bash, SIGINT", &[bash, "-c", "sleep 1000; true"])
                .runs("sleep")
                .stop_signal("SIGINT")
                .killed()
                .unheard(1)
        }),
    ]);
}
