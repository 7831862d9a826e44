//! dumb-init's own tests, on ours under its name and on dumb-init (1.2.5).

use std::path::Path;

use crate::job::{Launch, PRINT_SIGNALS, below, eventually, python, state};
use crate::subject::{Verdict, both, ensure};

/// With and without its debug output, with and without a session.
fn all_modes(check: impl Fn(&Path, &dyn Fn(Launch) -> Launch, bool) -> Verdict) {
    both(&["dumb-init"], |init| {
        for (debug, setsid) in [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")] {
            let mode = |launch: Launch| {
                launch
                    .env("DUMB_INIT_DEBUG", debug)
                    .env("DUMB_INIT_SETSID", setsid)
            };
            check(init, &mode, setsid == "1")
                .map_err(|e| format!("debug {debug}, setsid {setsid}: {e}"))?;
        }
        Ok(())
    });
}

#[test]
fn term_ends_a_pipeline_in_a_session_and_else_the_child() {
    all_modes(|init, mode, setsid| {
        let launch = mode(Launch::plain(init));
        let job = launch
            .args(["sh", "-c", "sleep 60 | sleep 60 & echo ready; sleep 60; :"])
            .start();
        ensure!(job.says("ready"), "{}", job.err());
        ensure!(
            eventually(|| below(job.pid).len() == 4),
            "{:?}",
            below(job.pid)
        );
        let family = below(job.pid);
        job.signal(libc::SIGTERM);
        let main = family[0];
        let gone = |pid: u32| state(pid).is_none_or(|state| state == 'Z');
        ensure!(eventually(|| gone(main)), "the child lives");
        if setsid {
            ensure!(
                eventually(|| family.iter().all(|pid| gone(*pid))),
                "some live"
            );
        } else {
            ensure!(
                family[1..].iter().all(|pid| !gone(*pid)),
                "more than the child ended"
            );
            family
                .iter()
                .for_each(|pid| crate::job::send(*pid, libc::SIGKILL));
        }
        ensure!(job.end().code == 143, "not 143");
        Ok(())
    });
}

#[test]
fn exit_codes_in_all_modes() {
    all_modes(|init, mode, _| {
        for code in [0, 1, 2, 32, 64, 127, 254, 255] {
            let ended = mode(Launch::plain(init))
                .args(["sh", "-c", &format!("exit {code}")])
                .run();
            ensure!(ended.code == code, "{ended:?}");
        }
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGKILL] {
            let ended = mode(Launch::plain(init))
                .args(["sh", "-c", &format!("kill -{signal} $$")])
                .run();
            ensure!(ended.code == 128 + signal, "{ended:?}");
        }
        Ok(())
    });
}

/// Sends signals, and compares with what the child printed.
fn prints(init: &Path, options: &[&str], pairs: &[(i32, &str)]) -> Verdict {
    if !python() {
        return Ok(());
    }
    let command = ["python3", "-c", PRINT_SIGNALS];
    let job = Launch::plain(init)
        .args(options.iter().chain(&command))
        .start();
    ensure!(job.says("ready"), "{}", job.err());
    let mut expected = String::from("ready\n");
    for (signal, printed) in pairs {
        job.signal(*signal);
        if printed.is_empty() {
            continue;
        }
        expected += &format!("{printed}\n");
        ensure!(
            eventually(|| job.out() == expected),
            "after {signal}: {:?}",
            job.out()
        );
    }
    Ok(())
}

#[test]
fn rewrites() {
    both(&["dumb-init"], |init| {
        prints(init, &[], &[(15, "15"), (1, "1")])?;
        prints(init, &["-r", "15:3"], &[(15, "3"), (3, "3")])?;
        prints(init, &["-r", "1:31", "-r", "31:1"], &[(1, "31"), (31, "1")])?;
        prints(
            init,
            &["-r", "15:0", "--rewrite", "12:0"],
            &[(15, ""), (12, ""), (1, "1")],
        )?;
        // What stops in a session by default can be taken otherwise.
        prints(init, &["-c", "-r", "10:12"], &[(10, "12")])
    });
}

#[test]
fn malformed_rewrites() {
    const USAGE: &str = "Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.\n\
        This option can be specified multiple times.\nUse --help for full usage.\n";
    both(&["dumb-init"], |init| {
        for bad in [
            "",
            "herp",
            "herp:derp",
            "15",
            "15::12",
            "15:derp",
            "1:32",
            "0:1",
        ] {
            let ended = Launch::plain(init).args(["-r", bad, "true"]).run();
            ensure!(ended.code == 1 && ended.err == USAGE, "{bad:?}: {ended:?}");
        }
        let ended = Launch::plain(init).args(["-r"]).run();
        ensure!(ended.code == 1 && !ended.err.is_empty(), "{ended:?}");
        Ok(())
    });
}

#[test]
fn stop_signals_stop_both_and_cont_continues() {
    all_modes(|init, mode, setsid| {
        if !python() {
            return Ok(());
        }
        for stop in [libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN] {
            let job = mode(Launch::plain(init))
                .args(["python3", "-c", PRINT_SIGNALS])
                .start();
            ensure!(job.says("ready"), "{}", job.err());
            let main = job.main();
            let stopped = |pid| state(pid) == Some('T');
            for _ in 0..2 {
                let before = job.out().len();
                job.signal(stop);
                ensure!(eventually(|| stopped(job.pid)), "{stop}: init goes on");
                if setsid {
                    // It is STOP that is sent.
                    ensure!(eventually(|| stopped(main)), "{stop}: the child goes on");
                } else {
                    // The signal itself, which this child takes; CONT would take it back.
                    let told = || job.out()[before..].contains(&format!("{stop}\n"));
                    ensure!(eventually(told), "{stop}: {}", job.out());
                }
                job.signal(libc::SIGCONT);
                ensure!(
                    eventually(|| job.out()[before..].contains("18\n")),
                    "{stop}: {}",
                    job.out()
                );
                ensure!(!stopped(job.pid) && !stopped(main), "{stop}: not continued");
                ensure!(
                    !setsid || job.out()[before..] == *"18\n",
                    "{stop}: {}",
                    job.out()
                );
            }
        }
        Ok(())
    });
}

#[test]
fn command_lines() {
    both(&["dumb-init"], |init| {
        for (args, code, err) in [
            (&["-h"][..], 0, "Usage: "),
            (&["--help"], 0, "-r, --rewrite s:r"),
            (&["-x", "true"], 1, "x"),
            (&["--nope", "true"], 1, "nope"),
            (
                &["-v", "--", "true"],
                0,
                "[dumb-init] Child spawned with PID ",
            ),
            (
                &["--verbose", "true"],
                0,
                "[dumb-init] Child exited with status 0. Goodbye.\n",
            ),
            (&["-v", "true"], 0, "[dumb-init] setsid complete.\n"),
            (
                &["-v", "true"],
                0,
                "[dumb-init] Forwarded signal 15 to children.\n",
            ),
        ] {
            let ended = Launch::plain(init).args(args).run();
            ensure!(
                ended.code == code && ended.err.contains(err),
                "{args:?}: {ended:?}"
            );
        }
        let ended = Launch::plain(init).args(["-v", "-c", "true"]).run();
        ensure!(!ended.err.contains("setsid"), "{ended:?}");
        for option in ["-V", "--version"] {
            let ended = Launch::plain(init).args([option]).run();
            ensure!(
                ended.err == "dumb-init v1.2.5\n" && ended.code == 0,
                "{ended:?}"
            );
        }
        let ended = Launch::plain(init).run();
        let usage = " [option] program [args]\nTry ";
        ensure!(ended.code == 1 && ended.err.contains(usage), "{ended:?}");
        Ok(())
    });
}
