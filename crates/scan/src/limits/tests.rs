//! Trees made for the cases that this machine may not have. Numbers are checked against a real
//! kernel in `tests/limits.rs`.

use std::fs;

use sexton_core::{Limit, LimitKind};
use tempfile::TempDir;

use super::*;
use crate::Roots;

const PID: u32 = 4321;

/// A /proc with one process and a cgroup tree.
struct Tree(TempDir);

impl Tree {
    /// `cgroup` is the process's file of that name.
    fn new(cgroup: &str) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.write("proc/loadavg", "0.10 0.20 0.30 1/900 4400\n");
        tree.write("proc/sys/kernel/pid_max", "32768\n");
        tree.write("proc/sys/kernel/threads-max", "5000\n");
        tree.write("proc/sys/vm/max_map_count", "65530\n");
        tree.write("proc/self/uid_map", "         0          0 4294967295\n");
        tree.process(PID, "S (sleeping)", 1000, 1);
        tree.write(&format!("proc/{PID}/cgroup"), cgroup);
        tree.write(
            &format!("proc/{PID}/limits"),
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max processes             400                  500                  processes \n",
        );
        let maps = "7f00-7f01 r-xp 0 00:00 0 /bin/a\n7ffe-7fff r-xp 0 00:00 0 [vdso]\n\
                    ffff-fffff --xp 0 00:00 0                  [vsyscall]\n";
        tree.write(&format!("proc/{PID}/maps"), maps);
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(&self, pid: u32, state: &str, uid: u32, threads: u32) {
        let status = format!(
            "Name:\ta\nState:\t{state}\nTgid:\t{pid}\nPPid:\t1\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n\
             NSpid:\t{pid}\nThreads:\t{threads}\nCapEff:\t0000000000000000\n"
        );
        self.write(&format!("proc/{pid}/status"), &status);
    }

    /// A cgroup with these numbers; `listed` threads in it.
    fn cgroup(&self, path: &str, maximum: &str, current: u64, listed: u64) {
        let file = if path.starts_with("pids") {
            "tasks"
        } else {
            "cgroup.threads"
        };
        let at = |name: &str| format!("cgroup/{path}/{name}");
        self.write(&at("pids.max"), &format!("{maximum}\n"));
        self.write(&at("pids.current"), &format!("{current}\n"));
        let lines: String = (0..listed).map(|i| format!("{}\n", 100 + i)).collect();
        self.write(&at(file), &lines);
    }

    fn scanner(&self) -> Scanner {
        let under = |name: &str| self.0.path().join(name);
        fs::create_dir_all(under("cgroup")).unwrap();
        Scanner::new(Roots {
            proc: under("proc"),
            cgroup: under("cgroup"),
            host: under("host"),
        })
        .unwrap()
    }

    fn limits(&self) -> Vec<Limit> {
        of_process(&self.scanner(), PID).unwrap().unwrap()
    }

    fn levels(&self) -> Vec<Limit> {
        let mut limits = self.limits();
        limits.retain(|limit| limit.kind == LimitKind::CgroupPids);
        limits
    }
}

/// Scope, used, limit, zombies.
type Brief<'l> = (&'l str, Option<u64>, Option<u64>, Option<u64>);

fn brief(levels: &[Limit]) -> Vec<Brief<'_>> {
    levels
        .iter()
        .map(|l| (l.scope.as_str(), l.used, l.limit, l.zombies))
        .collect()
}

fn of_kind(limits: &[Limit], kind: LimitKind) -> &Limit {
    limits.iter().find(|limit| limit.kind == kind).unwrap()
}

#[test]
fn v2_with_systemd_and_a_kubelet() {
    let uid = "11111111_2222_3333_4444_555555555555";
    let pod = format!("kubepods.slice/kubepods-pod{uid}.slice");
    let container = format!("{pod}/cri-containerd-abc.scope");
    let tree = Tree::new(&format!("0::/{container}\n"));
    tree.write("cgroup/cgroup.controllers", "pids\n");
    tree.cgroup("kubepods.slice", "900", 150, 0);
    tree.cgroup(&pod, "200", 120, 0);
    tree.cgroup(&container, "max", 110, 10);
    tree.cgroup(&format!("{pod}/cri-containerd-def.scope"), "max", 10, 10);
    tree.write(&format!("cgroup/{pod}/pids.events"), "max 70\n");
    tree.write(&format!("cgroup/{pod}/pids.events.local"), "max 7\n");

    let levels = tree.levels();
    assert_eq!(
        brief(&levels),
        [
            (
                format!("cgroup /{container}").as_str(),
                Some(110),
                None,
                Some(100)
            ),
            (
                format!("cgroup /{pod}").as_str(),
                Some(120),
                Some(200),
                Some(100)
            ),
            ("cgroup /kubepods.slice", Some(150), Some(900), Some(130)),
        ]
    );
    let notes: Vec<&str> = levels.iter().filter_map(|l| l.note.as_deref()).collect();
    assert_eq!(
        notes,
        [
            "TasksMax of cri-containerd-abc.scope",
            "podPidsLimit of the kubelet, or resources.limits.pids of the pod (KEP-6063) where Kubernetes \
             has it; forks that this limit refused: 7",
            "node allocatable pids of the kubelet",
        ]
    );
}

#[test]
fn v2_where_the_controller_ends_above_the_process() {
    let tree = Tree::new("0::/system.slice/a.service/worker\n");
    tree.write("cgroup/cgroup.controllers", "pids\n");
    tree.cgroup("system.slice", "max", 20, 2);
    tree.cgroup("system.slice/a.service", "15", 14, 1);
    tree.write(
        "cgroup/system.slice/a.service/worker/cgroup.threads",
        "1\n2\n3\n",
    );
    tree.write("cgroup/system.slice/a.service/pids.events", "max 3\n");
    let levels = tree.levels();
    assert_eq!(
        brief(&levels),
        [
            (
                "cgroup /system.slice/a.service",
                Some(14),
                Some(15),
                Some(10)
            ),
            ("cgroup /system.slice", Some(20), None, Some(14)),
        ]
    );
    assert!(levels[0].first);
    assert_eq!(
        levels[0].note.as_deref(),
        Some("TasksMax of a.service; forks refused in this cgroup, by this limit or one above: 3")
    );
}

#[test]
fn v1_counts_in_its_own_hierarchy() {
    let tree = Tree::new("8:pids:/docker/abc\n1:name=systemd:/elsewhere\n");
    tree.write("cgroup/pids/tasks", "1\n");
    tree.cgroup("pids/docker", "max", 60, 0);
    tree.cgroup("pids/docker/abc", "64", 60, 4);
    assert_eq!(
        brief(&tree.levels()),
        [
            ("cgroup /docker/abc", Some(60), Some(64), Some(56)),
            ("cgroup /docker", Some(60), None, Some(56)),
        ]
    );
}

#[test]
fn hybrid_with_pids_in_v1_or_in_the_unified_one() {
    let tree = Tree::new("8:pids:/in-v1\n0::/in-v2\n");
    tree.write("cgroup/unified/cgroup.controllers", "");
    tree.write("cgroup/pids/tasks", "1\n");
    tree.cgroup("pids/in-v1", "64", 60, 4);
    assert_eq!(
        brief(&tree.levels()),
        [("cgroup /in-v1", Some(60), Some(64), Some(56))]
    );

    let tree = Tree::new("4:memory:/in-v1\n0::/in-v2\n");
    tree.write("cgroup/unified/cgroup.controllers", "pids\n");
    tree.write("cgroup/memory/tasks", "1\n");
    tree.cgroup("unified/in-v2", "64", 60, 4);
    assert_eq!(
        brief(&tree.levels()),
        [("cgroup /in-v2", Some(60), Some(64), Some(56))]
    );
}

#[test]
fn outside_our_cgroup_namespace_the_process_is_sought() {
    let tree = Tree::new("0::/../../pod/other\n");
    tree.write("cgroup/cgroup.controllers", "pids\n");
    tree.cgroup("kubepods", "max", 9, 0);
    tree.cgroup("kubepods/pod", "50", 9, 0);
    tree.cgroup("kubepods/pod/other", "max", 9, 3);
    tree.write("cgroup/kubepods/pod/other/cgroup.procs", "7\n4321\n");
    assert_eq!(tree.levels().len(), 3);
    assert_eq!(tree.levels()[1].limit, Some(50));
}

#[test]
fn a_container_that_sees_its_own_cgroup_as_the_root() {
    let tree = Tree::new("8:pids:/docker/abc\n");
    tree.cgroup("pids", "64", 60, 4);
    tree.write("cgroup/pids/cgroup.procs", "4321\n");
    let levels = tree.levels();
    assert_eq!(brief(&levels), [("cgroup /", Some(60), Some(64), Some(56))]);
    assert!(levels[0].note.as_ref().unwrap().contains("hidden"));
}

#[test]
fn what_cannot_be_found_is_said() {
    let tree = Tree::new("0::/../lost\n");
    tree.write("cgroup/cgroup.controllers", "pids\n");
    let levels = tree.levels();
    assert_eq!(brief(&levels), [("cgroup /../lost", None, None, None)]);
    assert!(levels[0].note.as_ref().unwrap().contains("outside"));

    let tree = Tree::new("8:pids:/a\n");
    assert!(
        tree.levels()[0]
            .note
            .as_ref()
            .unwrap()
            .contains("not mounted")
    );
}

#[test]
fn odd_cgroup_names_and_numbers_do_no_harm() {
    let tree = Tree::new("0::/a b:c/..d\n");
    tree.write("cgroup/cgroup.controllers", "pids\n");
    tree.cgroup("a b:c/..d", "rubbish", 3, 1);
    tree.write("cgroup/a b:c/..d/pids.current", "");
    assert_eq!(
        brief(&tree.levels()),
        [("cgroup /a b:c/..d", None, None, None)]
    );
}

#[test]
fn users_are_counted_by_threads_with_their_zombies() {
    let tree = Tree::new("");
    tree.process(5000, "S (sleeping)", 1000, 7);
    tree.process(5001, "Z (zombie)", 1000, 1);
    // Its leader has ended, its threads have not: no zombie.
    tree.process(5002, "Z (zombie)", 1000, 3);
    tree.process(5003, "Z (zombie)", 0, 1);
    tree.process(5004, "S (sleeping)", 0, 887);
    let limits = tree.limits();
    let nproc = of_kind(&limits, LimitKind::Nproc);
    assert_eq!(nproc.scope, "user 1000");
    assert_eq!((nproc.used, nproc.limit), (Some(12), Some(400)));
    assert_eq!(nproc.zombies, Some(1));
    assert_eq!(of_kind(&limits, LimitKind::ThreadsMax).zombies, Some(2));
}

#[test]
fn what_hidepid_hides_is_not_taken_for_absent() {
    // The kernel counts 900 tasks, and one is shown.
    let limits = Tree::new("").limits();
    let nproc = of_kind(&limits, LimitKind::Nproc);
    assert_eq!(nproc.used, None);
    assert!(nproc.note.as_ref().unwrap().contains("hidden"));
    assert_eq!(of_kind(&limits, LimitKind::PidMax).zombies, None);
}

#[test]
fn numbers_that_are_never_given_out_are_no_headroom() {
    let tree = Tree::new("");
    tree.write("proc/sys/kernel/pid_max", "1000\n");
    let limits = tree.limits();
    let pid_max = of_kind(&limits, LimitKind::PidMax);
    // None of 0 to 299 is taken in this tree.
    assert_eq!((pid_max.used, pid_max.limit), (Some(900), Some(1000)));
    assert_eq!(pid_max.reserved, 300);
    assert_eq!(pid_max.headroom(), Some(0));
    assert!(pid_max.first);
}

#[test]
fn the_gate_page_is_no_mapping() {
    let tree = Tree::new("");
    let maps = format!("proc/{PID}/maps");
    let limits = tree.limits();
    assert_eq!(of_kind(&limits, LimitKind::MaxMapCount).used, Some(2));
    // Reads end in the middle of lines.
    let long = ["7f00-7f01 r-xp 0 00:00 0 /a/mapped/file\n"; 40_000].concat();
    tree.write(&maps, &(long + "ffff-fffff --xp 0 00:00 0 [vsyscall]\n"));
    let limits = tree.limits();
    assert_eq!(of_kind(&limits, LimitKind::MaxMapCount).used, Some(40_000));
    tree.write(&maps, "");
    let limits = tree.limits();
    assert!(limits.iter().all(|l| l.kind != LimitKind::MaxMapCount));
}

#[test]
fn capabilities_exempt_in_the_first_user_namespace_only() {
    let tree = Tree::new("");
    let status = tree.0.path().join(format!("proc/{PID}/status"));
    let text = fs::read_to_string(&status).unwrap();
    for (inode, capability, exempt) in [
        (4_026_531_837_u64, "0000000001000000", true),
        (4_026_531_837, "0000000000200000", true),
        (4_026_531_837, "0000000000080000", false),
        (4_026_532_999, "000001ffffffffff", false),
    ] {
        fs::write(
            &status,
            text.replace(
                "CapEff:\t0000000000000000",
                &format!("CapEff:\t{capability}"),
            ),
        )
        .unwrap();
        let link = tree.0.path().join(format!("proc/{PID}/ns/user"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("user:[{inode}]"), &link).unwrap();
        let limits = tree.limits();
        let nproc = of_kind(&limits, LimitKind::Nproc);
        assert_eq!(nproc.limit.is_none(), exempt, "{nproc:?}");
        assert_eq!(
            exempt,
            nproc.note.as_ref().unwrap().contains("does not bind")
        );
    }
}

#[test]
fn a_node_without_its_files_has_no_limits() {
    let tree = Tree::new("");
    assert_eq!(of_node(&tree.scanner(), Some(3)).len(), 2);
    assert_eq!(of_node(&tree.scanner(), Some(3))[0].zombies, Some(3));
    fs::remove_dir_all(tree.0.path().join("proc/sys")).unwrap();
    assert!(of_node(&tree.scanner(), None).is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn nonsense_in_any_file_never_panics(
        texts in proptest::collection::vec(proptest::collection::vec(0u8..=255, 0..40), 8),
    ) {
        let tree = Tree::new("0::/a/b\n");
        tree.write("cgroup/cgroup.controllers", "pids\n");
        tree.cgroup("a", "50", 9, 1);
        tree.cgroup("a/b", "50", 9, 1);
        let files = [
            "proc/loadavg", "proc/sys/kernel/pid_max", "proc/self/uid_map",
            "proc/4321/limits", "proc/4321/maps", "proc/4321/uid_map",
            "cgroup/a/pids.max", "cgroup/a/b/pids.events",
        ];
        for (file, text) in files.iter().zip(&texts) {
            let path = tree.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let limits = tree.limits();
        proptest::prop_assert!(limits.iter().filter(|limit| limit.first).count() <= 1);
    }
}

#[test]
fn each_limit_is_named_as_who_set_it_knows_it() {
    let id = "3f2a9c".repeat(10) + "abcd";
    let uid = "11111111_2222_3333_4444_555555555555";
    let docker = format!("docker-{id}.scope");
    let slices = format!("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid}.slice");
    for (path, pids, nproc) in [
        (
            format!("system.slice/{docker}"),
            "--pids-limit of docker",
            "--ulimit nproc of docker",
        ),
        (
            format!("docker/{id}"),
            "--pids-limit of docker",
            "--ulimit nproc of docker",
        ),
        (
            format!("machine.slice/libpod-{id}.scope"),
            "--pids-limit of podman",
            "--ulimit nproc of podman",
        ),
        (
            "system.slice/cron.service".into(),
            "TasksMax of cron.service",
            "LimitNPROC of cron.service",
        ),
        (
            "user.slice/user-1000.slice/session-3.scope".into(),
            "TasksMax of session-3.scope",
            "/etc/security/limits.conf",
        ),
        // Another --cgroup-root, as kind has it.
        (slices.clone(), "podPidsLimit of the kubelet, or", ""),
        (
            format!("{slices}/cri-containerd-{id}.scope"),
            "",
            "(KEP-5758)",
        ),
        (
            "kubelet.slice/kubelet-kubepods.slice".into(),
            "node allocatable pids of the kubelet",
            "",
        ),
        ("kubepods.slice/kubepods-burstable.slice".into(), "", ""),
        ("kubepods/besteffort".into(), "", ""),
    ] {
        let tree = Tree::new(&format!("0::/{path}\n"));
        tree.write("cgroup/cgroup.controllers", "pids\n");
        tree.cgroup(&path, "200", 20, 2);
        tree.process(5000, "S (sleeping)", 1000, 7);
        let limits = tree.limits();
        let note = |kind| of_kind(&limits, kind).note.clone().unwrap_or_default();
        let (set, changed) = (note(LimitKind::CgroupPids), note(LimitKind::Nproc));
        assert!(set.contains(pids), "{path}: {set}");
        assert_eq!(
            set.is_empty(),
            pids.is_empty() && !path.contains("containerd"),
            "{path}: {set}"
        );
        assert!(changed.contains(nproc), "{path}: {changed}");
        assert_eq!(
            changed.contains("to change it: "),
            !nproc.is_empty(),
            "{path}: {changed}"
        );
    }
}
