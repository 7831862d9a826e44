//! Made-up nodes, for the example and for the tests.

use std::collections::BTreeMap;

use sexton_core::audit::{ExitSignal, Grace, MainProcess, StopSignal, Verdict};
use sexton_core::cause::{
    Answer, Blocked, Call, Facts, FirstProcess, Language, Origins, Program, Session, Sigchld,
    diagnose, kind_of_first,
};
use sexton_core::forecast::{History, Starts};
use sexton_core::holder::HoldsAs;
use sexton_core::limit::mark_first;
use sexton_core::report::{
    API_VERSION, Ages, CgroupMode, CommandCount, KIND, Method, Node, Scan, Started,
};
use sexton_core::text::time::rfc3339;
use sexton_core::{
    Container, Holder, Leak, Limit, LimitKind, Pod, ProcessId, Report, Runtime, SigchldAction,
    State,
};
use sexton_page::{Action, ActionOutcome, AgentState, Mode, PolicyState, Problem, Sample, View};

/// 2026-11-24, shortly after three in the morning.
const NOW: u64 = 1_795_489_458;

/// All that a page is drawn from.
pub(crate) struct Situation {
    pub(crate) report: Report,
    pub(crate) limits: BTreeMap<ProcessId, Vec<Limit>>,
    pub(crate) agent: AgentState,
    pub(crate) history: Vec<Sample>,
    pub(crate) actions: Vec<Action>,
}

impl Situation {
    pub(crate) fn view(&self) -> View<'_> {
        View {
            now: NOW,
            report: &self.report,
            limits: &self.limits,
            agent: &self.agent,
            history: &self.history,
            actions: &self.actions,
            refresh: Some(30),
        }
    }
}

/// A node without zombies.
pub(crate) fn quiet() -> Situation {
    let mut limits = vec![
        limit(LimitKind::ThreadsMax, "node", 1_412, 253_382, 0),
        limit(LimitKind::PidMax, "node", 1_412, 32_768, 0),
        limit(
            LimitKind::CgroupPids,
            "cgroup /kubepods.slice",
            1_180,
            30_720,
            0,
        ),
    ];
    mark_first(&mut limits);
    Situation {
        report: Report {
            reached: Vec::new(),
            cannot_end: Vec::new(),
            exit_signals: Vec::new(),
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            node: Node {
                name: "worker-07.eu-central".to_owned(),
                kernel: "6.12.41-cloud-amd64".to_owned(),
                boot_id: "3f0c2b5e-9d41-4a86-8c11-52f2a1f0c7de".to_owned(),
                cgroups: CgroupMode::V2,
            },
            scanned_at: rfc3339(NOW - 4),
            zombies: 0,
            leaks: vec![],
            limits,
            notes: vec![],
            scan: Scan {
                method: Method::Quiet,
                micros: 1_840,
                cgroups: 143,
                processes_read: 0,
                unreadable_facts: std::collections::BTreeMap::new(),
            },
        },
        limits: BTreeMap::new(),
        agent: AgentState {
            version: "0.1.0".to_owned(),
            mode: Mode::Observe,
            scanned: NOW - 4,
            interval_seconds: 10,
            ..AgentState::default()
        },
        history: (0..=360)
            .map(|i| Sample {
                at: NOW - 4 - (360 - i) * 10,
                zombies: 0,
                headroom: Some(29_300 + i % 17),
                leaks: vec![],
            })
            .collect(),
        actions: vec![],
    }
}

/// A bad night: twelve leaks, one of them at its limit.
pub(crate) fn busy() -> Situation {
    let mut situation = quiet();
    for one in stories() {
        let (leak, limits) = one.tell();
        situation.limits.insert(leak.holder.id, limits);
        situation.report.leaks.push(leak);
    }
    let report = &mut situation.report;
    report
        .leaks
        .sort_by_key(|leak| std::cmp::Reverse(leak.zombies));
    report.zombies = report.leaks.iter().map(|leak| leak.zombies).sum();
    report.limits = vec![
        limit(
            LimitKind::ThreadsMax,
            "node",
            24_102,
            253_382,
            report.zombies,
        ),
        limit(LimitKind::PidMax, "node", 24_102, 32_768, report.zombies),
        limit(
            LimitKind::CgroupPids,
            "cgroup /kubepods.slice",
            23_640,
            30_720,
            report.zombies - 122,
        ),
        Limit {
            limit: None,
            note: Some("root of the machine: RLIMIT_NPROC does not bind it".to_owned()),
            ..limit(LimitKind::Nproc, "user 0", 9_210, 1, 8_000)
        },
    ];
    mark_first(&mut report.limits);
    report.notes = vec![
        "2 containers have no name: the socket of containerd did not answer within 500 ms"
            .to_owned(),
    ];
    report.scan = Scan {
        method: Method::Census,
        micros: 23_400,
        cgroups: 143,
        processes_read: 1_824,
        unreadable_facts: std::collections::BTreeMap::new(),
    };
    situation.report.exit_signals = exit_signals(&situation.report);
    situation.history = history(&situation.report);
    situation.agent = AgentState {
        mode: Mode::Enforce,
        policies: vec![
            policy("crawlers", "crawlers.yaml", Mode::Enforce, None),
            policy("all-namespaces", "all.yaml", Mode::DryRun, None),
            policy(
                "night-shift",
                "night.yaml",
                Mode::Observe,
                Some("night.yaml:14:12: spec.settleTime: \"10 minutes\" is no duration; write 10m"),
            ),
        ],
        problems: vec![Problem {
            at: NOW - 312,
            what: "containerd: /run/containerd/containerd.sock: no answer within 500 ms".to_owned(),
        }],
        ..situation.agent
    };
    situation.actions = actions();
    situation
}

/// Processes that try to be markup.
pub(crate) fn hostile() -> Situation {
    let mut situation = busy();
    let bad = "\"><script>document.title='owned'</script><img src=x onerror=alert(1)>\u{202e}gnp\u{1b}[2J\n";
    let bytes = bad.to_owned();
    for leak in &mut situation.report.leaks {
        leak.holder.name = bytes.chars().take(15).collect();
        leak.holder.command_line = vec![bytes.clone(), "'".repeat(9), "x".repeat(4_000)];
        leak.holder.executable = Some(bytes.clone());
        leak.commands
            .iter_mut()
            .for_each(|command| command.name.clone_from(&bytes));
        if let Some(container) = &mut leak.container {
            container.name = Some(bytes.clone());
            container.id.clone_from(&bytes);
        }
        for cause in &mut leak.causes {
            cause.facts.push(bytes.clone());
            cause.cure.code = Some(bytes.clone());
        }
    }
    for found in &mut situation.report.exit_signals {
        found.container.name = Some(bytes.clone());
        found.main.command_line = vec![bytes.clone()];
        found.summary.clone_from(&bytes);
        found.facts.push(bytes.clone());
    }
    situation.report.node.name.clone_from(&bytes);
    situation.report.notes.push(bytes.clone());
    for action in &mut situation.actions {
        action.whom.clone_from(&bytes);
        action.detail.clone_from(&bytes);
    }
    situation.agent.paused = Some(bytes.clone());
    situation.agent.read_only = Some(bytes);
    situation
}

/// What one leak is about.
struct Story {
    pid: u32,
    command: &'static [&'static str],
    language: Language,
    /// Namespace, pod, container; a container alone; nothing for a process of the host.
    place: (&'static str, &'static str, &'static str),
    first: &'static [&'static str],
    ended: &'static [(&'static str, u64)],
    adopted: bool,
    /// Zombies a minute, and for how many minutes.
    per_minute: u64,
    /// `pids.max` of its container, and what lives there.
    max: u64,
    living: u64,
    drivers: &'static [&'static str],
}

fn stories() -> Vec<Story> {
    let python: &[&str] = &[
        "python3",
        "-u",
        "/app/crawl.py",
        "--workers=16",
        "--start-url=https://shop.example.com/catalogue/?page=1&sort=newest&filter=in-stock",
        "--proxy-list=/etc/crawler/proxies.txt",
        "--headless=new",
        "--timeout=45",
    ];
    let base = Story {
        pid: 0,
        command: &[],
        language: Language::Go,
        place: ("", "", ""),
        first: &["/app/server"],
        ended: &[],
        adopted: false,
        per_minute: 0,
        max: 4_096,
        living: 40,
        drivers: &[],
    };
    vec![
        Story {
            pid: 48_213,
            command: python,
            language: Language::Python,
            place: ("shop", "crawler-7d9f8c6b5-xk2lq", "crawler"),
            first: python,
            ended: &[
                ("chrome", 6_204),
                ("chromedriver", 731),
                ("chrome_crashpad", 362),
                ("cat", 188),
            ],
            adopted: true,
            per_minute: 42,
            max: 8_192,
            living: 311,
            drivers: &["chromedriver"],
        },
        Story {
            pid: 51_870,
            command: &[
                "/usr/local/bin/exporter",
                "--listen=:9100",
                "--run-every=1s",
            ],
            language: Language::Go,
            place: ("monitoring", "exporter-l8x4d", "exporter"),
            ended: &[("sh", 4_071)],
            per_minute: 60,
            max: 4_096,
            living: 25,
            ..base
        },
        Story {
            pid: 7_311,
            command: &["redis-server", "*:6379"],
            language: Language::Native,
            place: ("shop", "redis-master-0", "redis"),
            first: &["redis-server", "*:6379"],
            ended: &[("redis-cli", 2_911)],
            adopted: true,
            per_minute: 6,
            max: 16_384,
            living: 12,
            ..base
        },
        Story {
            pid: 60_025,
            command: &["tail", "-f", "/dev/null"],
            language: Language::Native,
            place: ("tools", "debug-shell", "shell"),
            first: &["tail", "-f", "/dev/null"],
            ended: &[("sshd", 1_604), ("bash", 377)],
            adopted: true,
            per_minute: 2,
            max: 16_384,
            living: 30,
            ..base
        },
        Story {
            pid: 33_190,
            command: &[
                "java",
                "-Xmx2g",
                "-jar",
                "/opt/jenkins/agent.jar",
                "-url",
                "https://ci.example.com/",
            ],
            language: Language::Java,
            place: ("ci", "agent-linux-4kq9z", "jnlp"),
            first: &["java", "-jar", "agent.jar"],
            ended: &[("sh", 911), ("git", 402), ("sleep", 12)],
            adopted: true,
            per_minute: 9,
            max: 16_384,
            living: 88,
            ..base
        },
        Story {
            pid: 29_411,
            command: &["argocd-repo-server", "--port=8081"],
            language: Language::Go,
            place: ("argocd", "argocd-repo-server-5fb9", "repo-server"),
            first: &["argocd-repo-server"],
            ended: &[("git", 603), ("gpg-agent", 44)],
            adopted: true,
            per_minute: 1,
            max: 16_384,
            living: 31,
            ..base
        },
        Story {
            pid: 18_004,
            command: &["node", "/srv/render/index.js"],
            language: Language::Node,
            place: ("", "", "render"),
            first: &["node", "/srv/render/index.js"],
            ended: &[("chrome", 377)],
            adopted: true,
            per_minute: 3,
            max: 0,
            living: 31,
            ..base
        },
        Story {
            pid: 22_650,
            command: &["airflow", "scheduler"],
            language: Language::Python,
            place: ("data", "airflow-scheduler-0", "scheduler"),
            first: &["dumb-init", "--", "airflow", "scheduler"],
            ended: &[("airflow schedul", 212)],
            per_minute: 4,
            max: 16_384,
            living: 60,
            ..base
        },
        Story {
            pid: 902,
            command: &[
                "/usr/bin/containerd-shim-runc-v2",
                "-namespace",
                "k8s.io",
                "-id",
                "5a1f",
            ],
            language: Language::Go,
            place: ("", "", ""),
            first: &["/lib/systemd/systemd"],
            ended: &[("runc", 122)],
            per_minute: 0,
            max: 0,
            ..base
        },
        Story {
            pid: 41_007,
            command: &["/app/worker"],
            language: Language::Rust,
            place: ("shop", "thumbnails-6c5d", "worker"),
            first: &["tini", "--", "/app/worker"],
            ended: &[("convert", 58)],
            per_minute: 0,
            max: 16_384,
            ..base
        },
        Story {
            pid: 55_512,
            command: &["bash", "/usr/local/bin/entrypoint.sh"],
            language: Language::Shell,
            place: ("legacy", "cron-0", "cron"),
            first: &["bash", "/usr/local/bin/entrypoint.sh"],
            ended: &[("rsync", 17), ("curl", 9)],
            per_minute: 0,
            max: 16_384,
            ..base
        },
        Story {
            pid: 61_990,
            command: &["/usr/sbin/php-fpm8.2", "--nodaemonize"],
            language: Language::Php,
            place: ("legacy", "wiki-0", "php"),
            first: &["tini", "--", "php-fpm8.2"],
            ended: &[("convert", 3)],
            per_minute: 0,
            max: 16_384,
            ..base
        },
    ]
}

impl Story {
    fn tell(&self) -> (Leak, Vec<Limit>) {
        let strings = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let zombies: u64 = self.ended.iter().map(|(_, n)| n).sum();
        let minutes = zombies.checked_div(self.per_minute).unwrap_or(4_000);
        let (namespace, pod, container) = self.place;
        let in_container = !container.is_empty();
        let is_first = self.adopted && in_container;
        let name = self.command[0].rsplit('/').next().unwrap_or_default();
        let holder = Holder {
            id: ProcessId {
                pid: self.pid,
                start_ticks: u64::from(self.pid) * 977,
            },
            ns_pids: if in_container {
                vec![self.pid, if is_first { 1 } else { 7 }]
            } else {
                vec![self.pid]
            },
            pid_namespace: Some(4_026_532_000 + u64::from(self.pid)),
            of_host: !in_container,
            name: name.chars().take(15).collect(),
            command_line: strings(self.command),
            executable: Some(format!("/usr/bin/{name}")),
            parent_pid: 1,
            uid: 0,
            threads: 8,
            state: State::Sleeping,
            frozen: false,
            traced_by: None,
            namespace_init: is_first,
            subreaper: false,
            holds_as: HoldsAs::Parent,
            sigchld: SigchldAction::Default,
            sigchld_blocked: false,
        };
        let started = Started {
            last_minute: self.per_minute,
            last_ten_minutes: self.per_minute * 10.min(minutes),
            last_hour: self.per_minute * 60.min(minutes),
        };
        let mut leak = Leak {
            protected: sexton_core::protect::protection(&holder, 4_000_000),
            holder,
            container: in_container.then(|| Container {
                id: format!("{:08x}", self.pid).repeat(8),
                runtime: if pod.is_empty() {
                    Runtime::Docker
                } else {
                    Runtime::Containerd
                },
                name: Some(container.to_owned()),
                pod: (!pod.is_empty()).then(|| Pod {
                    uid: None,
                    name: Some(pod.to_owned()),
                    namespace: Some(namespace.to_owned()),
                }),
                owner: None,
                cgroup: format!("/kubepods.slice/{pod}/{:08x}", self.pid),
            }),
            zombies,
            inspected: zombies,
            commands: self
                .ended
                .iter()
                .map(|(name, count)| CommandCount {
                    name: (*name).to_owned(),
                    count: *count,
                })
                .collect(),
            ages: Ages {
                oldest_seconds: Some(minutes * 60),
                youngest_seconds: Some(2),
                started,
                starts: Starts::default(),
            },
            sample: vec![],
            causes: vec![],
            origins: vec![],
            forecast: None,
            notes: Vec::new(),
        };
        let mut limits = vec![limit(LimitKind::PidMax, "node", 24_102, 32_768, 19_000)];
        if self.max > 0 {
            let scope = format!(
                "cgroup /kubepods.slice/{pod}/{}",
                format!("{:08x}", self.pid).repeat(8)
            );
            limits.push(limit(
                LimitKind::CgroupPids,
                &scope,
                zombies + self.living,
                self.max,
                zombies,
            ));
        }
        mark_first(&mut limits);
        let mut history = History::new();
        for second in 0..=120 {
            let since = self.per_minute * (120 - second) / 60;
            history.push(
                std::time::Duration::from_secs(second),
                zombies.saturating_sub(since),
            );
        }
        leak.forecast = Some(history.forecast(&limits, &leak.ages.starts));
        leak.causes = diagnose(&self.facts(&leak));
        (leak, limits)
    }

    fn facts(&self, leak: &Leak) -> Facts {
        let first: Vec<String> = self.first.iter().map(|w| (*w).to_owned()).collect();
        let executable = leak
            .holder
            .executable
            .as_deref()
            .filter(|_| leak.holder.namespace_init);
        let origin = if self.adopted {
            "were given to it when their parents ended"
        } else {
            "were started by it"
        };
        Facts {
            asleep: sexton_core::cause::Asleep::default(),
            out_of_reach: false,
            leak: leak.clone(),
            program: Program {
                language: self.language,
                evidence: Some(format!("its executable says so (/proc/{}/exe)", self.pid)),
            },
            first: FirstProcess {
                kind: kind_of_first(executable, &first),
                pid: Some(if self.adopted { self.pid } else { self.pid - 6 }),
                command_line: first.join(" "),
            },
            shared_pid_namespace: Answer::No,
            origins: Origins {
                direct: if self.adopted { 0 } else { leak.zombies },
                adopted: if self.adopted { leak.zombies } else { 0 },
                inherited: 0,
                early: false,
                unknown: 0,
                session: if self.adopted {
                    Session::Ended
                } else {
                    Session::Holder
                },
                same_name: self.ended[0].0 == leak.holder.name,
                killed: false,
                evidence: vec![format!(
                    "All {} {origin} (field 6 of /proc/PID/stat).",
                    leak.zombies
                )],
            },
            starts_processes: Answer::Unknown,
            waited_faults: Some(0),
            seen_waiting: false,
            dead_seconds: Some(3_600),
            waits_for: vec![],
            held_pipe: None,
            calls: vec![
                Call {
                    name: "epoll_wait".to_owned(),
                    threads: 3,
                },
                Call {
                    name: "futex".to_owned(),
                    threads: 5,
                },
            ],
            sigchld: Sigchld {
                blocked: Blocked::None,
                pending: false,
                collector: None,
            },
            drivers: self.drivers.iter().map(|d| (*d).to_owned()).collect(),
            misplaced_inits: vec![],
            notes: vec![],
        }
    }
}

fn limit(kind: LimitKind, scope: &str, used: u64, max: u64, zombies: u64) -> Limit {
    Limit {
        used: Some(used),
        limit: Some(max),
        zombies: Some(zombies),
        ..Limit::new(kind, scope, "made up")
    }
}

fn policy(name: &str, source: &str, mode: Mode, refused: Option<&str>) -> PolicyState {
    PolicyState {
        name: name.to_owned(),
        source: format!("/etc/sexton/policies/{source}"),
        mode,
        refused: refused.map(str::to_owned),
    }
}

/// Three hours that end in `report`: each leak grows at its rate; the second but largest was
/// reaped twice.
fn history(report: &Report) -> Vec<Sample> {
    let samples = 360u64;
    (0..=samples)
        .map(|i| {
            let back = (samples - i) * 30;
            let leaks: Vec<(ProcessId, u64)> = report
                .leaks
                .iter()
                .map(|leak| {
                    // A sum of round steps that look like chance.
                    let shake = (i * 7_919 + u64::from(leak.holder.id.pid)) % 23;
                    let grown = leak.ages.started.last_minute * back / 60;
                    let mut n = leak
                        .zombies
                        .saturating_sub(grown)
                        .saturating_sub(shake.min(leak.zombies / 50));
                    if leak.holder.id.pid == 33_190 {
                        n = (i * 9 / 2) % 1_300;
                    }
                    (leak.holder.id, if i == samples { leak.zombies } else { n })
                })
                .collect();
            let zombies: u64 = leaks.iter().map(|(_, n)| n).sum();
            Sample {
                at: NOW - 4 - back,
                zombies,
                headroom: Some(7_080 + report.zombies - zombies.min(report.zombies)),
                leaks: leaks.into_iter().take(Sample::LEAKS).collect(),
            }
        })
        .collect()
}

/// Of each container with a leak: a shell and a Python script as PID 1 do not end on SIGTERM.
fn exit_signals(report: &Report) -> Vec<ExitSignal> {
    report
        .leaks
        .iter()
        .filter_map(|leak| {
            let container = leak.container.clone()?;
            let holder = &leak.holder;
            let verdict = match holder.id.pid {
                48_213 | 60_025 => Verdict::Killed,
                55_512 => Verdict::Unknown,
                _ => Verdict::Ends,
            };
            Some(ExitSignal {
                container,
                main: MainProcess {
                    id: holder.id,
                    inner_pid: holder.inner_pid(),
                    name: holder.name.clone(),
                    command_line: holder.command_line.clone(),
                },
                stop_signal: StopSignal::new(15, "made up"),
                grace: Some(Grace {
                    seconds: if holder.id.pid == 48_213 { 60 } else { 30 },
                    source: "made up".to_owned(),
                }),
                shared_pid_namespace: false,
                verdict,
                confidence: sexton_core::Confidence::High,
                summary: format!(
                    "{} is PID 1 and has no handler for SIGTERM: the kernel drops it.",
                    holder.name
                ),
                facts: vec![format!(
                    "SigCgt of /proc/{}/status has no SIGTERM.",
                    holder.id.pid
                )],
                unheard: vec![],
                probes: vec![],
                cures: leak
                    .causes
                    .first()
                    .map(|cause| cause.cure.clone())
                    .into_iter()
                    .collect(),
                notes: vec![],
            })
        })
        .collect()
}

fn actions() -> Vec<Action> {
    let base = Action {
        at: NOW,
        rung: "reap".to_owned(),
        whom: "java (pid 33190)".to_owned(),
        place: "ci/agent-linux-4kq9z jnlp".to_owned(),
        policy: Some("crawlers".to_owned()),
        enforced: true,
        outcome: ActionOutcome::Done,
        detail: "1,298 of 1,298 taken, thread borrowed for 0.4 ms".to_owned(),
    };
    vec![
        Action {
            at: NOW - 61,
            rung: "reap".to_owned(),
            whom: "python3 (pid 48213)".to_owned(),
            place: "shop/crawler-7d9f8c6b5-xk2lq crawler".to_owned(),
            policy: Some("all-namespaces".to_owned()),
            enforced: false,
            outcome: ActionOutcome::Planned,
            detail: "would take 7,443 zombies".to_owned(),
        },
        Action {
            at: NOW - 62,
            rung: "nudge".to_owned(),
            whom: "python3 (pid 48213)".to_owned(),
            place: "shop/crawler-7d9f8c6b5-xk2lq crawler".to_owned(),
            policy: Some("all-namespaces".to_owned()),
            enforced: false,
            outcome: ActionOutcome::Planned,
            detail: "would send SIGCHLD".to_owned(),
        },
        Action {
            at: NOW - 930,
            rung: "reap".to_owned(),
            whom: "containerd-shim-runc-v2 (pid 902)".to_owned(),
            place: "host".to_owned(),
            policy: None,
            outcome: ActionOutcome::Refused,
            detail: "protected: container runtime shim".to_owned(),
            ..base.clone()
        },
        Action {
            at: NOW - 2_204,
            ..base.clone()
        },
        Action {
            at: NOW - 6_530,
            outcome: ActionOutcome::Partly,
            detail: "1,100 of 1,291 taken; 191 stay: the holder was stopped in the middle"
                .to_owned(),
            ..base.clone()
        },
        Action {
            at: NOW - 6_545,
            rung: "nudge".to_owned(),
            outcome: ActionOutcome::Failed,
            detail: "no zombie went within 2 s".to_owned(),
            ..base
        },
    ]
}
