//! The cluster itself: what it is, and that nothing of it is left.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::path::Path;

use sexton_lab::{Cluster, require, wait_until};

#[test]
fn a_control_plane_serves_dies_comes_back_and_leaves_nothing() {
    let Some(cluster) = require(Cluster::control_plane_with(&[
        "--feature-gates=ConstrainedImpersonation=false",
    ])) else {
        return;
    };
    let kubeconfig = cluster.kubeconfig();
    let dir = kubeconfig.parent().expect("a file in it").to_owned();
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]);
    assert!(
        metrics.lines().any(|line| line
            .starts_with("kubernetes_feature_enabled{name=\"ConstrainedImpersonation\"")
            && line.ends_with(" 0")),
        "the flag was taken"
    );
    cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}");
    assert_eq!(cluster.get(&["configmap", "one"])["data"]["a"], "b");
    assert!(
        cluster
            .try_apply("{apiVersion: v1, kind: Nothing}")
            .is_err()
    );

    cluster.stop("kube-apiserver", 1);
    assert!(cluster.try_get(&["configmap", "one"]).is_err());
    cluster.go_on("kube-apiserver", 1);
    let again = wait_until("it is back", || cluster.try_get(&["configmap", "one"]).ok());
    assert_eq!(again["data"]["a"], "b", "etcd has kept it");

    drop(cluster);
    assert!(!dir.exists(), "{}", dir.display());
    let cgroup = Path::new("/sys/fs/cgroup/unified").join(format!(
        "sexton-lab-{}",
        dir.file_name().expect("a name").display()
    ));
    assert!(!cgroup.exists());
    let of_it = format!("{}\0", dir.display());
    let left = std::fs::read_dir("/proc").expect("mounted").flatten();
    let left = left.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&of_it)
    });
    assert_eq!(left.count(), 0, "processes");
}
