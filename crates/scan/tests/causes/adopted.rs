//! The zombies were given to the holder when their parent ended.

use sexton_core::Confidence::{High, Low, Medium};
use sexton_core::cause::{Answer, First, Language, Origin};
use sexton_lab::{Skip, require};

use crate::situation::{Situation, copy, directory, go_init, parent, python, source, which};

fn native_pid1(mode: &str) -> Result<Situation, Skip> {
    let parent = parent()?;
    Situation::pid1(&[parent.to_str().unwrap(), mode, "child", "5"])
}

#[test]
fn go_init_orphans() {
    let situation = go_init().and_then(|p| Situation::pid1(&[p.to_str().unwrap()]));
    let Some(situation) = require(situation) else {
        return;
    };
    situation
        .diagnose_only(5, "sleep")
        .is("go-init", High)
        .says(".go.buildinfo")
        .says("another process that has ended")
        .is_not("go-start-without-wait");
}

#[test]
fn python_init_orphans() {
    let Some(python) = require(python()) else {
        return;
    };
    let program = |starter: &str| {
        format!(
            "import subprocess, time\nfor _ in range(5):\n    \
             subprocess.run({starter})\ntime.sleep(1000)"
        )
    };
    let own_session = program("['setsid', 'sh', '-c', 'sleep 0.2 &']");
    let Some(situation) = require(Situation::pid1(&[&python, "-c", &own_session])) else {
        return;
    };
    situation
        .diagnose_only(5, "sleep")
        .is("python-init", High)
        .says("PID 1 of its PID namespace is")
        .is_not("python-popen-without-wait");

    // What a shell put into the background is no child of Python, in its session either.
    let same_session = program("['sh', '-c', 'sleep 0.2 &']");
    let Some(situation) = require(Situation::pid1(&[&python, "-c", &same_session])) else {
        return;
    };
    let diagnosis = situation.diagnose_only(5, "sleep");
    diagnosis
        .is("python-init", Medium)
        .says("a shell put them in the background")
        .is_not("python-popen-without-wait");
    assert_eq!(diagnosis.facts.origins.origin(), Origin::Adopted);

    // Where no shell was between, nothing tells, and it says so, with both cures and no code.
    let forked = program(
        "[sys.executable, '-c', 'import os, time\\nos.fork() or (time.sleep(0.2), os._exit(0))']",
    )
    .replace("import subprocess", "import subprocess, sys");
    let Some(situation) = require(Situation::pid1(&[&python, "-c", &forked])) else {
        return;
    };
    let diagnosis = situation.diagnose(5);
    diagnosis
        .is("pid1-own-or-orphans", Low)
        .says("the kernel keeps no record of a first parent")
        .is_not("python-init")
        .is_not("python-popen-without-wait");
    assert!(
        diagnosis.causes[0]
            .cure
            .text
            .contains("poll() on each Popen")
    );
    assert_eq!(diagnosis.causes[0].cure.code, None);
}

#[test]
fn node_init_orphans() {
    let Some(node) = require(which("node")) else {
        return;
    };
    let program = "
        const { spawn } = require('child_process');
        for (let i = 0; i < 5; i++) spawn('setsid', ['sh', '-c', 'sleep 0.2 &']);
        setInterval(() => {}, 1000);
    ";
    let Some(situation) = require(Situation::pid1(&[&node, "-e", program])) else {
        return;
    };
    situation
        .diagnose_only(5, "sleep")
        .is("node-init", High)
        .says("is a Node.js program")
        .is_not("handler-misses-children")
        .is_not("puppeteer-node");
}

#[test]
fn jvm_init_orphans() {
    let Some(java) = require(which("java")) else {
        return;
    };
    let source = source("Foreign.java");
    let argv = [&java, source.as_str(), "setsid", "sh", "-c", "sleep 0.2 &"];
    let Some(situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    situation
        .diagnose_only(5, "sleep")
        .is("jvm-init", High)
        .is_not("jvm-foreign-children");
}

#[test]
fn ruby_init_orphans() {
    let Some(ruby) = require(which("ruby")) else {
        return;
    };
    let program = "5.times { system('setsid', 'sh', '-c', 'sleep 0.2 &') }; sleep 1000";
    let Some(situation) = require(Situation::pid1(&[&ruby, "-e", program])) else {
        return;
    };
    situation.diagnose_only(5, "sleep").is("ruby-init", High);
}

#[test]
fn shell_init_busy() {
    let Some(dash) = require(which("dash")) else {
        return;
    };
    let dir = directory();
    let fifo = dir.path().join("fifo");
    let program = format!(
        "mkfifo {0}; exec 3<>{0}; (sleep 0.2 &); (sleep 0.2 &); read x <&3",
        fifo.display()
    );
    let Some(situation) = require(Situation::pid1(&[&dash, "-c", &program])) else {
        return;
    };
    situation
        .diagnose(2)
        .is("shell-init-busy", High)
        .says("No thread of it waits");
}

#[test]
fn keep_alive_init() {
    for keep in ["sleep infinity", "tail -f /dev/null"] {
        let program = format!("(sleep 0.3 &); (sleep 0.3 &); exec {keep}");
        let Some(situation) = require(Situation::pid1(&["sh", "-c", &program])) else {
            return;
        };
        situation
            .diagnose(2)
            .is("keep-alive-init", High)
            .says(&format!("`{keep}`"));
    }
    // The same command that is not PID 1 keeps nothing.
    Situation::child(&["sh", "-c", "sleep 0.2 & exec sleep infinity"])
        .diagnose(1)
        .is_not("keep-alive-init");
}

#[test]
fn pid1_does_not_adopt() {
    let Some(situation) = require(native_pid1("daemons")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("pid1-does-not-adopt", High)
        .is_not("parent-never-waits");
}

#[test]
fn double_fork_daemon() {
    let Some(situation) = require(native_pid1("daemons")) else {
        return;
    };
    situation.diagnose(5).includes("double-fork-daemon");
    // Orphans of the same session are no daemons.
    let Some(situation) = require(native_pid1("orphans")) else {
        return;
    };
    situation.diagnose(5).is_not("double-fork-daemon");
}

#[test]
fn pid1_own_or_orphans() {
    let Some(situation) = require(native_pid1("orphans")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("pid1-own-or-orphans", Low)
        .says("the kernel keeps no record of a first parent");
}

#[test]
fn subreaper_does_not_wait() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let argv = [parent.to_str().unwrap(), "subreaper", "child", "5"];
    Situation::child(&argv)
        .diagnose(5)
        .is("subreaper-does-not-wait", Medium)
        .says("another process that has ended");
}

#[test]
fn init_holds() {
    // An init that does not reap: another program by that name.
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    let tini = copy(&parent, dir.path(), "tini");
    let Some(situation) = require(Situation::pid1(&[&tini, "daemons", "child", "5"])) else {
        return;
    };
    let diagnosis = situation.diagnose(5);
    diagnosis
        .is("init-holds", Medium)
        .is_not("pid1-does-not-adopt");
    assert_eq!(diagnosis.facts.first.kind, First::Init);
}

#[test]
fn init_misplaced() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    let tini = copy(std::path::Path::new("/bin/sleep"), dir.path(), "tini");
    let argv = [parent.to_str().unwrap(), "daemons", "child", "5"];
    let Some(mut situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    let running = situation.exec(&[&tini, "1000"]);
    situation.keep(running);
    let namespace = std::fs::read_link(format!("/proc/{}/ns/pid", situation.holder)).unwrap();
    sexton_lab::wait_until("tini is in the namespace", || {
        std::fs::read_dir("/proc").unwrap().find_map(|entry| {
            let path = entry.ok()?.path();
            let comm = std::fs::read_to_string(path.join("comm")).ok()?;
            let its = std::fs::read_link(path.join("ns/pid")).ok()?;
            (comm == "tini\n" && its == namespace).then_some(())
        })
    });
    situation
        .diagnose(5)
        .is("init-misplaced", High)
        .says("is not PID 1");
}

#[test]
fn shared_pid_namespace() {
    use sexton_lab::{Container, Program, Runtime};
    let Some(runc) = require(Runtime::find("runc")) else {
        return;
    };
    let pause = Container::builder(&runc).start(&Program::system(["/bin/sleep", "1000"]));
    let leak = sexton_lab::Leak::new().count(5).then_sleep();
    let leaking = Container::builder(&runc)
        .in_pid_namespace_of(pause.pid())
        .start(&leak.program());
    let mut situation = Situation::child(&["sleep", "1000"]);
    situation.holder = leaking.pid();
    let diagnosis = situation.diagnose(5);
    assert_eq!(diagnosis.facts.shared_pid_namespace, Answer::Yes);
    assert_eq!(diagnosis.facts.program.language, Language::Rust);
    assert_eq!(diagnosis.facts.first.pid, Some(pause.pid()));
    diagnosis
        .is("rust-child-dropped", High)
        .is_not("keep-alive-init");
}

#[test]
fn php_init_orphans() {
    let Some(php) = require(which("php")) else {
        return;
    };
    let program =
        "for ($i = 0; $i < 5; $i++) exec('setsid sh -c \"sleep 0.2 &\" >/dev/null'); sleep(1000);";
    let Some(situation) = require(Situation::pid1(&[&php, "-r", program])) else {
        return;
    };
    situation.diagnose_only(5, "sleep").is("php-init", High);
}

#[test]
fn perl_init_orphans() {
    let Some(perl) = require(which("perl")) else {
        return;
    };
    let program = "for (1..5) { system('setsid', 'sh', '-c', 'sleep 0.2 &') } sleep 1000";
    let Some(situation) = require(Situation::pid1(&[&perl, "-e", program])) else {
        return;
    };
    situation.diagnose_only(5, "sleep").is("perl-init", High);
}

#[test]
fn pid1_waits_for_one() {
    let Some(situation) = require(native_pid1("wait-for-one")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("pid1-waits-for-one", High)
        .says("It waits for process 2 of its PID namespace only");
    // `timeout` and `flock` do the same.
    for command in [["timeout", "1000"], ["flock", "/dev/null"]] {
        let Some(program) = require(which(command[0])) else {
            return;
        };
        let argv = [
            program.as_str(),
            command[1],
            "sh",
            "-c",
            "for i in 1 2 3; do setsid sh -c 'sleep 0.3 &'; done; sleep 1000; :",
        ];
        let Some(situation) = require(Situation::pid1(&argv)) else {
            return;
        };
        let diagnosis = situation.diagnose_only(3, "sleep");
        diagnosis.is_not("parent-never-waits");
        if diagnosis.facts.waits_for.is_empty() {
            // timeout(1) waits in rt_sigsuspend between its waits.
            diagnosis.is("pid1-does-not-adopt", High);
        } else {
            diagnosis.is("pid1-waits-for-one", High);
        }
    }
}

/// `npm start`: a live child of the zombies' name is older, and their ancestor.
#[test]
fn an_older_child_of_the_same_name_may_have_left_them() {
    let Some(node) = require(which("node")) else {
        return;
    };
    let script = "for i in 1 2 3; do sh -c '(sleep 0.3; exit 0) & exit 0'; done; sleep 1000; :";
    let program = format!(
        "require('child_process').spawn('sh', ['-c', {script:?}]); setInterval(() => {{}}, 1000)"
    );
    let Some(situation) = require(Situation::pid1(&[&node, "-e", &program])) else {
        return;
    };
    let diagnosis = situation.diagnose(3);
    diagnosis.is_not("node-loop-blocked");
    assert_eq!(diagnosis.ids()[0], "node-init");
}

/// busybox is what it is called.
#[test]
fn an_applet_is_no_shell() {
    let Some(busybox) = require(which("busybox")) else {
        return;
    };
    let dir = directory();
    let tabs = dir.path().to_str().unwrap();
    let argv = [&busybox, "crond", "-f", "-L", "/dev/null", "-c", tabs];
    let Some(situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    for _ in 0..3 {
        let mut shell = situation.exec(&["sh", "-c", "(sleep 0.3; exit 3) & exit 0"]);
        assert!(shell.child().wait().unwrap().success());
    }
    let diagnosis = situation.diagnose(3);
    diagnosis.is_not("shell-init-busy");
    assert_eq!(diagnosis.facts.program.language, Language::Native);
    assert_eq!(diagnosis.facts.origins.origin(), Origin::Adopted);
}
