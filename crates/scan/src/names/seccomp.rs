//! How many seccomp filters a runtime has put upon a container.

use serde::Deserialize;
use sexton_core::{Container, Runtime};

use super::{CONTAINERD, NAMESPACES, Root, STORAGE, is_of_runtime};

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
    if !is_of_runtime(id) {
        return None;
    }
    let bundles = |place| NAMESPACES.map(|(namespace, _)| format!("{place}/{namespace}/{id}"));
    let mut found: Vec<String> = CONTAINERD.into_iter().flat_map(bundles).collect();
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
