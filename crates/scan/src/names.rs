//! Names of containers and pods, from files that the runtimes leave on the node.
//!
//! Only containers that appear in a report are looked up. A file that is missing or has
//! another form gives no name; that is no error, since the id stands for itself.

mod first;
mod root;
mod seccomp;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use sexton_core::{Container, Pod, Runtime};

use crate::container::marks;

pub(crate) use first::{Known, beside, known};
pub(crate) use root::Root;
pub(crate) use seccomp::filters_of;

/// Where containerd keeps the bundle of a running container, by its namespace: as packaged, of
/// k3s and RKE2, k0s, MicroK8s, and of a Docker that brings its own.
pub(crate) const CONTAINERD: [&str; 5] = [
    "run/containerd/io.containerd.runtime.v2.task",
    "run/k3s/containerd/io.containerd.runtime.v2.task",
    "run/k0s/containerd/io.containerd.runtime.v2.task",
    "var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
    "run/docker/containerd/daemon/io.containerd.runtime.v2.task",
];
/// Namespaces of containerd, and whose containers lie in them.
pub(crate) const NAMESPACES: [(&str, Runtime); 3] = [
    ("k8s.io", Runtime::Containerd),
    ("default", Runtime::Containerd),
    ("moby", Runtime::Docker),
];
/// Where CRI-O and podman keep theirs: the former on disk, the latter in either.
pub(crate) const STORAGE: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];

/// What a file told.
#[derive(Debug, Default)]
struct Told {
    runtime: Option<Runtime>,
    name: Option<String>,
    pod: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
}

/// Ids come from cgroup paths, so they hold no slash; `pidns:…` and `user:…` are ours.
fn is_of_runtime(id: &str) -> bool {
    !(id.is_empty() || id.starts_with('.') || id.contains([':', '/', '\0']))
}

/// Fills in what `container` lacks.
pub(crate) fn complete(host: &Path, container: &mut Container) {
    if !is_of_runtime(&container.id) {
        return;
    }
    // Who is root in a container gives the names below it: they are none of the node's, and stay
    // in the pod of that container.
    if let Some(mut outer) = outer(container)
        && known(host, &container.id) == Known::No
    {
        complete(host, &mut outer);
        container.pod = outer.pod.or(container.pod.take());
        return;
    }
    let id = container.id.as_str();
    let Some(root) = Root::open(host) else {
        return;
    };
    let told = match container.runtime {
        Runtime::Docker => docker(&root, id),
        Runtime::Crio | Runtime::Podman => storage(&root, id),
        Runtime::Containerd => containerd(&root, id),
        Runtime::Unknown => containerd(&root, id)
            .or_else(|| docker(&root, id))
            .or_else(|| storage(&root, id)),
        Runtime::Nspawn | Runtime::Lxc => None,
    }
    .filter(|told| told.name.is_some())
    .or_else(|| kubelet_log(&root, id));
    let Some(told) = told else {
        return;
    };
    if container.runtime == Runtime::Unknown
        && let Some(runtime) = told.runtime
    {
        container.runtime = runtime;
    }
    container.name = container.name.take().or(told.name);
    if told.pod.is_some() || told.uid.is_some() {
        let pod = container.pod.get_or_insert(Pod {
            uid: None,
            name: None,
            namespace: None,
        });
        pod.uid = pod.uid.take().or(told.uid);
        pod.name = pod.name.take().or(told.pod);
        pod.namespace = pod.namespace.take().or(told.namespace);
    }
}

/// The container that `container` lies in, by its cgroup.
fn outer(container: &Container) -> Option<Container> {
    let mark = marks(container.cgroup.as_bytes()).find(|mark| mark.cgroup != container.cgroup)?;
    Some(mark.into())
}

/// The OCI runtime's configuration, as far as its annotations (`config.md` of the OCI runtime
/// specification).
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// containerd: what its CRI plugin, and nerdctl, annotate.
fn containerd(root: &Root, id: &str) -> Option<Told> {
    // In Docker's own namespace the annotations say nothing; Docker's file does.
    let places = CONTAINERD
        .into_iter()
        .flat_map(|tasks| NAMESPACES.map(|(namespace, runtime)| (tasks, namespace, runtime)));
    for (tasks, namespace, runtime) in places {
        let path = format!("{tasks}/{namespace}/{id}/config.json");
        let Some(bundle) = root.json::<Bundle>(&path) else {
            continue;
        };
        if runtime == Runtime::Docker {
            return docker(root, id);
        }
        let mut take = taker(bundle);
        return Some(Told {
            runtime: Some(runtime),
            // The sandbox (`pause`) has no name of its own.
            name: take("io.kubernetes.cri.container-name")
                .or_else(|| take("nerdctl/name"))
                .or_else(|| take("io.kubernetes.cri.container-type")),
            pod: take("io.kubernetes.cri.sandbox-name"),
            namespace: take("io.kubernetes.cri.sandbox-namespace"),
            uid: take("io.kubernetes.cri.sandbox-uid"),
        });
    }
    None
}

/// Docker Engine: name, and the labels of dockershim and cri-dockerd.
fn docker(root: &Root, id: &str) -> Option<Told> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        name: Option<String>,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        labels: Option<HashMap<String, String>>,
    }
    let state: State = root.json(&format!("var/lib/docker/containers/{id}/config.v2.json"))?;
    let mut labels = state
        .config
        .and_then(|config| config.labels)
        .unwrap_or_default();
    let mut take = |key: &str| labels.remove(key);
    let plain = state
        .name
        .map(|name| name.trim_start_matches('/').to_owned());
    Some(Told {
        runtime: Some(Runtime::Docker),
        name: take("io.kubernetes.container.name").or(plain),
        pod: take("io.kubernetes.pod.name"),
        namespace: take("io.kubernetes.pod.namespace"),
        uid: take("io.kubernetes.pod.uid"),
    })
}

/// containers/storage: CRI-O annotates, podman keeps names in the list of all containers.
fn storage(root: &Root, id: &str) -> Option<Told> {
    for place in STORAGE {
        let path = format!("{place}/overlay-containers/{id}/userdata/config.json");
        let Some(bundle) = root.json::<Bundle>(&path) else {
            continue;
        };
        let mut take = taker(bundle);
        let pod = take("io.kubernetes.pod.name");
        if pod.is_some() {
            return Some(Told {
                runtime: Some(Runtime::Crio),
                name: take("io.kubernetes.container.name"),
                pod,
                namespace: take("io.kubernetes.pod.namespace"),
                uid: take("io.kubernetes.pod.uid"),
            });
        }
    }
    STORAGE.iter().find_map(|place| {
        #[derive(Deserialize)]
        struct Stored {
            id: String,
            #[serde(default)]
            names: Vec<String>,
        }
        let all: Vec<Stored> = root.json(&format!("{place}/overlay-containers/containers.json"))?;
        let stored = all.into_iter().find(|stored| stored.id == id)?;
        Some(Told {
            runtime: Some(Runtime::Podman),
            name: stored.names.into_iter().next(),
            ..Told::default()
        })
    })
}

/// The kubelet's links `POD_NAMESPACE_CONTAINER-ID.log`, the same for every runtime.
fn kubelet_log(root: &Root, id: &str) -> Option<Told> {
    let suffix = format!("-{id}.log");
    root.find("var/log/containers", |file| {
        // Names in Kubernetes hold no underscore.
        let mut parts = file.strip_suffix(&suffix)?.splitn(3, '_');
        Some(Told {
            pod: Some(parts.next()?.to_owned()),
            namespace: Some(parts.next()?.to_owned()),
            name: Some(parts.next()?.to_owned()),
            ..Told::default()
        })
    })
}

fn taker(bundle: Bundle) -> impl FnMut(&str) -> Option<String> {
    let mut annotations = bundle.annotations;
    move |key| annotations.remove(key).filter(|value| !value.is_empty())
}
