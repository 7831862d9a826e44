//! Which process a runtime of the node began a container with, from the files of its state.

use std::path::Path;

use serde::Deserialize;

use super::{CONTAINERD, NAMESPACES, Root, STORAGE, is_of_runtime};

/// Where runc keeps its state: by hand, below containerd, below Docker.
const RUNC: [&str; 5] = [
    "run/runc",
    "run/containerd/runc/k8s.io",
    "run/containerd/runc/default",
    "run/docker/runtime-runc/moby",
    "run/docker/runtime-runc/plugins.moby",
];
/// The same of crun.
const CRUN: &str = "run/crun";

/// What the runtimes of the node know of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// None has a container of that id, as far as files tell.
    No,
    /// One has, and it does not run.
    Ended,
    /// Its first process, in the numbering of the node.
    BeganWith(u32),
}

/// Looks for it below the host's root.
pub(crate) fn known(host: &Path, id: &str) -> Known {
    if !is_of_runtime(id) {
        return Known::No;
    }
    let Some(root) = Root::open(host) else {
        return Known::No;
    };
    let found = containerd(&root, id)
        .or_else(|| docker(&root, id))
        .or_else(|| storage(&root, id))
        .or_else(|| state(&root, id));
    match found {
        None => Known::No,
        Some(0) => Known::Ended,
        Some(pid) => Known::BeganWith(pid),
    }
}

/// The container that containerd began with process `pid`, where `bundle` is that of it or of
/// another one of its pod.
pub(crate) fn beside(host: &Path, bundle: &Path, pid: u32) -> Option<String> {
    /// Bundles of one namespace.
    const MOST: usize = 4_096;
    let root = Root::open(host)?;
    let tasks = bundle.parent()?.strip_prefix("/").ok()?.to_str()?;
    let mut ids = root.entries(tasks, MOST).into_iter();
    ids.find(|id| root.json(&format!("{tasks}/{id}/init.pid")) == Some(pid))
}

fn containerd(root: &Root, id: &str) -> Option<u32> {
    let paths = CONTAINERD.into_iter().flat_map(|tasks| {
        NAMESPACES.map(|(namespace, _)| format!("{tasks}/{namespace}/{id}/init.pid"))
    });
    paths.into_iter().find_map(|path| root.json(&path))
}

/// Its pid stays in the file as 0 once it has ended.
fn docker(root: &Root, id: &str) -> Option<u32> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        state: State,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        pid: u32,
    }
    let path = format!("var/lib/docker/containers/{id}/config.v2.json");
    Some(root.json::<Config>(&path)?.state.pid)
}

/// CRI-O and Podman: conmon writes it.
fn storage(root: &Root, id: &str) -> Option<u32> {
    STORAGE
        .into_iter()
        .find_map(|place| root.json(&format!("{place}/overlay-containers/{id}/userdata/pidfile")))
}

fn state(root: &Root, id: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct State {
        #[serde(alias = "init_process_pid")]
        pid: u32,
    }
    let runc = RUNC.map(|place| format!("{place}/{id}/state.json"));
    let crun = [format!("{CRUN}/{id}/status")];
    let mut paths = runc.into_iter().chain(crun);
    paths.find_map(|path| Some(root.json::<State>(&path)?.pid))
}
