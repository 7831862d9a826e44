//! Who may what is Kubernetes' to say, and it is said clearly.

use sexton_lab::{Cluster, require};

use crate::world::{Ran, world};

#[test]
fn who_may_nothing_is_told_what_it_takes() {
    let Some(world) = world() else { return };
    for command in [
        &["status"][..],
        &["nodes"],
        &["leaks", "-A"],
        &["audit"],
        &["policy"],
        &["page"],
    ] {
        let refused = world.run(&[command, &["--as", "nobody"]].concat());
        assert_eq!(
            (refused.status, refused.stdout.as_str()),
            (1, ""),
            "{refused:?}"
        );
        assert_eq!(
            refused.stderr,
            "Error from server (Forbidden): zombiereports.sexton.dev is forbidden: User \"nobody\" \
             cannot list resource \"zombiereports\" in API group \"sexton.dev\" at the cluster scope\n\
             It takes the rule {apiGroups: [\"sexton.dev\"], resources: [zombiereports], verbs: [list]} \
             in a ClusterRole.\n"
        );
    }
    let refused = world.run(&["reap", "shop/crawler-0", "--yes", "--as", "nobody"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("cannot get resource \"pods\""),
        "{refused:?}"
    );
}

#[test]
fn who_may_read_reports_alone_sees_them_and_what_is_missing() {
    let Some(world) = world() else { return };
    world.cluster.apply(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader},
          rules: [{apiGroups: [sexton.dev], resources: [zombiereports], verbs: [get, list]}]}",
    );
    world.cluster.apply(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: reader},
          roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader},
          subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]}",
    );
    // The authorizer reads its roles from a cache.
    sexton_lab::wait_until("the role counts", || {
        (world.run(&["leaks", "-A", "--as", "reader"]).status == 0).then_some(())
    });
    let nodes = world.run(&["nodes", "--as", "reader"]);
    assert!(nodes.stderr.contains("Nodes cannot be listed"), "{nodes:?}");
    assert!(
        nodes.stderr.contains("The agents cannot be seen"),
        "{nodes:?}"
    );
    let nodes = nodes.fine();
    assert!(
        nodes.contains("n3     Ready ") && !nodes.contains("n4"),
        "{nodes}"
    );
    let selected = world.run(&["nodes", "-l", "pool=a", "--as", "reader"]);
    assert_eq!(selected.status, 1);
    assert!(
        selected
            .stderr
            .contains("resources: [nodes], verbs: [list]"),
        "{selected:?}"
    );
    // By group, as kubectl takes it.
    let grouped = [
        "nodes",
        "--as",
        "x",
        "--as-group",
        "system:masters",
        "-o",
        "name",
    ];
    assert!(world.run(&grouped).fine().contains("node/n4"));
    let alone = world.run(&["nodes", "--as-group", "system:masters"]);
    assert_eq!(alone.status, 1);
    assert!(
        alone.stderr.starts_with("error: requesting uid or groups"),
        "{alone:?}"
    );
}

#[test]
fn without_the_resources_it_says_so() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let mut command = std::process::Command::new(crate::world::binary());
    command
        .arg("status")
        .env("KUBECONFIG", cluster.kubeconfig());
    let told = Ran::of(command.output().unwrap());
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        "error: the server doesn't have a resource type \"zombiereports\"\n\
         Sexton is not installed in this cluster.\n"
    );
}
