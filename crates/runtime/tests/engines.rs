//! Docker and Podman, as Debian packages them: what they really write, and their APIs.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sexton_core::RestartPolicy;
use sexton_lab::program::find;
use sexton_lab::{
    Cgroup, Containerd, Running, Skip, require, unique, wait_until, wait_until_it_catches,
};
use sexton_runtime::{Error, Runtimes, Then};

const SCRIPT: &str = "trap 'exit 0' USR1; while :; do sleep 0.05; done";
const USR1: u8 = 10;
/// Never waited for: the script ends on its signal, with exit code 0.
const LONG: Duration = Duration::from_secs(60);

/// A directory that is the host's root as far as an engine goes.
struct Host {
    dir: PathBuf,
    /// The machine's directories that its containers see.
    system: Vec<&'static str>,
}

impl Host {
    fn new() -> Result<Self, Skip> {
        let mut host = Self {
            dir: std::env::temp_dir().join(unique("host")),
            system: Vec::new(),
        };
        fs::create_dir_all(host.dir.join("run")).expect("it can be made");
        host.system = sexton_lab::containerd::archive(&host.dir.join("image.tar"))?;
        Ok(host)
    }

    fn path(&self) -> &Path {
        &self.dir
    }

    fn place(&self, path: &str) -> String {
        self.dir.join(path).display().to_string()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// dockerd above the lab's containerd; all of it ends with that.
struct Docker {
    daemon: Running,
    _containerd: Containerd,
    host: Host,
}

impl Docker {
    fn start() -> Result<Self, Skip> {
        if find("dockerd").is_none() {
            return Err(Skip("dockerd is not installed (package docker.io)".into()));
        }
        let host = Host::new()?;
        let containerd = Containerd::start()?;
        fs::write(host.place("daemon.json"), "{}").expect("it is writable");
        let log = fs::File::create(host.place("log")).expect("it is writable");
        let mut command = containerd.command("dockerd");
        command
            .args(["--config-file", &host.place("daemon.json")])
            .args(["--data-root", &host.place("var/lib/docker")])
            .args(["--exec-root", &host.place("run/docker")])
            .args(["--pidfile", &host.place("run/docker.pid")])
            .args([
                "--host",
                &format!("unix://{}", host.place("run/docker.sock")),
            ])
            .args(["--containerd", &containerd.socket().display().to_string()])
            .args(["--cgroup-parent", &containerd.pods_cgroup().path()])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--storage-driver", "vfs", "--bridge", "none"])
            .args(["--iptables=false", "--ip6tables=false"])
            .stdout(log.try_clone().expect("descriptors are not short"))
            .stderr(log);
        let mut docker = Self {
            daemon: Running::start(&mut command),
            host,
            _containerd: containerd,
        };
        wait_until("dockerd answers, or ends", || {
            let ended = docker.daemon.child().try_wait().is_ok_and(|s| s.is_some());
            (ended || docker.try_call("GET", "/_ping", "", b"").is_ok()).then_some(())
        });
        if docker.daemon.child().try_wait().is_ok_and(|s| s.is_some()) {
            let log = fs::read_to_string(docker.host.place("log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            return Err(Skip(format!("dockerd cannot run here: {last}")));
        }
        let image = fs::read(docker.host.place("image.tar")).expect("it was made");
        let path = "/images/create?fromSrc=-&repo=localhost/sexton-test&tag=1";
        docker.call("POST", path, "application/x-tar", &image);
        Ok(docker)
    }

    /// Starts a container; its id.
    fn run(&self, name: &str, labels: &Value, restart: &str) -> String {
        let binds: Vec<_> = self
            .host
            .system
            .iter()
            .map(|dir| format!("{dir}:{dir}:ro"))
            .collect();
        let config = json!({
            "Image": "localhost/sexton-test:1", "Cmd": ["/bin/sh", "-c", SCRIPT],
            "Labels": labels, "StopSignal": "10", "StopTimeout": 3,
            "HostConfig": {"NetworkMode": "host", "Binds": binds,
                           "RestartPolicy": {"Name": restart}},
        });
        let path = format!("/containers/create?name={name}");
        let made = self.call(
            "POST",
            &path,
            "application/json",
            config.to_string().as_bytes(),
        );
        let id = made["Id"].as_str().expect("an id").to_owned();
        self.call("POST", &format!("/containers/{id}/start"), "", b"");
        id
    }

    fn state(&self, id: &str) -> Value {
        self.call("GET", &format!("/containers/{id}/json"), "", b"")["State"].clone()
    }

    fn call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Value {
        self.try_call(method, path, kind, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Value, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = UnixStream::connect(self.host.place("run/docker.sock")).map_err(text)?;
        let length = body.len();
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(text)?;
        stream.write_all(body).map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(text)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        if head
            .split(' ')
            .nth(1)
            .is_none_or(|status| !status.starts_with('2'))
        {
            return Err(answer);
        }
        Ok(serde_json::from_str(body).unwrap_or_default())
    }
}

#[test]
fn docker_tells_by_its_files_and_ends_by_its_socket() {
    let Some(mut docker) = require(Docker::start()) else {
        return;
    };
    let id = docker.run("crawler", &json!({"app": "shop"}), "unless-stopped");
    let of_pod = docker.run(
        "k8s_main_web-0_shop_u-1_0",
        &json!({"io.kubernetes.container.name": "main", "io.kubernetes.pod.name": "web-0",
                "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u-1"}),
        "",
    );
    let mut runtimes = Runtimes::find(docker.host.path(), &[]);
    runtimes.refresh();
    assert_eq!(runtimes.names().collect::<Vec<_>>(), ["docker"]);
    assert_eq!(runtimes.notes().count(), 0);
    assert_eq!(runtimes.workloads().count(), 2);

    let told = runtimes.by_id(&id).expect("it runs").clone();
    assert_eq!(told.name.as_deref(), Some("crawler"));
    assert_eq!(told.image.as_deref(), Some("localhost/sexton-test:1"));
    assert_eq!(
        told.labels,
        BTreeMap::from([("app".to_owned(), "shop".to_owned())])
    );
    assert_eq!(told.stop_signal.as_deref(), Some("SIGUSR1"));
    assert_eq!(told.grace_seconds, Some(3));
    assert_eq!(told.restart, RestartPolicy::Always);
    assert_eq!(told.restarts, Some(0));
    assert_eq!(told.pod, None);
    assert_eq!(docker.state(&id)["Pid"], told.pid.expect("it runs"));

    let told = runtimes.by_id(&of_pod).expect("it runs");
    assert_eq!(told.name.as_deref(), Some("main"));
    let pod = told.pod.as_ref().expect("its labels say so");
    assert_eq!(pod.name.as_deref(), Some("web-0"));
    assert_eq!(pod.namespace.as_deref(), Some("shop"));
    assert_eq!(pod.uid.as_deref(), Some("u-1"));
    assert_eq!(told.restart, RestartPolicy::Unknown);

    // Started again it is the same container, another process.
    let before = runtimes.by_id(&id).and_then(|told| told.pid);
    wait_until_it_catches(before.expect("it runs"), USR1);
    let ending = runtimes
        .end(&id, LONG, Then::StartAgain)
        .expect("dockerd runs");
    ending.wait().expect("it ends on its signal and starts");
    assert_eq!(docker.state(&id)["Running"], true);
    runtimes.refresh();
    let after = runtimes.by_id(&id).and_then(|told| told.pid);
    assert!(after.is_some() && after != before, "{before:?} {after:?}");

    wait_until_it_catches(after.expect("it runs"), USR1);
    for _ in 0..2 {
        let ending = runtimes.end(&id, LONG, Then::Stay).expect("dockerd runs");
        ending.wait().expect("it ends on its signal, or had ended");
        let state = docker.state(&id);
        assert_eq!(
            (&state["Running"], &state["ExitCode"]),
            (&json!(false), &json!(0))
        );
    }
    runtimes.refresh();
    assert_eq!(runtimes.by_id(&id), None);

    // Without the daemon names are there, hands are not.
    docker.daemon.child().kill().expect("it runs");
    docker.daemon.child().wait().expect("it is ours");
    runtimes.refresh();
    assert_eq!(runtimes.notes().count(), 0);
    assert!(runtimes.by_id(&of_pod).is_some());
    let ended = runtimes
        .end(&of_pod, LONG, Then::Stay)
        .and_then(sexton_runtime::Pending::wait);
    assert!(matches!(ended, Err(Error::Away { .. })), "{ended:?}");
}

/// Podman with a store of its own.
struct Podman {
    host: Host,
    cgroup: Cgroup,
}

impl Podman {
    fn start() -> Result<Self, Skip> {
        if find("podman").is_none() {
            return Err(Skip("podman is not installed".into()));
        }
        let podman = Self {
            host: Host::new()?,
            cgroup: Cgroup::new("podman")?,
        };
        // Podman takes no longer path than 50 bytes for what lives below /run.
        fs::create_dir_all(podman.host.place("run/containers")).expect("it is writable");
        std::os::unix::fs::symlink("/r", podman.host.place("run/containers/storage"))
            .expect("it was not there");
        let archive = podman.host.place("image.tar");
        podman.try_run(&[
            "import",
            "--change",
            "STOPSIGNAL SIGUSR1",
            &archive,
            "localhost/sexton-test:1",
        ])?;
        Ok(podman)
    }

    fn command(&self) -> Command {
        let mut command = self.cgroup.command("podman");
        command
            .args(["--root", &self.host.place("var/lib/containers/storage")])
            .args(["--runroot", &self.host.place("r")])
            .args(["--tmpdir", &self.host.place("run/libpod")])
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--runtime", "runc", "--events-backend", "none"]);
        command
    }

    fn try_run(&self, args: &[&str]) -> Result<String, Skip> {
        let output = self.command().args(args).stdin(Stdio::null()).output();
        let output = output.expect("this process may fork");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Skip(format!(
                "podman cannot do {args:?} here: {}",
                said.trim()
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.try_run(&["rm", "--all", "--force", "--time", "0"]);
    }
}

#[test]
fn podman_tells_by_its_files_and_ends_by_its_socket() {
    let Some(podman) = require(Podman::start()) else {
        return;
    };
    let parent = podman.cgroup.path();
    let mut args = vec!["run", "--detach", "--name", "crawler"];
    args.extend(["--network", "host", "--cgroup-parent", &parent]);
    // Its defaults for these take CAP_SYS_RESOURCE; for this a mount that outlives a crash.
    args.extend(["--ulimit", "nofile=1024:1024"]);
    args.extend(["--ulimit", "nproc=1024:1024"]);
    args.extend(["--ipc", "host"]);
    let binds: Vec<_> = podman
        .host
        .system
        .iter()
        .map(|dir| format!("{dir}:{dir}:ro"))
        .collect();
    for bind in &binds {
        args.extend(["--volume", bind]);
    }
    args.extend(["localhost/sexton-test:1", "/bin/sh", "-c", SCRIPT]);
    let Some(id) = require(podman.try_run(&args)) else {
        return;
    };
    let inspect = |what: &str| {
        let format = format!("{{{{.State.{what}}}}}");
        podman
            .try_run(&["inspect", "--format", &format, &id])
            .expect("it is there")
    };
    let mut runtimes = Runtimes::find(podman.host.path(), &[]);
    runtimes.refresh();
    assert_eq!(runtimes.names().collect::<Vec<_>>(), ["podman"]);
    let told = runtimes.by_id(&id).expect("it runs").clone();
    assert_eq!(told.name.as_deref(), Some("crawler"));
    assert_eq!(told.image.as_deref(), Some("localhost/sexton-test:1"));
    assert_eq!(told.stop_signal.as_deref(), Some("SIGUSR1"));
    assert_eq!(told.pid.map(|pid| pid.to_string()), Some(inspect("Pid")));
    assert_eq!(told.restart, RestartPolicy::Unknown);

    let ending = runtimes.end(&id, LONG, Then::Stay);
    assert!(
        matches!(ending, Err(Error::Unsupported { .. })),
        "{ending:?}"
    );
    assert!(ending.unwrap_err().to_string().contains("podman.socket"));

    fs::create_dir(podman.host.place("run/podman")).expect("it was not there");
    let socket = podman.host.place("run/podman/podman.sock");
    let mut service = podman.command();
    service.args([
        "system",
        "service",
        "--time",
        "0",
        &format!("unix://{socket}"),
    ]);
    let _service = Running::start(service.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("podman serves", || UnixStream::connect(&socket).ok());

    let ending = runtimes
        .end(&id, LONG, Then::StartAgain)
        .expect("it is known");
    ending.wait().expect("it ends on its signal and starts");
    runtimes.refresh();
    let after = runtimes.by_id(&id).expect("it runs again").pid;
    assert!(after.is_some() && after != told.pid);
    wait_until_it_catches(after.expect("it runs"), USR1);
    for _ in 0..2 {
        let ending = runtimes.end(&id, LONG, Then::Stay).expect("it is known");
        ending.wait().expect("it ends on its signal, or had ended");
        assert_eq!(
            (inspect("Running").as_str(), inspect("ExitCode").as_str()),
            ("false", "0")
        );
    }
    runtimes.refresh();
    assert_eq!(runtimes.by_id(&id), None);
}
