//! Machines that this one is not: trees of /proc and cgroups in a temporary directory.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sexton_core::Report;
use sexton_core::report::{CgroupMode, Method};
use sexton_scan::{Options, Roots, Scanner};

const ID: &str = "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e";

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new(tasks: u64) -> Self {
        let machine = Self {
            // In memory where there is such a place: these are thousands of small files.
            dir: tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap(),
        };
        machine.write("proc/loadavg", &format!("0.0 0.0 0.0 1/{tasks} 900\n"));
        machine.write("proc/uptime", "5000.00 1.0\n");
        machine.write("proc/sys/kernel/random/boot_id", "b-1\n");
        fs::create_dir_all(machine.dir.path().join("cgroup")).unwrap();
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path: PathBuf = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A cgroup of the only hierarchy of cgroup v2; `counter` is its `pids.current`.
    fn v2(&self, path: &str, counter: Option<u64>, threads: &[u32]) {
        self.cgroup(&format!("cgroup{path}"), "cgroup.threads", counter, threads);
        self.write(&format!("cgroup{path}/cgroup.controllers"), "pids\n");
    }

    /// A cgroup of the v1 hierarchy of pids.
    fn v1(&self, path: &str, counter: Option<u64>, threads: &[u32]) {
        self.cgroup(&format!("cgroup/pids{path}"), "tasks", counter, threads);
    }

    fn cgroup(&self, dir: &str, file: &str, counter: Option<u64>, threads: &[u32]) {
        self.write(&format!("{dir}/{file}"), &lines(threads));
        self.write(&format!("{dir}/cgroup.procs"), &lines(threads));
        if let Some(counter) = counter {
            self.write(&format!("{dir}/pids.current"), &format!("{counter}\n"));
        }
    }

    fn process(&self, pid: u32, parent: u32, state: char, cgroup: &str) {
        self.process_with(pid, parent, state, cgroup, 1, 100);
    }

    fn process_with(
        &self,
        pid: u32,
        parent: u32,
        state: char,
        cgroup: &str,
        threads: u32,
        start: u64,
    ) {
        let dir = format!("proc/{pid}");
        self.write(
            &format!("{dir}/stat"),
            &format!(
                "{pid} (a b) c) {state} {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
            ),
        );
        self.write(
            &format!("{dir}/status"),
            &format!("State:\t{state} (x)\nTgid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nNSpid:\t{pid}\t7\nThreads:\t{threads}\n"),
        );
        self.write(&format!("{dir}/cgroup"), cgroup);
        self.write(&format!("{dir}/cmdline"), "crawler\0--all\0");
        fs::create_dir_all(self.dir.path().join(format!("{dir}/task/{pid}"))).unwrap();
    }

    fn children(&self, pid: u32, children: &[u32]) {
        let mut text = String::new();
        for child in children {
            write!(text, "{child} ").unwrap();
        }
        self.write(&format!("proc/{pid}/task/{pid}/children"), &text);
    }

    fn scan(&self) -> Report {
        self.scan_with(&Options {
            second_look: Duration::ZERO,
            ..Options::default()
        })
    }

    fn scan_with(&self, options: &Options) -> Report {
        let path = self.dir.path();
        let roots = Roots {
            proc: path.join("proc"),
            cgroup: path.join("cgroup"),
            host: path.join("host"),
        };
        Scanner::new(roots).unwrap().scan(options).unwrap()
    }
}

fn lines(numbers: &[u32]) -> String {
    numbers.iter().map(|number| format!("{number}\n")).collect()
}

/// One container of docker with `zombies` held by process 20 in it, and one process outside.
fn leaking(machine: &Machine, zombies: std::ops::Range<u32>, cgroup: &str) {
    machine.process(1, 0, 'S', "0::/\n");
    machine.process(20, 1, 'S', cgroup);
    machine.children(20, &zombies.clone().collect::<Vec<_>>());
    for pid in zombies {
        machine.process(pid, 20, 'Z', cgroup);
    }
}

#[test]
fn a_quiet_machine_is_judged_without_opening_a_process() {
    let machine = Machine::new(5);
    machine.v2("", None, &[1, 2]);
    machine.v2("/system.slice", Some(3), &[]);
    machine.v2("/system.slice/a.service", Some(3), &[3, 4, 5]);
    let report = machine.scan();
    assert_eq!(report.scan.method, Method::Quiet);
    assert_eq!(report.scan.cgroups, 3);
    assert_eq!(report.scan.processes_read, 0);
    assert_eq!(report.zombies, 0);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    assert_eq!(report.node.cgroups, CgroupMode::V2);
    assert_eq!(report.node.boot_id, "b-1");
}

#[test]
fn v2_counters_say_where_the_zombies_are() {
    let machine = Machine::new(1 + 1 + 40);
    let path = format!("/system.slice/docker-{ID}.scope");
    machine.v2("", None, &[1]);
    machine.v2("/system.slice", Some(41), &[]);
    machine.v2(&path, Some(41), &[20]);
    leaking(&machine, 30..70, &format!("0::{path}\n"));
    let report = machine.scan();
    assert_eq!(report.scan.method, Method::Census);
    assert_eq!(report.zombies, 40);
    let leak = &report.leaks[0];
    assert_eq!(leak.holder.id.pid, 20);
    assert_eq!(leak.holder.command_line, ["crawler", "--all"]);
    assert_eq!(leak.container.as_ref().unwrap().id, ID);
    assert_eq!(leak.commands[0].name, "a b) c");
    // 5,000 s since boot, started in the first second.
    assert_eq!(leak.ages.oldest_seconds, Some(4_999));
}

#[test]
fn v1_counters_are_right_at_inner_nodes_too() {
    // The holder is in an inner cgroup, one zombie of it was born in the leaf.
    let machine = Machine::new(1 + 2 + 40);
    machine.v1("", None, &[1]);
    machine.v1("/lxc", Some(42), &[]);
    machine.v1("/lxc/web", Some(42), &[20]);
    machine.v1("/lxc/web/inner", Some(2), &[21]);
    leaking(&machine, 30..70, "3:pids:/lxc/web\n");
    machine.process(21, 20, 'S', "3:pids:/lxc/web/inner\n");
    machine.children(20, &(21..22).chain(30..70).collect::<Vec<_>>());
    let report = machine.scan();
    assert_eq!(report.node.cgroups, CgroupMode::V1);
    assert_eq!(report.scan.method, Method::Census);
    assert_eq!(report.zombies, 40);
    assert_eq!(report.leaks[0].container.as_ref().unwrap().id, "web");
}

#[test]
fn hybrid_machines_are_counted_by_v1() {
    let machine = Machine::new(1 + 1 + 40);
    machine.cgroup("cgroup/unified", "cgroup.threads", None, &[1, 20]);
    machine.write("cgroup/unified/cgroup.controllers", "");
    machine.v1("", None, &[1]);
    machine.v1(&format!("/docker/{ID}"), Some(41), &[20]);
    machine.v1("/docker", Some(41), &[]);
    leaking(&machine, 30..70, &format!("4:pids:/docker/{ID}\n0::/\n"));
    let report = machine.scan();
    assert_eq!(report.node.cgroups, CgroupMode::Hybrid);
    assert_eq!(report.scan.method, Method::Census);
    assert_eq!((report.zombies, report.scan.cgroups), (40, 3));
}

#[test]
fn a_parent_elsewhere_is_found_by_walking() {
    // A shim on the host holds the zombie of a container.
    let machine = Machine::new(3 + 1);
    machine.v2("", None, &[1, 10]);
    machine.v2("/web", Some(2), &[20]);
    machine.process(1, 0, 'S', "0::/\n");
    machine.process(10, 1, 'S', "0::/\n");
    machine.process(20, 10, 'S', "0::/web\n");
    machine.process(30, 10, 'Z', "0::/web\n");
    machine.children(20, &[]);
    machine.children(10, &[20, 30]);
    let report = machine.scan();
    assert_eq!(report.scan.method, Method::Walk);
    assert_eq!(report.leaks[0].holder.id.pid, 10);
    assert_eq!(report.zombies, 1);
}

#[test]
fn kernels_without_lists_of_children_are_walked() {
    let machine = Machine::new(1 + 1 + 40);
    machine.v2("", None, &[1]);
    machine.v2("/web", Some(41), &[20]);
    leaking(&machine, 30..70, "0::/web\n");
    fs::remove_file(machine.dir.path().join("proc/20/task/20/children")).unwrap();
    let report = machine.scan();
    assert_eq!(report.scan.method, Method::Walk);
    assert_eq!(report.zombies, 40);
}

#[test]
fn without_the_pids_controller_the_machines_own_count_serves() {
    let machine = Machine::new(1 + 1 + 3);
    machine.v2("", None, &[1]);
    machine.v2("/web", None, &[20]);
    leaking(&machine, 30..33, "0::/web\n");
    assert_eq!(machine.scan().zombies, 3);
    // And none: quiet.
    let machine = Machine::new(2);
    machine.v2("", None, &[1]);
    machine.v2("/web", None, &[20]);
    assert_eq!(machine.scan().scan.method, Method::Quiet);
}

#[test]
fn a_leader_that_ended_before_its_threads_raises_no_alarm() {
    // Listed as a process, its thread 21 as a thread; the leader itself only in the counter.
    let machine = Machine::new(1 + 2);
    machine.v2("", None, &[1]);
    machine.v2("/web", Some(2), &[21]);
    machine.write("cgroup/web/cgroup.procs", "20\n");
    machine.process(1, 0, 'S', "0::/\n");
    machine.process_with(20, 1, 'Z', "0::/web\n", 2, 100);
    let report = machine.scan();
    assert_eq!((report.scan.method, report.zombies), (Method::Quiet, 0));
    // A full scan reads it, and knows it for what it is.
    let full = Options {
        full: true,
        second_look: Duration::ZERO,
        ..Options::default()
    };
    let report = machine.scan_with(&full);
    assert_eq!((report.scan.method, report.zombies), (Method::Walk, 0));
}

#[test]
fn what_cannot_be_compared_is_walked_with_a_note() {
    let note = |machine: &Machine, part: &str| {
        leaking(machine, 30..33, "0::/web\n");
        let report = machine.scan();
        assert_eq!(report.scan.method, Method::Walk);
        assert_eq!(report.zombies, 3);
        assert!(report.notes[0].contains(part), "{:?}", report.notes);
    };
    // The root of what is mounted has a counter: a container's own part.
    let machine = Machine::new(900);
    machine.v2("", Some(5), &[1, 20]);
    note(&machine, "only a part");
    // No cgroups at all.
    let machine = Machine::new(5);
    let report_mode = machine.scan().node.cgroups;
    assert_eq!(report_mode, CgroupMode::None);
    note(&machine, "no cgroup file system");
    // lxcfs: loadavg is of another file system.
    let machine = Machine::new(5);
    machine.v2("", None, &[1, 20]);
    let loadavg = machine.dir.path().join("proc/loadavg");
    fs::remove_file(&loadavg).unwrap();
    std::os::unix::fs::symlink("/proc/loadavg", &loadavg).unwrap();
    note(&machine, "mounted over");
}

#[test]
fn what_vanishes_in_the_middle_is_left_out() {
    let machine = Machine::new(1 + 1 + 3);
    machine.v2("", None, &[1]);
    machine.v2("/web", Some(4), &[20]);
    leaking(&machine, 30..33, "0::/web\n");
    // A cgroup without files, a pid without files, a child that is gone.
    fs::create_dir_all(machine.dir.path().join("cgroup/gone")).unwrap();
    fs::create_dir_all(machine.dir.path().join("proc/77")).unwrap();
    machine.children(20, &[29, 30, 31, 32]);
    assert_eq!(machine.scan().zombies, 3);
    // The holder goes away.
    fs::remove_file(machine.dir.path().join("proc/20/stat")).unwrap();
    let report = machine.scan();
    assert_eq!(report.zombies, 0);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("process 20 ended"))
    );
}

#[test]
fn counted_but_not_to_be_seen_is_noted() {
    let machine = Machine::new(1 + 1 + 3);
    machine.v2("", None, &[1]);
    machine.v2("/web", Some(4), &[20]);
    leaking(&machine, 30..31, "0::/web\n");
    let report = machine.scan();
    assert_eq!(report.zombies, 1);
    assert!(report.notes[0].starts_with("2 "), "{:?}", report.notes);
}

#[test]
fn large_leaks_are_sampled_and_add_up() {
    let count = 1_500;
    let machine = Machine::new(1 + 1 + u64::from(count));
    machine.v2("", None, &[1]);
    machine.v2("/web", Some(u64::from(count) + 1), &[20]);
    leaking(&machine, 1_000..1_000 + count, "0::/web\n");
    let report = machine.scan();
    let leak = &report.leaks[0];
    assert_eq!(leak.zombies, 1_500);
    assert_eq!(leak.inspected, 1_024);
    assert!(report.scan.processes_read < 1_200);
    let named: u64 = leak.commands.iter().map(|command| command.count).sum();
    assert_eq!(named, 1_500);
    assert_eq!(leak.sample.len(), 8);
    assert_eq!(leak.sample[0].id.pid, 1_000);
    assert_eq!(leak.sample[7].id.pid, 1_000 + count - 1);
    let full = machine.scan_with(&Options {
        full: true,
        second_look: Duration::ZERO,
        ..Options::default()
    });
    assert_eq!(full.leaks[0].inspected, 1_500);
}

#[test]
fn a_parent_outside_the_pid_namespace_is_told() {
    let machine = Machine::new(2);
    machine.process(1, 0, 'S', "0::/\n");
    machine.process(30, 0, 'Z', "0::/\n");
    let report = machine.scan();
    assert_eq!(report.zombies, 1);
    assert!(report.leaks.is_empty());
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("outside this PID namespace"))
    );
}

#[test]
fn a_file_of_another_form_is_told_and_ends_no_look() {
    let machine = Machine::new(2);
    machine.write("proc/5/stat", "nonsense");
    let report = machine.scan();
    assert_eq!(report.scan.unreadable_facts["stat"], 1);
    let told = |note: &String| note.contains("proc/5/stat") && note.contains("brackets");
    assert!(report.notes.iter().any(told), "{:?}", report.notes);
}
