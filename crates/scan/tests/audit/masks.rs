//! Masks and waits of a program, made in Python for its brevity.

use crate::situation::{Case, compare, program};

fn python(name: &'static str, script: &str) -> Option<Case> {
    let script = format!(
        "import signal, threading, time, ctypes, os\nTERM = signal.SIGTERM\n\
         def ready(): print('ready', flush=True)\n{script}"
    );
    program("/usr/bin/python3")
        .map(|python| Case::new(format!("python3: {name}"), &[python, "-c", &script]))
}

#[test]
fn ignored_blocked_and_awaited() {
    compare([
        python(
            "ignored",
            "signal.signal(TERM, signal.SIG_IGN); ready(); time.sleep(1000)",
        )
        .map(|case| case.killed().says("SigIgn")),
        // nohup and the like: who starts it has it ignored.
        program("/bin/bash").map(|bash| {
            let script = "trap '' TERM; exec /bin/sleep 1000";
            Case::new("ignored by who started it", &[bash, "-c", script])
                .runs("sleep")
                .killed()
        }),
        python(
            "blocked in all threads, with a handler",
            "signal.signal(TERM, lambda *_: os._exit(0))\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n\
             threading.Thread(target=time.sleep, args=(1000,)).start(); ready()",
        )
        .map(|case| case.killed().says("in every thread")),
        // The handler runs in the one thread that lets the signal through.
        python(
            "open in one thread of three",
            "signal.signal(TERM, lambda *_: os._exit(0))\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n\
             for _ in range(2): threading.Thread(target=time.sleep, args=(1000,)).start()\n\
             signal.pthread_sigmask(signal.SIG_UNBLOCK, [TERM])\nready(); time.sleep(1000)",
        )
        .map(|case| case.says("Only one of its 3 threads")),
        python(
            "sigwait in another thread",
            "signal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n\
             def wait():\n  ready(); signal.sigwait([TERM]); os._exit(0)\n\
             threading.Thread(target=wait).start(); time.sleep(1000)",
        ),
        python(
            "sigwait for another signal",
            "signal.pthread_sigmask(signal.SIG_BLOCK, [TERM, signal.SIGUSR1])\n\
             ready(); signal.sigwait([signal.SIGUSR1])",
        )
        .map(Case::killed),
        python(
            "signalfd",
            "signal.pthread_sigmask(signal.SIG_BLOCK, [TERM])\n\
             libc = ctypes.CDLL(None)\nmask = (ctypes.c_uint64 * 16)(1 << 14)\n\
             fd = libc.signalfd(-1, mask, 0)\nready(); os.read(fd, 128); os._exit(0)",
        )
        .map(|case| case.says("signalfd")),
    ]);
}

#[test]
fn a_stopped_process_takes_no_signal() {
    compare([python(
        "stopped by itself, in a shared namespace",
        "ready(); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(1000)",
    )
    .map(|case| case.shares_pid_namespace().killed().says("state T"))]);
}
