//! `sexton reap`: what it takes, and that the program goes on.

use sexton_lab::{
    Container, Layout, Leak, Program, Runtime, Skip, live_children_of, program::find, require,
    wait_until, zombies_of,
};

use crate::sexton::{leak_of, sexton, validates};
use crate::situation::{full, leaking, runtime};

#[test]
fn without_yes_it_says_what_it_would_do_and_does_nothing() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 10);
    let pid = container.pid().to_string();

    let answer = sexton(["reap", &pid, "--settle", "0"]).expect(0);
    assert!(
        answer.stdout.contains("would take 10 zombies"),
        "{answer:?}"
    );
    assert!(answer.stdout.contains("--yes"), "{answer:?}");
    let document = sexton(["reap", &pid, "--settle", "0", "-o", "json"])
        .expect(0)
        .json();
    validates("reap", &document);
    assert_eq!(document["dryRun"], true);

    assert_eq!(zombies_of(container.pid()).len(), 10);
}

#[test]
fn with_yes_all_are_taken_and_the_program_does_not_notice() {
    for runtime in Runtime::all() {
        let leak = Leak::new().exit(3).name("chrome");
        let container = leaking(Container::builder(&runtime), leak, 300);
        let before = container.identity();

        let args = [
            "reap",
            container.id(),
            "--yes",
            "--settle",
            "0",
            "-o",
            "json",
        ];
        let document = sexton(args).expect(0).json();

        validates("reap", &document);
        let outcome = &document["holders"][0]["outcome"];
        assert_eq!(outcome["taken"], 300, "{document:#}");
        let statuses = outcome["statuses"].as_array().expect("a list");
        assert_eq!(statuses.len(), 1);
        assert_eq!(statuses[0]["command"], "chrome");
        assert_eq!(statuses[0]["exit"], serde_json::json!({"code": 3}));
        assert_eq!(statuses[0]["count"], 300);
        assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
        assert_eq!(container.identity(), before);
    }
}

/// The story, told to its end.
fn at_its_limit_a_program_is_freed_and_forks_again(program: &Program) {
    let Some(runtime) = runtime() else { return };
    let container = full(&runtime, program, 60);
    let before = container.identity();
    assert!(before.is_some());

    // From here on it can only fail to fork.
    let said = container.output().len();
    let answer = sexton(["reap", container.id(), "--yes", "--settle", "0"]);

    // Once it can fork again it leaks again, and some may be left by the time of the answer.
    assert!(answer.status < 2, "{answer:?}");
    assert!(answer.stdout.contains("took"), "{answer:?}");
    container.wait_for_line(said, |line| line.ends_with(" ok"));
    assert_eq!(container.identity(), before, "it is another process");
}

#[test]
fn the_go_program_of_the_story_forks_again() {
    if let Some(program) = require(Program::go_story(0, 5)) {
        at_its_limit_a_program_is_freed_and_forks_again(&program);
    }
}

#[test]
fn the_python_program_forks_again() {
    if let Some(program) = require(Program::python_story(0, 5)) {
        at_its_limit_a_program_is_freed_and_forks_again(&program);
    }
}

#[test]
fn a_program_of_several_threads_forks_again() {
    at_its_limit_a_program_is_freed_and_forks_again(&Leak::new().threads(4).program());
}

#[test]
fn what_ended_a_moment_ago_is_left_to_its_parent() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 5);

    let answer = sexton(["reap", container.id(), "--yes"]).expect(1);

    assert!(answer.stdout.contains("60"), "{answer:?}");
    assert_eq!(zombies_of(container.pid()).len(), 5);
}

#[test]
fn a_zombie_as_target_is_that_one_alone() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 5);
    let zombies = zombies_of(container.pid());

    sexton(["reap", &zombies[2].to_string(), "--yes", "--settle", "0"]).expect(0);

    let mut left = zombies;
    left.remove(2);
    let mut now = zombies_of(container.pid());
    left.sort_unstable();
    now.sort_unstable();
    assert_eq!(now, left);
}

#[test]
fn a_pod_is_a_target() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Kubepods);
    let container = leaking(builder, Leak::new(), 7);
    let pod = format!("pod/{}", container.pod_uid().expect("it has a pod"));
    sexton(["reap", &pod, "--yes", "--settle", "0"]).expect(0);
    assert_eq!(zombies_of(container.pid()), [0_u32; 0]);
}

#[test]
fn statuses_that_are_taken_are_written_down() {
    let Some(runtime) = runtime() else { return };
    let leak = Leak::new().signal(9).name("chrome");
    let container = leaking(Container::builder(&runtime), leak, 4);
    let answer = sexton(["reap", container.id(), "--yes", "--settle", "0"]).expect(0);
    assert!(answer.stdout.contains("took 4 zombies"), "{answer:?}");
    assert!(answer.stdout.contains("SIGKILL"), "{answer:?}");
}

#[test]
fn a_holder_two_namespaces_down_is_reached() {
    let Some(runtime) = runtime() else { return };
    let leak = Leak::new().count(6).then_sleep().program();
    let mut nested = leak.clone();
    nested.argv = ["/usr/bin/unshare", "--pid", "--fork"]
        .map(str::to_owned)
        .to_vec();
    nested.argv.extend(leak.argv);
    let container = Container::builder(&runtime).privileged().start(&nested);
    container.wait_for_line(0, |line| line == "done");
    let holder = live_children_of(container.pid())[0];
    wait_until("all children have ended", || {
        (zombies_of(holder).len() == 6).then_some(())
    });

    let report = sexton(["scan", "-o", "json", "--container", container.id()]).json();
    let ns_pids = &leak_of(&report, holder)["holder"]["nsPids"];
    assert_eq!(ns_pids.as_array().map(Vec::len), Some(3), "{report:#}");
    sexton(["reap", container.id(), "--yes", "--settle", "0"]).expect(0);

    assert_eq!(zombies_of(holder), [0_u32; 0]);
}

#[test]
fn nothing_to_take_is_no_error() {
    let Some(runtime) = runtime() else { return };
    let container = crate::situation::quiet(&runtime);
    sexton(["reap", container.id(), "--yes"]).expect(0);
    let answer = sexton(["reap", "container/nosuch", "--yes"]).expect(2);
    assert!(answer.stderr.contains("nosuch"), "{answer:?}");
}

/// An orphan that comes to the container's PID 1 and ends there.
fn orphan(container: &Container) {
    let script = "sleep 0.05 & echo $!";
    let output = container.exec(&["sh", "-c", script]);
    assert!(output.status.success(), "{output:?}");
    wait_until("it is an orphan no more", || {
        live_children_of(container.pid()).is_empty().then_some(())
    });
}

#[test]
fn a_keep_alive_is_kept_from_having_zombies_again() {
    let Some(runtime) = runtime() else { return };
    let sleep = Program::system(["sleep", "infinity"]);
    let container = Container::builder(&runtime).start(&sleep);
    orphan(&container);
    wait_until("it has a zombie", || {
        (zombies_of(container.pid()).len() == 1).then_some(())
    });
    let pid = container.pid().to_string();
    let with = |more: &[&str]| {
        let args = ["reap", &pid, "--settle", "0"];
        sexton(args.into_iter().chain(more.iter().copied()))
    };

    let answer = with(&["--autoreap"]).expect(0);
    assert!(answer.stdout.contains("SA_NOCLDWAIT"), "{answer:?}");
    orphan(&container);
    assert_eq!(zombies_of(container.pid()).len(), 2, "a dry run acts not");

    let document = with(&["--autoreap", "--yes", "-o", "json"])
        .expect(0)
        .json();
    validates("reap", &document);
    let entry = &document["holders"][0];
    assert_eq!(entry["outcome"]["taken"], 2, "{document:#}");
    assert_eq!(entry["autoreap"]["outcome"]["waiter"], "kernel");
    orphan(&container);
    assert_eq!(zombies_of(container.pid()), [0_u32; 0]);

    // It holds no zombies, and can be set all the same.
    let answer = with(&["--autoreap=off", "--yes"]).expect(0);
    assert!(answer.stdout.contains("itself again"), "{answer:?}");
    orphan(&container);
    wait_until("it has a zombie", || {
        (zombies_of(container.pid()).len() == 1).then_some(())
    });
}

#[test]
fn a_handler_is_not_replaced_by_autoreap() {
    let Some(runtime) = runtime() else { return };
    if require(find("bash").ok_or_else(|| Skip("no bash".to_owned()))).is_none() {
        return;
    }
    let shell = Program::system(["bash", "-c", "while :; do sleep 1; done"]);
    let container = Container::builder(&runtime).start(&shell);
    let pid = container.pid().to_string();
    wait_until("it has its handler", || {
        let answer = sexton(["reap", &pid, "--autoreap", "--yes"]);
        (answer.status == 2 && answer.stdout.contains("it has a handler")).then_some(())
    });
}
