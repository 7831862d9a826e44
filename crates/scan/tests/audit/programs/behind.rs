//! Programs behind others: shells, inits, make, and what else starts a command and waits for it;
//! runtimes whose own handler misleads.

use super::{case, file};
use crate::situation::{Case, compare_once, program};

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];
const OTHER_USER: [&str; 7] = [
    "/usr/bin/setpriv",
    "--reuid=33",
    "--regid=33",
    "--clear-groups",
    "--",
    "/bin/sleep",
    "1000",
];

const SU: [&str; 5] = ["nobody", "-s", "/bin/sh", "-c", "exec sleep 1000"];

#[test]
fn php_make_and_java() {
    let (leaves, command) = (file("leaves.mk"), file("command.mk"));
    let (hook, sleeper) = (file("Slow.java"), file("Sleeper.java"));
    let php = |name, code: &str| {
        let code = format!("echo \"ready\\n\"; {code}");
        case(name, "/usr/bin/php", &["-r", &code])
    };
    let loops = "while (true) sleep(3600);";
    let handler =
        format!("pcntl_async_signals(true); pcntl_signal(SIGTERM, fn() => exit(0)); {loops}");
    let without = ["JDK_JAVA_OPTIONS=-Xrs -Xmx64m", "java", &sleeper];
    compare_once([
        php("php, a loop", loops).map(|case| case.killed().never_high()),
        php("php, a loop and pcntl_signal", &handler).map(Case::never_high),
        php("php, sleep alone", "sleep(1000);").map(Case::never_high),
        case("make, a command", "/usr/bin/make", &["-s", "-f", &command])
            .map(|case| case.runs("sleep").never_high()),
        case(
            "make, a shell that leaves a process",
            "/usr/bin/make",
            &["-s", "-f", &leaves],
        )
        .map(|case| case.runs("sleep").killed().unheard(1).never_high()),
        case(
            "java, a hook that takes a minute",
            "/usr/bin/java",
            &[&hook],
        )
        .map(|case| case.never_high().but_stays()),
        program("/usr/bin/java")
            .and_then(|_| case("java, -Xrs by JDK_JAVA_OPTIONS", "/usr/bin/env", &without))
            .map(|case| case.killed().cured_by("ENV JDK_JAVA_OPTIONS=\"-Xmx64m\"")),
    ]);
}

#[test]
fn commands_that_start_a_command() {
    let behind = |name, path, options: &[&str]| {
        let options = [options, &SLEEP].concat();
        case(name, path, &options).map(|case| case.runs("sleep"))
    };
    let tini = |name, options: &[&str]| behind(name, "/usr/bin/tini", &[&["--"], options].concat());
    let find = ["/usr/bin/find", "-exec", "sleep", "1000", ";"];
    let xargs = "echo 1000 > /tmp/one; exec xargs -a /tmp/one sleep";
    let su = ["nobody", "-s", "/bin/sh", "-c", "sleep 1000; true"];
    compare_once([
        behind("timeout", "/usr/bin/timeout", &["1000"]).map(|case| case.says("is timeout")),
        behind("flock", "/usr/bin/flock", &["/tmp/lock"]).map(|case| case.killed().unheard(1)),
        case("find -exec", "/usr/bin/find", &find)
            .map(|case| case.runs("sleep").killed().unheard(1)),
        case("su -c", "/bin/su", &su).map(|case| case.runs("sleep").unheard(1)),
        case("xargs", "/bin/sh", &["-c", xargs]).map(|case| case.runs("sleep").killed().unheard(1)),
        tini("tini over flock", &["flock", "/tmp/lock"]).map(|case| case.unheard(1)),
        tini("tini over timeout", &["timeout", "1000"]),
    ]);
}

#[test]
fn inits_that_may_not_signal() {
    let init = |name, path| {
        let case = case(name, path, &[&["--"], &OTHER_USER[..]].concat())?;
        Some(case.runs("sleep").without("CAP_KILL").never_high())
    };
    compare_once([
        init("tini without CAP_KILL", "/usr/bin/tini").map(|case| case.unheard(1)),
        case("su without CAP_KILL", "/bin/su", &SU).map(|case| {
            case.runs("sleep")
                .without("CAP_KILL")
                .never_high()
                .unheard(1)
        }),
        init("dumb-init without CAP_KILL", "/usr/bin/dumb-init")
            .map(|case| case.killed().unheard(1).cured_by("runAsUser: 33")),
        init("catatonit without CAP_KILL", "/usr/bin/catatonit")
            .map(|case| case.killed().unheard(1)),
    ]);
}

#[test]
fn shells_in_front() {
    let worker = file("worker.py");
    let shell = |name, text: &str| {
        let case = case(name, "/bin/sh", &["-c", text])?;
        Some(case.runs("sleep").killed())
    };
    let under = |name, init, text: &str| {
        let case = case(name, init, &["--", "/bin/bash", "-c", text])?;
        Some(case.runs("sleep"))
    };
    let prepared = r#"["/bin/sh", "-c", "cd /tmp && A=1 exec sleep 1000"]"#;
    let redis = r#"["redis-server", "--port", "6379", "--save", ""]"#;
    let python = format!("python3 {worker}; true");
    let trap = "trap 'exit 0' TERM; sleep 1000; true";
    compare_once([
        shell("sh, a command", "sleep 1000; true")
            .map(|case| case.unheard(1).cured_by(r#"ENTRYPOINT ["sleep", "1000"]"#)),
        shell(
            "sh, a command after others",
            "cd /tmp && A=1 sleep 1000; true",
        )
        .map(|case| case.unheard(1).cured_by(prepared)),
        shell("sh, a pipeline", "sleep 1000 | cat; true")
            .map(|case| case.unheard(2).cured_by(r#"["/sexton-init", "-g", "--""#)),
        shell(
            "sh, one behind and one in front",
            "sleep 999 & sleep 1000; true",
        )
        .map(|case| {
            case.run("sleep", 2)
                .unheard(2)
                .cured_by(r#""sleep 999 & exec sleep 1000"]"#)
        }),
        program("/usr/bin/python3")
            .and_then(|_| case("sh, a worker, SIGWINCH", "/bin/sh", &["-c", &python]))
            .map(|case| {
                case.stop_signal("SIGWINCH")
                    .killed()
                    .unheard(1)
                    .cured_by("ENTRYPOINT")
            }),
        under("tini over bash", "/usr/bin/tini", "sleep 1000; true").map(|case| case.unheard(1)),
        under(
            "dumb-init over bash",
            "/usr/bin/dumb-init",
            "sleep 1000; true",
        )
        .map(|case| case.says("gets the signal itself")),
        under(
            "dumb-init over bash with a trap",
            "/usr/bin/dumb-init",
            trap,
        ),
        under("tini over bash with a trap", "/usr/bin/tini", trap)
            .map(|case| case.killed().unheard(1)),
        program("/usr/bin/redis-server")
            .and_then(|_| {
                let text = "redis-server --port 6379 --save ''; true";
                case("redis-server behind sh", "/bin/sh", &["-c", text])
            })
            .map(|case| {
                case.runs("redis-server")
                    .killed()
                    .unheard(1)
                    .cured_by(redis)
            }),
    ]);
}
