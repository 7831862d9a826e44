use sexton_core::{Pod, Runtime};

use super::super::inventory::Program;
use super::*;

/// 64 digits that begin so.
fn id(beginning: &str) -> String {
    format!("{beginning:0<64}")
}

fn container(beginning: &str, name: &str, pod: Option<(&str, &str)>) -> Placed {
    Placed {
        container: Container {
            id: id(beginning),
            runtime: Runtime::Containerd,
            name: Some(name.to_owned()),
            pod: pod.map(|(namespace, pod)| Pod {
                uid: Some(format!("uid of {namespace}/{pod}")),
                name: Some(pod.to_owned()),
                namespace: Some(namespace.to_owned()),
            }),
            owner: None,
            cgroup: format!("/{beginning}"),
        },
        eldest: 1,
    }
}

fn program(pid: u32, name: &str, container: Option<usize>) -> Program {
    Program {
        pid,
        names: [name.to_owned(), format!("{name}-in-full")],
        container,
    }
}

/// Two pods of one Deployment, another pod of that name elsewhere, a container of Docker's.
fn node() -> Inventory {
    Inventory {
        containers: vec![
            container("c1a", "app", Some(("shop", "checkout-7d9f4-x2lpq"))),
            container("c1b", "proxy", Some(("shop", "checkout-7d9f4-x2lpq"))),
            container("c2", "app", Some(("shop", "checkout-7d9f4-k8s2x"))),
            container("d1", "web", Some(("shop", "web"))),
            container("e1", "queue", None),
            container("f1", "redis", None),
        ],
        programs: vec![
            program(11, "python3", Some(0)),
            program(12, "python3", Some(2)),
            program(13, "web", Some(3)),
            program(14, "cron", None),
            program(15, "redis", Some(5)),
            program(16, "redis", None),
        ],
    }
}

/// What the one thing is, or how many it may be, or 0.
fn found(target: &str) -> Result<String, usize> {
    let target = target.parse().unwrap();
    match node().the_thing(&target, None) {
        Ok(Thing::Container(placed)) => Ok(placed.container.id.trim_end_matches('0').to_owned()),
        Ok(Thing::Pod(name, _)) => Ok(name),
        Ok(Thing::Program(pid, ..)) => Ok(pid.to_string()),
        Err(Error::Ambiguous { count, .. }) => Err(count),
        Err(_) => Err(0),
    }
}

#[test]
fn one_thing_is_found_by_any_of_its_names() {
    for (target, thing) in [
        ("container/c1a", "c1a"),
        ("container/queue", "e1"),
        ("c1b", "c1b"),
        ("queue", "e1"),
        ("proxy", "c1b"),
        ("pod/checkout-7d9f4-x2lpq", "shop/checkout-7d9f4-x2lpq"),
        ("pod/shop/checkout-7d9f4-k8s2x", "shop/checkout-7d9f4-k8s2x"),
        ("shop/web", "shop/web"),
        ("pod/uid of shop/web", "shop/web"),
        ("cron", "14"),
        ("cron-in-full", "14"),
        // The container, the pod that it is all of, and the program in it.
        ("web", "d1"),
    ] {
        assert_eq!(found(target).as_deref(), Ok(thing), "{target}");
    }
}

#[test]
fn what_may_be_several_things_is_none() {
    for (target, count) in [
        // The beginnings of ids, a name in two pods, a workload of two pods.
        ("c1", 2),
        ("c", 3),
        ("container/app", 2),
        ("app", 2),
        ("pod/shop/checkout", 2),
        ("checkout-7d9f4", 2),
        // Programs of one name; a container, its program, and a process of the host.
        ("python3", 2),
        ("redis", 3),
    ] {
        assert_eq!(found(target), Err(count), "{target}");
    }
}

#[test]
fn a_list_says_what_to_type() {
    let error = node().the_thing(&"app".parse().unwrap(), None).unwrap_err();
    let text = error.to_string();
    let short = &id("c1a")[..12];
    assert!(
        text.contains(&format!("container/{short}  shop/checkout-7d9f4-x2lpq app")),
        "{text}"
    );
    let error = node().the_thing(&"pod/checkout".parse().unwrap(), None);
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("\n  pod/shop/checkout-7d9f4-x2lpq  2 containers"),
        "{text}"
    );
    assert!(
        text.contains("\n  pod/shop/checkout-7d9f4-k8s2x  1 container"),
        "{text}"
    );
}

#[test]
fn what_is_not_there_brings_the_nearest_names() {
    for (target, near) in [
        ("container/quue", "queue"),
        ("pod/shop/chekout-7d9f4-x2lpq", "shop/checkout-7d9f4-x2lpq"),
        ("pyhton3", "python3"),
        ("check", "checkout-7d9f4"),
    ] {
        assert_eq!(found(target), Err(0), "{target}");
        let error = node().the_thing(&target.parse().unwrap(), None);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("nearest") && text.contains(near), "{text}");
    }
    let error = node().the_thing(&"nothing-like-it".parse().unwrap(), None);
    let text = error.unwrap_err().to_string();
    assert_eq!(
        text,
        "no process, container or pod named nothing-like-it on this node"
    );
}

#[test]
fn a_hostile_name_cannot_break_out_of_the_list() {
    let mut node = node();
    node.containers[0].container.name = Some("app\n  pid/1".to_owned());
    node.programs.push(program(17, "app\u{1b}[2J\n", None));
    let error = node.the_thing(&"c1".parse().unwrap(), None).unwrap_err();
    let text = error.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    let error = node.the_thing(&"ap".parse().unwrap(), None).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains('\u{1b}') && !text.contains('\n'), "{text}");
}

#[test]
fn a_list_shows_all_that_fits() {
    let all = |target: &str| node().things(&target.parse().unwrap(), None).len();
    assert_eq!(all("pod/checkout"), 2);
    assert_eq!(all("pod/shop/checkout"), 2);
    assert_eq!(all("pod/other/checkout"), 0);
    assert_eq!(all("container/app"), 2);
    // An exact name goes before the beginning of an id.
    assert_eq!(all("container/c1"), 2);
}

#[test]
fn a_name_that_somebody_chose_does_not_stand_in_for_anothers_id_or_workload() {
    let mut node = node();
    let victim = &id("c1a")[..12];
    node.containers.push(container("aa", victim, None));
    // A pod of its own, in a namespace of its own, named like the workload of another.
    node.containers
        .push(container("bb", "x", Some(("evil", "checkout"))));
    let ask = |target: &str| node.the_thing(&target.parse().unwrap(), None);
    for target in [
        victim,
        &format!("container/{victim}"),
        "checkout",
        "pod/checkout",
    ] {
        let answer = ask(target);
        assert!(
            matches!(answer, Err(Error::Ambiguous { .. })),
            "{target}: {answer:?}"
        );
    }
    // What the list offers, and what names one pod, is taken.
    let offered = ask(victim).unwrap_err().to_string();
    let whole = format!("container/{}", id("c1a"));
    assert!(offered.contains(&whole), "{offered}");
    for target in [whole.as_str(), "evil/checkout", "pod/uid of evil/checkout"] {
        assert!(ask(target).is_ok(), "{target}");
    }
}
