use std::fs;

use super::*;

const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";

/// A host with one file, and what a container of `runtime` becomes on it.
fn on_host(runtime: Runtime, path: &str, text: &str) -> Container {
    let host = tempfile::tempdir().unwrap();
    let path = host.path().join(path.replace("ID", ID));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text.replace("ID", ID)).unwrap();
    let mut container = bare(runtime);
    complete(host.path(), &mut container);
    container
}

fn bare(runtime: Runtime) -> Container {
    Container {
        id: ID.to_owned(),
        runtime,
        name: None,
        pod: None,
        owner: None,
        cgroup: "/x".to_owned(),
    }
}

fn named(container: &Container) -> (Option<&str>, Option<&str>, Option<&str>, Option<&str>) {
    let pod = container.pod.as_ref();
    (
        container.name.as_deref(),
        pod.and_then(|pod| pod.name.as_deref()),
        pod.and_then(|pod| pod.namespace.as_deref()),
        pod.and_then(|pod| pod.uid.as_deref()),
    )
}

#[test]
fn containerd_annotates_its_bundle() {
    let container = on_host(
        Runtime::Unknown,
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        r#"{"process":{"args":["x"]},"annotations":{
            "io.kubernetes.cri.container-name":"crawler","io.kubernetes.cri.sandbox-name":"web-0",
            "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-uid":"u-1"}}"#,
    );
    assert_eq!(container.runtime, Runtime::Containerd);
    assert_eq!(
        named(&container),
        (Some("crawler"), Some("web-0"), Some("shop"), Some("u-1"))
    );
}

#[test]
fn docker_keeps_name_and_labels() {
    let path = "var/lib/docker/containers/ID/config.v2.json";
    let plain = on_host(
        Runtime::Docker,
        path,
        r#"{"ID":"ID","Name":"/crawler","Config":{"Labels":null}}"#,
    );
    assert_eq!(named(&plain), (Some("crawler"), None, None, None));
    let of_pod = on_host(
        Runtime::Unknown,
        path,
        r#"{"Name":"/k8s_crawler_web-0_shop_u-1_0","Config":{"Labels":{
            "io.kubernetes.container.name":"crawler","io.kubernetes.pod.name":"web-0",
            "io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u-1"}}}"#,
    );
    assert_eq!(of_pod.runtime, Runtime::Docker);
    assert_eq!(
        named(&of_pod),
        (Some("crawler"), Some("web-0"), Some("shop"), Some("u-1"))
    );
}

#[test]
fn crio_annotates_and_podman_lists() {
    let crio = on_host(
        Runtime::Crio,
        "run/containers/storage/overlay-containers/ID/userdata/config.json",
        r#"{"annotations":{"io.kubernetes.container.name":"crawler","io.kubernetes.pod.name":"web-0",
            "io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u-1"}}"#,
    );
    assert_eq!(
        named(&crio),
        (Some("crawler"), Some("web-0"), Some("shop"), Some("u-1"))
    );
    let podman = on_host(
        Runtime::Podman,
        "var/lib/containers/storage/overlay-containers/containers.json",
        r#"[{"id":"other","names":["no"]},{"id":"ID","names":["crawler"],"layer":"l"}]"#,
    );
    assert_eq!(named(&podman), (Some("crawler"), None, None, None));
}

#[test]
fn the_kubelets_logs_name_what_nobody_else_does() {
    let container = on_host(
        Runtime::Crio,
        "var/log/containers/web-0_shop_crawler-ID.log",
        "",
    );
    assert_eq!(
        named(&container),
        (Some("crawler"), Some("web-0"), Some("shop"), None)
    );
}

#[test]
fn what_the_cgroup_said_of_the_pod_stays() {
    let host = tempfile::tempdir().unwrap();
    let logs = host.path().join("var/log/containers");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join(format!("web-0_shop_crawler-{ID}.log")), "").unwrap();
    let mut container = bare(Runtime::Containerd);
    container.pod = Some(Pod {
        uid: Some("from the cgroup".to_owned()),
        name: None,
        namespace: None,
    });
    complete(host.path(), &mut container);
    assert_eq!(named(&container).3, Some("from the cgroup"));
    assert_eq!(named(&container).1, Some("web-0"));
}

#[test]
fn links_stay_below_the_hosts_root_and_bad_files_give_no_name() {
    // `/var/lib/docker -> /data/docker`, as the host sees it.
    let host = tempfile::tempdir().unwrap();
    let data = host.path().join(format!("data/docker/containers/{ID}"));
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(host.path().join("var/lib")).unwrap();
    fs::write(data.join("config.v2.json"), r#"{"Name":"/crawler"}"#).unwrap();
    std::os::unix::fs::symlink("/data/docker", host.path().join("var/lib/docker")).unwrap();
    let mut container = bare(Runtime::Docker);
    complete(host.path(), &mut container);
    assert_eq!(container.name.as_deref(), Some("crawler"));

    for text in ["", "{", "[]", "7", r#"{"Name":7}"#] {
        let path = "var/lib/docker/containers/ID/config.v2.json";
        assert_eq!(on_host(Runtime::Docker, path, text).name, None, "{text}");
    }
    for id in ["..", "../../etc", "pidns:4", ""] {
        let mut container = bare(Runtime::Docker);
        container.id = id.to_owned();
        complete(host.path(), &mut container);
        assert_eq!(container.name, None, "{id}");
    }
}

#[test]
fn a_bundle_tells_how_many_filters_are_the_runtimes() {
    let of = |path: &str, text: &str, runtime| {
        let host = tempfile::tempdir().unwrap();
        let path = host.path().join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        filters_of(&Root::open(host.path()).unwrap(), &bare(runtime))
    };
    let profile = r#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[]}}}"#;
    let none = r#"{"linux":{"namespaces":[]}}"#;
    for place in [
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        "run/containerd/io.containerd.runtime.v2.task/moby/ID/config.json",
        "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        "run/containers/storage/overlay-containers/ID/userdata/config.json",
    ] {
        assert_eq!(of(place, profile, Runtime::Containerd), Some(1), "{place}");
        assert_eq!(of(place, none, Runtime::Unknown), Some(0), "{place}");
        assert_eq!(of(place, "{}", Runtime::Crio), Some(0), "{place}");
        assert_eq!(of(place, "[", Runtime::Crio), None, "{place}");
        assert_eq!(of(place, profile, Runtime::Lxc), None, "{place}");
    }
    assert_eq!(of("run/x", profile, Runtime::Containerd), None);
}
