//! catatonit's interface, and its bugs of the past, on ours under its name and on catatonit.

use std::path::Path;
use std::time::Duration;

use crate::job::{Launch, eventually, status};
use crate::subject::{Verdict, both, ensure, only_ours};

#[test]
fn command_lines() {
    both(&["catatonit"], |init| {
        for (args, code, out, err) in [
            (
                &["-h"][..],
                0,
                "",
                "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n",
            ),
            (&["-V"], 0, "tini version ", ""),
            (&["--version"], 0, "_catatonit", ""),
            (&["-L"], 0, "icense", ""),
            (&[], 1, "", "missing program name\nusage: catatonit"),
            (&["-Z", "true"], 1, "", "usage: catatonit"),
            (&["-g", "--", "true"], 0, "", ""),
        ] {
            let ended = Launch::plain(init).args(args).run();
            let right = ended.code == code && ended.out.contains(out) && ended.err.contains(err);
            ensure!(right, "{args:?}: {ended:?}");
        }
        Ok(())
    });
}

#[test]
fn pause_mode_reaps_until_int_or_term() {
    both(&["catatonit"], |init| {
        for signal in [libc::SIGINT, libc::SIGTERM] {
            let Some(launch) = Launch::pid1(init) else {
                return Ok(());
            };
            let job = launch.args(["-P"]).start();
            // It blocks signals first of all, and shows them unblocked while it waits.
            let name = init.file_name().unwrap().to_str().unwrap();
            ensure!(
                eventually(|| status(job.pid, "Name") == name),
                "never ready"
            );
            std::thread::sleep(Duration::from_millis(200));
            job.signal(libc::SIGUSR1);
            job.signal(signal);
            let ended = job.end();
            ensure!(ended.code == 0, "{ended:?}");
        }
        Ok(())
    });
}

/// Its bug 5: a child that exits with 127 made it hang.
#[test]
fn a_child_that_exits_with_127_ends_it() {
    both(&["catatonit"], |init| {
        let ended = Launch::plain(init)
            .args(["--", "sh", "-c", "exit 127"])
            .run();
        ensure!(ended.code == 127, "{ended:?}");
        Ok(())
    });
}

/// In its child TSTP, TTIN and TTOU stay blocked, so that Ctrl-Z does nothing in a shell.
#[test]
fn no_signal_is_left_blocked_in_the_child_which_catatonit_fails() {
    fn check(init: &Path) -> Verdict {
        let ended = Launch::plain(init)
            .args(["grep", "SigBlk", "/proc/self/status"])
            .run();
        ensure!(ended.out == "SigBlk:\t0000000000000000\n", "{}", ended.out);
        Ok(())
    }
    only_ours(&["catatonit"], check);
}
