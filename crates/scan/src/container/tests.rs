use super::*;

const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";
const INNER: &str = "aaaa9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";
const UID: &str = "0b0a1c2d-1111-2222-3333-444455556666";

/// `{}` stands for the long id, `{I}` for another, `{U}` for the pod's uid, `{_}` for the uid
/// as systemd slices write it.
fn fill(path: &str) -> String {
    path.replace("{}", ID)
        .replace("{I}", INNER)
        .replace("{U}", UID)
        .replace("{_}", &UID.replace('-', "_"))
}

#[test]
fn paths_of_every_runtime_name_their_container() {
    use Runtime::{Containerd, Crio, Docker, Lxc, Nspawn, Podman, Unknown};
    // path, runtime, id, in a pod, path of the container's own cgroup (empty: the same)
    let table = [
        ("/docker/{}", Docker, "{}", false, ""),
        ("/system.slice/docker-{}.scope", Docker, "{}", false, ""),
        ("/docker/{}/init.scope", Docker, "{}", false, "/docker/{}"),
        ("/docker/{}/docker/{I}", Docker, "{I}", false, ""),
        (
            "/docker/buildkit/abcdefghij0123456789klmno",
            Docker,
            "abcdefghij0123456789klmno",
            false,
            "",
        ),
        ("/ecs/0123/{}", Unknown, "{}", false, ""),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{_}.slice/cri-containerd-{}.scope",
            Containerd,
            "{}",
            true,
            "",
        ),
        (
            "/kubepods.slice/kubepods-pod{_}.slice/cri-containerd-{}.scope",
            Containerd,
            "{}",
            true,
            "",
        ),
        ("/kubepods/besteffort/pod{U}/{}", Unknown, "{}", true, ""),
        ("/kubepods/pod{U}/{}", Unknown, "{}", true, ""),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{_}.slice:cri-containerd:{}",
            Containerd,
            "{}",
            true,
            "",
        ),
        ("/k8s.io/{}", Containerd, "{}", false, ""),
        (
            "/user.slice/user-1000.slice/nerdctl-{}.scope",
            Containerd,
            "{}",
            false,
            "",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/crio-{}.scope/container",
            Crio,
            "{}",
            true,
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{_}.slice/crio-{}.scope",
        ),
        ("/kubepods/burstable/pod{U}/crio-{}", Crio, "{}", true, ""),
        (
            "/machine.slice/libpod-{}.scope/container",
            Podman,
            "{}",
            false,
            "/machine.slice/libpod-{}.scope",
        ),
        ("/libpod_parent/libpod-{}", Podman, "{}", false, ""),
        (
            "/system.slice/web.service/libpod-payload-{}",
            Podman,
            "{}",
            false,
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{}.scope",
            Podman,
            "{}",
            false,
            "",
        ),
        // kind: a node that is a docker container, and a pod in it.
        (
            "/docker/{I}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{_}.slice/cri-containerd-{}.scope",
            Containerd,
            "{}",
            true,
            "",
        ),
        (
            "/docker/{I}/kubelet/kubepods/besteffort/pod{U}/{}",
            Unknown,
            "{}",
            true,
            "",
        ),
        // kind, but a process of the node itself.
        (
            "/docker/{}/system.slice/containerd.service",
            Docker,
            "{}",
            false,
            "/docker/{}",
        ),
        // Seen from a private cgroup namespace.
        (
            "/../../cri-containerd-{}.scope",
            Containerd,
            "{}",
            false,
            "",
        ),
        ("/../{}", Unknown, "{}", false, ""),
        ("/../../pod{U}/{}", Unknown, "{}", true, ""),
        (
            "/machine.slice/machine-debian\\x2dbox.scope/payload",
            Nspawn,
            "debian-box",
            false,
            "/machine.slice/machine-debian\\x2dbox.scope",
        ),
        (
            "/machine.slice/systemd-nspawn@web.service/payload",
            Nspawn,
            "web",
            false,
            "/machine.slice/systemd-nspawn@web.service",
        ),
        (
            "/machine.slice/machine-lxc\\x2d12\\x2dbox.scope",
            Lxc,
            "12-box",
            false,
            "",
        ),
        (
            "/lxc/web/system.slice/cron.service",
            Lxc,
            "web",
            false,
            "/lxc/web",
        ),
        (
            "/lxc.payload.web/init.scope",
            Lxc,
            "web",
            false,
            "/lxc.payload.web",
        ),
        ("/lxc.payload/web", Lxc, "web", false, ""),
    ];
    for (path, runtime, id, in_pod, cgroup) in table {
        let expected = Mark {
            runtime,
            id: fill(id),
            pod_uid: in_pod.then(|| UID.to_owned()),
            cgroup: fill(if cgroup.is_empty() { path } else { cgroup }),
        };
        assert_eq!(mark(fill(path).as_bytes()), Some(expected), "{path}");
    }
}

#[test]
fn what_is_of_the_host_bears_no_mark() {
    for path in [
        "/",
        "",
        "/..",
        "/../..",
        "/init.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/user.slice/user-1000.slice/session-4.scope",
        // Monitors and shims.
        "/machine.slice/libpod-conmon-{}.scope",
        "/kubepods.slice/kubepods-burstable.slice/crio-conmon-{}.scope",
        "/kubepods/burstable/pod{U}/crio-conmon-{}",
        "/lxc.monitor.web",
        // Found by `cargo fuzz`: no component, or none that is a name.
        "/lxc.payload///",
        "/lxc/..",
        "/machine-lxc-.scope",
        "/systemd-nspawn@.service",
        // A pod's own cgroup, where a runtime's sandbox process may live.
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{_}.slice",
        "/kubepods/besteffort/pod{U}",
        // A virtual machine, Docker Desktop, an id that is none, an escape cut short.
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/system.slice/docker-desktop.scope",
        "/docker/web",
        "/a:b:c",
        "/machine.slice/machine-.scope",
    ] {
        assert_eq!(mark(fill(path).as_bytes()), None, "{path}");
    }
    assert_eq!(mark(b"/docker/\xff\xfe"), None);
}

#[test]
fn static_pods_are_named_by_the_hash_of_their_manifest() {
    let hash = "0123456789abcdef0123456789abcdef";
    let path = format!("/kubepods/burstable/pod{hash}/{ID}");
    assert_eq!(pod_uid(&path).as_deref(), Some(hash));
    assert_eq!(pod_uid("/kubepods/burstable/podrunner/x"), None);
    assert_eq!(pod_uid("/machine.slice/machine-libpod_pod_12.slice"), None);
}

#[test]
fn unmarked_containers_are_named_by_their_own_cgroup() {
    for (path, id) in [
        ("/web", Some("web")),
        ("/batch/a:b", Some("a:b")),
        ("/system.slice/runc-web.scope", Some("web")),
        ("/user.slice/session-4.scope", None),
        ("/system.slice/chromium.service", None),
        ("/", None),
        ("", None),
        ("/..", None),
    ] {
        assert_eq!(unmarked_id(path), id, "{path}");
    }
}
