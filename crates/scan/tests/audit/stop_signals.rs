//! Stop signals other than SIGTERM.

use crate::situation::{Case, compare, program};

/// As nginx has it: SIGQUIT ends it in good order, and its image says `STOPSIGNAL SIGQUIT`.
fn graceful_on_quit(name: &'static str) -> Option<Case> {
    let script = "import signal, sys, time\n\
                  signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))\n\
                  print('ready', flush=True)\ntime.sleep(1000)";
    program("/usr/bin/python3").map(|python| Case::new(name, &[python, "-c", script]))
}

#[test]
fn the_signal_that_is_really_sent_counts() {
    compare([
        graceful_on_quit("SIGQUIT to a program that handles it")
            .map(|case| case.stop_signal("SIGQUIT").says("config.v2.json")),
        graceful_on_quit("SIGTERM to the same").map(Case::killed),
        Some(
            Case::new("SIGKILL", &["/bin/sleep", "1000"])
                .runs("sleep")
                .stop_signal("SIGKILL"),
        ),
        Some(
            Case::new("SIGWINCH to whom it means nothing", &["/bin/sleep", "1000"])
                .runs("sleep")
                .stop_signal("SIGWINCH")
                .shares_pid_namespace()
                .killed(),
        ),
    ]);
}
