//! Podman as root: names from containers/storage and the bundles of running containers.
//!
//! Labels, grace periods and restart policies are in Podman's database alone, whose form
//! changed from BoltDB to SQLite, so they are not known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sexton_core::{RestartPolicy, Workload};

use crate::files::{self, below};
use crate::{Error, Pending, Runtime, Then, http, signal};

const STORAGE: &str = "var/lib/containers/storage";
const RUNNING: &str = "run/containers/storage";
const SOCKET: &str = "run/podman/podman.sock";
/// Storage drivers; each has a directory of its own for what belongs to its containers.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];

/// Podman.
#[derive(Debug)]
pub struct Podman {
    host: PathBuf,
    storage: PathBuf,
}

impl Podman {
    /// The one of the machine whose root is mounted here, if it has one.
    #[must_use]
    pub fn find(host: &Path) -> Option<Self> {
        // CRI-O keeps its containers there, too, but no database of Podman's.
        let storage = below(host, STORAGE)?;
        storage.join("libpod").is_dir().then(|| Self {
            host: host.to_owned(),
            storage,
        })
    }

    fn read(&self, driver: &str, stored: Stored) -> Result<Option<Workload>, Error> {
        if !files::is_whole_id(&stored.id) {
            return Ok(None);
        }
        let userdata = format!("{driver}-containers/{}/userdata", stored.id);
        // Its bundle is on disk, what lives no longer than the machine below /run.
        let pidfile = below(&self.host, &format!("{RUNNING}/{userdata}/pidfile"));
        let pid = pidfile.and_then(|path| files::beginning(&path).ok());
        let pid = pid.and_then(|bytes| str::from_utf8(&bytes).ok()?.trim().parse().ok());
        let Some(pid) = pid.filter(|&pid| files::is_running(pid)) else {
            return Ok(None);
        };
        let bundle = self.storage.join(&userdata).join("config.json");
        let annotations = files::json::<Bundle>(&bundle)?
            .unwrap_or_default()
            .annotations;
        if annotations.get("io.container.manager").map(String::as_str) != Some("libpod") {
            return Ok(None);
        }
        let image = serde_json::from_str::<Metadata>(&stored.metadata).ok();
        let stop_signal = annotations.get("org.opencontainers.image.stopSignal");
        Ok(Some(Workload {
            id: stored.id,
            name: stored.names.into_iter().next(),
            image: image
                .map(|image| image.name)
                .filter(|name| !name.is_empty()),
            pod: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            pid: Some(pid),
            stop_signal: stop_signal.and_then(|number| signal::named(number)),
            grace_seconds: None,
            restart: RestartPolicy::Unknown,
            pre_stop: false,
            ..Workload::default()
        }))
    }
}

impl Runtime for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn workloads(&mut self) -> Result<Vec<Workload>, Error> {
        let mut all = Vec::new();
        for driver in DRIVERS {
            let list = self
                .storage
                .join(format!("{driver}-containers/containers.json"));
            for stored in files::json::<Vec<Stored>>(&list)?.unwrap_or_default() {
                // One that cannot be read is no reason to lose the others.
                all.extend(self.read(driver, stored).unwrap_or_default());
            }
        }
        Ok(all)
    }

    fn end(&mut self, id: &str, grace: Duration, then: Then) -> Result<Pending, Error> {
        // systemd makes it; nothing listens unless somebody wanted that.
        let Some(socket) = below(&self.host, SOCKET) else {
            return Err(Error::Unsupported {
                runtime: "podman",
                what: "to end a container it needs Podman's API socket, /run/podman/podman.sock \
                       (systemctl enable --now podman.socket)",
            });
        };
        http::end(socket, id, grace, then)
    }
}

/// An entry of `containers.json`.
#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in a string.
    #[serde(default)]
    metadata: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, rename = "image-name")]
    name: String,
}

/// The OCI runtime's `config.json`.
#[derive(Default, Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}
