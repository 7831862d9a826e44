//! Docker Engine: names from its state on disk, which is there without the daemon, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sexton_core::{Pod, RestartPolicy, Workload};

use crate::files::{self, below};
use crate::{Error, Pending, Runtime, Then, http, signal};

/// Where its state lies, unless its configuration says otherwise.
const STATE: &str = "var/lib/docker";
/// `dockerd.8`: StopTimeout of a container that has none.
const GRACE_SECONDS: u64 = 10;

/// Docker Engine.
#[derive(Debug)]
pub struct Docker {
    containers: PathBuf,
    socket: PathBuf,
}

impl Docker {
    /// The one of the machine whose root is mounted here, if it has one.
    #[must_use]
    pub fn find(host: &Path) -> Option<Self> {
        #[derive(Deserialize)]
        struct Daemon {
            #[serde(rename = "data-root")]
            data_root: Option<String>,
        }
        let settings = below(host, "etc/docker/daemon.json");
        // A bad one keeps the daemon from starting; it is not ours to complain of.
        let settings = settings.and_then(|path| files::json::<Daemon>(&path).ok()?);
        let root = settings.and_then(|settings| settings.data_root);
        let root = root.unwrap_or_else(|| STATE.to_owned());
        Some(Self {
            containers: below(host, &format!("{root}/containers"))?,
            socket: below(host, "run/docker.sock").unwrap_or_else(|| host.join("run/docker.sock")),
        })
    }

    fn read(&self, id: &str) -> Result<Option<Workload>, Error> {
        let dir = self.containers.join(id);
        let Some(state) = files::json::<State>(&dir.join("config.v2.json"))? else {
            return Ok(None);
        };
        let pid = state.state.pid.filter(|&pid| pid > 0);
        if !state.state.running || !pid.is_some_and(files::is_running) {
            return Ok(None);
        }
        let host = files::json::<HostConfig>(&dir.join("hostconfig.json"))?.unwrap_or_default();
        let mut labels = state.config.labels.unwrap_or_default();
        let mut take = |key: &str| labels.remove(key).filter(|value| !value.is_empty());
        // dockershim and cri-dockerd say as labels what the CRI says in fields.
        let name = take("io.kubernetes.container.name");
        let pod = take("io.kubernetes.pod.name").map(|name| Pod {
            name: Some(name),
            namespace: take("io.kubernetes.pod.namespace"),
            uid: take("io.kubernetes.pod.uid"),
        });
        let plain = state.name.trim_start_matches('/');
        Ok(Some(Workload {
            id: id.to_owned(),
            name: name
                .or_else(|| Some(plain.to_owned()))
                .filter(|name| !name.is_empty()),
            image: state.config.image.filter(|image| !image.is_empty()),
            restart: if pod.is_some() {
                // The kubelet starts it again, or not; Docker is told never to.
                RestartPolicy::Unknown
            } else {
                host.restart_policy.name()
            },
            pod,
            labels,
            annotations: BTreeMap::new(),
            pid,
            stop_signal: state
                .config
                .stop_signal
                .and_then(|name| signal::named(&name))
                .or_else(|| Some("SIGTERM".to_owned())),
            grace_seconds: match state.config.stop_timeout {
                None => Some(GRACE_SECONDS),
                // Negative: it waits for ever.
                Some(seconds) => u64::try_from(seconds).ok(),
            },
            pre_stop: false,
            restarts: state.restart_count,
            ..Workload::default()
        }))
    }
}

impl Runtime for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn workloads(&mut self) -> Result<Vec<Workload>, Error> {
        let all = files::names(&self.containers)?.into_iter();
        let ids = all.filter(|name| files::is_whole_id(name));
        // One that cannot be read is no reason to lose the others.
        Ok(ids.filter_map(|id| self.read(&id).ok()?).collect())
    }

    fn workload(&mut self, id: &str) -> Result<Option<Workload>, Error> {
        if !files::is_whole_id(id) {
            return Ok(None);
        }
        self.read(id)
    }

    fn end(&mut self, id: &str, grace: Duration, then: Then) -> Result<Pending, Error> {
        http::end(self.socket.clone(), id, grace, then)
    }
}

/// `config.v2.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    name: String,
    #[serde(default)]
    state: Running,
    #[serde(default)]
    config: Config,
    restart_count: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Running {
    running: bool,
    pid: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
    stop_timeout: Option<i64>,
}

/// `hostconfig.json`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    restart_policy: Restart,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Restart {
    name: String,
}

impl Restart {
    fn name(&self) -> RestartPolicy {
        match self.name.as_str() {
            "always" | "unless-stopped" => RestartPolicy::Always,
            "on-failure" => RestartPolicy::OnFailure,
            "no" | "" => RestartPolicy::Never,
            _ => RestartPolicy::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";

    /// What is told of a container with these files. By hand: what a working daemon writes is
    /// in tests/engines.rs, these are rare states.
    fn told(config: &str, host_config: &str) -> Vec<Workload> {
        let host = tempfile::tempdir().unwrap();
        // As `data-root` says.
        std::fs::create_dir_all(host.path().join("etc/docker")).unwrap();
        let settings = r#"{"data-root": "/data"}"#;
        std::fs::write(host.path().join("etc/docker/daemon.json"), settings).unwrap();
        let pid = std::process::id().to_string();
        for (id, config) in [(ID, config), (&"0".repeat(64), RUNNING)] {
            let dir = host.path().join("data/containers").join(id);
            std::fs::create_dir_all(&dir).unwrap();
            let config = config.replace("PID", &pid);
            std::fs::write(dir.join("config.v2.json"), config).unwrap();
            std::fs::write(dir.join("hostconfig.json"), host_config).unwrap();
        }
        let mut docker = Docker::find(host.path()).unwrap();
        let mut all = docker.workloads().unwrap();
        // Whatever is the matter with one, the other is there.
        assert!(docker.workload(&"0".repeat(64)).unwrap().is_some());
        assert!(docker.workload("../..").unwrap().is_none());
        all.retain(|workload| workload.id == ID);
        all
    }

    const RUNNING: &str = r#"{"Name":"/a","State":{"Running":true,"Pid":PID},"Config":{}}"#;

    #[test]
    fn what_is_not_said_is_dockers_default() {
        let [workload] = &told(RUNNING, "{}")[..] else {
            panic!("one runs");
        };
        assert_eq!(workload.name.as_deref(), Some("a"));
        assert_eq!(workload.stop_signal.as_deref(), Some("SIGTERM"));
        assert_eq!(workload.grace_seconds, Some(10));
        assert_eq!(workload.restart, RestartPolicy::Never);
    }

    #[test]
    fn a_negative_timeout_is_no_end_of_waiting() {
        let config = RUNNING.replace("\"Config\":{}", "\"Config\":{\"StopTimeout\":-1}");
        let host_config = r#"{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}"#;
        let [workload] = &told(&config, host_config)[..] else {
            panic!("one runs");
        };
        assert_eq!(workload.grace_seconds, None);
        assert_eq!(workload.restart, RestartPolicy::OnFailure);
    }

    #[test]
    fn what_does_not_run_or_cannot_be_read_is_left_out() {
        for config in [
            "",
            "{",
            "[]",
            r#"{"Name":7}"#,
            r#"{"Name":"/a","State":{"Running":false,"Pid":0}}"#,
            // The daemon died, and the container after it.
            r#"{"Name":"/a","State":{"Running":true,"Pid":4194305}}"#,
            r#"{"Name":"/a","State":{"Running":true,"Pid":-1}}"#,
        ] {
            assert_eq!(told(config, "{}"), [], "{config}");
        }
    }
}
