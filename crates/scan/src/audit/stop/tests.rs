use std::fs;

use sexton_core::Pod;

use super::*;

const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";

/// Signal, grace period and their sources on a host with one file.
fn on_host(runtime: Runtime, path: &str, text: &str) -> Stop {
    let host = tempfile::tempdir().unwrap();
    let path = host.path().join(path.replace("ID", ID));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    of(host.path(), &bare(runtime), Some("/app"), None)
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

fn said(stop: &Stop) -> (&str, Option<u64>) {
    (
        &stop.signal.name,
        stop.grace.as_ref().map(|grace| grace.seconds),
    )
}

const DOCKER: &str = "var/lib/docker/containers/ID/config.v2.json";
const STORED: &str = "var/lib/containers/storage/overlay-containers/ID/userdata/config.json";

#[test]
fn docker_keeps_signal_and_timeout() {
    let stop = on_host(
        Runtime::Docker,
        DOCKER,
        r#"{"Config":{"StopSignal":"SIGQUIT","StopTimeout":3}}"#,
    );
    assert_eq!(said(&stop), ("SIGQUIT", Some(3)));
    assert!(stop.signal.source.contains(ID), "{}", stop.signal.source);
    // By number, and with cri-dockerd's labels.
    let stop = on_host(
        Runtime::Docker,
        DOCKER,
        r#"{"Config":{"StopSignal":"37","Labels":{
            "annotation.io.kubernetes.pod.terminationGracePeriod":"45"}}}"#,
    );
    assert_eq!(said(&stop), ("SIGRTMIN+3", Some(45)));
}

#[test]
fn what_docker_does_not_say_is_its_default() {
    let stop = on_host(Runtime::Docker, DOCKER, r#"{"Config":{"Labels":null}}"#);
    assert_eq!(said(&stop), ("SIGTERM", Some(10)));
    assert!(stop.signal.source.contains("default"));
    let nonsense = on_host(
        Runtime::Docker,
        DOCKER,
        r#"{"Config":{"StopSignal":"SIGNOPE"}}"#,
    );
    assert_eq!(said(&nonsense), ("SIGTERM", Some(10)));
    let note = nonsense.note.unwrap();
    assert!(note.contains("`SIGNOPE` is not a signal"), "{note}");
    assert!(note.contains("containerd answers with an error"), "{note}");
}

#[test]
fn crio_annotates_both() {
    let stop = on_host(
        Runtime::Crio,
        STORED,
        r#"{"annotations":{"org.opencontainers.image.stopSignal":"SIGUSR1",
            "io.kubernetes.cri-o.Annotations":"{\"io.kubernetes.pod.terminationGracePeriod\":\"60\"}"}}"#,
    );
    assert_eq!(said(&stop), ("SIGUSR1", Some(60)));
}

#[test]
fn podman_annotates_numbers_and_properties_of_the_scope() {
    let stop = on_host(
        Runtime::Podman,
        STORED,
        r#"{"annotations":{"org.opencontainers.image.stopSignal":"3"}}"#,
    );
    assert_eq!(said(&stop), ("SIGQUIT", Some(10)));
    let stop = on_host(
        Runtime::Podman,
        STORED,
        r#"{"annotations":{"org.systemd.property.KillSignal":"15",
            "org.systemd.property.TimeoutStopUSec":"uint64 20000000"}}"#,
    );
    assert_eq!(said(&stop), ("SIGTERM", Some(20)));
}

#[test]
fn runc_by_hand_keeps_annotations_among_labels() {
    let stop = on_host(
        Runtime::Unknown,
        "run/runc/ID/state.json",
        r#"{"config":{"labels":["bundle=/b","org.opencontainers.image.stopSignal=SIGINT"]}}"#,
    );
    assert_eq!(said(&stop), ("SIGINT", None));
}

#[test]
fn containerd_does_not_tell_and_this_is_said() {
    let path = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    let stop = on_host(
        Runtime::Containerd,
        path,
        r#"{"annotations":{"io.kubernetes.cri.container-name":"x"}}"#,
    );
    assert_eq!(said(&stop), ("SIGTERM", Some(10)));
    assert!(stop.signal.source.contains("not asked"));
    let mut in_pod = bare(Runtime::Containerd);
    in_pod.pod = Some(Pod {
        uid: None,
        name: Some("web".to_owned()),
        namespace: None,
    });
    let host = tempfile::tempdir().unwrap();
    assert_eq!(
        said(&of(host.path(), &in_pod, Some("/app"), None)),
        ("SIGTERM", Some(30))
    );
}

#[test]
fn the_runtime_itself_goes_before_files() {
    let host = tempfile::tempdir().unwrap();
    let workload = Workload {
        id: ID.to_owned(),
        stop_signal: Some("SIGQUIT".to_owned()),
        grace_seconds: Some(5),
        ..Workload::default()
    };
    let stop = of(
        host.path(),
        &bare(Runtime::Containerd),
        Some("/app"),
        Some(&workload),
    );
    assert_eq!(said(&stop), ("SIGQUIT", Some(5)));
}

#[test]
fn what_a_container_was_started_as_is_in_the_files_of_its_runtime() {
    let words = |stop: Stop| stop.arguments.unwrap_or_default();
    let docker = on_host(
        Runtime::Docker,
        DOCKER,
        r#"{"Path":"/entry","Args":["redis-server","--save",""],"Config":{}}"#,
    );
    assert_eq!(words(docker), ["/entry", "redis-server", "--save", ""]);
    let bundle = on_host(
        Runtime::Crio,
        STORED,
        r#"{"process":{"args":["puma","-C","x.rb"]},"annotations":{}}"#,
    );
    assert_eq!(words(bundle), ["puma", "-C", "x.rb"]);
}

#[test]
fn runc_by_hand_notes_where_the_bundle_lies() {
    let host = tempfile::tempdir().unwrap();
    let state = host.path().join(format!("run/runc/{ID}"));
    fs::create_dir_all(&state).unwrap();
    fs::create_dir_all(host.path().join("b")).unwrap();
    let text = r#"{"config":{"labels":["bundle=/b"]}}"#;
    fs::write(state.join("state.json"), text).unwrap();
    let text = r#"{"process":{"args":["app","--x"]}}"#;
    fs::write(host.path().join("b/config.json"), text).unwrap();
    let stop = of(host.path(), &bare(Runtime::Unknown), Some("/app"), None);
    assert_eq!(stop.arguments.unwrap_or_default(), ["app", "--x"]);
}

#[test]
fn the_kubelet_annotates_a_hook() {
    let stop = on_host(
        Runtime::Crio,
        STORED,
        r#"{"annotations":{"io.kubernetes.cri-o.Annotations":
            "{\"io.kubernetes.container.preStopHandler\":\"{\\\"exec\\\":{\\\"command\\\":[\\\"sleep\\\",\\\"5\\\"]}}\"}"}}"#,
    );
    assert_eq!(stop.pre_stop.unwrap().command, ["sleep", "5"]);
    assert_eq!(hook(r#"{"sleep":{"seconds":7}}"#).unwrap().sleep, Some(7));
    assert_eq!(hook("nonsense"), None);
}

#[test]
fn docker_keeps_a_health_check() {
    let probe = |text: &str| {
        let text = format!(r#"{{"Config": {{"Healthcheck": {text}}}}}"#);
        on_host(Runtime::Docker, DOCKER, &text).probes.pop()
    };
    let found = probe(r#"{"Test": ["CMD-SHELL", "a | b"], "Timeout": 5000000000}"#).unwrap();
    assert_eq!(found.command, ["/bin/sh", "-c", "a | b"]);
    assert_eq!(found.timeout_seconds, 5);
    let found = probe(r#"{"Test": ["CMD", "/probe", "x"]}"#).unwrap();
    assert_eq!(found.command, ["/probe", "x"]);
    assert_eq!(found.timeout_seconds, 30);
    for none in [r#"{"Test": ["NONE"]}"#, "{}", "null"] {
        assert_eq!(probe(none), None, "{none}");
    }
}
