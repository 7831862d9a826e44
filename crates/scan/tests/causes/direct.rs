//! The holder started the zombies itself.

use std::path::Path;

use sexton_core::Confidence::{High, Low, Medium};
use sexton_core::cause::{Language, Origin};
use sexton_lab::{Leak, Program, Skip, live_children_of, require, wait_until, zombies_of};
use sexton_scan::{Roots, Scanner, facts};

use crate::situation::{Diagnosis, Situation, copy, directory, parent, python, source, which};

fn argv(program: &Program) -> Vec<&str> {
    program.argv.iter().map(String::as_str).collect()
}

#[test]
fn go_start_without_wait() {
    // The story's program; never waits.
    let Some(program) = require(Program::go_story(0, 20)) else {
        return;
    };
    let diagnosis = Situation::child(&argv(&program)).diagnose(10);
    diagnosis
        .is("go-start-without-wait", High)
        .says(".go.buildinfo")
        .says("It has never waited")
        // Go moves a goroutine from thread to thread: it may fork in others than the main one.
        .says_one_of(&["its own children", "were forked by it"])
        .is_not("go-init");
    // As PID 1 the same: nothing but itself can have started them.
    let Some(situation) = require(Situation::pid1(&argv(&program))) else {
        return;
    };
    situation.diagnose(20).is("go-start-without-wait", High);
}

#[test]
fn go_by_another_name() {
    // Recognised by what it is, not by what it is called.
    let Some(program) = require(Program::go_story(0, 20)) else {
        return;
    };
    let dir = directory();
    let python = copy(Path::new(&program.argv[0]), dir.path(), "python3.11");
    let diagnosis = Situation::child(&[&python, "0", "20"]).diagnose(5);
    assert_eq!(diagnosis.facts.program.language, Language::Go);
    diagnosis.is("go-start-without-wait", High);
}

const PYTHON_POPEN: &str = "
import subprocess, time
kept = [subprocess.Popen(['true']) for _ in range(5)]
time.sleep(1000)
";

#[test]
fn python_popen_without_wait() {
    let Some(python) = require(python()) else {
        return;
    };
    Situation::child(&[&python, "-c", PYTHON_POPEN])
        .diagnose(5)
        .is("python-popen-without-wait", High)
        .says("Py_")
        .says("It has never waited")
        .is_not("python-init");
    let Some(situation) = require(Situation::pid1(&[&python, "-c", PYTHON_POPEN])) else {
        return;
    };
    situation.diagnose(5).is("python-popen-without-wait", High);
}

/// Each child is such a stranger for a moment, between fork and exec.
#[test]
fn a_live_child_did_not_start_what_is_older_than_itself() {
    let Some(python) = require(python()) else {
        return;
    };
    let program = PYTHON_POPEN.replace(
        "time.sleep(1000)",
        "time.sleep(0.1)\nkept.append(subprocess.Popen(['sleep', '1000']))\ntime.sleep(1000)",
    );
    let Some(situation) = require(Situation::pid1(&[&python, "-c", &program])) else {
        return;
    };
    wait_until("the stranger", || {
        (!live_children_of(situation.holder).is_empty() && zombies_of(situation.holder).len() == 5)
            .then_some(())
    });
    situation.diagnose(5).is("python-popen-without-wait", High);
}

#[test]
fn python_fork_without_wait() {
    let Some(python) = require(python()) else {
        return;
    };
    for program in [
        "import os, time\nfor _ in range(5):\n    os.fork() or os._exit(0)\ntime.sleep(1000)",
        "import multiprocessing as m, time\nm.set_start_method('fork')\n\
         kept = [m.Process(target=time.sleep, args=(0.2,)) for _ in range(5)]\n\
         [p.start() for p in kept]\ntime.sleep(1000)",
    ] {
        Situation::child(&[&python, "-c", program])
            .diagnose(5)
            .is("python-fork-without-wait", High)
            .is_not("python-popen-without-wait");
    }
}

#[test]
fn node_loop_blocked() {
    let Some(node) = require(which("node")) else {
        return;
    };
    let program = "
        const { spawn } = require('child_process');
        for (let i = 0; i < 5; i++) spawn('true');
        for (;;) ;
    ";
    Situation::child(&[&node, "-e", program])
        .diagnose(5)
        .is("node-loop-blocked", Medium)
        .is_not("node-init");
}

#[test]
fn jvm_foreign_children() {
    let Some(java) = require(which("java")) else {
        return;
    };
    let program = format!(
        "sleep 0.2 & sleep 0.2 & exec {java} {}",
        source("Foreign.java")
    );
    Situation::child(&["sh", "-c", &program])
        .holder_becomes_java()
        .diagnose(2)
        .is("jvm-foreign-children", Medium)
        .says("is a Java program")
        .is_not("jvm-init");
}

impl Situation {
    /// The shell has become java, as its threads show.
    fn holder_becomes_java(self) -> Self {
        sexton_lab::wait_until("the JVM runs", || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.holder)).ok()?;
            (threads.count() > 8).then_some(())
        });
        self
    }
}

#[test]
fn ruby_spawn_without_wait() {
    let Some(ruby) = require(which("ruby")) else {
        return;
    };
    Situation::child(&[&ruby, "-e", "5.times { spawn('true') }; sleep 1000"])
        .diagnose(5)
        .is("ruby-spawn-without-wait", High);
}

#[test]
fn php_fork_without_wait() {
    let Some(php) = require(which("php")) else {
        return;
    };
    let program = "for ($i = 0; $i < 5; $i++) if (pcntl_fork() == 0) exit(0); sleep(1000);";
    Situation::child(&[&php, "-r", program])
        .diagnose(5)
        .is("php-children-without-wait", High);
}

#[test]
fn perl_fork_without_wait() {
    let Some(perl) = require(which("perl")) else {
        return;
    };
    Situation::child(&[&perl, "-e", "for (1..5) { fork or exit 0 } sleep 1000"])
        .diagnose(5)
        .is("perl-fork-without-wait", High);
}

#[test]
fn rust_child_dropped() {
    // The lab's own leak, which is written in Rust.
    let program = Leak::new().count(5).then_sleep().program();
    Situation::child(&argv(&program))
        .diagnose(5)
        .is("rust-child-dropped", High)
        .says(".comment");
}

fn native(mode: &str) -> Result<Situation, Skip> {
    let parent = parent()?;
    Ok(Situation::child(&[
        parent.to_str().unwrap(),
        mode,
        "child",
        "5",
    ]))
}

#[test]
fn native_fork_without_wait() {
    let Some(situation) = require(native("own")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("native-fork-without-wait", High)
        .says("has no sign of a runtime");
}

#[test]
fn parent_never_waits() {
    let Some(situation) = require(native("own")) else {
        return;
    };
    let diagnosis = situation.diagnose(5);
    diagnosis.includes("parent-never-waits");
    // The same where the executable may not be read, as without root.
    let mut facts = diagnosis.facts.clone();
    facts.program.language = Language::Unknown;
    facts.program.evidence = None;
    let causes = sexton_core::cause::diagnose(&facts);
    assert_eq!(
        (causes[0].id.as_str(), causes[0].confidence),
        ("parent-never-waits", High)
    );
}

#[test]
fn parent_waits_for_some() {
    let Some(situation) = require(native("some")) else {
        return;
    };
    // It goes on to wait for one of its children now and then, and is seen to.
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let leak = wait_until("the zombies are there", || {
        (zombies_of(situation.holder).len() >= 5).then(|| situation.leak(&mut scanner))
    });
    let before = facts::begin(&mut scanner, leak.holder.id);
    let facts = wait_until("it has waited", || {
        let facts =
            facts::gather_since(&mut scanner, &leak, before, &facts::Forks::default()).unwrap();
        facts.seen_waiting.then_some(facts)
    });
    Diagnosis::of(facts)
        .is("parent-waits-for-some", Medium)
        .says("has waited for children before")
        .is_not("parent-never-waits");
}

#[test]
fn handler_misses_children() {
    let Some(situation) = require(native("handler")) else {
        return;
    };
    // Five ended while the signal was blocked; one was delivered, one waited for.
    sexton_lab::wait_until("the handler has run", || {
        (crate::situation::zombies_of(situation.holder).len() == 4).then_some(())
    });
    situation
        .diagnose(4)
        .is("handler-misses-children", Medium)
        .says("has a handler for SIGCHLD")
        .is_not("sigchld-blocked");
}

#[test]
fn sigchld_blocked() {
    let Some(situation) = require(native("blocked")) else {
        return;
    };
    situation
        .diagnose(5)
        .is("sigchld-blocked", High)
        .says("blocks it in every thread; one is pending")
        .is_not("handler-misses-children");
}

#[test]
fn sigchld_ignored_late() {
    let Some(situation) = require(native("ignored")) else {
        return;
    };
    sexton_lab::wait_until("it ignores SIGCHLD", || {
        let path = format!("/proc/{}/status", situation.holder);
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("SigIgn"))?;
        let mask = u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()?;
        (mask & 1 << 16 != 0).then_some(())
    });
    situation.diagnose(5).is("sigchld-ignored-late", High);
}

#[test]
fn exec_after_background() {
    // moby/moby#29238
    Situation::child(&["sh", "-c", "sleep 0.2 & sleep 0.2 & exec sleep 1000"])
        .diagnose(2)
        .is("exec-after-background", High)
        .says("starts no processes of its own");
}

#[test]
fn shell_reading() {
    let dir = directory();
    let fifo = dir.path().join("fifo");
    let program = format!(
        "mkfifo {0}; exec 3<>{0}; sleep 0.2 & sleep 0.2 & read x <&3",
        fifo.display()
    );
    let Some(dash) = require(which("dash")) else {
        return;
    };
    let diagnosis = Situation::child(&[&dash, "-c", &program]).diagnose(2);
    diagnosis
        .is("shell-inherited-children", Medium)
        .says("No thread of it waits");
    assert_eq!(diagnosis.facts.origins.origin(), Origin::Direct);
}

#[test]
fn init_not_the_parent() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let dir = directory();
    // tini, or a shell by that name, which reaps as well while it waits.
    let (tini, arguments): (String, &[&str]) = match which("tini") {
        Ok(tini) => (tini, &["--"]),
        Err(_) => {
            let shell = std::fs::canonicalize("/bin/sh").unwrap();
            (
                copy(&shell, dir.path(), "tini"),
                &["-c", "\"$@\"; :", "tini"],
            )
        }
    };
    let mut argv = vec![tini.as_str()];
    argv.extend(arguments);
    argv.extend([parent.to_str().unwrap(), "own", "child", "5"]);
    let Some(situation) = require(Situation::pid1(&argv)) else {
        return;
    };
    let situation = situation.holder_is("parent");
    let diagnosis = situation.diagnose(5);
    // The language says more; that an init does not help is a fact of it and a cause too.
    diagnosis
        .is("native-fork-without-wait", High)
        .says("an init: it reaps orphans, but no child whose parent still lives")
        .includes("init-not-the-parent");
    let mut facts = diagnosis.facts.clone();
    facts.program.language = Language::Unknown;
    let causes = sexton_core::cause::diagnose(&facts);
    assert_eq!(
        (causes[0].id.as_str(), causes[0].confidence),
        ("init-not-the-parent", High),
        "{:?}",
        diagnosis.ids()
    );
    assert_ne!(causes[0].confidence, Low);
}

/// Nearly every image: a script prepares, and then becomes the program.
#[test]
fn what_a_script_waited_for_before_exec_is_not_the_programs() {
    let behind = |program: &str| {
        let script = format!("mkdir -p /tmp; true; /bin/true; exec {program}");
        Situation::pid1(&["sh", "-c", &script])
    };
    if let Some(python) = require(python()) {
        let Some(situation) = require(behind(&format!("{python} -c \"{PYTHON_POPEN}\""))) else {
            return;
        };
        situation
            .diagnose(5)
            .is("python-popen-without-wait", Medium)
            .is_not("python-init")
            .says("no number missing between them");
    }
    let Some(parent) = require(parent()) else {
        return;
    };
    let Some(situation) = require(behind(&format!("{} own child 5", parent.display()))) else {
        return;
    };
    situation
        .diagnose(5)
        .is("native-fork-without-wait", Medium)
        .is_not("parent-waits-for-some");
}

/// puma's master: its workers bear its name, and a live child is older than they are.
#[test]
fn workers_of_ruby_are_its_own() {
    let Some(ruby) = require(which("ruby")) else {
        return;
    };
    let program = "Process.detach(spawn('sleep 1000')); 4.times { fork { sleep 0.2 } }; sleep 1000";
    let Some(situation) = require(Situation::pid1(&[&ruby, "-e", program])) else {
        return;
    };
    let diagnosis = situation.diagnose(4);
    diagnosis.is_not("ruby-init");
    assert_eq!(diagnosis.ids()[0], "ruby-spawn-without-wait");
}

/// A supervisor that waits every few seconds has not had its turn yet.
#[test]
fn nothing_is_sure_of_zombies_that_have_just_ended() {
    let Some(situation) = require(native("own")) else {
        return;
    };
    let diagnosis = situation.diagnose_at_once(5);
    assert!(
        diagnosis
            .causes
            .iter()
            .all(|cause| cause.confidence <= Medium)
    );
    diagnosis
        .is("native-fork-without-wait", Medium)
        .says("None of them has been dead for a minute");
}

/// Whatever program stands behind such a script, it has children that it never started.
#[test]
fn any_program_behind_a_script_has_its_jobs() {
    let Some(parent) = require(parent()) else {
        return;
    };
    let idle = format!("sleep 0.1 & sleep 0.1 & exec {} idle", parent.display());
    let reading = "sleep 0.1 & exec tee /dev/null </dev/zero >/dev/null";
    // The job has waited for a child of its own; and then been the parent of none.
    let waited = "(sleep 0.1; true) & exec tee /dev/null </dev/zero >/dev/null";
    for (script, zombies) in [(idle.as_str(), 2), (reading, 1), (waited, 1)] {
        Situation::child(&["sh", "-c", script])
            .diagnose(zombies)
            .is("exec-after-background", High)
            .is_not("native-fork-without-wait")
            .is_not("parent-never-waits");
        let Some(situation) = require(Situation::pid1(&["sh", "-c", script])) else {
            return;
        };
        situation
            .diagnose(zombies)
            .is("exec-after-background", High)
            .is_not("native-fork-without-wait");
    }
}

/// composer and ssh's ControlPersist: a daemon that the ended child left holds the pipe.
#[test]
fn pipe_held() {
    for (program, code) in [
        (
            which("php"),
            "$p = proc_open('sleep 1000 & exit 0', [1 => ['pipe', 'w']], $q); \
             echo stream_get_contents($q[1]); proc_close($p);",
        ),
        (
            which("ruby"),
            "IO.popen('sleep 1000 & exit 0') { |io| io.read }",
        ),
        (
            which("perl"),
            "open(my $p, '-|', 'sleep 1000 & exit 0'); my @all = <$p>; close($p);",
        ),
    ] {
        let Some(program) = require(program) else {
            continue;
        };
        let option = if program.ends_with("php") { "-r" } else { "-e" };
        let Some(situation) = require(Situation::pid1(&[&program, option, code])) else {
            return;
        };
        situation
            .diagnose(1)
            .is("pipe-held", Medium)
            .says("another process holds the other end: sleep (pid ");
    }
}

#[test]
fn sigchld_to_other_thread() {
    for mode in ["sigwait", "signalfd"] {
        let Some(situation) = require(native(mode)) else {
            return;
        };
        let diagnosis = wait_until("the collector collects", || {
            let diagnosis = situation.diagnose(5);
            (diagnosis.facts.sigchld.collector.is_some()).then_some(diagnosis)
        });
        diagnosis
            .is("sigchld-to-other-thread", Medium)
            .says("collects it");
        assert_ne!(diagnosis.facts.sigchld.collector, Some(situation.holder));
    }
}
