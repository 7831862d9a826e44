//! Facts made by hand: the order of causes, the texts, and the rules of the knowledge base.
//! `crates/scan/tests/causes.rs` makes each situation for real.

use super::condition::glob;
use super::*;
use crate::holder::{self, HoldsAs};
use crate::report::{Ages, CommandCount};
use crate::{Container, Leak, ProcessId, Runtime, SigchldAction, State};

/// Ten zombies that a plain program, not PID 1, started itself and never waited for.
fn facts() -> Facts {
    Facts {
        leak: Leak {
            holder: holder::fixture(4242),
            container: Some(Container {
                id: "ab".repeat(32),
                runtime: Runtime::Containerd,
                name: None,
                pod: None,
                owner: None,
                cgroup: "/kubepods/x".to_owned(),
            }),
            protected: None,
            zombies: 10,
            inspected: 10,
            commands: vec![CommandCount {
                name: "fetch".to_owned(),
                count: 10,
            }],
            ages: Ages::default(),
            sample: Vec::new(),
            causes: Vec::new(),
            origins: Vec::new(),
            forecast: None,
            notes: Vec::new(),
        },
        program: Program {
            language: Language::Native,
            evidence: Some("no mark of a runtime (/proc/4242/exe)".to_owned()),
        },
        starts_processes: Answer::Unknown,
        first: FirstProcess {
            kind: First::Init,
            pid: Some(4000),
            command_line: "tini -- crawler".to_owned(),
        },
        shared_pid_namespace: Answer::No,
        origins: Origins {
            direct: 10,
            adopted: 0,
            inherited: 0,
            early: false,
            unknown: 0,
            session: Session::Holder,
            same_name: false,
            killed: false,
            evidence: vec!["It started all 10 itself.".to_owned()],
        },
        waited_faults: Some(0),
        seen_waiting: false,
        dead_seconds: Some(3_600),
        waits_for: Vec::new(),
        held_pipe: None,
        asleep: Asleep::default(),
        out_of_reach: false,
        calls: vec![Call {
            name: "futex".to_owned(),
            threads: 3,
        }],
        sigchld: Sigchld {
            blocked: Blocked::None,
            pending: false,
            collector: None,
        },
        drivers: Vec::new(),
        misplaced_inits: Vec::new(),
        notes: Vec::new(),
    }
}

/// The same as PID 1 that was given orphans.
fn adopting(language: Language, zombies: &str) -> Facts {
    let mut facts = facts();
    facts.program.language = language;
    facts.leak.holder.namespace_init = true;
    facts.leak.commands[0].name = zombies.to_owned();
    facts.first.kind = First::Program;
    facts.origins.direct = 0;
    facts.origins.adopted = 10;
    facts.origins.session = Session::Ended;
    facts
}

fn first(facts: &Facts) -> (String, Confidence) {
    let cause = diagnose(facts).swap_remove(0);
    (cause.id, cause.confidence)
}

#[test]
fn there_is_always_an_answer() {
    let mut unknown = facts();
    unknown.program = Program {
        language: Language::Unknown,
        evidence: None,
    };
    unknown.first = FirstProcess {
        kind: First::Unknown,
        pid: None,
        command_line: String::new(),
    };
    unknown.origins.direct = 0;
    unknown.origins.unknown = 10;
    unknown.waited_faults = None;
    unknown.calls.clear();
    unknown.sigchld.blocked = Blocked::Unknown;
    assert_eq!(first(&unknown), ("not-known".to_owned(), Confidence::Low));
}

#[test]
fn the_language_goes_before_the_generic_cause() {
    let mut go = facts();
    go.program.language = Language::Go;
    let causes = diagnose(&go);
    let ids: Vec<_> = causes.iter().map(|cause| cause.id.as_str()).collect();
    assert_eq!(
        ids[..3],
        [
            "go-start-without-wait",
            "init-not-the-parent",
            "parent-never-waits"
        ]
    );
    assert_eq!(causes[0].confidence, Confidence::High);
    assert!(
        causes[0]
            .facts
            .contains(&"It started all 10 itself.".to_owned())
    );
    assert!(
        causes[0].now[0].starts_with("`sexton reap 4242 --yes` takes"),
        "{:?}",
        causes[0].now
    );
}

#[test]
fn what_cannot_run_goes_before_all() {
    let mut stopped = facts();
    stopped.program.language = Language::Go;
    stopped.leak.holder.state = State::Stopped;
    assert_eq!(first(&stopped).0, "holder-stopped");
    stopped.leak.holder.frozen = true;
    assert_eq!(first(&stopped).0, "holder-frozen");
    let mut traced = facts();
    traced.leak.holder.holds_as = HoldsAs::Tracer;
    assert_eq!(first(&traced).0, "zombies-held-by-tracer");
}

#[test]
fn after_a_reap_the_cause_is_less_sure_and_the_same() {
    // `sexton reap` makes the holder wait, and cminflt grows.
    let mut go = facts();
    go.program.language = Language::Go;
    go.waited_faults = Some(12_345);
    assert_eq!(
        first(&go),
        ("go-start-without-wait".to_owned(), Confidence::Medium)
    );
}

#[test]
fn zombies_that_are_young_or_may_be_a_scripts_are_never_sure() {
    let mut young = facts();
    young.dead_seconds = Some(4);
    let mut not_shown = facts();
    not_shown.dead_seconds = None;
    let mut early = facts();
    early.origins.early = true;
    for doubtful in [young, not_shown, early] {
        let causes = diagnose(&doubtful);
        assert!(causes.iter().all(|c| c.confidence < Confidence::High));
        assert_eq!(causes[0].id, diagnose(&facts())[0].id);
        // A stopped process does not wait, however young its zombies are.
        let mut stopped = doubtful;
        stopped.leak.holder.state = State::Stopped;
        assert_eq!(
            first(&stopped),
            ("holder-stopped".to_owned(), Confidence::High)
        );
    }
}

#[test]
fn a_less_sure_cause_does_not_take_the_place_of_a_surer_one() {
    let before = diagnose(&facts());
    let mut reaped = facts();
    reaped.waited_faults = Some(500);
    let after = diagnose(&reaped);
    assert_eq!(before[0].id, after[0].id);
    assert!(outlast(&before, &after) && !outlast(&after, &before));
    assert!(!outlast(&[], &after) && !outlast(&before, &[]));
    // It goes on again: that it was stopped is no longer true.
    let mut stopped = facts();
    stopped.leak.holder.state = State::Stopped;
    assert!(!outlast(&diagnose(&stopped), &after));
}

#[test]
fn the_probe_of_go_is_no_wait_for_a_command() {
    let mut go = facts();
    go.program.language = Language::Go;
    go.waited_faults = Some(1);
    assert_eq!(
        first(&go),
        ("go-start-without-wait".to_owned(), Confidence::High)
    );
    go.program.language = Language::Native;
    assert_eq!(go.waited(), Answer::Unknown);
}

#[test]
fn signatures() {
    let named = |language, holder: &str, zombies| {
        let mut facts = adopting(language, zombies);
        facts.leak.holder.name = holder.chars().take(15).collect();
        facts.leak.holder.executable = Some(format!("/usr/bin/{holder}"));
        facts.leak.holder.command_line = vec![holder.to_owned()];
        first(&facts).0
    };
    assert_eq!(named(Language::Go, "argocd", "git"), "argocd-git");
    assert_eq!(
        named(Language::Native, "redis-server", "redis-cli"),
        "probe-redis"
    );
    assert_eq!(named(Language::Go, "etcd", "etcdctl"), "probe-etcd");
    assert_eq!(
        named(Language::Go, "dockerd", "containerd-shim"),
        "nested-runtime"
    );
    assert_eq!(
        named(Language::Go, "cadvisor", "timeout"),
        "busybox-timeout"
    );
    assert_eq!(named(Language::Erlang, "beam.smp", "sh"), "erlang-ports");
    assert_eq!(named(Language::DotNet, "dotnet", "sh"), "dotnet-init");
    assert_eq!(
        named(Language::Python, "python3.11", "chrome"),
        "browser-orphans"
    );
    assert_eq!(named(Language::Go, "server", "git"), "go-init");
}

/// One output does not say that a program waits in vain, and that it does not wait.
#[test]
fn what_keeps_it_from_its_wait_refutes_that_it_does_not_wait() {
    let unsure = |facts: &Facts| {
        let causes = diagnose(facts);
        let (first, others) = causes.split_first().unwrap();
        assert!(
            others
                .iter()
                .all(|cause| cause.confidence == Confidence::Low),
            "{causes:#?}"
        );
        first.id.clone()
    };
    let mut reads = facts();
    reads.held_pipe = Some(HeldPipe {
        name: "pipe:[5]".to_owned(),
        writers: vec!["ssh (pid 12)".to_owned()],
    });
    assert_eq!(unsure(&reads), "pipe-held");
    let mut missed = facts();
    missed.sigchld.collector = Some(4243);
    assert_eq!(unsure(&missed), "sigchld-to-other-thread");
    let mut blocked = facts();
    blocked.leak.holder.sigchld = SigchldAction::Caught;
    blocked.sigchld.blocked = Blocked::All;
    assert_eq!(unsure(&blocked), "sigchld-blocked");
    // It may wait for what it started and for no orphan.
    let mut orphans = adopting(Language::Python, "sleep");
    orphans.held_pipe = reads.held_pipe;
    assert!(
        diagnose(&orphans)
            .iter()
            .any(|cause| cause.id == "python-init" && cause.confidence > Confidence::Low)
    );
}

#[test]
fn who_may_not_touch_the_parent_is_told_so_first() {
    let mut hidden = facts();
    hidden.program.language = Language::Unknown;
    hidden.program.evidence = None;
    hidden.out_of_reach = true;
    let cause = &diagnose(&hidden)[0];
    assert!(cause.now[0].starts_with("Become root first"), "{cause:#?}");
    let told = text::fill("{program}", &hidden).unwrap();
    assert!(told.contains("this user may not read /proc/"), "{told}");
}

#[test]
fn control_characters_and_braces_in_names_stay_data() {
    let mut odd = facts();
    odd.leak.commands[0].name = "{target}".to_owned();
    odd.leak.holder.command_line = vec!["{pid}".to_owned()];
    let causes = diagnose(&odd);
    let texts = causes.iter().flat_map(|cause| &cause.facts);
    // Filled once, never again.
    for text in texts.filter(|text| text.contains('{')) {
        assert!(
            text.contains("{pid}") || text.contains("{target}"),
            "{text}"
        );
    }
}

#[test]
fn origins_are_judged_by_those_that_tell() {
    let judge = |direct, adopted, unknown| {
        let mut facts = facts();
        (facts.origins.direct, facts.origins.adopted) = (direct, adopted);
        facts.origins.unknown = unknown;
        facts.origins.origin()
    };
    assert_eq!(judge(0, 0, 9), Origin::Unknown);
    assert_eq!(judge(3, 0, 9), Origin::Direct);
    assert_eq!(judge(0, 3, 9), Origin::Adopted);
    assert_eq!(judge(5, 5, 0), Origin::Mixed);
    assert_eq!(judge(1, 99, 0), Origin::Adopted);
}

#[test]
fn kinds_of_first_processes() {
    let kind = |executable: &str, command: &str| {
        let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
        kind_of_first(Some(executable), &words)
    };
    assert_eq!(kind("/usr/bin/tini-static", "tini -- app"), First::Init);
    assert_eq!(
        kind("/sbin/docker-init", "/sbin/docker-init -- app"),
        First::Init
    );
    assert_eq!(kind("/usr/lib/systemd/systemd", "/sbin/init"), First::Init);
    assert_eq!(kind("/bin/busybox", "init"), First::Init);
    assert_eq!(
        kind(
            "/usr/bin/python3.11",
            "/usr/bin/python3 /usr/bin/supervisord -n"
        ),
        First::Init
    );
    assert_eq!(kind("/pause", "/pause"), First::Pause);
    assert_eq!(kind("/usr/bin/sleep", "sleep infinity"), First::KeepAlive);
    assert_eq!(kind("/bin/busybox", "sleep 3600"), First::KeepAlive);
    assert_eq!(
        kind("/bin/busybox", "/bin/busybox tail -f /dev/null"),
        First::KeepAlive
    );
    assert_eq!(kind("/usr/bin/tail", "tail -f /dev/null"), First::KeepAlive);
    assert_eq!(kind("/usr/bin/tail", "tail -n 5 log"), First::Program);
    assert_eq!(kind("/usr/bin/cat", "cat"), First::KeepAlive);
    assert_eq!(kind("/usr/bin/dash", "sh -c run"), First::Shell);
    assert_eq!(kind("/bin/busybox", "/bin/sh /start.sh"), First::Shell);
    assert_eq!(
        kind("/usr/bin/python3.11 (deleted)", "python3 app.py"),
        First::Program
    );
    assert_eq!(kind("/usr/bin/node", "node init"), First::Program);
    assert_eq!(kind_of_first(None, &[]), First::Unknown);
}

#[test]
fn globs() {
    for (pattern, text, fits) in [
        ("redis-cli", "redis-cli", true),
        ("redis-cli", "redis-cli2", false),
        ("chrome*", "chrome_crashpad", true),
        ("*airflow*", "/usr/bin/python airflow scheduler", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b-d", false),
        ("?", "", false),
        ("*", "", true),
        ("", "", true),
    ] {
        assert_eq!(
            glob(pattern.as_bytes(), text.as_bytes()),
            fits,
            "{pattern} {text}"
        );
    }
}

mod knowledge_base {
    use super::*;

    #[test]
    fn every_template_is_filled_when_all_is_known() {
        let mut full = facts();
        full.leak.holder.state = State::Stopped;
        full.leak.holder.traced_by = Some(77);
        full.shared_pid_namespace = Answer::Yes;
        full.drivers = vec!["chromedriver (pid 9)".to_owned()];
        full.starts_processes = Answer::No;
        full.waits_for = vec![7];
        full.held_pipe = Some(HeldPipe {
            name: "pipe:[5]".to_owned(),
            writers: vec!["ssh (pid 12)".to_owned()],
        });
        full.sigchld.collector = Some(4243);
        full.asleep = Asleep {
            waits_for: Some(crate::ending::WaitsFor::Device),
            function: Some("request_wait_answer".to_owned()),
            vfork_child: Some((13, "sh".to_owned())),
            thaw: Some(Thaw {
                file: "/sys/fs/cgroup/job/cgroup.freeze".to_owned(),
                value: "0",
            }),
        };
        full.misplaced_inits = vec!["tini (pid 8)".to_owned()];
        for entry in entries() {
            let templates = entry.facts.iter().chain(entry.now);
            for template in templates.chain([&entry.cure.text]) {
                assert!(
                    text::fill(template, &full).is_some(),
                    "{}: {template}",
                    entry.id
                );
            }
        }
    }

    #[test]
    fn every_cause_has_its_test() {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../scan/tests");
        let mut code = String::new();
        let mut directories = vec![std::path::PathBuf::from(tests)];
        while let Some(directory) = directories.pop() {
            for file in std::fs::read_dir(directory).unwrap() {
                let path = file.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    code.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        for entry in entries() {
            let made = code.contains(&format!("#[test]\nfn {}()", entry.test));
            let why_not = entry.test.starts_with("cannot be made here: ");
            assert!(made || why_not, "{}: no test {}", entry.id, entry.test);
        }
    }

    #[test]
    fn the_pages_are_up_to_date() {
        let docs = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
        let pages = handbook();
        for (path, page) in &pages {
            let written = std::fs::read_to_string(docs.join(path)).unwrap_or_default();
            assert!(&written == page, "{path}: make generate");
        }
        // The list is the only one that is not in this directory.
        let written = std::fs::read_dir(docs.join("runbooks/causes"))
            .unwrap()
            .count();
        assert_eq!(written, pages.len() - 1, "a page of a cause that is gone");
    }

    #[test]
    fn commands_are_those_of_the_tool() {
        for entry in entries() {
            for step in entry.now.iter().filter(|step| step.contains("sexton ")) {
                let known = step.contains("`sexton explain {target}`")
                    || step.contains("`sexton reap`")
                    || step.contains("Run sexton as root");
                assert!(known, "{}: {step}", entry.id);
            }
        }
    }
}

#[test]
fn nobody_is_told_to_reap_for_a_protected_holder() {
    let mut shim = facts();
    shim.leak.holder.name = "containerd-shim".to_owned();
    shim.leak.protected = Some("container runtime shim (containerd-shim)".to_owned());
    for cause in diagnose(&shim) {
        assert!(cause.now[0].contains("never touches"), "{:?}", cause.now);
        assert!(
            !cause.now.iter().any(|step| step.contains("sexton reap")),
            "{:?}",
            cause.now
        );
    }
    // For a process of the host it takes a word more.
    let mut host = facts();
    host.leak.container = None;
    let now = &diagnose(&host)[0].now;
    assert!(
        now[0].starts_with("`sexton reap 4242 --yes --allow-host` takes"),
        "{now:?}"
    );
}

#[test]
fn sigchld_that_is_blocked_everywhere_goes_before_the_handler() {
    let mut blocked = facts();
    blocked.leak.holder.sigchld = SigchldAction::Caught;
    blocked.sigchld.blocked = Blocked::All;
    blocked.leak.holder.id = ProcessId {
        pid: 5,
        start_ticks: 1,
    };
    let ids: Vec<_> = diagnose(&blocked).into_iter().map(|c| c.id).collect();
    assert_eq!(ids[0], "sigchld-blocked");
    assert!(!ids.contains(&"handler-misses-children".to_owned()));
}

#[test]
fn the_same_causes_are_told_without_arguments() {
    const SECRET: &str = "hunter2";
    for first in [First::Init, First::Program, First::Shell, First::KeepAlive] {
        let mut facts = adopting(Language::Python, "chrome");
        let line = ["python3", "crawl.py", "--token", SECRET];
        facts.leak.holder.command_line = line.map(str::to_owned).to_vec();
        facts.first.kind = first;
        facts.first.command_line = line.join(" ");
        let all = diagnose(&facts);
        let shown = diagnose_without_arguments(&facts);
        let ids = |causes: &[Cause]| causes.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&all), ids(&shown));
        let shown = serde_json::to_string(&shown).unwrap();
        assert!(!shown.contains(SECRET), "{shown}");
        // Else this would prove nothing.
        let all = serde_json::to_string(&all).unwrap();
        assert!(all.contains(SECRET), "{all}");
    }
}
