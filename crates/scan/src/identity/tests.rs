use std::fs;
use std::os::unix::fs::chown;

use tempfile::TempDir;

use super::*;
use crate::Roots;

const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";
const OTHER: &str = "aaaa9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";
const POD: &str = "0b0a1c2d-1111-2222-3333-444455556666";
/// The namespace of the fake machine's first process, and another.
const HOST: u64 = 4_026_531_836;
const APART: u64 = 4_026_532_500;

/// A machine of cgroup v2, in a temporary directory.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("cgroup/cgroup.controllers", "pids\n");
        machine.process(1, 0, "/", HOST);
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(&self, pid: u32, parent: u32, cgroup: &str, namespace: u64) {
        fs::create_dir_all(self.0.path().join("cgroup").join(&cgroup[1..])).unwrap();
        let dir = format!("proc/{pid}");
        let rest = "0 ".repeat(29);
        let stat = format!("{pid} (x) S {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 {rest}\n");
        self.write(&format!("{dir}/stat"), &stat);
        self.write(
            &format!("{dir}/status"),
            &format!("State:\tS (x)\nTgid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nNSpid:\t{pid}\nThreads:\t1\n"),
        );
        self.write(&format!("{dir}/cgroup"), &format!("0::{cgroup}\n"));
        let links = self.0.path().join(&dir).join("ns");
        fs::create_dir_all(&links).unwrap();
        let target = format!("pid:[{namespace}]");
        std::os::unix::fs::symlink(target, links.join("pid")).unwrap();
    }

    /// As a user's manager of systemd has it: the folder and all below belong to the user.
    fn give(&self, cgroup: &str, uid: u32) {
        let top = self.0.path().join("cgroup").join(&cgroup[1..]);
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            chown(&folder, Some(uid), None).unwrap();
            let entries = fs::read_dir(&folder).unwrap().flatten();
            folders.extend(entries.map(|e| e.path()).filter(|path| path.is_dir()));
        }
    }

    /// containerd began the container `id` with `pid`.
    fn containerd_knows(&self, id: &str, pid: u32, pod: &str) {
        let bundle = format!("host/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}");
        self.write(&format!("{bundle}/init.pid"), &pid.to_string());
        self.write(
            &format!("{bundle}/config.json"),
            &format!(r#"{{"annotations":{{"io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"{pod}","io.kubernetes.cri.sandbox-namespace":"shop"}}}}"#),
        );
    }

    fn scanner(&self) -> Scanner {
        let at = |name| self.0.path().join(name);
        fs::create_dir_all(at("host")).unwrap();
        self.write("proc/loadavg", "0.00 0.01 0.05 1/100 4242\n");
        Scanner::new(Roots {
            proc: at("proc"),
            cgroup: at("cgroup"),
            host: at("host"),
        })
        .unwrap()
    }

    fn container_of(&self, pid: u32) -> Option<Container> {
        self.scanner().container_of(pid).unwrap()
    }

    fn id_of(&self, pid: u32) -> Option<String> {
        self.container_of(pid).map(|container| container.id)
    }
}

/// Folders can be given away only as root.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can give folders to another user");
    }
    root
}

fn slice(id: &str) -> String {
    let pod = POD.replace('-', "_");
    format!("/kubepods.slice/kubepods-pod{pod}.slice/cri-containerd-{id}.scope")
}

const USERS: &str = "/user.slice/user-1000.slice/user@1000.service";

#[test]
fn a_mark_below_a_users_folder_is_not_believed() {
    if !root() {
        return;
    }
    let machine = Machine::new();
    let forged = format!("{USERS}{}", slice(ID));
    machine.process(10, 1, &slice(ID), APART);
    machine.process(20, 1, &forged, HOST);
    machine.process(21, 1, &forged, APART);
    machine.give(USERS, 1000);
    assert_eq!(machine.id_of(10).as_deref(), Some(ID));
    // Of the host, or a container of that user, but nobody's else.
    assert_eq!(machine.id_of(20), None);
    let apart = machine.container_of(21).unwrap();
    assert_eq!(apart.id, format!("user:1000:{APART}"));
    assert_eq!(apart.pod, None);
}

#[test]
fn a_users_folder_in_the_middle_is_enough_and_one_below_the_mark_is_not() {
    if !root() {
        return;
    }
    let machine = Machine::new();
    let forged = format!("{USERS}{}", slice(ID));
    machine.process(20, 1, &forged, HOST);
    // Only the topmost folder is the user's: what it made below may be root's by now.
    chown(
        machine.0.path().join("cgroup").join(&USERS[1..]),
        Some(1000),
        None,
    )
    .unwrap();
    assert_eq!(machine.id_of(20), None);
    // With user namespaces the container's own folder is given to its root.
    machine.process(30, 1, &format!("{}/init.scope", slice(OTHER)), APART);
    machine.give(&slice(OTHER), 100_000);
    assert_eq!(machine.id_of(30).as_deref(), Some(OTHER));
}

#[test]
fn a_name_without_a_mark_below_a_users_folder_names_no_container() {
    if !root() {
        return;
    }
    let machine = Machine::new();
    machine.process(10, 1, "/web", APART);
    machine.process(20, 1, &format!("{USERS}/web"), APART + 1);
    machine.give(USERS, 1000);
    assert_eq!(machine.id_of(10).as_deref(), Some("web"));
    assert_eq!(machine.id_of(20), Some(format!("pidns:{}", APART + 1)));
}

#[test]
fn a_mark_that_the_runtime_contradicts_is_not_believed() {
    let machine = Machine::new();
    machine.containerd_knows(ID, 10, "checkout-7d9f4");
    machine.process(10, 1, &slice(ID), APART);
    machine.process(11, 10, &format!("{}/inner", slice(ID)), APART);
    machine.process(
        20,
        1,
        &format!("/elsewhere/cri-containerd-{ID}.scope"),
        HOST,
    );
    machine.process(
        21,
        1,
        &format!("/elsewhere/cri-containerd-{ID}.scope"),
        APART,
    );
    for pid in [10, 11] {
        let container = machine.container_of(pid).unwrap();
        assert_eq!(container.id, ID);
        assert_eq!(container.name.as_deref(), Some("app"));
    }
    assert_eq!(machine.id_of(20), None);
    assert_eq!(machine.id_of(21), Some(format!("pidns:{APART}")));
}

#[test]
fn root_in_a_container_makes_containers_of_its_own_but_none_of_the_nodes() {
    let machine = Machine::new();
    machine.containerd_knows(ID, 10, "victim-7d9f4");
    machine.containerd_knows(OTHER, 20, "outer-7d9f4");
    machine.process(10, 1, &slice(ID), APART);
    machine.process(20, 1, &slice(OTHER), APART + 1);
    // The neighbour's id, whichever runtime it is said to be of.
    for (pid, mark) in [
        (21, format!("docker-{ID}.scope")),
        (22, format!("pod{POD}/{ID}")),
    ] {
        let cgroup = format!("{}/{mark}", slice(OTHER));
        machine.process(pid, 20, &cgroup, APART + 2);
        assert_eq!(machine.id_of(pid).as_deref(), Some(OTHER), "{cgroup}");
    }
    // Docker in Docker: a container of its own, in the pod of the outer one.
    let own = "bbbb".repeat(16);
    machine.process(23, 20, &format!("{}/docker/{own}", slice(OTHER)), APART + 3);
    let inner = machine.container_of(23).unwrap();
    assert_eq!(inner.id, own);
    let pod = inner.pod.unwrap();
    assert_eq!(pod.name.as_deref(), Some("outer-7d9f4"));
    assert_eq!(pod.uid.as_deref(), Some(POD));
    assert_eq!(inner.name, None);
}

#[test]
fn a_container_that_ended_lends_its_id_to_none_below_another() {
    let machine = Machine::new();
    machine.containerd_knows(ID, 10, "gone-7d9f4");
    machine.process(20, 1, &slice(OTHER), APART);
    machine.process(21, 20, &format!("{}/docker/{ID}", slice(OTHER)), APART);
    assert_eq!(machine.id_of(21).as_deref(), Some(OTHER));
}

#[test]
fn a_hierarchy_out_of_sight_counts_only_where_all_are() {
    let machine = Machine::new();
    machine.process(20, 1, "/user.slice", HOST);
    let both = format!("5:name=mine:/docker/{ID}\n0::/user.slice\n");
    machine.write("proc/20/cgroup", &both);
    assert_eq!(machine.id_of(20), None);
    // Seen from a private cgroup namespace, there is nothing to compare with.
    machine.write(
        "proc/20/cgroup",
        &format!("0::/../../cri-containerd-{ID}.scope\n"),
    );
    assert_eq!(machine.id_of(20).as_deref(), Some(ID));
}

#[test]
fn a_name_that_is_not_utf_8_does_not_hide_the_container_above_it() {
    let machine = Machine::new();
    machine.process(20, 1, &slice(ID), APART);
    let mut line = format!("0::{}", slice(ID)).into_bytes();
    line.extend(b"/\xff\xfe/docker-");
    line.extend(OTHER.as_bytes());
    line.extend(b".scope\n");
    fs::write(machine.0.path().join("proc/20/cgroup"), line).unwrap();
    assert_eq!(machine.id_of(20).as_deref(), Some(ID));
}

#[test]
fn inside_means_the_cgroup_and_the_pid_namespace_of_the_first_process() {
    let machine = Machine::new();
    machine.process(10, 1, &slice(ID), APART);
    // A browser's sandbox in it.
    machine.process(11, 10, &slice(ID), APART + 1);
    // Brought into its cgroup from the host; and in another container.
    machine.process(20, 1, &slice(ID), HOST);
    machine.process(30, 1, &slice(OTHER), APART);
    let scanner = machine.scanner();
    let container = machine.container_of(10).unwrap();
    let inside = |pid, first| {
        let start_ticks = 100;
        let process = ProcessId { pid, start_ticks };
        scanner.is_inside(process, first, &container).unwrap()
    };
    assert!(inside(10, 10) && inside(11, 10));
    assert!(!inside(20, 10));
    assert!(!inside(30, 10) && !inside(10, 30));
    // No such process; another one of that pid.
    assert!(!inside(10, 99) && !inside(99, 10));
    let reused = ProcessId {
        pid: 10,
        start_ticks: 101,
    };
    assert!(!scanner.is_inside(reused, 10, &container).unwrap());
}

#[test]
fn from_a_pod_of_our_own_the_folders_of_the_node_are_found() {
    if !root() {
        return;
    }
    let machine = Machine::new();
    let own = slice(OTHER);
    machine.process(20, 1, &own, APART);
    machine.write(&format!("cgroup{own}/cgroup.procs"), "20\n");
    std::os::unix::fs::symlink("20", machine.0.path().join("proc/self")).unwrap();
    let pod = POD.replace('-', "_");
    let sibling = format!("/../../kubepods-pod{pod}.slice/cri-containerd-{ID}.scope");
    let forged = format!("/../../..{USERS}{}", slice(ID));
    machine.process(30, 1, &slice(ID), APART + 1);
    machine.process(40, 1, &format!("{USERS}{}", slice(ID)), HOST);
    machine.give(USERS, 1000);
    for (pid, path) in [(1, "/../../.."), (20, "/"), (30, &sibling), (40, &forged)] {
        machine.write(&format!("proc/{pid}/cgroup"), &format!("0::{path}\n"));
    }
    assert_eq!(machine.id_of(30).as_deref(), Some(ID));
    assert_eq!(machine.id_of(40), None);
}

#[test]
fn a_name_of_an_unmarked_container_that_the_runtime_contradicts_is_not_believed() {
    let machine = Machine::new();
    machine.process(10, 1, "/web", APART);
    machine.write(
        "host/run/runc/web/state.json",
        r#"{"init_process_pid": 10}"#,
    );
    machine.process(20, 1, "/shop/web", APART + 1);
    assert_eq!(machine.id_of(10).as_deref(), Some("web"));
    assert_eq!(machine.id_of(20), Some(format!("pidns:{}", APART + 1)));
}
