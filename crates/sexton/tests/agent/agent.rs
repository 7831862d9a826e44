//! An agent that runs, and what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sexton_lab::{Container, Running, wait_until};
use tempfile::TempDir;

/// The program under test.
pub(crate) const SEXTON: &str = env!("CARGO_BIN_EXE_sexton");

/// A place for an agent: its policies, its log, its lock. Several agents may share it.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::Builder::new()
                .prefix("sexton-test-agent-")
                .tempdir()
                .unwrap(),
        };
        std::fs::create_dir(place.policies()).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.path().join("policies")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.path().join("log/audit.jsonl")
    }

    /// A policy that covers this container and nothing else of the machine, which the other
    /// tests leak on, too.
    pub(crate) fn covers(&self, name: &str, container: &Container, spec: &str) {
        let text = format!(
            "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {{name: {name}}}\n\
             spec:\n  selector: {{cgroups: [\"*{}*\"]}}\n{spec}",
            container.id()
        );
        self.policy(name, &text);
    }

    pub(crate) fn policy(&self, name: &str, text: &str) {
        // As editors and ConfigMaps do: a whole file takes the place of another.
        let new = self.path().join("new.yaml");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.policies().join(format!("{name}.yaml"))).unwrap();
    }

    /// A command for an agent in this place.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(SEXTON);
        self.arguments(&mut command);
        command
    }

    pub(crate) fn arguments(&self, command: &mut Command) {
        self.arguments_with(command, "127.0.0.1:0", Path::new("none"));
    }

    /// The same with another address, and with the socket of a runtime.
    pub(crate) fn arguments_with(&self, command: &mut Command, listen: &str, runtime: &Path) {
        command
            .args(["agent", "--interval", "300ms", "--log-format", "json"])
            .args(["--listen", listen, "--runtime"])
            .arg(runtime)
            .arg("--policy")
            .arg(self.policies())
            .arg("--audit-log")
            .arg(self.audit_log())
            .arg("--state-dir")
            .arg(self.path().join("run"))
            // Where nothing is optimized, and others test beside it, it would rest for long.
            .env("SEXTON_UNBRAKED", "1")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM");
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::start(self.command())
    }

    /// The lines of the audit log.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.audit_log()).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The outcomes of the audit log with this verdict.
    pub(crate) fn outcomes(&self, verdict: &str) -> Vec<Value> {
        let mut records = self.records();
        records.retain(|line| line["entry"] == "outcome" && line["verdict"] == verdict);
        records
    }
}

/// An agent that runs. Killed on drop.
pub(crate) struct Agent {
    running: Running,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Agent {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command);
        let said = Arc::new(Mutex::new(vec![]));
        let lines = BufReader::new(running.child().stderr.take().unwrap()).lines();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("agent: {line}");
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                heard.lock().unwrap().push(line);
            }
        });
        Self { running, said }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Waits until it says a line that holds this.
    pub(crate) fn says(&self, words: &str) -> Value {
        wait_until(words, || {
            let said = self.said.lock().unwrap();
            said.iter()
                .find(|line| line.to_string().contains(words))
                .cloned()
        })
    }

    pub(crate) fn has_said(&self, words: &str) -> bool {
        let said = self.said.lock().unwrap();
        said.iter().any(|line| line.to_string().contains(words))
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> String {
        self.says("\"address\"")["address"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Status and body of `GET path`.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        request(
            &self.address(),
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
    }

    /// Waits until that many looks have been made from now on.
    pub(crate) fn looks(&self, more: u64) {
        let looks = || {
            metric(
                &self.get("/metrics").1,
                "sexton_scan_duration_seconds_count",
            )
        };
        let before = looks();
        wait_until("looks", || (looks() >= before + more as f64).then_some(()));
    }

    /// Ends it with this signal, and says how long it took.
    pub(crate) fn end(mut self, signal: rustix::process::Signal) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let status = self.running.child().wait().unwrap();
        (status, began.elapsed())
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) -> ExitStatus {
        self.running.child().wait().unwrap()
    }
}

pub(crate) fn request(address: &str, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// The value of a series by its full name.
pub(crate) fn metric(text: &str, series: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
        .unwrap_or(0.0)
}
