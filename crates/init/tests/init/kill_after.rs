//! `--kill-after` counts from whichever signal the container is stopped by.

use std::time::Duration;

use crate::job::{Launch, PRINT_SIGNALS, both_ways, python, state};
use crate::subject::ours;

#[test]
fn it_counts_from_each_signal_that_is_for_ending() {
    if !python() {
        return;
    }
    for (signal, name) in [
        (libc::SIGTERM, "15 (TERM)"),
        (libc::SIGINT, "2 (INT)"),
        (libc::SIGQUIT, "3 (QUIT)"),
        (libc::SIGPWR, "30 (PWR)"),
        (37, "37"),
    ] {
        both_ways(|launch, _| {
            let job = launch
                .args(["-K", "0.3", "--", "python3", "-c", PRINT_SIGNALS])
                .start();
            assert!(job.says("ready"));
            job.signal(signal);
            let ended = job.end();
            assert_eq!(
                (ended.code, ended.out),
                (137, format!("ready\n{signal}\n")),
                "{}",
                ended.err
            );
            let said = format!(
                "which init sent since it was still there 0.300 s after signal {name}; exit code 137\n"
            );
            assert!(ended.err.ends_with(&said), "{}", ended.err);
        });
    }
}

/// Reload, log rotation and the like; with `--stop-signal` they may be for ending as well, and
/// then the others are not.
#[test]
fn it_does_not_count_from_others() {
    if !python() {
        return;
    }
    for (options, signal, ends) in [
        (&[][..], libc::SIGHUP, false),
        (&[], libc::SIGUSR1, false),
        (&[], libc::SIGWINCH, false),
        (&[], 40, false),
        (&["-S", "WINCH"], libc::SIGWINCH, true),
        (&["-S", "HUP"], libc::SIGINT, false),
        (&["-S", "HUP"], libc::SIGTERM, false),
    ] {
        both_ways(|launch, _| {
            let command = ["-K", "0.2", "--", "python3", "-c", PRINT_SIGNALS];
            let job = launch.args(options.iter().chain(&command)).start();
            assert!(job.says("ready"));
            job.signal(signal);
            assert!(job.says(&signal.to_string()));
            if ends {
                assert_eq!(job.end().code, 137);
            } else {
                std::thread::sleep(Duration::from_millis(700));
                assert_eq!(state(job.pid), Some('S'), "{signal} {}", job.err());
            }
        });
    }
}

/// `kubectl exec POD -- kill -QUIT 1` asks Java for a thread dump.
#[test]
fn from_inside_only_term_counts() {
    if !python() {
        return;
    }
    for (signal, ends) in [("QUIT", false), ("INT", false), ("TERM", true)] {
        let Some(launch) = Launch::pid1(&ours("sexton-init")) else {
            return;
        };
        let script = format!("kill -{signal} 1; exec python3 -c \"$0\"");
        let command = ["-K", "3", "--", "sh", "-c", &script, PRINT_SIGNALS];
        // Blocked as well as ignored would do: the command must outlive the signal that is
        // passed on to it while it is a shell.
        let ignore = || {
            // SAFETY: sets no handler.
            unsafe {
                for signal in [libc::SIGQUIT, libc::SIGINT, libc::SIGTERM] {
                    libc::signal(signal, libc::SIG_IGN);
                }
            }
        };
        let job = launch.before(ignore).args(command).start();
        assert!(job.says("ready"), "{}", job.err());
        if ends {
            assert_eq!(job.end().code, 137);
        } else {
            std::thread::sleep(Duration::from_millis(4_000));
            assert_eq!(state(job.pid), Some('S'), "{signal} {}", job.err());
        }
    }
}

/// Standard error is a full pipe that nobody reads: init ends without its lines.
#[test]
fn a_reader_that_has_stopped_does_not_keep_it() {
    both_ways(|launch, _| {
        let script = "exec 3>&2; (exec 2>/dev/null; dd if=/dev/zero of=/proc/self/fd/3 oflag=nonblock \
                      bs=4096 count=64; dd if=/dev/zero of=/proc/self/fd/3 oflag=nonblock bs=1 count=4096)
                      trap '' TERM; echo ready; exec 3>&-; exec sleep 600";
        let fifo = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("full");
        let _ = std::fs::remove_file(&fifo);
        let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        // SAFETY: a C string; the mode is plain.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let mut both = std::fs::OpenOptions::new();
        let full = both.read(true).write(true).open(&fifo).unwrap();
        let job = launch
            .args(["-v", "-G", "0", "-K", "0.3", "--", "sh", "-c", script])
            .start_with_stderr(full.try_clone().unwrap().into());
        assert!(job.says("ready"));
        job.signal(libc::SIGTERM);
        assert_eq!(job.end().code, 137);
        drop(full);
    });
}
