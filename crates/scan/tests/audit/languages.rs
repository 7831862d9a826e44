//! Runtimes, which catch signals that their programs never asked for.

use sexton_lab::{Program, require};

use crate::situation::{Case, compare, program, source};

#[test]
fn go() {
    let go = |name, does| {
        let program = Program::go("signals", &source("signals.go"), &[does]);
        require(program).map(|program| Case::of(name, program))
    };
    compare([
        go("Go without a handler", "nothing").map(|case| case.says("Go runtime")),
        go("Go with signal.Notify", "notify"),
        go("Go with signal.Ignore", "ignore").map(Case::killed),
        go("Go without a handler, SIGQUIT", "nothing").map(|case| case.stop_signal("SIGQUIT")),
    ]);
}

#[test]
fn node() {
    let node = |name, script: &str| {
        let script = format!("{script}; console.log('ready'); setInterval(() => {{}}, 1000)");
        program("/usr/bin/node").map(|node| Case::new(name, &[node, "-e", &script]))
    };
    let handler = "process.on('SIGTERM', () => process.exit(0))";
    compare([
        // They look alike from outside; their text tells.
        node("node without a handler", "0")
            .map(|case| case.killed().never_high().cured_by("process.on('SIGTERM'")),
        node("node with a handler", handler).map(Case::never_high),
        node(
            "node with a module of others",
            "try { require('express') } catch {}",
        )
        .map(|case| case.unknown(false)),
        node("node, SIGQUIT", "0").map(|case| case.stop_signal("SIGQUIT").killed()),
        node("node that is not PID 1", "0").map(Case::shares_pid_namespace),
    ]);
}

#[test]
fn python() {
    let python = |name, script: &str| {
        let script = format!(
            "import signal, sys, time\n{script}\nprint('ready', flush=True)\ntime.sleep(1000)"
        );
        program("/usr/bin/python3").map(|python| Case::new(name, &[python, "-c", &script]))
    };
    compare([
        python("Python without a handler", "").map(Case::killed),
        python("Python, SIGINT", "").map(|case| case.stop_signal("SIGINT")),
        python(
            "Python with a handler",
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))",
        ),
        python(
            "Python, a handler that only tells",
            "def stop(*_): print('got')\nsignal.signal(signal.SIGTERM, stop)\n\
             print('ready', flush=True)\nwhile True: time.sleep(1)",
        )
        .map(|case| case.unknown(false)),
        python("Python that is not PID 1", "").map(Case::shares_pid_namespace),
    ]);
}

#[test]
fn java() {
    let java = |name, options: &[&'static str]| {
        let file = source("Sleeper.java");
        let file = file.to_str()?.to_owned();
        let java = program("/usr/bin/java")?;
        let argv = [&[java], options, &[file.as_str()]].concat();
        Some(Case::new(name, &argv).bind(source("").as_path()))
    };
    compare([
        java("Java", &[]).map(|case| case.says("The JVM")),
        java("Java, SIGQUIT", &[]).map(|case| case.stop_signal("SIGQUIT").killed()),
        java("Java with -Xrs", &["-Xrs"]).map(Case::killed),
    ]);
}

#[test]
fn ruby_perl_and_php() {
    compare([
        program("/usr/bin/ruby").map(|ruby| {
            Case::new(
                "Ruby",
                &[ruby, "-e", "puts 'ready'; $stdout.flush; sleep 1000"],
            )
        }),
        program("/usr/bin/ruby").map(|ruby| {
            let script = "trap('TERM') {}; puts 'ready'; $stdout.flush; sleep 1000";
            Case::new("Ruby, a trap that does nothing", &[ruby, "-e", script]).unknown(false)
        }),
        program("/usr/bin/perl").map(|perl| {
            Case::new(
                "Perl",
                &[perl, "-e", "$| = 1; print \"ready\\n\"; sleep 1000"],
            )
            .killed()
        }),
        program("/usr/bin/perl").map(|perl| {
            let script = "$SIG{TERM} = sub { exit 0 }; $| = 1; print \"ready\\n\"; sleep 1000";
            Case::new("Perl with a handler", &[perl, "-e", script])
        }),
        program("/usr/bin/php")
            .map(|php| Case::new("PHP", &[php, "-r", "echo \"ready\\n\"; sleep(1000);"])),
    ]);
}
