//! Which container a cgroup path speaks of.
//!
//! Pure: bytes in, a mark out. The path is read from its end, for three reasons: the innermost
//! container is the one that a process lives in (docker in docker, kind), what is below a
//! container's own cgroup belongs to it (systemd or crun's `container` inside), and in a
//! private cgroup namespace the beginning is lost (`/../..`).
//!
//! A mark is a name, and whoever owns the folder above it may give any name: what of it is
//! believed says [`crate::identity`].

use sexton_core::{Container, Pod, Runtime};

#[cfg(test)]
mod tests;

/// A container as its cgroup path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What made it.
    pub runtime: Runtime,
    /// The runtime's id.
    pub id: String,
    /// `metadata.uid` of its pod.
    pub pod_uid: Option<String>,
    /// The path as far as the container's own cgroup.
    pub cgroup: String,
}

impl From<Mark> for Container {
    fn from(mark: Mark) -> Self {
        Self {
            id: mark.id,
            runtime: mark.runtime,
            name: None,
            pod: mark.pod_uid.map(|uid| Pod {
                uid: Some(uid),
                name: None,
                namespace: None,
            }),
            owner: None,
            cgroup: mark.cgroup,
        }
    }
}

/// Every container that the path names, the innermost first.
///
/// What lies below a name that is not UTF-8 is left out: no runtime makes such a name, and it
/// must not hide the container above it.
pub fn marks(path: &[u8]) -> impl Iterator<Item = Mark> {
    let first = path.utf8_chunks().next();
    let path = first.map_or("", |chunk| {
        let valid = chunk.valid();
        if chunk.invalid().is_empty() {
            return valid;
        }
        valid.rsplit_once('/').map_or("", |(above, _)| above)
    });
    let mut end = path.len();
    std::iter::from_fn(move || {
        while end > 0 {
            let here = &path[..end];
            let upper = here.rsplit_once('/').map_or("", |(above, _)| above);
            let name = here[upper.len()..].trim_start_matches('/');
            end = upper.len();
            if let Some((runtime, id)) = container(name, upper)
                && !id.is_empty()
            {
                return Some(Mark {
                    runtime,
                    id,
                    pod_uid: pod_uid(here),
                    cgroup: here.to_owned(),
                });
            }
        }
        None
    })
}

/// The innermost container that the path names; `None` if no runtime left its mark in it.
#[must_use]
pub fn mark(path: &[u8]) -> Option<Mark> {
    marks(path).next()
}

/// `metadata.uid` of the innermost pod that the path names, with dashes.
#[must_use]
pub fn pod_uid(path: &str) -> Option<String> {
    path.rsplit('/').find_map(|name| {
        // systemd form before colons: `kubepods-burstable-podUID.slice:cri-containerd:ID`.
        let name = name.split(':').next()?;
        let uid = match name.strip_suffix(".slice") {
            // systemd takes `-` for a level of the tree, so the kubelet writes `_`.
            Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
            None => name.strip_prefix("pod")?.to_owned(),
        };
        // Static pods have the hash of their manifest: the same digits without dashes.
        let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
        let dashes = uid.bytes().filter(|byte| *byte == b'-').count();
        (digits == 32 && uid.len().checked_sub(digits) == Some(dashes)).then_some(uid)
    })
}

/// An id for a container that no runtime marked, from the cgroup that its maker gave it: the
/// last component, unless that is a unit of systemd's, which says nothing about a container.
#[must_use]
pub fn unmarked_id(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    if name.is_empty() || name == ".." {
        return None;
    }
    const UNITS: [&str; 5] = [".service", ".slice", ".mount", ".socket", ".swap"];
    if UNITS.iter().any(|suffix| name.ends_with(suffix)) {
        return None;
    }
    match name.strip_suffix(".scope") {
        None => Some(name),
        // With systemd's driver a runtime started by hand makes `PREFIX-ID.scope`.
        Some(scope) => ["runc-", "crun-", "youki-"]
            .iter()
            .find_map(|prefix| scope.strip_prefix(prefix)),
    }
}

/// Runtime and id, if `name` below `upper` is the cgroup of a container.
fn container(name: &str, upper: &str) -> Option<(Runtime, String)> {
    if matches!(name, "" | "." | "..") {
        return None;
    }
    // `kubepods-besteffort-podUID.slice:cri-containerd:ID`: systemd's form of a path, taken
    // literally by a containerd that was not told to use systemd.
    if let Some((rest, id)) = name.rsplit_once(':') {
        let prefix = rest.rsplit(':').next()?;
        return runtime_of(prefix)
            .filter(|_| is_id(id))
            .map(|runtime| (runtime, id.to_owned()));
    }
    let parent = upper.rsplit('/').next().unwrap_or_default();
    let unit = name.strip_suffix(".scope").unwrap_or(name);
    // `crio-conmon-ID` and `libpod-conmon-ID` hold the monitor, which is of the host: their
    // prefix is not that of a runtime, so they fall through here.
    if let Some((prefix, id)) = unit.rsplit_once('-')
        && is_id(id)
        && let Some(runtime) = runtime_of(prefix)
    {
        return Some((runtime, id.to_owned()));
    }
    if let Some(machine) = unit.strip_prefix("machine-").filter(|_| unit != name) {
        return machined(&unescape(machine));
    }
    if let Some(machine) = name
        .strip_prefix("systemd-nspawn@")
        .and_then(|name| name.strip_suffix(".service"))
    {
        return Some((Runtime::Nspawn, unescape(machine)));
    }
    // `lxc.monitor.NAME` beside it holds the monitor.
    if let Some(lxc) = name.strip_prefix("lxc.payload.").filter(|n| !n.is_empty()) {
        return Some((Runtime::Lxc, lxc.to_owned()));
    }
    if parent == "lxc" || parent == "lxc.payload" {
        return Some((Runtime::Lxc, name.to_owned()));
    }
    if is_long_id(name) {
        let runtime = match parent {
            "docker" => Runtime::Docker,
            "k8s.io" => Runtime::Containerd,
            // The kubelet's cgroupfs driver (`/kubepods/…/podUID/ID`) does not say.
            _ => Runtime::Unknown,
        };
        return Some((runtime, name.to_owned()));
    }
    // BuildKit inside Docker runs its steps with ids of its own.
    let in_buildkit = parent == "buildkit" && upper.ends_with("/docker/buildkit");
    (in_buildkit && is_buildkit_id(name)).then(|| (Runtime::Docker, name.to_owned()))
}

fn runtime_of(prefix: &str) -> Option<Runtime> {
    Some(match prefix {
        "docker" => Runtime::Docker,
        "cri-containerd" | "nerdctl" => Runtime::Containerd,
        "crio" => Runtime::Crio,
        // `libpod-payload-ID` with `--cgroups=split`.
        "libpod" | "libpod-payload" => Runtime::Podman,
        _ => return None,
    })
}

/// A machine registered with systemd-machined. Virtual machines are not containers: their
/// processes are of the host.
fn machined(name: &str) -> Option<(Runtime, String)> {
    if name.is_empty() || name.starts_with("qemu-") {
        return None;
    }
    Some(match name.strip_prefix("lxc-") {
        Some(lxc) => (Runtime::Lxc, lxc.to_owned()),
        None => (Runtime::Nspawn, name.to_owned()),
    })
}

/// Hexadecimal, as long at least as the short form that people use.
fn is_id(id: &str) -> bool {
    id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A full id: 256 bits. Nothing else in a cgroup path looks like it.
fn is_long_id(id: &str) -> bool {
    id.len() == 64 && is_id(id)
}

fn is_buildkit_id(id: &str) -> bool {
    id.len() == 25
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Undoes `systemd-escape(1)`: `\x2d` is `-`.
fn unescape(name: &str) -> String {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = rest
            .strip_prefix(b"\\x")
            .and_then(|hex| str::from_utf8(hex.get(..2)?).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = escaped {
            plain.push(byte);
            rest = rest.get(4..).unwrap_or_default();
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
