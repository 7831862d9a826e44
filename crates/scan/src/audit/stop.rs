//! The signal that a stop of a container begins with, and its grace period, from files that
//! the runtimes leave on the node.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use sexton_core::audit::{Grace, Hook, Probe, StopSignal};
use sexton_core::signal;
use sexton_core::{Container, Runtime, Workload};

use crate::names::{CONTAINERD, NAMESPACES, Root, STORAGE};

/// What was found.
pub(super) struct Stop {
    pub(super) signal: StopSignal,
    pub(super) grace: Option<Grace>,
    /// What the container was started as.
    pub(super) arguments: Option<Vec<String>>,
    /// What runs before the signal.
    pub(super) pre_stop: Option<Hook>,
    /// What runs by a clock.
    pub(super) probes: Vec<Probe>,
    /// What is wrong with what was found.
    pub(super) note: Option<String>,
}

/// An image's STOPSIGNAL, by the image specification's conversion to a runtime configuration.
const IMAGE_SIGNAL: &str = "org.opencontainers.image.stopSignal";
/// The kubelet writes it on each container.
const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
/// A hook that runs before the signal, written by the kubelet, too.
const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";
/// Where CRI-O keeps all that the kubelet wrote.
const CRIO_ANNOTATIONS: &str = "io.kubernetes.cri-o.Annotations";
/// Podman gives them to the scope that systemd makes.
const SCOPE_SIGNAL: &str = "org.systemd.property.KillSignal";
const SCOPE_GRACE: &str = "org.systemd.property.TimeoutStopUSec";

/// Finds both; what no file tells is what the runtime does by default.
pub(super) fn of(
    host: &Path,
    container: &Container,
    executable: Option<&str>,
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
            .unwrap_or_else(|| default_signal(container, executable)),
        grace: found.grace.or_else(|| default_grace(container)),
        arguments: found.arguments,
        pre_stop: found.pre_stop,
        probes: found.probes,
        note: found.note,
    }
}

#[derive(Default)]
struct Found {
    signal: Option<StopSignal>,
    grace: Option<Grace>,
    arguments: Option<Vec<String>>,
    pre_stop: Option<Hook>,
    probes: Vec<Probe>,
    note: Option<String>,
}

impl Found {
    fn or(&mut self, other: Option<Self>) {
        let other = other.unwrap_or_default();
        self.signal = self.signal.take().or(other.signal);
        self.grace = self.grace.take().or(other.grace);
        self.arguments = self.arguments.take().or(other.arguments);
        self.pre_stop = self.pre_stop.take().or(other.pre_stop);
        self.probes.extend(other.probes);
        self.note = self.note.take().or(other.note);
    }

    /// From values in a file. Of a word that is no signal it is said what comes of it.
    fn from(signal: Option<&str>, seconds: Option<u64>, source: &str) -> Self {
        let said = signal.map(|word| (word, signal::number(word)));
        Self {
            signal: said.map(|(word, number)| match number {
                Some(number) => StopSignal::new(number, source),
                None => StopSignal::new(
                    signal::SIGTERM,
                    format!("{source} says `{}`, which is not a signal", shown(word)),
                ),
            }),
            note: said.filter(|(_, number)| number.is_none()).map(|(word, _)| {
                format!(
                    "the stop signal `{}` is not a signal ({source}): Docker and CRI-O send SIGTERM in \
                     its place, containerd answers with an error and stops the container by SIGKILL \
                     alone, and `runc kill` knows no such signal; correct STOPSIGNAL",
                    shown(word)
                )
            }),
            arguments: None,
            pre_stop: None,
            probes: Vec::new(),
            grace: seconds.map(|seconds| Grace {
                seconds,
                source: source.to_owned(),
            }),
        }
    }
}

/// A word of a file, short enough for a sentence.
fn shown(word: &str) -> String {
    const LONGEST: usize = 40;
    word.chars().take(LONGEST).collect()
}

/// What the runtime itself told.
fn told(workload: &Workload) -> Found {
    let mut found = Found::from(
        workload.stop_signal.as_deref(),
        workload.grace_seconds,
        "the runtime tells it",
    );
    found.pre_stop = workload.pre_stop_handler.as_deref().and_then(hook);
    found
}

/// Docker Engine: `Config` of `config.v2.json` holds the image's STOPSIGNAL or that of
/// `--stop-signal`.
fn docker(root: &Root, id: &str) -> Option<Found> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        config: Option<Config>,
        path: Option<String>,
        args: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        stop_signal: Option<String>,
        stop_timeout: Option<u64>,
        labels: Option<HashMap<String, String>>,
        healthcheck: Option<Healthcheck>,
    }
    let path = format!("var/lib/docker/containers/{id}/config.v2.json");
    let State {
        config,
        path: program,
        args,
    } = root.json(&path)?;
    let mut config = config?;
    let healthcheck = config.healthcheck.take().and_then(Healthcheck::probe);
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
    found.probes.extend(healthcheck);
    let words = program.into_iter().chain(args.unwrap_or_default());
    found.arguments = Some(words.collect()).filter(|words: &Vec<String>| !words.is_empty());
    Some(found)
}

/// Docker's `HEALTHCHECK`, which it runs as the kubelet does an exec probe.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    /// `CMD` or `CMD-SHELL`, and the command; `NONE`.
    test: Vec<String>,
    /// Nanoseconds; 0 for the default.
    timeout: u64,
}

impl Healthcheck {
    fn probe(self) -> Option<Probe> {
        const DEFAULT: u64 = 30;
        const SECOND: u64 = 1_000_000_000;
        let (kind, rest) = self.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => rest.to_vec(),
            "CMD-SHELL" => ["/bin/sh", "-c"]
                .map(str::to_owned)
                .into_iter()
                .chain(rest.iter().cloned())
                .collect(),
            _ => return None,
        };
        Some(Probe {
            name: "HEALTHCHECK".to_owned(),
            container: String::new(),
            command,
            timeout_seconds: match self.timeout {
                0 => DEFAULT,
                nanoseconds => nanoseconds.div_ceil(SECOND),
            },
            script: None,
        })
    }
}

/// What an OCI runtime is told of a container (`config.md` of its specification).
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: HashMap<String, String>,
    process: Option<Run>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    args: Vec<String>,
}

impl Bundle {
    fn found(self, path: &str) -> Found {
        let mut found = annotated(&self.annotations, path);
        found.arguments = self.process.map(|process| process.args);
        found
    }
}

/// The OCI runtime's configuration that containerd, CRI-O and podman leave.
fn bundle(root: &Root, id: &str) -> Option<Found> {
    let containerd = CONTAINERD.into_iter().flat_map(|tasks| {
        NAMESPACES.map(|(namespace, _)| format!("{tasks}/{namespace}/{id}/config.json"))
    });
    let storage = STORAGE
        .into_iter()
        .map(|place| format!("{place}/overlay-containers/{id}/userdata/config.json"));
    let crun = [format!("run/crun/{id}/config.json")];
    let paths = containerd.chain(storage).chain(crun);
    paths
        .into_iter()
        .find_map(|path| Some(root.json::<Bundle>(&path)?.found(&path)))
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
    let annotations: HashMap<String, String> = (state.config.labels.iter())
        .filter_map(|label| {
            let (key, value) = label.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        })
        .collect();
    let mut found = annotated(&annotations, &path);
    // runc notes itself where the bundle lies.
    found.arguments = annotations.get("bundle").and_then(|bundle| {
        let path = format!("{}/config.json", bundle.trim_start_matches('/'));
        Some(root.json::<Bundle>(&path)?.process?.args)
    });
    Some(found)
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
    let mut found = Found::from(
        signal.map(String::as_str),
        seconds,
        &format!("an annotation in /{path}"),
    );
    found.pre_stop = plain(PRE_STOP)
        .or_else(|| of_kubelet.get(PRE_STOP))
        .and_then(|text| hook(text));
    found
}

/// A handler of `lifecycle.preStop`, as the kubelet annotates it.
fn hook(text: &str) -> Option<Hook> {
    #[derive(Deserialize)]
    struct Handler {
        exec: Option<Exec>,
        sleep: Option<Sleep>,
    }
    #[derive(Deserialize)]
    struct Exec {
        #[serde(default)]
        command: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Sleep {
        #[serde(default)]
        seconds: u64,
    }
    let handler: Handler = serde_json::from_str(text).ok()?;
    Some(Hook {
        command: handler.exec.map(|exec| exec.command).unwrap_or_default(),
        sleep: handler.sleep.map(|sleep| sleep.seconds),
        script: None,
    })
}

fn default_signal(container: &Container, executable: Option<&str>) -> StopSignal {
    let systemd = executable.is_some_and(|path| path.ends_with("/systemd"));
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
