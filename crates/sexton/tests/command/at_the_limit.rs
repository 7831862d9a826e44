//! Where nothing can fork, Sexton still scans, explains and reaps: on the way it starts no
//! process and no thread.

use sexton_lab::{Container, Leak, wait_until, zombies_of};

use crate::sexton::{Answer, SEXTON, answer, leak_of};
use crate::situation::{full, runtime};

/// Runs `sexton` inside the container's cgroup, which is full.
fn inside<'a>(container: &Container, args: impl IntoIterator<Item = &'a str>) -> Answer {
    let mut command = container.command_in_cgroup(SEXTON);
    command.args(args);
    answer(&mut command)
}

#[test]
fn it_works_in_a_cgroup_in_which_nothing_can_fork() {
    let Some(runtime) = runtime() else { return };
    let container = full(&runtime, &Leak::new().program(), 30);
    let pid = container.pid().to_string();

    // It is true that nothing can fork here.
    let mut shell = container.command_in_cgroup("/bin/sh");
    let output = shell
        .args(["-c", "/bin/true; /bin/true"])
        .output()
        .expect("sh starts");
    assert!(!output.status.success(), "{output:?}");

    let report = inside(&container, ["scan", "-o", "json", "--pid", &pid])
        .expect(1)
        .json();
    assert_eq!(leak_of(&report, container.pid())["zombies"], 29);
    inside(&container, ["limits", "--pid", &pid]).expect(1);
    inside(&container, ["explain", &pid, "--sample", "0.5"]).expect(0);

    let said = container.output().len();
    let answer = inside(&container, ["reap", &pid, "--yes", "--settle", "0"]);
    assert!(answer.status < 2, "{answer:?}");
    assert!(answer.stdout.contains("took 29 zombies"), "{answer:?}");
    container.wait_for_line(said, |line| line.ends_with(" ok"));
    wait_until("it leaks on, as it does", || {
        (!zombies_of(container.pid()).is_empty()).then_some(())
    });
}
