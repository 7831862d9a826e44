//! tini's own tests, on ours under its name and on tini (0.19.0).

use std::path::Path;

use crate::job::{Launch, below, eventually, send};
use crate::subject::{Verdict, both, ensure};

/// Every code is mapped to 0, and no other is.
#[test]
fn exit_codes_are_mapped_one_by_one() {
    both(&["tini"], |init| {
        let run = |mapped: &str, code: u32| {
            let end = format!("exit {code}");
            Launch::plain(init)
                .args(["-e", mapped, "--", "sh", "-c", &end])
                .run()
                .code
        };
        for code in (0..=255).step_by(15).chain([1, 127, 143]) {
            let got = run(&code.to_string(), code);
            ensure!(got == 0, "-e {code} gave {got}");
            let other = run(&((code + 1) % 256).to_string(), code);
            ensure!(
                other == i32::try_from(code).unwrap(),
                "exit {code} became {other}"
            );
        }
        let ended = Launch::plain(init)
            .args(["-e", "143", "--", "sh", "-c", "kill $$"])
            .run();
        ensure!(ended.code == 0, "{ended:?}");
        Ok(())
    });
}

const ORPHANS: &str = "i=0; while [ $i -lt 100 ]; do (sleep 0.1 &); i=$((i + 1)); done; sleep 1";
const WARNING: &str = "zombie reaping won't work";

fn orphans(init: &Path, options: &[&str], variable: Option<&str>) -> crate::job::Ended {
    let mut launch = Launch::plain(init);
    if let Some(variable) = variable {
        launch = launch.env(variable, "");
    }
    launch
        .args(options.iter().chain(&["--", "sh", "-c", ORPHANS]))
        .run()
}

#[test]
fn a_hundred_orphans_are_reaped_in_silence() {
    both(&["tini"], |init| {
        for (options, variable) in [(&["-s"][..], None), (&[], Some("TINI_SUBREAPER"))] {
            let ended = orphans(init, options, variable);
            ensure!(ended.code == 0 && ended.err.is_empty(), "{ended:?}");
        }
        Ok(())
    });
}

#[test]
fn reaped_orphans_are_printed_on_request() {
    both(&["tini"], |init| {
        let ended = orphans(init, &["-s", "-w"], None);
        let lines = ended.err.matches("Reaped zombie process with pid=").count();
        ensure!(ended.code == 0 && lines == 100, "{lines} lines: {ended:?}");
        Ok(())
    });
}

#[test]
fn it_warns_when_orphans_do_not_come_to_it() {
    both(&["tini"], |init| {
        let ended = Launch::plain(init).args(["true"]).run();
        ensure!(ended.code == 0 && ended.err.contains(WARNING), "{ended:?}");
        let ended = Launch::plain(init)
            .env("TINI_VERBOSITY", "0")
            .args(["true"])
            .run();
        ensure!(ended.err.is_empty(), "{ended:?}");
        // Under a subreaper that is inherited by exec there is nothing to warn of.
        let be_one = || {
            // SAFETY: takes no pointer.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        };
        let ended = Launch::plain(init).before(be_one).args(["true"]).run();
        ensure!(ended.err.is_empty(), "{ended:?}");
        Ok(())
    });
}

#[test]
fn signals_end_it_with_128_and_their_number() {
    both(&["tini"], |init| {
        for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2] {
            let job = Launch::plain(init)
                .args(["-s", "--", "sleep", "60"])
                .start();
            let main = job.main();
            let running = || {
                std::fs::read_to_string(format!("/proc/{main}/comm")).is_ok_and(|c| c == "sleep\n")
            };
            ensure!(eventually(running), "not started");
            job.signal(signal);
            let ended = job.end();
            ensure!(ended.code == 128 + signal, "{signal}: {ended:?}");
        }
        Ok(())
    });
}

/// A process that ignores USR1 and waits for a child that does not.
fn group(init: &Path, options: &[&str], variable: &str) -> Verdict {
    let script = "trap '' USR1; (trap - USR1; echo ready; exec python3 -c '
import signal, time
signal.signal(10, signal.SIG_DFL)
print(\"set\", flush=True)
time.sleep(60)'); exit 5";
    if !crate::job::python() {
        return Ok(());
    }
    let launch = Launch::plain(init).env(variable, "1");
    let job = launch
        .args(options.iter().chain(&["--", "sh", "-c", script]))
        .start();
    ensure!(job.says("set"), "{}", job.err());
    job.signal(libc::SIGUSR1);
    let ended = job.end();
    ensure!(ended.code == 5, "{ended:?}");
    Ok(())
}

#[test]
fn the_group_gets_signals_by_option_and_variable() {
    both(&["tini"], |init| group(init, &["-g"], "UNUSED"));
    both(&["tini"], |init| {
        group(init, &[], "TINI_KILL_PROCESS_GROUP")
    });
}

#[test]
fn the_death_of_its_parent_is_passed_on() {
    both(&["tini"], |init| {
        let script = format!(
            "{} -s -p SIGUSR1 -- sleep 60 & echo $!; sleep 0.5; kill -KILL $$",
            init.display()
        );
        let ended = Launch::plain(Path::new("sh")).args(["-c", &script]).run();
        let pid: u32 = ended.out.trim().parse().unwrap();
        let gone = eventually(|| crate::job::state(pid).is_none_or(|state| state == 'Z'));
        below(pid)
            .into_iter()
            .for_each(|pid| send(pid, libc::SIGKILL));
        ensure!(gone, "it lives on");
        Ok(())
    });
}

#[test]
fn command_lines() {
    both(&["tini"], |init| {
        for (args, code, out, err) in [
            (&["--version"][..], 0, "tini version 0.19.0", ""),
            (&["-h"], 0, "Usage: tini", ""),
            (&["-l"], 0, "MIT", ""),
            (&[], 1, "", "Usage: tini"),
            (&["-x"], 1, "", "Usage: tini"),
            (&["-e", "256", "true"], 1, "", "-e: "),
            (&["-e", "-1", "true"], 1, "", "-e: "),
            (&["-p", "FOO", "true"], 1, "", "-p: "),
            (&["-s", "true"], 0, "", ""),
            (&["-s", "false"], 1, "", ""),
            (&["-s", "--", "true"], 0, "", ""),
            (&["-s", "--", "--", "true"], 127, "", ""),
            (
                &["-svvv", "true"],
                0,
                "Spawned child process 'true' with pid '",
                "",
            ),
        ] {
            let ended = Launch::plain(init).args(args).run();
            ensure!(ended.code == code, "{args:?}: {ended:?}");
            // Where it is called by a path, tini shows that path.
            let shown = |text: &str| text.replace(init.to_str().unwrap(), "tini");
            ensure!(shown(&ended.out).contains(out), "{args:?}: {ended:?}");
            ensure!(shown(&ended.err).contains(err), "{args:?}: {ended:?}");
        }
        Ok(())
    });
}
