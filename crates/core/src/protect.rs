//! Who is never touched, whatever a flag or a policy says (`docs/design.md`, rule 1).
//!
//! A cron job that signalled every parent of a zombie once hit dockershim and re-created
//! production pods (KubeKey PR #1169).

use crate::{Container, Holder};

/// Programs that containers hang on, as far as they run on the host. A name that ends in `*` stands for all that begin so.
const PROTECTED_NAMES: &[(&str, &str)] = &[
    ("containerd", "container runtime"),
    ("containerd-shim*", "container runtime shim"),
    ("dockerd", "container runtime"),
    ("dockershim", "container runtime shim"),
    ("docker-containe*", "container runtime"),
    ("cri-dockerd", "container runtime shim"),
    ("conmon", "container runtime shim"),
    ("conmonrs", "container runtime shim"),
    ("crio", "container runtime"),
    ("podman", "container runtime"),
    ("runc", "container runtime"),
    ("crun", "container runtime"),
    ("youki", "container runtime"),
    ("runsc*", "container runtime"),
    ("kubelet", "node agent of Kubernetes"),
    ("kubelite", "node agent of Kubernetes"),
    ("k3s*", "node agent of Kubernetes"),
    ("k0s", "node agent of Kubernetes"),
    ("rke2", "node agent of Kubernetes"),
    ("sexton", "Sexton itself"),
];

/// Inode of the machine's first PID namespace: `PROC_PID_INIT_INO` of the kernel's
/// `include/linux/proc_ns.h`.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// Why `holder` is never signalled, traced or restarted; `None` when it may be.
///
/// `self_pid` is the pid of the process that asks, in the numbering of `holder`. A holder
/// outside any container is not protected by this function: reaping for it is possible, but
/// only by an explicit allow, which is the caller's to ask for (see [`is_host_process`]).
#[must_use]
pub fn protection(holder: &Holder, self_pid: u32) -> Option<String> {
    if holder.id.pid == self_pid {
        return Some("Sexton itself".to_owned());
    }
    // PID 1 of a container, met by a Sexton that runs in it, is the commonest holder of all.
    if holder.id.pid == 1
        && holder
            .pid_namespace
            .is_none_or(|inode| inode == FIRST_PID_NAMESPACE)
    {
        return Some("PID 1 of the host".to_owned());
    }
    if holder.is_kernel_thread() {
        return Some("kernel thread".to_owned());
    }
    named_as(holder).filter(|_| holder.of_host)
}

/// What a process in a container calls itself, where a process of the host would be protected by
/// that name. A container may give its processes any name, so there it protects nothing.
#[must_use]
pub fn borrowed_name(holder: &Holder) -> Option<String> {
    named_as(holder).filter(|_| !holder.of_host)
}

/// The program of the node that the holder bears the name of: `node agent of Kubernetes
/// (kubelet)`.
fn named_as(holder: &Holder) -> Option<String> {
    names_of(holder).find_map(|name| {
        PROTECTED_NAMES
            .iter()
            .find(|(pattern, _)| matches(pattern, name))
            .map(|(_, what)| format!("{what} ({name})"))
    })
}

/// The process belongs to no container, so only an explicit allow lets its zombies be reaped.
#[must_use]
pub fn is_host_process(container: Option<&Container>) -> bool {
    container.is_none()
}

/// Every name under which a program may be recognised. `comm` can be set by the process, the
/// executable cannot, and a multi-call binary shows only in the first argument; of a process of
/// the host any match protects, since a wrong refusal costs a message and a wrong signal costs a
/// node.
fn names_of(holder: &Holder) -> impl Iterator<Item = &str> {
    let executable = holder
        .executable
        .as_deref()
        .map(|path| base_name(path.strip_suffix(" (deleted)").unwrap_or(path)));
    // Sexton's own executable under another name is the demo's actor, not the tool.
    let executable = executable.filter(|name| *name != "sexton");
    let argv0 = holder.command_line.first().map(|arg| base_name(arg));
    [Some(holder.name.as_str()), executable, argv0]
        .into_iter()
        .flatten()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        // `comm` is cut at 15 bytes.
        None => name == pattern || (pattern.len() > 15 && name == &pattern[..15]),
    }
}

#[cfg(test)]
mod tests;
