//! Verdicts on plain data. That they are what then happens is shown by real containers, in
//! `crates/scan/tests/audit`.

use super::*;
use crate::cause::{Language, Program};
use crate::{ProcessId, Runtime, State};

const TERM: u64 = 1 << 14;
const INT: u64 = 1 << 1;
const QUIT: u64 = 1 << 2;

/// A native program with no handler that is PID 1 of its container.
fn process(pid: u32, command: &[&str]) -> Process {
    let name = command[0].rsplit('/').next().unwrap_or_default();
    let language = match name {
        "sh" | "dash" | "bash" => Language::Shell,
        "node" => Language::Node,
        "java" => Language::Java,
        "python3" => Language::Python,
        _ => Language::Native,
    };
    Process {
        id: ProcessId {
            pid,
            start_ticks: 1,
        },
        inner_pid: 1,
        name: name.to_owned(),
        command_line: command.iter().map(|word| (*word).to_owned()).collect(),
        executable: Some(format!("/usr/bin/{name}")),
        program: Program {
            language,
            evidence: None,
        },
        state: State::Sleeping,
        signals: Signals {
            blocked: vec![0],
            ..Signals::default()
        },
        process_group: pid,
        age_seconds: 600,
        call: None,
        environment: Vec::new(),
        uids: [0; 4],
        may_kill: true,
        started_as: None,
        rewrote_title: false,
        texts: Vec::new(),
        children: Vec::new(),
    }
}

fn below(mut parent: Process, mut child: Process) -> Process {
    child.inner_pid = child.id.pid;
    parent.children.push(child);
    parent
}

fn facts(main: Process, number: u8) -> Facts {
    Facts {
        container: Container {
            id: "3f2a9c".repeat(10),
            runtime: Runtime::Docker,
            name: None,
            pod: None,
            owner: None,
            cgroup: "/x".to_owned(),
        },
        signal: StopSignal::new(number, "a test"),
        grace: Some(Grace {
            seconds: 30,
            source: "a test".to_owned(),
        }),
        shared_pid_namespace: !main.is_namespace_init(),
        main,
        frozen: false,
        connections: None,
        pre_stop: None,
        probes: Vec::new(),
        notes: Vec::new(),
    }
}

fn judged(main: Process, number: u8) -> ExitSignal {
    judge(&facts(main, number))
}

fn verdict(main: Process) -> Verdict {
    judged(main, 15).verdict
}

#[test]
fn pid_1_without_a_handler_is_killed_and_elsewhere_ends() {
    let mut app = process(7, &["app"]);
    let found = judged(app.clone(), 15);
    assert_eq!(
        (found.verdict, found.confidence),
        (Verdict::Killed, Confidence::High)
    );
    assert!(!found.cures.is_empty());
    assert!(
        found.facts.iter().any(|fact| fact.contains("SigCgt")),
        "{:?}",
        found.facts
    );
    app.inner_pid = 7;
    assert_eq!(verdict(app), Verdict::Ends);
}

#[test]
fn masks_are_read_in_the_order_of_the_kernel() {
    let with = |ignored, caught, blocked: &[u64], awaited| {
        let mut app = process(7, &["app"]);
        app.signals = Signals {
            ignored,
            caught,
            blocked: blocked.to_vec(),
            awaited,
            pending: 0,
            later: None,
        };
        verdict(app)
    };
    assert_eq!(with(TERM, 0, &[0], 0), Verdict::Killed);
    assert_eq!(with(0, TERM, &[0], 0), Verdict::Ends);
    assert_eq!(with(0, TERM, &[TERM, TERM], 0), Verdict::Killed);
    assert_eq!(with(0, TERM, &[TERM, 0], 0), Verdict::Ends);
    // A blocked signal is kept for who waits for it, even if it is ignored.
    assert_eq!(with(TERM, 0, &[TERM], TERM), Verdict::Ends);
    // Nothing could be read of the threads: the handler counts.
    assert_eq!(with(0, TERM, &[], 0), Verdict::Ends);
}

#[test]
fn what_is_hidden_is_not_judged_as_surely() {
    let mut hidden = process(7, &["app"]);
    hidden.executable = None;
    assert_eq!(judged(hidden.clone(), 15).confidence, Confidence::Medium);
    hidden.signals.blocked = vec![TERM];
    assert_eq!(verdict(hidden), Verdict::Unknown);
}

#[test]
fn one_open_thread_of_many_is_told() {
    let mut app = process(7, &["app"]);
    app.signals.caught = TERM;
    app.signals.blocked = vec![TERM, 0, TERM];
    let found = judged(app, 15);
    assert_eq!(found.verdict, Verdict::Ends);
    let told = found.facts.iter().any(|f| f.contains("Only one of its 3"));
    assert!(told, "{:?}", found.facts);
}

#[test]
fn a_shell_that_does_not_exec_keeps_the_signal_from_its_child() {
    let shell = process(7, &["sh", "-c", "app --x; true"]);
    let found = judged(below(shell, process(8, &["/app/app", "--x"])), 15);
    assert_eq!(found.verdict, Verdict::Killed);
    assert_eq!(found.unheard.len(), 1);
    assert_eq!(found.unheard[0].id.pid, 8);
    let code = found.cures[0].code.as_deref().unwrap_or_default();
    assert!(code.contains(r#"ENTRYPOINT ["/app/app", "--x"]"#), "{code}");
    // The program would be PID 1 without a handler then.
    assert!(found.cures.iter().any(|cure| cure.text.contains("init")));

    let script = process(7, &["bash", "/entrypoint.sh"]);
    let found = judged(below(script, process(8, &["app", "a b"])), 15);
    let code = found.cures[0].code.as_deref();
    assert_eq!(code, Some("exec app 'a b'\n"));
}

#[test]
fn a_trap_runs_when_the_command_in_front_has_ended() {
    let trapping = |child: Process| {
        let mut shell = process(7, &["bash", "x.sh"]);
        shell.signals.caught = TERM | INT;
        below(shell, child)
    };
    let mut child = process(8, &["app"]);
    assert_eq!(verdict(trapping(child.clone())), Verdict::Killed);
    child.age_seconds = 3;
    assert_eq!(verdict(trapping(child.clone())), Verdict::Unknown);
    // Started with &: the shell made it ignore SIGINT and SIGQUIT.
    child.signals.ignored = INT | QUIT;
    assert_eq!(verdict(trapping(child.clone())), Verdict::Ends);
    // Node puts them back to the default.
    child.signals.ignored = 0;
    child.program.language = Language::Node;
    assert_eq!(verdict(trapping(child)), Verdict::Unknown);
    // A short sleep in a loop is over soon.
    let mut sleep = process(8, &["sleep", "1"]);
    sleep.age_seconds = 0;
    assert_eq!(verdict(trapping(sleep)), Verdict::Ends);
    let endless = process(8, &["sleep", "infinity"]);
    assert_eq!(verdict(trapping(endless.clone())), Verdict::Killed);
    // dash's `wait` sleeps in sigsuspend.
    let mut waiting = trapping(endless);
    waiting.call = Some("rt_sigsuspend".to_owned());
    assert_eq!(verdict(waiting), Verdict::Ends);
}

#[test]
fn every_shell_catches_sigint_which_is_no_trap() {
    let mut shell = process(7, &["bash"]);
    shell.signals.caught = INT;
    assert_eq!(judged(shell, 2).verdict, Verdict::Unknown);
}

#[test]
fn what_a_runtime_catches_is_not_what_ends_it() {
    let catching = |command: &str, inner_pid, caught| {
        let mut main = process(7, &[command, "x"]);
        main.signals.caught = caught;
        main.inner_pid = inner_pid;
        main
    };
    assert_eq!(verdict(catching("node", 1, TERM | INT)), Verdict::Unknown);
    assert_eq!(verdict(catching("node", 7, TERM | INT)), Verdict::Ends);
    let jvm = catching("java", 1, TERM | INT | QUIT);
    assert_eq!(verdict(jvm.clone()), Verdict::Ends);
    let quit = judged(jvm, 3);
    assert_eq!(quit.verdict, Verdict::Killed);
    let code = quit.cures[0].code.as_deref().unwrap_or_default();
    assert!(code.starts_with("STOPSIGNAL SIGTERM"), "{code}");
    // Python catches SIGINT alone, so that would do.
    let python = judged(catching("python3", 1, INT), 15);
    assert_eq!(python.verdict, Verdict::Killed);
    let codes = python.cures.iter().filter_map(|cure| cure.code.as_deref());
    assert!(
        codes
            .clone()
            .any(|code| code.starts_with("STOPSIGNAL SIGINT"))
    );
    assert!(codes.clone().any(|code| code.contains("signal.signal")));
}

#[test]
fn the_child_of_an_init_decides() {
    let tini = |options: &[&str]| process(7, &[&["tini"], options, &["--", "app"]].concat());
    let app = process(8, &["app"]);
    assert_eq!(verdict(below(tini(&[]), app.clone())), Verdict::Ends);
    assert_eq!(verdict(tini(&[])), Verdict::Unknown);
    let mut deaf = app.clone();
    deaf.signals.ignored = TERM;
    assert_eq!(verdict(below(tini(&[]), deaf.clone())), Verdict::Killed);
    // A shell below it ends; what it runs is told only through the group.
    let mut inner = process(9, &["app"]);
    inner.process_group = 8;
    let shell = below(process(8, &["sh", "-c", "app; true"]), inner);
    let found = judged(below(tini(&[]), shell.clone()), 15);
    assert_eq!((found.verdict, found.unheard.len()), (Verdict::Ends, 1));
    assert!(!found.cures.is_empty());
    let found = judged(below(tini(&["-vg"]), shell.clone()), 15);
    assert_eq!((found.verdict, found.unheard.len()), (Verdict::Ends, 0));
    let mut by_variable = tini(&[]);
    by_variable
        .environment
        .push(("TINI_KILL_PROCESS_GROUP".to_owned(), "1".to_owned()));
    assert!(judged(below(by_variable, shell), 15).unheard.is_empty());
}

#[test]
fn options_of_inits_rewrite_drop_and_kill() {
    let app = process(8, &["app"]);
    let under = |init: &[&str], child: &Process| verdict(below(process(7, init), child.clone()));
    let mut quits = app.clone();
    quits.signals.ignored = TERM;
    quits.signals.caught = QUIT;
    assert_eq!(under(&["dumb-init", "app"], &quits), Verdict::Killed);
    for options in [
        &["dumb-init", "-r", "15:3", "app"][..],
        &["dumb-init", "--rewrite=15:3", "app"],
        &["sexton-init", "-r", "TERM:QUIT", "app"],
        &["sexton-init", "--rewrite", "TERM:3", "--", "app"],
        &["sexton-init", "-K", "5s", "app"],
    ] {
        assert_eq!(under(options, &quits), Verdict::Ends, "{options:?}");
    }
    assert_eq!(
        under(&["dumb-init", "-r15:0", "app"], &app),
        Verdict::Killed
    );
    // Later than the grace period is too late.
    assert_eq!(
        under(&["sexton-init", "-K", "2m", "app"], &quits),
        Verdict::Killed
    );
    // An option of the command is none of the init's.
    assert_eq!(under(&["dumb-init", "app", "-r15:0"], &app), Verdict::Ends);
    // tini keeps SIGSEGV for itself; dumb-init passes it on.
    let tini = below(process(7, &["tini", "app"]), app.clone());
    assert_eq!(judged(tini, 11).verdict, Verdict::Killed);
    let dumb = below(process(7, &["dumb-init", "app"]), app);
    assert_eq!(judged(dumb, 11).verdict, Verdict::Ends);
}

#[test]
fn our_init_is_known_by_its_file_and_takes_the_options_of_its_name() {
    let called = |name: &str, options: &[&str]| {
        let mut init = process(7, &[&[name], options].concat());
        init.executable = Some("/sexton-init".to_owned());
        init
    };
    let mut inner = process(9, &["app"]);
    inner.process_group = 8;
    let shell = below(process(8, &["sh", "-c", "app; true"]), inner);
    // By its own name it ends what is left, in good order.
    let found = judged(below(called("sexton-init", &["sh"]), shell.clone()), 15);
    assert!(found.unheard.is_empty() && found.summary.contains("sh"));
    let found = judged(below(called("tini", &["sh"]), shell.clone()), 15);
    assert_eq!(found.unheard.len(), 1);
    let found = judged(below(called("tini", &["-g", "sh"]), shell.clone()), 15);
    assert!(found.unheard.is_empty());
    let mut to_all = called("tini", &["sh"]);
    to_all
        .environment
        .push(("SEXTON_INIT_TO".to_owned(), "all".to_owned()));
    assert!(judged(below(to_all, shell), 15).unheard.is_empty());
}

#[test]
fn stopped_frozen_and_sigkill() {
    let mut stopped = process(7, &["app"]);
    stopped.inner_pid = 7;
    stopped.state = State::Stopped;
    assert_eq!(verdict(stopped.clone()), Verdict::Killed);
    assert_eq!(judged(stopped, 9).verdict, Verdict::Ends);
    let mut catching = process(7, &["app"]);
    catching.signals.caught = TERM;
    let mut frozen = facts(catching, 15);
    frozen.frozen = true;
    assert_eq!(judge(&frozen).verdict, Verdict::Killed);
}

#[test]
fn signals_that_end_nobody() {
    for number in [17, 18, 23, 28, 20] {
        let mut app = process(7, &["app"]);
        app.inner_pid = 7;
        assert_eq!(judged(app, number).verdict, Verdict::Killed, "{number}");
    }
}

#[test]
fn systemd_takes_other_signals() {
    let systemd = process(7, &["systemd"]);
    let found = judged(systemd.clone(), 15);
    assert_eq!(found.verdict, Verdict::Killed);
    let code = found.cures[0].code.as_deref().unwrap_or_default();
    assert!(code.contains("SIGRTMIN+3"), "{code}");
    assert_eq!(judged(systemd, 37).verdict, Verdict::Ends);
}

#[test]
fn what_runs_in_a_sandbox_is_not_judged_by_the_sandbox() {
    for sandbox in ["runsc-sandbox", "qemu-system-x86_64"] {
        assert_eq!(verdict(process(7, &[sandbox])), Verdict::Unknown);
    }
}

#[test]
fn busybox_is_an_init_only_when_called_as_one() {
    let called = |words: &[&str]| {
        let mut busybox = process(7, words);
        busybox.executable = Some("/bin/busybox".to_owned());
        busybox.signals.blocked = vec![TERM];
        verdict(busybox)
    };
    assert_eq!(called(&["/bin/busybox", "init"]), Verdict::Ends);
    assert_eq!(called(&["/sbin/init"]), Verdict::Ends);
    assert_eq!(called(&["httpd", "-f"]), Verdict::Killed);
}

#[test]
fn a_report_carries_it_and_reads_it_back() {
    let found = judged(process(7, &["app"]), 15);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["verdict"], "killed");
    assert_eq!(json["main"]["startTicks"], 1);
    assert_eq!(json["stopSignal"]["name"], "SIGTERM");
    assert_eq!(serde_json::from_value::<ExitSignal>(json).unwrap(), found);
}

#[test]
fn the_same_verdict_is_told_without_arguments() {
    const SECRET: &str = "hunter2";
    let shell = process(7, &["sh", "-c", "crawl --token hunter2; true"]);
    let program = process(8, &["python3", "crawl.py", "--token", SECRET]);
    let facts = facts(below(shell, program), 15);
    let (all, shown) = (judge(&facts), judge_without_arguments(&facts));
    assert_eq!(all.verdict, shown.verdict);
    let shown = serde_json::to_string(&shown).unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains("crawl.py"), "{shown}");
    // Else this would prove nothing.
    assert!(serde_json::to_string(&all).unwrap().contains(SECRET));
}

#[test]
fn where_arguments_decide_that_is_what_is_told() {
    // What an init does hangs on its options.
    let told = |arguments: &[&str]| {
        let init = below(process(7, arguments), process(8, &["app", "hunter2"]));
        let facts = facts(init, 15);
        let (all, shown) = (judge(&facts), judge_without_arguments(&facts));
        assert_eq!(
            (all.verdict, all.confidence),
            (shown.verdict, shown.confidence)
        );
        let shown = serde_json::to_string(&shown).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
    };
    told(&["dumb-init", "--rewrite", "15:0", "app", "hunter2"]);
    told(&["dumb-init", "app", "hunter2"]);
    told(&["sleep", "hunter2"]);
}

#[test]
fn a_mask_that_is_opened_now_and_then_is_not_taken_for_shut() {
    let looked = |caught, inner_pid, later| {
        let mut app = process(7, &["app"]);
        app.inner_pid = inner_pid;
        app.signals.caught = caught;
        app.signals.blocked = vec![TERM];
        app.signals.later = Some(later);
        verdict(app)
    };
    let still = Later::default();
    let ran = Later { ran: true, ..still };
    let open = Later { open: TERM, ..ran };
    let awaited = Later {
        awaited: TERM,
        ..ran
    };
    assert_eq!(looked(TERM, 1, still), Verdict::Killed);
    assert_eq!(looked(TERM, 1, ran), Verdict::Unknown);
    assert_eq!(looked(TERM, 1, open), Verdict::Ends);
    assert_eq!(looked(0, 1, awaited), Verdict::Ends);
    // Without a handler an open mask lets nothing run in PID 1; elsewhere it ends the process.
    assert_eq!(looked(0, 1, ran), Verdict::Killed);
    assert_eq!(looked(0, 7, ran), Verdict::Unknown);
}

#[test]
fn an_init_that_may_not_signal_its_command() {
    let under = |name: &str| {
        let mut init = process(7, &[name, "--", "app"]);
        init.may_kill = false;
        let mut app = process(8, &["app"]);
        app.uids = [33; 4];
        judged(below(init, app), 15)
    };
    assert_eq!(under("tini").mark(), Mark::EndsUnheard);
    assert_eq!(under("dumb-init").verdict, Verdict::Killed);
    assert_eq!(under("sexton-init").mark(), Mark::EndsUnheard);
    assert!(
        under("dumb-init").cures[0]
            .code
            .as_deref()
            .unwrap()
            .contains("USER 33")
    );
}

#[test]
fn what_ends_and_loses_work_has_a_mark_of_its_own() {
    let shell = below(process(8, &["sh", "-c", "app; true"]), process(9, &["app"]));
    let lost = judged(below(process(7, &["tini", "--", "sh"]), shell), 15);
    assert_eq!(
        (lost.verdict, lost.mark()),
        (Verdict::Ends, Mark::EndsUnheard)
    );
    assert!(lost.cures.iter().any(|cure| cure.text.contains("exec")));
    // Not only shells leave children behind.
    let flock = below(process(8, &["flock", "/x", "app"]), process(9, &["app"]));
    let lost = judged(below(process(7, &["tini", "--", "flock"]), flock), 15);
    assert_eq!(lost.mark(), Mark::EndsUnheard);
    // An orphan came to the init.
    let mut tini = below(process(7, &["tini", "--", "app"]), process(8, &["app"]));
    tini = below(tini, process(9, &["daemon"]));
    assert_eq!(judged(tini, 15).unheard[0].name, "daemon");
}

#[test]
fn a_rewritten_title_is_in_no_cure() {
    let mut child = process(8, &["redis-server *:6379"]);
    child.executable = Some("/usr/bin/redis-server".to_owned());
    child.name = "redis-server".to_owned();
    let code = |shell: Process, child: &Process| {
        let found = judged(below(shell, child.clone()), 15);
        let codes = found.cures.into_iter().filter_map(|cure| cure.code);
        codes.collect::<String>()
    };
    let text = "redis-server --save \"\"; true";
    let by_text = code(process(7, &["sh", "-c", text]), &child);
    assert!(
        by_text.contains(r#"ENTRYPOINT ["redis-server", "--save", ""]"#),
        "{by_text}"
    );
    let prepared = "cd /x && A=\"1 2\" redis-server; true";
    let prepared = code(process(7, &["sh", "-c", prepared]), &child);
    assert!(!prepared.contains("ENTRYPOINT [\"redis"), "{prepared}");
    let unread = code(process(7, &["sh", "/entry.sh"]), &child);
    assert!(!unread.contains("redis-server"), "{unread}");
    let mut script = process(7, &["sh", "/entry.sh"]);
    script.texts = vec![Text {
        path: "/entry.sh".to_owned(),
        content: "set -e\nredis-server $ARGS\necho over\n".to_owned(),
    }];
    assert!(code(script, &child).contains("exec redis-server $ARGS\n"));
    // One that another program started before is not said to be what is to be started.
    child.command_line = vec!["worker".to_owned()];
    child.rewrote_title = true;
    assert!(!code(process(7, &["sh", "/entry.sh"]), &child).contains("worker"));
}

#[test]
fn a_server_with_open_requests_that_waits_for_too_long_is_not_said_to_end() {
    let serving = |words: &[&str], connections| {
        let mut server = process(7, words);
        server.signals.caught = TERM;
        let mut facts = facts(server, 15);
        facts.connections = connections;
        facts.grace.as_mut().unwrap().seconds = 10;
        judge(&facts)
    };
    assert_eq!(serving(&["gunicorn", "x"], Some(0)).verdict, Verdict::Ends);
    let busy = serving(&["gunicorn", "x"], Some(2));
    assert_eq!(busy.verdict, Verdict::Unknown);
    let says = |words: &str| busy.facts.iter().any(|fact| fact.contains(words));
    assert!(
        says("waits up to 30s") && says("2 connections are open"),
        "{:?}",
        busy.facts
    );
    let shorter = ["gunicorn", "--graceful-timeout", "5"];
    assert_eq!(serving(&shorter, Some(2)).verdict, Verdict::Ends);
    assert_eq!(serving(&["squid"], Some(0)).verdict, Verdict::Killed);
}

#[test]
fn a_hook_takes_its_time_from_the_grace_period() {
    let mut app = process(7, &["sexton-init", "-K", "15s", "--", "app"]);
    let mut deaf = process(8, &["app"]);
    deaf.signals.ignored = TERM;
    app = below(app, deaf);
    let mut facts = facts(app, 15);
    assert_eq!(judge(&facts).verdict, Verdict::Ends);
    facts.pre_stop = Some(Hook {
        script: None,
        command: ["sh", "-c", "sleep 20"].map(str::to_owned).to_vec(),
        sleep: None,
    });
    let found = judge(&facts);
    assert_eq!(found.verdict, Verdict::Killed);
    assert!(
        found.facts[1].contains("10s of the grace period of 30s"),
        "{:?}",
        found.facts
    );
}

#[test]
fn no_cure_is_told_twice() {
    let mut app = process(7, &["app"]);
    app.signals.ignored = TERM | INT | QUIT;
    for number in [15, 28, 3] {
        let cures = judged(app.clone(), number).cures;
        for (at, cure) in cures.iter().enumerate() {
            assert!(!cures[..at].contains(cure), "{cures:?}");
        }
        assert!(!cures.is_empty());
    }
}

#[test]
fn a_trap_that_ends_nothing_is_not_taken_for_an_end() {
    let looping = |trap: &str| {
        let text = format!("trap {trap} TERM; while :; do sleep 1; done");
        let mut shell = process(7, &["bash", "-c", &text]);
        shell.signals.caught = TERM;
        let mut sleep = process(8, &["sleep", "1"]);
        sleep.age_seconds = 0;
        verdict(below(shell, sleep))
    };
    assert_eq!(looping("'exit 0'"), Verdict::Ends);
    assert_eq!(looping("'echo not now'"), Verdict::Unknown);
    assert_eq!(looping("'stopping=1'"), Verdict::Ends);
}

#[test]
fn the_text_of_a_node_program_tells_of_its_handler() {
    let node = |texts: &[(&str, &str)]| {
        let mut main = process(7, &["node", "server.js"]);
        main.signals.caught = TERM;
        let text = |(path, content): &(&str, &str)| Text {
            path: (*path).to_owned(),
            content: (*content).to_owned(),
        };
        main.texts = texts.iter().map(text).collect();
        judged(main, 15)
    };
    let alone = |code: &str| node(&[("/srv/server.js", code)]).verdict;
    let handler = "process.on('SIGTERM', () => server.close());";
    assert_eq!(alone(handler), Verdict::Ends);
    assert_eq!(
        alone("['SIGINT', 'SIGTERM'].forEach(s => process.on(s, () => process.exit()))"),
        Verdict::Ends
    );
    assert_eq!(
        alone("const http = require('node:http'); http.createServer().listen(80)"),
        Verdict::Killed
    );
    assert_eq!(alone(&format!("// {handler}")), Verdict::Killed);
    assert_eq!(
        alone("process.on('exit', () => child.kill('SIGTERM'))"),
        Verdict::Killed
    );
    for unclear in [
        "require('express')().listen(80)",
        "require('./missing')",
        "require(name)",
        "process.on('SIGTERM', () => console.log('not yet'))",
        "process.on(name, f)",
    ] {
        assert_eq!(alone(unclear), Verdict::Unknown, "{unclear}");
    }
    let both = |inner: &str| {
        node(&[
            ("/srv/server.js", "require('./lib/stop')"),
            ("/srv/lib/stop.js", inner),
        ])
    };
    assert_eq!(both(handler).verdict, Verdict::Ends);
    let found = both("");
    assert_eq!(found.verdict, Verdict::Killed);
    // What its text tells is not for sure.
    assert_eq!(found.confidence, Confidence::Medium);
    let mut loaded = process(7, &["node", "-r", "dd-trace/init", "server.js"]);
    loaded.signals.caught = TERM;
    assert_eq!(verdict(loaded), Verdict::Unknown);
}

#[test]
fn what_runs_a_script_of_package_json_tells_its_shell_alone() {
    let server = process(9, &["node", "server.js"]);
    let shell = below(process(8, &["sh", "-c", "node server.js"]), server);
    let under = |command: &[&str], child: Process| {
        let mut runner = process(7, command);
        runner.signals.caught = TERM;
        if !["bun", "deno", "pnpm"].contains(&command[0]) {
            runner.executable = Some("/usr/bin/node".to_owned());
            runner.program.language = Language::Node;
        }
        judged(below(runner, child), 15)
    };
    for runner in [
        &["npm start"][..],
        &["node", "/usr/bin/npm", "start"],
        &["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "start"],
        &["node", "/usr/bin/yarn", "start"],
    ] {
        let found = under(runner, shell.clone());
        assert_eq!(found.verdict, Verdict::Ends, "{runner:?}");
        assert_eq!(found.unheard.len(), 1, "{runner:?}");
        let code = found.cures[0].code.as_deref();
        assert_eq!(code, Some("ENTRYPOINT [\"node\", \"server.js\"]\n"));
    }
    let mut deaf = process(8, &["node", "server.js"]);
    deaf.signals.ignored = TERM;
    for runner in [
        &["npm start"][..],
        &["bun", "run", "start"],
        &["deno", "task", "start"],
    ] {
        assert_eq!(
            under(runner, deaf.clone()).verdict,
            Verdict::Killed,
            "{runner:?}"
        );
    }
    assert_eq!(
        under(&["pnpm", "start"], shell.clone()).verdict,
        Verdict::Unknown
    );
    // A server of its own, with a worker.
    assert_eq!(under(&["bun", "server.ts"], deaf).verdict, Verdict::Ends);
}

#[test]
fn a_handler_that_is_seen_to_end_nothing_is_not_taken_for_an_end() {
    let of = |language, command: &[&str]| {
        let mut main = process(7, command);
        main.signals.caught = TERM;
        main.program.language = language;
        verdict(main)
    };
    let python = |code: &str| of(Language::Python, &["python3", "-c", code]);
    let handler = |body: &str| python(&format!("signal.signal(signal.SIGTERM, {body})"));
    assert_eq!(handler("lambda *_: None"), Verdict::Unknown);
    assert_eq!(handler("lambda *_: sys.exit(0)"), Verdict::Ends);
    assert_eq!(handler("stop.set"), Verdict::Ends);
    // It may be in a module that is taken in.
    assert_eq!(python("import app; app.run()"), Verdict::Ends);
    let ruby = |code: &str| of(Language::Ruby, &["ruby", "-e", code]);
    assert_eq!(ruby("trap('TERM') {}; sleep"), Verdict::Unknown);
    assert_eq!(ruby("trap(:TERM) { exit }; sleep"), Verdict::Ends);
    assert_eq!(ruby("sleep"), Verdict::Ends);
    let perl = |code: &str| of(Language::Perl, &["perl", "-e", code]);
    assert_eq!(perl("$SIG{TERM} = sub {}; sleep"), Verdict::Unknown);
    assert_eq!(perl("$SIG{TERM} = sub { exit 0 }; sleep"), Verdict::Ends);
}

#[test]
fn the_only_command_of_a_shell_is_its_child_whatever_that_is_called_now() {
    let beam = process(8, &["/usr/lib/erlang/bin/beam.smp", "--", "-root"]);
    let shell = |text: &str| judged(below(process(7, &["sh", "-c", text]), beam.clone()), 15);
    let found = shell("cd /app && elixir --no-halt -e :ok; true");
    let code = found.cures[0].code.as_deref();
    let line = "ENTRYPOINT [\"sh\", \"-c\", \"cd /app && exec elixir --no-halt -e :ok\"]\n";
    assert_eq!(code, Some(line));
    let found = shell("elixir a; elixir b");
    assert_eq!(found.cures[0].code, None);
}

#[test]
fn a_handler_for_another_wish_is_not_taken_for_an_end() {
    const HUP: u64 = 1;
    const USR1: u64 = 1 << 9;
    let of = |command: &[&str], language, number| {
        let mut main = process(7, command);
        main.signals.caught = HUP | USR1;
        main.program.language = language;
        judged(main, number).verdict
    };
    let native = |name, number| of(&[name], Language::Native, number);
    assert_eq!(native("squid", 1), Verdict::Killed);
    assert_eq!(native("app", 1), Verdict::Unknown);
    assert_eq!(native("app", 10), Verdict::Unknown);
    assert_eq!(native("haproxy", 10), Verdict::Ends);
    // These runtimes end on it by themselves.
    for language in [Language::Java, Language::Go, Language::Ruby] {
        assert_eq!(of(&["app"], language, 1), Verdict::Ends, "{language:?}");
    }
    let text = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))";
    let python = ["python3", "-c", text];
    assert_eq!(of(&python, Language::Python, 10), Verdict::Ends);
}

#[test]
fn a_node_program_with_a_title_of_its_own_is_known_by_what_it_was_started_as() {
    let mut main = process(7, &["node"]);
    main.signals.caught = TERM;
    (main.name, main.command_line) = ("app".to_owned(), vec!["app".to_owned()]);
    main.rewrote_title = true;
    assert_eq!(verdict(main.clone()), Verdict::Unknown);
    let mut started_as = |code: &str| {
        main.started_as = Some(["node", "-e", code].map(str::to_owned).to_vec());
        verdict(main.clone())
    };
    assert_eq!(started_as("setInterval(() => {}, 1000)"), Verdict::Killed);
    let handler = "process.on('SIGTERM', () => process.exit())";
    assert_eq!(started_as(handler), Verdict::Ends);
}
