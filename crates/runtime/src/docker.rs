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
            restarts: state.restart_count,
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
        ids.filter_map(|id| self.read(&id).transpose()).collect()
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
