//! Signals: who gets which, and what the command finds set.

use std::path::Path;
use std::time::Duration;

use crate::job::{Job, Launch, PRINT_SIGNALS, below, children, eventually, python, send};
use crate::subject::{Verdict, both, ensure, every_name, only_ours, ours};

/// All but KILL and STOP, which nobody can take, CHLD, which is init's own, and the two that
/// glibc keeps for itself.
fn every_signal() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| ![9, 17, 19, 32, 33].contains(signal))
}

/// Sends one signal after the other; each must be printed before the next is sent.
fn all_arrive(job: &Job, signals: impl Iterator<Item = i32>) -> Verdict {
    ensure!(job.says("ready"), "not ready: {}", job.err());
    let mut expected = String::from("ready\n");
    for signal in signals {
        job.signal(signal);
        expected += &format!("{signal}\n");
        for _ in 0..400 {
            if job.out() == expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ensure!(
            job.out() == expected,
            "signal {signal} did not arrive: {:?}",
            job.out()
        );
    }
    Ok(())
}

fn forwards(init: &Path, options: &[&str], signals: impl Iterator<Item = i32>) -> Verdict {
    if !python() {
        return Ok(());
    }
    let Some(launch) = Launch::pid1(init) else {
        return Ok(());
    };
    let command = ["--", "python3", "-c", PRINT_SIGNALS];
    all_arrive(
        &launch.args(options.iter().chain(&command)).start(),
        signals,
    )
}

#[test]
fn every_signal_is_forwarded_real_time_ones_too_which_tini_and_catatonit_fail() {
    for options in [&[][..], &["-g"], &["--to", "all"]] {
        forwards(&ours("sexton-init"), options, every_signal()).unwrap();
    }
    only_ours(&["tini", "catatonit"], |init| {
        forwards(init, &[], every_signal())
    });
}

#[test]
fn what_tini_and_catatonit_forward_is_forwarded() {
    let kept = [4, 5, 6, 7, 8, 11, 20, 21, 22, 31];
    for name in ["tini", "catatonit"] {
        both(&[name], |init| {
            forwards(init, &[], every_signal().filter(|s| !kept.contains(s)))
        });
    }
}

#[test]
fn dumb_init_forwards_every_signal_to_a_single_child() {
    both(&["dumb-init"], |init| {
        forwards(init, &["-c"], every_signal().filter(|s| *s < 32))
    });
}

/// As a subreaper too, where nothing protects init from a signal.
#[test]
fn signals_are_forwarded_when_not_pid_1() {
    if python() {
        let job = Launch::plain(&ours("sexton-init"))
            .args(["python3", "-c", PRINT_SIGNALS])
            .start();
        all_arrive(&job, every_signal()).unwrap();
    }
}

/// A shell with a child, both of which say what they get.
const FAMILY: &str = "
trap 'echo parent' USR1
sh -c 'trap \"echo child\" USR1; echo ready; while :; do sleep 0.05; done' &
while :; do wait; done
";

fn said(job: &Job) -> (usize, usize) {
    let out = job.out();
    let count = |who| out.lines().filter(|line| *line == who).count();
    (count("parent"), count("child"))
}

fn reaches(init: &Path, options: &[&str], expected: (usize, usize)) -> Verdict {
    let Some(launch) = Launch::pid1(init) else {
        return Ok(());
    };
    let job = launch
        .args(options.iter().chain(&["--", "sh", "-c", FAMILY]))
        .start();
    ensure!(job.says("ready"), "not ready: {}", job.err());
    job.signal(libc::SIGUSR1);
    let reached = eventually(|| said(&job) == expected);
    std::thread::sleep(Duration::from_millis(100));
    ensure!(
        reached && said(&job) == expected,
        "(parent, child) heard {:?}",
        said(&job)
    );
    Ok(())
}

#[test]
fn a_signal_reaches_the_child_or_its_group_or_all() {
    let init = ours("sexton-init");
    reaches(&init, &[], (1, 0)).unwrap();
    reaches(&init, &["-g"], (1, 1)).unwrap();
    reaches(&init, &["--to", "all"], (1, 1)).unwrap();
    both(&["tini"], |init| reaches(init, &[], (1, 0)));
    both(&["tini"], |init| reaches(init, &["-g"], (1, 1)));
    both(&["catatonit"], |init| reaches(init, &["-g"], (1, 1)));
    both(&["dumb-init"], |init| reaches(init, &[], (1, 1)));
    both(&["dumb-init"], |init| reaches(init, &["-c"], (1, 0)));
}

#[test]
fn all_means_those_that_have_left_the_group_too() {
    for pid1 in [true, false] {
        let init = ours("sexton-init");
        let launch = if pid1 {
            Launch::pid1(&init)
        } else {
            Some(Launch::plain(&init))
        };
        let Some(launch) = launch else { continue };
        let family = FAMILY.replacen("sh -c", "setsid sh -c", 1);
        let job = launch
            .args(["--to", "all", "--", "sh", "-c", &family])
            .start();
        assert!(job.says("ready"));
        job.signal(libc::SIGUSR1);
        assert!(eventually(|| said(&job) == (1, 1)), "{:?}", said(&job));
    }
}

#[test]
fn signals_are_rewritten_and_dropped_by_name_and_number() {
    if !python() {
        return;
    }
    let options = [
        "-r",
        "TERM:QUIT",
        "-r",
        "1:SIGUSR1",
        "-r",
        "USR2:0",
        "-r",
        "RTMIN+3:15",
    ];
    let command = ["python3", "-c", PRINT_SIGNALS];
    let job = Launch::plain(&ours("sexton-init"))
        .args(options.iter().chain(&command))
        .start();
    assert!(job.says("ready"));
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGUSR2, 37, libc::SIGINT] {
        let before = job.out().len();
        job.signal(signal);
        let heard = || job.out().len() > before;
        assert!(
            signal == libc::SIGUSR2 || eventually(heard),
            "{signal}: {}",
            job.out()
        );
    }
    assert_eq!(job.out(), "ready\n3\n10\n15\n2\n");
}

#[test]
fn the_value_of_a_queued_signal_is_passed_on_which_tini_fails() {
    const PRINT_VALUES: &str = "
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
print('ready', flush=True)
info = (ctypes.c_int * 32)()
bits = ctypes.c_uint64(1 << 39)
# siginfo_t: the value is behind code, pid and uid.
ctypes.CDLL(None).sigwaitinfo(ctypes.byref(bits), info)
print(info[6], flush=True)
";
    fn check(init: &Path) -> Verdict {
        if !python() {
            return Ok(());
        }
        let job = Launch::plain(init)
            .args(["--", "python3", "-c", PRINT_VALUES])
            .start();
        ensure!(job.says("ready"), "not ready: {}", job.err());
        let value = libc::sigval {
            sival_ptr: std::ptr::without_provenance_mut(4711),
        };
        // SAFETY: the job's init runs; the value is a number.
        unsafe { libc::sigqueue(i32::try_from(job.pid).unwrap(), 40, value) };
        let ended = job.end();
        ensure!(ended.out == "ready\n4711\n", "{ended:?}");
        Ok(())
    }
    check(&ours("sexton-init")).unwrap();
    only_ours(&["tini"], check);
}

/// What the command finds ignored and blocked is exactly what init found.
fn inherits(init: &Path) -> Verdict {
    let set = || {
        // SAFETY: plain libc calls on local values, in a child that is about to exec.
        unsafe {
            for signal in [libc::SIGTTOU, libc::SIGSEGV, libc::SIGINT, libc::SIGHUP, 40] {
                libc::signal(signal, libc::SIG_IGN);
            }
            let mut blocked = std::mem::zeroed();
            libc::sigemptyset(&raw mut blocked);
            for signal in [libc::SIGTTIN, libc::SIGILL, libc::SIGTERM, 41] {
                libc::sigaddset(&raw mut blocked, signal);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut());
        }
    };
    let direct = Launch::plain(Path::new("grep")).before(set);
    let through = Launch::plain(init).before(set).args(["--", "grep"]);
    let [direct, through] = [direct, through].map(|launch| {
        launch
            .args(["-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"])
            .run()
            .out
    });
    ensure!(
        direct == through,
        "without init:\n{direct}with init:\n{through}"
    );
    Ok(())
}

#[test]
fn mask_and_ignored_signals_are_inherited_which_dumb_init_and_catatonit_fail() {
    every_name(inherits);
    both(&["tini"], inherits);
    only_ours(&["dumb-init", "catatonit"], inherits);
}

/// With CHLD ignored the kernel reaps by itself; init must still learn the exit code, and the
/// command must still find CHLD ignored.
#[test]
fn an_ignored_chld_costs_no_exit_code() {
    let ignore = || {
        // SAFETY: sets no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    };
    let init = ours("sexton-init");
    let ended = Launch::plain(&init)
        .before(ignore)
        .args(["sh", "-c", "exit 6"])
        .run();
    assert_eq!(ended.code, 6);
    let command = ["grep", "SigIgn", "/proc/self/status"];
    let ended = Launch::plain(&init).before(ignore).args(command).run();
    let set = ended.out.split_whitespace().last().unwrap();
    assert_ne!(
        u64::from_str_radix(set, 16).unwrap() & 1 << (libc::SIGCHLD - 1),
        0
    );
}

/// TERM at any moment from the fork on: while the child sets itself up, while the program is
/// loaded.
#[test]
fn no_signal_is_lost_between_fork_and_exec() {
    for (round, options) in [&[][..], &["-g"], &["-n", "new", "-g"]]
        .iter()
        .cycle()
        .take(90)
        .enumerate()
    {
        let init = ours("sexton-init");
        let job = Launch::plain(&init)
            .args(options.iter().chain(&["--", "sleep", "60"]))
            .start();
        while children(job.pid).is_empty() {
            std::hint::spin_loop();
        }
        std::thread::sleep(Duration::from_micros(
            u64::try_from(round).unwrap() * 7 % 500,
        ));
        job.signal(libc::SIGTERM);
        let ended = job.end();
        assert_eq!(ended.code, 143, "round {round}, {options:?}: {ended:?}");
    }
}

#[test]
fn a_stopped_command_hears_the_stop_signal() {
    let job = Launch::plain(&ours("sexton-init"))
        .args(["sleep", "60"])
        .start();
    let main = job.main();
    send(main, libc::SIGSTOP);
    assert!(eventually(|| crate::job::state(main) == Some('T')));
    // The stop is news for init; it must have been taken before TERM comes.
    std::thread::sleep(Duration::from_millis(50));
    job.signal(libc::SIGTERM);
    assert_eq!(job.end().code, 143);
}

#[test]
fn the_parents_death_is_a_signal() {
    let init = ours("sexton-init");
    // The shell in between is the parent, and dies.
    let script = format!(
        "{} -p USR1 -- sleep 60 & echo $!; sleep 0.5; kill -KILL $$",
        init.display()
    );
    let (sender, _ended) = (
        Launch::plain(Path::new("sh")).args(["-c", &script]).run(),
        (),
    );
    let pid: u32 = sender
        .out
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let gone = eventually(|| crate::job::state(pid).is_none_or(|state| state == 'Z'));
    assert!(gone, "{:?}", below(pid));
    assert!(children(pid).is_empty());
}
