//! Policies: what the nodes make of them, and what they would do.

use crate::world::world;

#[test]
fn what_the_nodes_make_of_them() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["policy"]).fine(),
        "\
NAME       MODE      GENERATION   FOLLOWED   BEHIND   REFUSED   LIMITED
browsers   enforce   1            1/3        1        1         0
default    dryRun    1            3/3        0        0         0

browsers is refused by 1 node (n2): the audit log cannot be written
"
    );
    let names = world.run(&["policy", "-o", "name"]).fine();
    assert_eq!(
        names,
        "reappolicy.sexton.dev/browsers\nreappolicy.sexton.dev/default\n"
    );
    let list = world.run(&["policy", "-o", "json"]).json();
    assert_eq!(list["items"][0]["refused"][0]["nodes"][0], "n2");
    assert_eq!(list["items"][0]["behind"][0], "n3");
}

#[test]
fn which_covers_a_pod() {
    let Some(world) = world() else { return };
    assert_eq!(
        world.run(&["policy", "explain", "shop/crawler-0"]).fine(),
        "\
shop/crawler-0 app: 5,000 zombies or more of python3 (pid 4711)
  policy    browsers (enforce, up to reap)
  because   it asks for 2 things, 2 by exact name
  others    default covers it too and asks for nothing in particular, which is less
  its node  follows it at generation 1
  last step reap dry run
"
    );
    let web = world
        .run(&["policy", "explain", "shop/web-1", "-o", "json"])
        .json();
    assert_eq!(web["items"][0]["policy"], "default (dryRun, up to reap)");
    assert_eq!(web["items"][0]["verdicts"][1]["covers"], false);
}

#[test]
fn which_would_if_it_were_applied() {
    let Some(world) = world() else { return };
    let file = tempfile::Builder::new()
        .prefix("sexton-test-")
        .suffix(".yaml")
        .tempfile()
        .unwrap();
    let policy = "{apiVersion: sexton.dev/v1alpha1, kind: ReapPolicy, metadata: {name: new}, spec: {selector: {commands: [java]}}}";
    std::fs::write(file.path(), policy).unwrap();
    let path = file.path().to_str().unwrap();
    let text = world
        .run(&["policy", "explain", "shop/crawler-0", "--policy", path])
        .fine();
    assert!(text.contains("none covers it"), "{text}");
    assert!(
        text.contains("new does not cover it: commands: `python3` does not fit"),
        "{text}"
    );
    let text = world
        .run(&["policy", "explain", "shop/web-1", "--policy", path])
        .fine();
    assert!(
        text.contains("commands: not known before it leaks"),
        "{text}"
    );
}

#[test]
fn check_asks_no_server() {
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let file = dir.path().join("p.yaml");
    let check = || {
        let mut command = std::process::Command::new(crate::world::binary());
        command
            .args(["policy", "check"])
            .arg(&file)
            .env("KUBECONFIG", "/nonexistent");
        crate::world::Ran::of(command.output().unwrap())
    };
    let policy =
        "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata:\n  name: p\nspec:\n  mode: ";
    std::fs::write(&file, format!("{policy}enforce\n")).unwrap();
    let good = check().fine();
    assert!(good.ends_with("1 policy, nothing wrong.\n"), "{good}");
    std::fs::write(&file, format!("{policy}sometimes\n")).unwrap();
    let bad = check();
    assert_eq!(bad.status, 1);
    assert!(bad.stdout.contains("p.yaml:6:9: spec.mode:"), "{bad:?}");
}
