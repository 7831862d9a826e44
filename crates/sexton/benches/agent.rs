//! What the agent costs and how fast it heals: `cargo bench -p sexton --bench agent`.
//!
//! Makes up to 25,000 processes, so it holds the lab's storm lock.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say where"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sexton_lab::{
    Cgroup, Container, Program, Running, Runtime, Skip, require, wait_until, zombies_of,
};
use tempfile::TempDir;

const CONTAINERS: usize = 100;
const LIVE: usize = 5_000;
const ZOMBIES: u64 = 25_000;
/// The agent's default.
const INTERVAL: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_secs(120);
/// So many times `ps` is run where it is compared with.
const PS: u32 = 10;
const NODE_EXPORTER: &str = "prometheus-node-exporter";

fn main() {
    let Some(tools) = require(Tools::build()) else {
        return;
    };
    let _alone = sexton_lab::storm_lock();
    let only = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'));
    for (name, bench) in [
        ("rest", at_rest as fn(&Tools)),
        ("limit", at_the_limit),
        ("rate", at_a_rate),
    ] {
        if only.as_deref().is_none_or(|wanted| wanted == name) {
            bench(&tools);
        }
    }
}

/// A C program, and a place for the agent.
struct Tools {
    dir: TempDir,
}

impl Tools {
    fn build() -> Result<Self, Skip> {
        let dir = tempfile::Builder::new()
            .prefix("sexton-test-bench-")
            .tempdir()
            .unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/leak.c");
        let built = Command::new("gcc")
            .args(["-O2", "-o"])
            .arg(dir.path().join("sexton-test-burst"))
            .arg(source)
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return Err(Skip("no gcc to build what is measured".to_owned()));
        }
        Ok(Self { dir })
    }

    fn leak(&self) -> PathBuf {
        self.dir.path().join("sexton-test-burst")
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let mut argv = vec![self.leak().display().to_string()];
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Program {
            argv,
            binds: vec![self.dir.path().to_owned()],
        }
    }

    /// An agent that enforces `spec` on this container, or on nobody.
    fn agent(&self, interval: Duration, policy: Option<(&Container, &str)>) -> Running {
        let policies = self.dir.path().join("policies");
        let _ = std::fs::create_dir(&policies);
        if let Some((container, spec)) = policy {
            let text = format!(
                "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {{name: bench}}\n\
                 spec:\n  selector: {{cgroups: [\"*{}*\"]}}\n  mode: enforce\n{spec}",
                container.id()
            );
            std::fs::write(policies.join("bench.yaml"), text).unwrap();
        } else {
            let _ = std::fs::remove_file(policies.join("bench.yaml"));
        }
        Running::start(
            Command::new(env!("CARGO_BIN_EXE_sexton"))
                .args(["agent", "--listen", "127.0.0.1:0", "--interval"])
                .arg(format!("{}ms", interval.as_millis()))
                .args(["--runtime", "none", "--policy"])
                .arg(&policies)
                .arg("--audit-log")
                .arg(self.dir.path().join("audit.jsonl"))
                .arg("--state-dir")
                .arg(self.dir.path().join("run"))
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    }
}

/// Time on a CPU so far, of all threads.
fn cpu(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ')
                .next()?
                .parse()
                .ok()
                .map(Duration::from_nanos)
        })
        .sum()
}

fn memory(pid: u32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or("?").trim().to_owned()
}

fn at_rest(tools: &Tools) {
    let herds: Option<Vec<(Running, Cgroup)>> = (0..CONTAINERS)
        .map(|_| {
            let cgroup = require(Cgroup::new("bench"))?;
            let each = (LIVE / CONTAINERS - 1).to_string();
            let mut herd = Running::start(
                cgroup
                    .command(tools.leak())
                    .args(["live", &each])
                    .stdout(Stdio::piped()),
            );
            let mut line = String::new();
            let stdout = herd.child().stdout.take().unwrap();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            Some((herd, cgroup))
        })
        .collect();
    let Some(_herds) = herds else { return };
    let agent = tools.agent(INTERVAL, None);
    let exporter = Command::new(NODE_EXPORTER)
        .args(["--collector.disable-defaults", "--collector.processes"])
        .args(["--web.listen-address=127.0.0.1:19713"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .ok()
        .map(Child);
    // Beginnings are dear.
    std::thread::sleep(INTERVAL * 2);
    let (agent_before, exporter_before) =
        (cpu(agent.pid()), exporter.as_ref().map(|e| cpu(e.0.id())));
    let mut ps = Duration::ZERO;
    let began = Instant::now();
    while began.elapsed() < REST {
        let before = children_cpu();
        let status = Command::new("ps")
            .args(["-eo", "pid,ppid,stat,comm"])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        ps += children_cpu() - before;
        if exporter.is_some() {
            scrape();
        }
        std::thread::sleep(INTERVAL);
    }
    let seconds = began.elapsed().as_secs_f64();
    let used = cpu(agent.pid()) - agent_before;
    let share = |used: Duration| used.as_secs_f64() / seconds * 100.0;
    println!(
        "agent at rest, {CONTAINERS} containers, {LIVE} processes, a look every {} s: {:.3}% of a core \
         (aim 0.05%), RSS {} (aim 10 MB)",
        INTERVAL.as_secs(),
        share(used),
        memory(agent.pid(), "VmRSS:"),
    );
    println!(
        "  `ps` as often: {:.3}%, {:.0}x as much (aim 20x)",
        share(ps),
        ps.as_secs_f64() / used.as_secs_f64()
    );
    match exporter.zip(exporter_before) {
        Some((exporter, before)) => {
            let theirs = cpu(exporter.0.id()) - before;
            println!(
                "  node_exporter's processes collector, scraped as often: {:.3}%, {:.1}x as much (aim: more), RSS {}",
                share(theirs),
                theirs.as_secs_f64() / used.as_secs_f64(),
                memory(exporter.0.id(), "VmRSS:"),
            );
        }
        None => println!("SKIP: no {NODE_EXPORTER} to compare with"),
    }
}

/// Killed on drop.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn children_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // Fields 16 and 17 of stat (`proc_pid_stat(5)`), in ticks of 10 ms: enough for a sum.
    let ticks: u64 = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn scrape() {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect("127.0.0.1:19713").unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("node_processes_threads"), "{answer}");
}

fn at_the_limit(tools: &Tools) {
    let Some(runtime) = require(Runtime::find("runc")) else {
        return;
    };
    let ping = |what: &str| {
        let output = Command::new(tools.leak())
            .args(["ping", "4"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        println!(
            "  ping-pong of two processes {what}: median and p99 {} µs",
            text.trim()
        );
        text.trim()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let before = ping("before");
    let interval = Duration::from_secs(1);
    let container = Container::builder(&runtime)
        .pids_limit(ZOMBIES)
        .start(&tools.program(&["burst"]));
    container.wait_for_line(0, |line| line == "full");
    let full = Instant::now();
    let standing = ping("with the zombies there, before the agent");
    // The container has been full for a while; what counts is what the agent takes.
    let waited = full.elapsed();
    let began = Instant::now();
    let agent = tools.agent(interval, Some((&container, "  settle: 100ms\n")));
    let during = ping("while the agent works");
    let line = container.wait_for_line(5, |line| line.parse::<f64>().is_ok());
    let millis: f64 = line.parse::<f64>().unwrap() - waited.as_secs_f64() * 1e3;
    println!(
        "{ZOMBIES} zombies at the limit: {millis:.0} ms from the agent's start to the first fork that works \
         (aim: {} ms, one interval and a half second)",
        (interval + Duration::from_millis(500)).as_millis()
    );
    wait_until("all gone", || {
        (zombies_of(container.pid()).len() < 10).then_some(())
    });
    println!(
        "  all taken after {:.2} s; p99 of the ping-pong {:.2}x of before, {:.2}x of with the zombies there",
        began.elapsed().as_secs_f64(),
        during / before,
        during / standing
    );
    drop(agent);
}

fn at_a_rate(tools: &Tools) {
    let Some(runtime) = require(Runtime::find("runc")) else {
        return;
    };
    let container = Container::builder(&runtime).start(&tools.program(&["rate", "1000"]));
    let agent = tools.agent(
        Duration::from_secs(1),
        Some((&container, "  settle: 100ms\n")),
    );
    std::thread::sleep(Duration::from_secs(5));
    let (used, began) = (cpu(agent.pid()), Instant::now());
    let (mut most, mut sum, mut samples) = (0, 0, 0);
    while began.elapsed() < Duration::from_secs(30) {
        // Each look of ours disturbs what is measured a little.
        let standing = children_of(container.pid());
        most = most.max(standing);
        sum += standing;
        samples += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let (used, seconds) = (cpu(agent.pid()) - used, began.elapsed().as_secs_f64());
    // What one look of `ps` takes meanwhile, with as many processes there.
    let before = children_cpu();
    for _ in 0..PS {
        let status = Command::new("ps")
            .args(["-eo", "pid,ppid,stat,comm"])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
    let ps = (children_cpu() - before).as_secs_f64() / f64::from(PS);
    println!(
        "a leak of 1,000 a second: at most {most} stand (aim 2,000), {} on average; the agent takes {:.1}% of a core (aim 5%), RSS {}",
        sum / samples,
        used.as_secs_f64() / seconds * 100.0,
        memory(agent.pid(), "VmRSS:"),
    );
    println!(
        "  one `ps -eo` of {} processes takes {:.1} ms of a core: once a second {:.1}%",
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
            .count(),
        ps * 1e3,
        ps * 100.0
    );
}

fn children_of(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().count()
}
