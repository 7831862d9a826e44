//! What init says: how it ended, and whose zombies there are.

use std::fs;
use std::path::Path;

use crate::job::{Launch, below, eventually, python, state};
use crate::subject::{ensure, every_name, ours};

fn run(options: &[&str], script: &str) -> crate::job::Ended {
    let command = ["--", "sh", "-c", script];
    Launch::plain(&ours("sexton-init"))
        .args(options.iter().chain(&command))
        .run()
}

#[test]
fn a_death_by_a_signal_is_said() {
    let ended = run(&[], "ulimit -c 0; kill -SEGV $$");
    assert_eq!(ended.code, 139);
    let (start, end) = ended.err.split_once(" (").unwrap();
    assert!(start.starts_with("sexton-init: process "));
    assert_eq!(end, "sh) was killed by signal 11 (SEGV); exit code 139\n");
    assert_eq!(
        run(&[], "kill -37 $$").err.split_once("signal ").unwrap().1,
        "37; exit code 165\n"
    );
}

#[test]
fn other_ends_are_not_and_neither_is_anything_under_the_other_names() {
    assert_eq!(run(&[], "exit 3").err, "");
    assert_eq!(run(&["-D", "off"], "kill -SEGV $$").err, "");
    for name in ["tini", "dumb-init", "catatonit"] {
        let launch = Launch::plain(&ours(name)).env("TINI_SUBREAPER", "");
        let ended = launch.args(["--", "sh", "-c", "kill -TERM $$"]).run();
        assert_eq!((ended.code, ended.err.as_str()), (143, ""), "{name}");
    }
}

#[test]
fn under_every_name_a_variable_asks_for_it() {
    every_name(|init| {
        let launch = Launch::plain(init).env("SEXTON_INIT_DEATH", "plain");
        let ended = launch.args(["--", "sh", "-c", "kill -TERM $$"]).run();
        ensure!(
            ended
                .err
                .contains("was killed by signal 15 (TERM); exit code 143\n"),
            "{ended:?}"
        );
        Ok(())
    });
}

#[test]
fn json_is_one_line_at_every_end() {
    let ended = run(&["-D", "json"], "exit 3");
    let pid = ended
        .err
        .split_once("\"pid\":")
        .unwrap()
        .1
        .split_once(',')
        .unwrap()
        .0;
    assert_eq!(
        ended.err,
        format!(
            "{{\"sexton_init\":\"end\",\"command\":\"sh\",\"pid\":{pid},\"exit_code\":3,\"status\":3,\
             \"killed_by_init\":false,\"oom_kills\":0,\"rest\":\"none\",\"zombies_left\":0}}\n"
        )
    );
    let ended = run(&["-D", "json", "-e", "143"], "kill -TERM $$");
    assert!(
        ended.err.contains(
            "\"exit_code\":0,\"signal\":15,\"signal_name\":\"TERM\",\"core_dumped\":false"
        )
    );
}

#[test]
fn the_termination_log_says_why_and_keeps_what_the_program_wrote() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("termination-log");
    let option = format!("--termination-log={}", log.display());
    let said = |script: &str| {
        fs::write(&log, "").unwrap();
        run(
            &[&option, "-D", "off"],
            &script.replace("LOG", log.to_str().unwrap()),
        );
        fs::read_to_string(&log).unwrap()
    };
    assert!(
        said("kill -TERM $$").ends_with("(sh) was killed by signal 15 (TERM); exit code 143\n")
    );
    assert!(said("exit 3").ends_with("(sh) ended by itself; exit code 3\n"));
    assert_eq!(said("exit 0"), "");
    let both = said("printf 'from the program' > LOG; exit 3");
    assert!(
        both.starts_with("from the program\nsexton-init: process "),
        "{both}"
    );
    // Where there is no such file, none is made.
    fs::remove_file(&log).unwrap();
    assert_eq!(run(&[&option], "exit 3").code, 3);
    assert!(!log.exists());
}

/// A memory cgroup of our own, of either version.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = match v1.join("memory.limit_in_bytes").exists() {
            true => (v1, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let path = root.join(format!("sexton-test-{name}-{}", std::process::id()));
        let made = fs::create_dir(&path).and_then(|()| fs::write(path.join(limit), "33554432"));
        let cgroup = Self(path);
        if let Err(error) = made {
            println!("SKIP: no memory cgroup can be made here: {error}");
            return None;
        }
        let _ = fs::write(cgroup.0.join("memory.swap.max"), "0");
        Some(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        eventually(|| fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}

#[test]
fn a_kill_for_want_of_memory_is_said() {
    let Some(cgroup) = Cgroup::new("init-oom") else {
        return;
    };
    if !python() {
        return;
    }
    let join = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", cgroup.0.display());
    let init = ours("sexton-init");
    let launch = Launch::plain(Path::new("sh")).args(["-c", &join, "sh", init.to_str().unwrap()]);
    let ended = launch
        .args(["--", "python3", "-c", "x = bytearray(200 << 20)"])
        .run();
    assert_eq!(ended.code, 137, "{ended:?}");
    let told = "was killed by signal 9 (KILL); out of memory: the kernel killed 1 process of this cgroup; exit code 137\n";
    assert!(ended.err.ends_with(told), "{}", ended.err);
}

/// Forks children that it never waits for.
const LEAK: &str = "
import os, time
for n in range(20):
    if os.fork() == 0: os._exit(0)
time.sleep(0.3)
print('ready', flush=True)
";

#[test]
fn zombies_that_the_command_never_waited_for_are_said_when_it_ends() {
    if !python() {
        return;
    }
    let ended = Launch::plain(&ours("sexton-init"))
        .args(["python3", "-c", LEAK])
        .run();
    let told = "(python3) left 20 zombies that it had never waited for; see `sexton explain`\n";
    assert!(ended.err.ends_with(told), "{}", ended.err);
}

#[test]
fn a_living_holder_is_named_when_init_ends() {
    if !python() {
        return;
    }
    let script = format!("python3 -c \"{LEAK}time.sleep(60)\" & sleep 2; exit 4");
    let ended = run(&[], &script);
    assert_eq!(ended.code, 4);
    assert!(
        ended
            .err
            .contains(") holds 20 zombies: it lives and has not waited for them"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("(python3"), "{}", ended.err);
}

#[test]
fn a_report_names_who_holds_zombies() {
    if !python() {
        return;
    }
    let init = ours("sexton-init");
    let Some(launch) = Launch::pid1(&init) else {
        return;
    };
    let job = launch
        .args(["--", "python3", "-c", &format!("{LEAK}time.sleep(60)")])
        .start();
    assert!(job.says("ready"));
    // As `kubectl exec POD -- sexton-init --report` would run it.
    let pid = job.pid.to_string();
    let enter = [
        "-t",
        pid.as_str(),
        "--pid",
        "--mount",
        "--",
        init.to_str().unwrap(),
        "--report",
    ];
    let ended = Launch::plain(Path::new("nsenter")).args(enter).run();
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = "sexton-init: process 2 (python3) holds 20 zombies: it lives and has not waited \
                for them, so no init can reap them; see `sexton explain`\n";
    // The name of the program may have a version in it.
    assert_eq!(ended.out.replace("python3.11", "python3"), told);
    assert!(below(job.pid).iter().any(|pid| state(*pid) == Some('Z')));
}

#[test]
fn a_report_of_nothing_says_so() {
    let init = ours("sexton-init");
    if let Some(launch) = Launch::pid1(&init) {
        let ended = launch
            .args(["--", init.to_str().unwrap(), "--report"])
            .run();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (0, "sexton-init: no zombies\n"),
            "{ended:?}"
        );
    }
}

/// What cannot be written is said at the start, while the command can still be mended, and again
/// when the line is lost.
#[test]
fn a_termination_log_that_cannot_be_written_is_said() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let fifo = folder.join("termination-fifo");
    let _ = fs::remove_file(&fifo);
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: a C string; the mode is plain.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    for (path, why, times) in [
        (
            Path::new("/nonexistent/log"),
            "No such file or directory",
            2,
        ),
        (folder, "Is a directory", 2),
        // Nobody reads it, and init must not wait until somebody does.
        (&fifo, "No such device or address", 2),
        (Path::new("/dev/full"), "No space left on device", 1),
    ] {
        let option = format!("--termination-log={}", path.display());
        let said = format!(
            "sexton-init: cannot write the termination log {}: {why}\n",
            path.display()
        );
        let ended = run(&[&option], "echo from the command >&2; exit 3");
        assert_eq!(ended.code, 3);
        assert_eq!(ended.err.matches(&said).count(), times, "{ended:?}");
        let at_start = ended.err.starts_with(&said);
        assert_eq!(at_start, times == 2, "{ended:?}");
        assert_eq!(run(&[&option], "exit 0").err.contains(&said), times == 2);
    }
    let launch = Launch::plain(&ours("tini")).env("SEXTON_INIT_TERMINATION_LOG", "/nonexistent");
    let ended = launch.env("TINI_SUBREAPER", "").args(["--", "true"]).run();
    assert!(
        ended
            .err
            .contains("cannot write the termination log /nonexistent"),
        "{ended:?}"
    );
}

#[test]
fn a_termination_log_may_be_a_fifo_that_is_read() {
    let fifo = Path::new(env!("CARGO_TARGET_TMPDIR")).join("termination-fifo-read");
    let _ = fs::remove_file(&fifo);
    // The shell holds both its ends, so that nobody waits for anybody.
    let script = "mkfifo \"$0\"; exec 3<>\"$0\"; \
                  \"$1\" --termination-log=\"$0\" -- sh -c 'exit 3'; head -n 1 <&3";
    let init = ours("sexton-init");
    let words = ["-c", script, fifo.to_str().unwrap(), init.to_str().unwrap()];
    let ended = Launch::plain(Path::new("sh")).args(words).run();
    assert!(
        ended.out.ends_with("(sh) ended by itself; exit code 3\n"),
        "{ended:?}"
    );
    assert_eq!(ended.err, "");
}

#[test]
fn exit_codes_are_mapped_by_a_variable() {
    for name in ["sexton-init", "tini", "dumb-init", "catatonit"] {
        for (codes, script, code) in [
            ("143", "kill -TERM $$", 0),
            ("3:7,143", "exit 3", 7),
            ("3:7,143", "kill -TERM $$", 0),
            ("3:7,143", "exit 4", 4),
        ] {
            let launch = Launch::plain(&ours(name)).env("SEXTON_INIT_EXIT_CODE", codes);
            let ended = launch.args(["--", "sh", "-c", script]).run();
            assert_eq!(ended.code, code, "{name} {codes} {script}");
        }
    }
    let launch = Launch::plain(&ours("sexton-init")).env("SEXTON_INIT_EXIT_CODE", "x");
    let ended = launch.args(["--", "true"]).run();
    assert_eq!(ended.code, 125, "{ended:?}");
    assert!(
        ended
            .err
            .starts_with("sexton-init: SEXTON_INIT_EXIT_CODE: 'x' is not an exit code")
    );
}

/// Where /proc is that of another PID namespace, the numbers in it are others' processes.
#[test]
fn a_report_by_the_proc_of_others_is_none() {
    let init = ours("sexton-init");
    if Launch::pid1(&init).is_none() {
        return;
    }
    let words = [
        "--pid",
        "--fork",
        "--kill-child",
        init.to_str().unwrap(),
        "--report",
    ];
    let ended = Launch::plain(Path::new("unshare")).args(words).run();
    assert_eq!((ended.code, ended.out.as_str()), (125, ""), "{ended:?}");
    assert!(ended.err.contains("cannot read /proc"), "{ended:?}");
}
