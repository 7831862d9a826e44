//! What the reports of many nodes ask of an API server: `cargo bench -p sexton-cluster`.
//!
//! The agents are simulated in this one process: each has the real code that condenses a report,
//! decides when it is written and writes it. The server is a real kube-apiserver with its etcd, the
//! looks are made up, and the agents' clock runs as fast as they can be served.
//!
//! Beside it a rival, on the same nodes with the same leaks: exact counts by server-side apply at
//! every look, as is often done.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use sexton_cluster::crd::{self, ZombieReport};
use sexton_cluster::publish::{Published, Publisher, Schedule};
use sexton_cluster::report::{Dealing, LeakLine, Seen, Status, Step, condense};
use sexton_core::ladder::Rung;
use sexton_core::{ProcessId, Report};
use sexton_lab::{Cluster, process::wait_until, require};

const NODES: usize = 5_000;
const LEAKS: usize = 32;
/// Between two looks of an agent.
const LOOK: u64 = 10;
/// For so long the worst case is simulated, in seconds.
const WORST: u64 = 180;
/// And so long the rival, who has to be served for real.
const RIVAL: u64 = 20;
/// Requests that are under way at once.
const AT_ONCE: usize = 64;

fn main() {
    // `cargo bench -p sexton-cluster -- 500`
    let nodes = std::env::args().find_map(|word| word.parse().ok());
    let nodes: usize = nodes.unwrap_or(NODES);
    let Some(lab) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(bench(&lab, nodes));
}

async fn bench(lab: &Cluster, nodes: usize) {
    for definition in crd::all() {
        lab.apply(&serde_json::to_string(&definition).unwrap());
    }
    wait_until("the resources are served", || {
        lab.try_kubectl(&["get", "sexton"]).is_ok().then_some(())
    });
    let client = client(lab).await;
    let server = Server::of(lab);
    println!("{nodes} nodes, {LEAKS} leaks each, a look every {LOOK} s of their clock\n");
    server.say("before");

    let template = template();
    let mut agents: Vec<Agent> = (0..nodes).map(|node| Agent::new(&client, node)).collect();
    let mut clock = 0;
    let mut phase = async |name, seconds, how| {
        let run = simulate(&mut agents, &template, &mut clock, seconds, how).await;
        run.say(name, nodes, seconds);
        run
    };
    phase("start: each makes and writes its report", 60, How::Quiet).await;
    // Some of those that waver rise above a border, once: falling below it again is not told.
    phase("at first: counts waver by 3%", 180, How::Quiet).await;
    phase("quiet: they go on wavering", 180, How::Quiet).await;
    server.say("with all reports");
    let size = size(&client, 0).await;
    println!(
        "  {:<44} {size} bytes",
        "a report of 32 leaks, whole object"
    );
    let ours = phase("worst: everything is new at every look", WORST, How::Wild).await;
    let (day, turning) = long_run();
    println!(
        "  {:<44} {day:.2} writes a node a minute; {turning:.2} with a condition that turns each time",
        "worst, over a day (the schedule alone)"
    );
    lists(lab, &client, nodes).await;
    server.say("after");

    println!();
    let theirs = rival(&client, &template, nodes).await;
    theirs.say("rival: exact counts at every look", nodes, RIVAL);
    println!(
        "  {:<44} {:.0}×; to none while nothing happens",
        "rival's writes to ours at worst",
        theirs.each(nodes, RIVAL) / ours.each(nodes, WORST)
    );
    server.say("after the rival");
}

async fn client(lab: &Cluster) -> Client {
    let file = Kubeconfig::read_from(lab.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn name(node: usize) -> String {
    format!("ip-10-{}-{}.compute.internal", node / 250, node % 250)
}

/// What happens on a node between two looks.
#[derive(Clone, Copy)]
enum How {
    /// Each count stays within a few percent.
    Quiet,
    /// Each count is another.
    Wild,
}

/// A node's agent.
struct Agent {
    publisher: Publisher,
    counts: [u64; LEAKS],
    told: Option<Status>,
    random: u64,
}

impl Agent {
    fn new(client: &Client, node: usize) -> Self {
        let name = name(node);
        let mut agent = Self {
            publisher: Publisher::new(client.clone(), &name),
            counts: [0; LEAKS],
            told: None,
            random: node as u64 + 1,
        };
        agent
            .publisher
            .owned_by("5f4e1ab0-0000-4000-8000-000000000000");
        agent.counts = std::array::from_fn(|_| agent.next(1..30_000));
        agent
    }

    /// xorshift64.
    fn next(&mut self, within: std::ops::Range<u64>) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        within.start + self.random % (within.end - within.start)
    }

    fn look(&mut self, template: &Template, second: u64, how: How) {
        let mut report = template.report.clone();
        for n in 0..LEAKS {
            report.leaks[n].zombies = match how {
                How::Quiet => self.counts[n] + self.next(0..self.counts[n] / 33 + 1),
                How::Wild => self.next(1..30_000),
            };
        }
        let status = condense(&Seen {
            agent_version: "0.1.0",
            report: &report,
            dealings: &template.dealings,
            policies: &[],
            hindrance: None,
            before: self.told.as_ref(),
            now: at(second),
        });
        if self.told.as_ref() != Some(&status) {
            self.publisher
                .want(status.clone(), Duration::from_secs(second));
            self.told = Some(status);
        }
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_795_478_400 + i64::try_from(second).unwrap()).unwrap()
}

/// What the looks of all nodes have in common.
struct Template {
    report: Report,
    dealings: HashMap<ProcessId, Dealing>,
}

fn template() -> Template {
    let leaks: Vec<_> = (0..LEAKS)
        .map(|n| {
            let pid = 30_000 + n;
            json!({
                "holder": {
                    "pid": pid, "startTicks": 100, "nsPids": [pid, 1], "name": "crawler-worker",
                    "commandLine": ["crawler-worker"], "parentPid": 1, "uid": 0, "threads": 1,
                    "state": "sleeping", "frozen": false, "namespaceInit": true,
                    "holdsAs": "parent", "sigchld": "default", "sigchldBlocked": false,
                },
                "container": {
                    "id": "3f2a9c".repeat(10), "runtime": "containerd", "name": "crawler",
                    "pod": {"name": format!("checkout-crawler-7d9f4b5c6-x2x{n:02}"),
                        "namespace": "checkout", "uid": "u"},
                    "owner": {"kind": "Deployment", "name": "checkout-crawler"},
                    "cgroup": "/kubepods/u/3f2a9c",
                },
                "zombies": 1, "inspected": 1, "commands": [{"name": "chrome", "count": 1}],
                "ages": {"started": {"lastMinute": 0, "lastTenMinutes": 0, "lastHour": 0}},
                "sample": [],
                "causes": [{
                    "id": "go-start-without-wait", "title": "", "confidence": "high", "facts": [],
                    "now": [], "cure": {"text": ""}, "sources": [],
                }],
                "forecast": {
                    "trend": "growing", "ratePerSecond": 1.0, "basis": "", "limit": "cgroupPids",
                    "scope": "", "secondsLeft": 20_000, "confidence": "high",
                },
            })
        })
        .collect();
    let report: Report = serde_json::from_value(json!({
        "apiVersion": "sexton.dev/v1alpha1", "kind": "ZombieReport",
        "node": {"name": "n", "kernel": "6.18.0-cloud-amd64", "bootId": "", "cgroups": "v2"},
        "scannedAt": "2026-11-24T12:00:00Z", "zombies": 0, "leaks": leaks, "limits": [],
        "scan": {"method": "walk", "micros": 1, "cgroups": 1, "processesRead": 1},
    }))
    .unwrap();
    let dealing = Dealing {
        watched: Duration::from_secs(3_600),
        policy: Some("default".to_owned()),
        step: Some(Step {
            rung: Rung::Reap,
            outcome: "succeeded".to_owned(),
        }),
    };
    let holders = report.leaks.iter().map(|leak| leak.holder.id);
    let dealings = holders.map(|holder| (holder, dealing.clone())).collect();
    Template { report, dealings }
}

/// What a stretch of time came to.
#[derive(Default)]
struct Run {
    writes: usize,
    /// Writes in the busiest second of the agents' clock.
    busiest: usize,
    failures: usize,
    took: Duration,
}

impl Run {
    /// Writes a node a minute.
    fn each(&self, nodes: usize, seconds: u64) -> f64 {
        self.writes as f64 / nodes as f64 / seconds as f64 * 60.0
    }

    fn say(&self, name: &str, nodes: usize, seconds: u64) {
        let Self {
            writes,
            busiest,
            failures,
            took,
        } = self;
        let each = self.each(nodes, seconds);
        let asked = *writes as f64 / seconds as f64;
        let served = *writes as f64 / took.as_secs_f64();
        println!(
            "  {name:<44} {each:.2} writes a node a minute: {asked:.0}/s, {busiest} in the busiest \
             second ({seconds} s simulated in {:.0} s, {served:.0} writes/s served, {failures} \
             failed)",
            took.as_secs_f64()
        );
    }
}

/// Lets the agents look and write for so long, from where `clock` stands.
async fn simulate(
    agents: &mut [Agent],
    template: &Template,
    clock: &mut u64,
    seconds: u64,
    how: How,
) -> Run {
    let began = Instant::now();
    let mut run = Run::default();
    for _ in 0..seconds {
        let second = *clock;
        for (node, agent) in agents.iter_mut().enumerate() {
            if second % LOOK == node as u64 % LOOK {
                agent.look(template, second, how);
            }
        }
        let now = Duration::from_secs(second);
        let due = agents.iter_mut().map(|agent| &mut agent.publisher);
        let due = due.filter(|publisher| publisher.due().is_some_and(|due| due <= now));
        let outcomes: Vec<_> = futures::stream::iter(due)
            .map(|publisher| publisher.publish(now))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let written = |outcome: &&Result<Published, _>| matches!(outcome, Ok(Published::Written));
        let writes = outcomes.iter().filter(written).count();
        run.writes += writes;
        run.busiest = run.busiest.max(writes);
        run.failures += outcomes.iter().filter(|outcome| outcome.is_err()).count();
        *clock += 1;
    }
    run.took = began.elapsed();
    run
}

/// Writes a node a minute over a day in which each look sees something new; and where each turns a
/// condition.
fn long_run() -> (f64, f64) {
    let day = 86_400;
    let each = |turn| {
        let mut writes = 0;
        for node in 0..50 {
            let mut schedule = Schedule::new(&name(node));
            for second in 0..day {
                let now = Duration::from_secs(second);
                if second % LOOK == 0 {
                    schedule.changed(now, turn);
                }
                if schedule.due() <= now {
                    schedule.wrote(now);
                    writes += 1;
                }
            }
        }
        f64::from(writes) / 50.0 / (day as f64 / 60.0)
    };
    (each(false), each(true))
}

/// A while in which each node tells exactly what it sees, at each look.
async fn rival(client: &Client, template: &Template, nodes: usize) -> Run {
    let api: Api<ZombieReport> = Api::all(client.clone());
    let mut random = Agent::new(client, 0);
    let began = Instant::now();
    let mut run = Run::default();
    for look in 0..RIVAL / LOOK {
        let exact = |random: &mut Agent| {
            let leaks: Vec<LeakLine> = template
                .report
                .leaks
                .iter()
                .zip(random.counts)
                .map(|(leak, count)| LeakLine {
                    namespace: Some("checkout".to_owned()),
                    pod: Some(format!("checkout-crawler-7d9f4b5c6-{}", leak.holder.id.pid)),
                    container: Some("crawler".to_owned()),
                    owner: Some("Deployment/checkout-crawler".to_owned()),
                    holder: leak.holder.name.clone(),
                    pid: leak.holder.id.pid,
                    zombies: count + look,
                    cause: Some("go-start-without-wait".to_owned()),
                    ..LeakLine::default()
                })
                .collect();
            Status {
                zombies: leaks.iter().map(|leak| leak.zombies).sum(),
                leaks,
                ..Status::default()
            }
        };
        let requests: Vec<_> = (0..nodes)
            .map(|node| {
                let node = format!("rival-{}", name(node));
                (ZombieReport::new(&node, Some(exact(&mut random))), node)
            })
            .collect();
        if look == 0 {
            let made = requests.iter().map(|(report, node)| {
                let parameters = PatchParams::apply("rival");
                let api = &api;
                async move { api.patch(node, &parameters, &Patch::Apply(report)).await }
            });
            let made: Vec<_> = futures::stream::iter(made)
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            assert!(made.iter().all(Result::is_ok));
        }
        let written = requests.iter().map(|(report, node)| {
            let parameters = PatchParams::apply("rival").force();
            let api = &api;
            async move {
                api.patch_status(node, &parameters, &Patch::Apply(report))
                    .await
            }
        });
        let written: Vec<_> = futures::stream::iter(written)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        run.writes += written.iter().filter(|done| done.is_ok()).count();
        run.failures += written.iter().filter(|done| done.is_err()).count();
        run.busiest = nodes / usize::try_from(LOOK).unwrap();
    }
    run.took = began.elapsed();
    run
}

const PATH: &str = "/apis/sexton.dev/v1alpha1/zombiereports";

async fn get(client: &Client, path: &str) -> String {
    let request = http::Request::get(path).body(vec![]).unwrap();
    client.request_text(request).await.unwrap()
}

/// Of one report as the server gives it, managed fields and all.
async fn size(client: &Client, node: usize) -> usize {
    get(client, &format!("{PATH}/{}", name(node))).await.len()
}

/// How long it takes to list all.
async fn lists(lab: &Cluster, client: &Client, nodes: usize) {
    for (what, query) in [
        ("LIST whole", ""),
        ("LIST whole, resourceVersion=0", "?resourceVersion=0"),
    ] {
        let mut best = (Duration::MAX, 0);
        for _ in 0..3 {
            let began = Instant::now();
            let text = get(client, &format!("{PATH}{query}")).await;
            best = best.min((began.elapsed(), text.len()));
        }
        say_list(what, best.0, best.1);
    }
    let began = Instant::now();
    let (mut bytes, mut seen, mut next) = (0, 0, String::new());
    loop {
        let text = get(client, &format!("{PATH}?limit=500&continue={next}")).await;
        bytes += text.len();
        let page: kube::core::ObjectList<ZombieReport> = serde_json::from_str(&text).unwrap();
        assert!(page.items.iter().all(|report| report.status.is_some()));
        seen += page.items.len();
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(more) => next = more,
            None => break,
        }
    }
    assert_eq!(seen, nodes);
    say_list(
        "LIST by 500, and read into its types",
        began.elapsed(),
        bytes,
    );
    let began = Instant::now();
    let bytes = lab.kubectl(&["get", "zombiereports"]).len();
    say_list("kubectl get zombiereports", began.elapsed(), bytes);
}

fn say_list(what: &str, took: Duration, bytes: usize) {
    let (seconds, megabytes) = (took.as_secs_f64(), bytes as f64 / 1e6);
    println!("  {what:<44} {seconds:.2} s, {megabytes:.1} MB");
}

/// The processes of the control plane, by the address that is theirs alone.
struct Server {
    address: String,
    directory: std::path::PathBuf,
}

impl Server {
    fn of(lab: &Cluster) -> Self {
        let path = lab.kubeconfig();
        let file = Kubeconfig::read_from(&path).unwrap();
        let url = file.clusters[0].cluster.as_ref().unwrap().server.clone();
        let url: http::Uri = url.unwrap().parse().unwrap();
        Self {
            address: url.host().unwrap().to_owned(),
            directory: path.parent().unwrap().to_owned(),
        }
    }

    fn say(&self, when: &str) {
        let memory = |program: &str| self.memory(program).unwrap_or(0) / 1024;
        println!(
            "  {:<44} kube-apiserver {} MiB, etcd {} MiB of memory; etcd's file {} MiB",
            format!("server {when}"),
            memory("kube-apiserver"),
            memory("etcd"),
            database(&self.directory) >> 20,
        );
    }

    /// Resident, in KiB.
    fn memory(&self, program: &str) -> Option<u64> {
        fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let mut words = command.split('\0');
            let first = words.next()?.rsplit('/').next()?;
            if first != program || !command.contains(&self.address) {
                return None;
            }
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse().ok()
        })
    }
}

/// Size of etcd's file, wherever below `directory` it is.
fn database(directory: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let below = entries.flatten().map(|entry| {
        let path = entry.path();
        match entry.file_type() {
            Ok(of) if of.is_dir() => database(&path),
            Ok(of) if of.is_file() && path.ends_with("snap/db") => {
                entry.metadata().map_or(0, |about| about.len())
            }
            _ => 0,
        }
    });
    below.max().unwrap_or(0)
}
