use super::*;
use crate::holder::fixture;

fn named(comm: &str, exe: &str, argv: &[&str]) -> Holder {
    Holder {
        name: comm.to_owned(),
        executable: Some(exe.to_owned()),
        command_line: argv.iter().map(|&a| a.to_owned()).collect(),
        ..fixture(4242)
    }
}

#[test]
fn runtimes_and_shims_are_protected_under_any_of_their_names() {
    for holder in [
        named(
            "containerd-shim",
            "/usr/bin/containerd-shim-runc-v2",
            &["/usr/bin/containerd-shim-runc-v2"],
        ),
        named(
            "dockerd",
            "/usr/bin/dockerd",
            &["/usr/bin/dockerd", "-H", "fd://"],
        ),
        named("renamed", "/usr/sbin/runc (deleted)", &["x"]),
        named("main", "/opt/bundle", &["/usr/local/bin/kubelet", "--v=2"]),
        named("conmon", "/usr/bin/conmon", &["/usr/bin/conmon"]),
        named("crio", "/usr/bin/crio", &["crio"]),
        named("crun", "/usr/bin/crun", &["crun"]),
        named("dockershim", "/x", &["dockershim"]),
        named("sexton", "/usr/bin/sexton", &["sexton", "agent"]),
    ] {
        assert!(protection(&holder, 1000).is_some(), "{holder:?}");
    }
}

#[test]
fn in_a_container_a_name_protects_nothing() {
    let inside = Holder {
        of_host: false,
        ..named("kubelet", "/usr/bin/python3", &["kubelet"])
    };
    assert_eq!(protection(&inside, 1000), None);
    assert_eq!(
        borrowed_name(&inside).as_deref(),
        Some("node agent of Kubernetes (kubelet)")
    );
    let host = named("kubelet", "/usr/bin/kubelet", &["kubelet"]);
    assert_eq!(borrowed_name(&host), None);
    // What else protects does so anywhere.
    let ours = Holder {
        of_host: false,
        ..fixture(1000)
    };
    assert_eq!(protection(&ours, 1000).as_deref(), Some("Sexton itself"));
}

#[test]
fn ordinary_programs_are_not() {
    for holder in [
        named("python3", "/usr/bin/python3.11", &["python3", "crawl.py"]),
        named("crawler", "/usr/bin/sexton", &["/tmp/demo/crawler"]),
        named("runcrawler", "/usr/bin/runcrawler", &["runcrawler"]),
        named("crungrind", "/usr/bin/crungrind", &[]),
    ] {
        assert_eq!(protection(&holder, 1000), None, "{holder:?}");
    }
}

#[test]
fn host_init_kernel_threads_and_ourselves_are_protected() {
    let init = Holder {
        id: crate::ProcessId {
            pid: 1,
            start_ticks: 3,
        },
        ..fixture(1)
    };
    assert_eq!(
        protection(&init, 1000).as_deref(),
        Some("PID 1 of the host")
    );
    let kernel = Holder {
        executable: None,
        command_line: vec![],
        parent_pid: 2,
        ..fixture(77)
    };
    assert_eq!(protection(&kernel, 1000).as_deref(), Some("kernel thread"));
    assert_eq!(
        protection(&fixture(1000), 1000).as_deref(),
        Some("Sexton itself")
    );
}

#[test]
fn pid_1_of_a_container_is_not_the_hosts() {
    let mut holder = fixture(1);
    holder.pid_namespace = Some(4_026_532_500);
    assert_eq!(protection(&holder, 4711), None);
    // Where it cannot be told, it may be the host's.
    holder.pid_namespace = None;
    assert_eq!(
        protection(&holder, 4711).as_deref(),
        Some("PID 1 of the host")
    );
}
