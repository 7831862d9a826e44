//! The signal that a stop of a container begins with, and its grace period, from files that
//! the runtimes leave on the node.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use sexton_core::audit::{Grace, Process, StopSignal};
use sexton_core::signal;
use sexton_core::{Container, Runtime, Workload};

use crate::names::{CONTAINERD, NAMESPACES, Root, STORAGE};

/// What was found.
pub(super) struct Stop {
    pub(super) signal: StopSignal,
    pub(super) grace: Option<Grace>,
}

/// An image's STOPSIGNAL, by the image specification's conversion to a runtime configuration.
const IMAGE_SIGNAL: &str = "org.opencontainers.image.stopSignal";
/// The kubelet writes it on each container.
const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
/// Where CRI-O keeps all that the kubelet wrote.
const CRIO_ANNOTATIONS: &str = "io.kubernetes.cri-o.Annotations";
/// Podman gives them to the scope that systemd makes.
const SCOPE_SIGNAL: &str = "org.systemd.property.KillSignal";
const SCOPE_GRACE: &str = "org.systemd.property.TimeoutStopUSec";

/// Finds both; what no file tells is what the runtime does by default.
pub(super) fn of(
    host: &Path,
    container: &Container,
    main: &Process,
    workload: Option<&Workload>,
) -> Stop {
    let mut found = workload.map(told).unwrap_or_default();
    let id = container.id.as_str();
    if !(id.starts_with('.') || id.contains([':', '/', '\0']))
        && let Some(root) = Root::open(host)
    {
        found.or(docker(&root, id));
        found.or(bundle(&root, id));
        found.or(state(&root, id));
    }
    Stop {
        signal: found
            .signal
            .unwrap_or_else(|| default_signal(container, main)),
        grace: found.grace.or_else(|| default_grace(container)),
    }
}

#[derive(Default)]
struct Found {
    signal: Option<StopSignal>,
    grace: Option<Grace>,
}

impl Found {
    fn or(&mut self, other: Option<Self>) {
        let other = other.unwrap_or_default();
        self.signal = self.signal.take().or(other.signal);
        self.grace = self.grace.take().or(other.grace);
    }

    /// From values in a file; what is no signal and no number says nothing.
    fn from(signal: Option<&str>, seconds: Option<u64>, source: &str) -> Self {
        Self {
            signal: signal
                .and_then(signal::number)
                .map(|number| StopSignal::new(number, source)),
            grace: seconds.map(|seconds| Grace {
                seconds,
                source: source.to_owned(),
            }),
        }
    }
}

/// What the runtime itself told.
fn told(workload: &Workload) -> Found {
    Found::from(
        workload.stop_signal.as_deref(),
        workload.grace_seconds,
        "the runtime tells it",
    )
}

/// Docker Engine: `Config` of `config.v2.json` holds the image's STOPSIGNAL or that of
/// `--stop-signal`.
fn docker(root: &Root, id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        stop_signal: Option<String>,
        stop_timeout: Option<u64>,
        labels: Option<HashMap<String, String>>,
    }
    let path = format!("var/lib/docker/containers/{id}/config.v2.json");
    let config = root.json::<State>(&path)?.config?;
    let labels = config.labels.unwrap_or_default();
    // cri-dockerd keeps annotations among the labels.
    let of_pod = labels.get(&format!("annotation.{POD_GRACE}"));
    let seconds = of_pod
        .and_then(|seconds| seconds.parse().ok())
        .or(config.stop_timeout);
    let mut found = Found::from(config.stop_signal.as_deref(), seconds, &format!("/{path}"));
    if found.signal.is_none() {
        let source = format!("the default; /{path} names no other");
        found.signal = Some(StopSignal::new(signal::SIGTERM, source));
    }
    Some(found)
}

/// The OCI runtime's configuration that containerd, CRI-O and podman leave.
fn bundle(root: &Root, id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    struct Bundle {
        #[serde(default)]
        annotations: HashMap<String, String>,
    }
    let containerd = CONTAINERD.into_iter().flat_map(|tasks| {
        NAMESPACES.map(|(namespace, _)| format!("{tasks}/{namespace}/{id}/config.json"))
    });
    let storage = STORAGE
        .into_iter()
        .map(|place| format!("{place}/overlay-containers/{id}/userdata/config.json"));
    let crun = [format!("run/crun/{id}/config.json")];
    let paths = containerd.chain(storage).chain(crun);
    paths.into_iter().find_map(|path| {
        let bundle: Bundle = root.json(&path)?;
        Some(annotated(&bundle.annotations, &path))
    })
}

/// runc by hand: annotations stand as `KEY=VALUE` in the labels of its state.
fn state(root: &Root, id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    struct State {
        config: Config,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        labels: Vec<String>,
    }
    let path = format!("run/runc/{id}/state.json");
    let state: State = root.json(&path)?;
    let annotations = state.config.labels.iter().filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    });
    Some(annotated(&annotations.collect(), &path))
}

fn annotated(annotations: &HashMap<String, String>, path: &str) -> Found {
    let plain = |key: &str| annotations.get(key).filter(|value| !value.is_empty());
    let of_kubelet = plain(CRIO_ANNOTATIONS)
        .and_then(|text| serde_json::from_str::<HashMap<String, String>>(text).ok())
        .unwrap_or_default();
    // GVariant text: `15`, `uint64 10000000`.
    let figure = |text: &String| text.rsplit(' ').next()?.parse::<u64>().ok();
    let signal = plain(IMAGE_SIGNAL).or_else(|| plain(SCOPE_SIGNAL));
    let seconds = plain(POD_GRACE)
        .or_else(|| of_kubelet.get(POD_GRACE))
        .and_then(figure)
        .or_else(|| Some(plain(SCOPE_GRACE).and_then(figure)? / 1_000_000));
    Found::from(
        signal.map(String::as_str),
        seconds,
        &format!("an annotation in /{path}"),
    )
}

fn default_signal(container: &Container, main: &Process) -> StopSignal {
    let systemd = main
        .executable
        .as_deref()
        .is_some_and(|path| path.ends_with("/systemd"));
    match (container.runtime, systemd) {
        // systemd-nspawn(1), --kill-signal.
        (Runtime::Nspawn, true) => StopSignal::new(37, "nspawn's for a container that boots"),
        // lxc.container.conf(5), lxc.signal.halt; with systemd SIGRTMIN+3 is what it waits for.
        (Runtime::Lxc, true) => StopSignal::new(37, "LXC's for systemd"),
        (Runtime::Lxc, false) => StopSignal::new(30, "LXC's default, lxc.signal.halt"),
        (Runtime::Containerd, _) => StopSignal::new(
            signal::SIGTERM,
            "the default; containerd was not asked, and no file tells an image's STOPSIGNAL",
        ),
        _ => StopSignal::new(
            signal::SIGTERM,
            "the default; no file on this node names another",
        ),
    }
}

fn default_grace(container: &Container) -> Option<Grace> {
    let (seconds, source) = match container.runtime {
        _ if container.pod.is_some() => (30, "the default of Kubernetes; no file tells the pod's"),
        Runtime::Docker => (10, "the default of docker stop"),
        Runtime::Podman => (10, "the default of podman stop"),
        Runtime::Containerd => (10, "the default of nerdctl stop"),
        Runtime::Lxc => (60, "the default of lxc-stop"),
        _ => return None,
    };
    Some(Grace {
        seconds,
        source: source.to_owned(),
    })
}

#[cfg(test)]
mod tests;
