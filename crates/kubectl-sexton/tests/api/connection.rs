//! kubectl's own ways to a server.

use std::fs;

use crate::world::{Ran, world};

#[test]
fn kubeconfigs_are_merged_and_missing_ones_count_for_nothing() {
    let Some(world) = world() else { return };
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let second = dir.path().join("second");
    fs::write(
        &second,
        "{apiVersion: v1, kind: Config, contexts: [{name: shop, context: {cluster: lab, user: lab, namespace: shop}}]}",
    )
    .unwrap();
    let listed = [
        dir.path().join("missing"),
        second,
        world.kubeconfig().to_owned(),
    ];
    let run = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("KUBECONFIG", std::env::join_paths(&listed).unwrap());
        Ran::of(command.output().unwrap())
    };
    // The namespace of the context, unless -n says otherwise.
    let leaks = run(&["leaks", "--context", "shop", "-o", "name"]);
    assert_eq!(leaks.fine(), "pod/crawler-0\n");
    let leaks = run(&["leaks", "--context", "shop", "-n", "default", "-o", "name"]);
    assert_eq!(leaks.fine(), "");
    let status = run(&["status", "--context", "shop"]);
    assert!(status.fine().starts_with("Cluster:       shop\n"));
}

#[test]
fn what_is_wrong_with_the_configuration_is_said() {
    let Some(world) = world() else { return };
    let said = |arguments: &[&str]| {
        let ran = world.run(arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran:?}");
        ran.stderr
    };
    assert_eq!(
        said(&["nodes", "--context", "no"]),
        "error: context \"no\" does not exist\n"
    );
    assert_eq!(
        said(&["nodes", "--kubeconfig", "/nonexistent"]),
        "error: stat /nonexistent: no such file or directory\n"
    );
    let mut command = world.command(&["nodes"]);
    command
        .env("KUBECONFIG", "/nonexistent")
        .env("HOME", "/nonexistent")
        .env_remove("KUBERNETES_SERVICE_HOST");
    let ran = Ran::of(command.output().unwrap());
    assert!(
        ran.stderr
            .starts_with("error: no configuration has been provided"),
        "{ran:?}"
    );
    assert!(said(&["nodes", "-o", "html"]).contains("possible values: json, yaml, wide, name"));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let Some(world) = world() else { return };
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let config = dir.path().join("config");
    // Nobody listens on port 1 of loopback.
    fs::write(
        &config,
        "{apiVersion: v1, kind: Config, current-context: c, users: [{name: u, user: {}}],
          clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],
          contexts: [{name: c, context: {cluster: c, user: u}}]}",
    )
    .unwrap();
    let ran = world.run(&["nodes", "--kubeconfig", config.to_str().unwrap()]);
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.stderr,
        "The connection to the server http://127.0.0.1:1/ was refused - did you specify the right host or port?\n"
    );
}
