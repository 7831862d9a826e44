//! How many seccomp filters a runtime has put upon a container.

use serde::Deserialize;
use sexton_core::{Container, Runtime};

use super::{CONTAINERD, Root, STORAGE, is_plain};

/// Where containerd keeps its bundles, where another daemon brings it along: k3s, Docker.
const CONTAINERD_OF_OTHERS: [&str; 2] = [
    "run/k3s/containerd/io.containerd.runtime.v2.task",
    "run/docker/containerd/daemon/io.containerd.runtime.v2.task",
];

/// The OCI runtime's configuration, as far as seccomp goes (`config-linux.md` of the OCI runtime
/// specification).
#[derive(Deserialize)]
struct Bundle {
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Linux {
    seccomp: Option<serde::de::IgnoredAny>,
}

/// Filters of each process of `container` that are none of its own; `None` where the runtime's
/// files do not tell. runc and crun make one of a profile.
pub(crate) fn filters_of(root: &Root, container: &Container) -> Option<u32> {
    let id = container.id.as_str();
    if !is_plain(id) {
        return None;
    }
    let bundles = |places: &[&str]| -> Vec<String> {
        let namespaces = ["k8s.io", "moby", "default"];
        let each = |place| namespaces.map(|namespace| format!("{place}/{namespace}/{id}"));
        places.iter().flat_map(each).collect()
    };
    let mut found = bundles(&[CONTAINERD]);
    found.extend(bundles(&CONTAINERD_OF_OTHERS));
    found.extend(STORAGE.map(|place| format!("{place}/overlay-containers/{id}/userdata")));
    match container.runtime {
        // These put many there, by rules of their own.
        Runtime::Nspawn | Runtime::Lxc => None,
        _ => found.iter().find_map(|bundle| {
            let bundle: Bundle = root.json(&format!("{bundle}/config.json"))?;
            let profile = bundle.linux.and_then(|linux| linux.seccomp);
            Some(u32::from(profile.is_some()))
        }),
    }
}
