//! A process whose files cannot be read costs its own line at most: of every other one each
//! answer stays byte for byte what it was.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use sexton_core::Report;
use sexton_core::report::Method;

use crate::proc::fault::{self, Fault};
use crate::{Options, Roots, Scanner, audit, facts, limits};

const HOLDER: u32 = 20;
const HOSTILE: u32 = 40;
const ID: [&str; 2] = [
    "4f5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e",
    "5e9c3c2a1b0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f",
];
const ZOMBIES: u32 = 30;

/// Two containers that leak, and a third process that is PID 1.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new(counters: bool) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let machine = Self { dir: dir.unwrap() };
        machine.write("proc/loadavg", "0.0 0.0 0.0 1/63 900\n");
        machine.write("proc/uptime", "5000.00 1.0\n");
        machine.write("proc/sys/kernel/random/boot_id", "b-1\n");
        for (name, value) in [("pid_max", "32768"), ("threads-max", "5000")] {
            machine.write(&format!("proc/sys/kernel/{name}"), value);
        }
        machine.write("proc/sys/vm/max_map_count", "65530");
        machine.process(1, 0, 'S', "0::/\n", 4_026_531_836);
        if counters {
            machine.cgroup("cgroup", None, &[1]);
        }
        for (holder, id) in [HOLDER, HOSTILE].into_iter().zip(ID) {
            let cgroup = format!("docker-{id}.scope");
            let (line, namespace) = (format!("0::/{cgroup}\n"), 4_026_532_000 + u64::from(holder));
            if counters {
                machine.cgroup(&format!("cgroup/{cgroup}"), Some(31), &[holder]);
            }
            machine.process(holder, 1, 'S', &line, namespace);
            let zombies = || (0..ZOMBIES).map(|i| holder * 100 + i);
            let children: String = zombies().map(|pid| format!("{pid} ")).collect();
            machine.write(&format!("proc/{holder}/task/{holder}/children"), &children);
            for pid in zombies() {
                machine.process(pid, holder, 'Z', &line, namespace);
            }
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn cgroup(&self, dir: &str, counter: Option<u64>, threads: &[u32]) {
        let list: String = threads.iter().map(|tid| format!("{tid}\n")).collect();
        self.write(&format!("{dir}/cgroup.controllers"), "pids\n");
        self.write(&format!("{dir}/cgroup.threads"), &list);
        self.write(&format!("{dir}/cgroup.procs"), &list);
        if let Some(counter) = counter {
            self.write(&format!("{dir}/pids.current"), &format!("{counter}\n"));
            self.write(&format!("{dir}/pids.max"), "100\n");
            self.write(&format!("{dir}/cgroup.events"), "populated 1\nfrozen 0\n");
        }
    }

    fn process(&self, pid: u32, parent: u32, state: char, cgroup: &str, namespace: u64) {
        let zombie = state == 'Z';
        let uid = if zombie { parent } else { pid };
        let status = format!(
            "State:\t{state} (x)\nTgid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\n\
             Uid:\t{uid}\t0\t0\t0\nNSpid:\t{pid}\t1\nThreads:\t1\n\
             SigBlk:\t0000000000000200\nSigIgn:\t0000000000000000\n"
        );
        let stat = format!(
            "{pid} (a b) c) {state} {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 0 0 0 \
             0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        let files = [
            ("stat", stat.as_str()),
            ("status", &status),
            ("cgroup", cgroup),
            (
                "cmdline",
                if zombie {
                    ""
                } else {
                    "/bin/sh\0-c\0crawl & wait\0"
                },
            ),
            ("syscall", "61 0xffffffff 0x0 0x0 0x0 0x0 0x0 0x1 0x2\n"),
            ("environ", "PATH=/bin\0TINI_SUBREAPER=1\0"),
            (
                "limits",
                "Max processes             400                  500          processes \n",
            ),
            ("maps", "7f00-7f01 r-xp 0 00:00 0 /usr/lib/libjvm.so\n"),
            ("uid_map", "0 0 4294967295\n"),
            ("mem", ""),
            ("fdinfo/3", "pos:\t0\nsigmask:\t0000000000004002\n"),
        ];
        for (file, text) in files {
            self.write(&format!("proc/{pid}/{file}"), text);
        }
        for file in ["stat", "status", "syscall"] {
            let text = fs::read_to_string(self.path(&format!("proc/{pid}/{file}"))).unwrap();
            self.write(&format!("proc/{pid}/task/{pid}/{file}"), &text);
        }
        if !zombie {
            let ns = self.path(&format!("proc/{pid}/ns"));
            fs::create_dir(&ns).unwrap();
            symlink(format!("pid:[{namespace}]"), ns.join("pid")).unwrap();
            symlink(format!("user:[{namespace}]"), ns.join("user")).unwrap();
            symlink("/bin/true", self.path(&format!("proc/{pid}/exe"))).unwrap();
        }
    }

    /// Every file of a process, and its directories.
    fn files_of(&self, pid: u32) -> Vec<PathBuf> {
        let mut all = vec![self.path(&format!("proc/{pid}"))];
        let mut next = 0;
        while next < all.len() {
            if all[next].is_dir() && !all[next].is_symlink() {
                all.extend(
                    fs::read_dir(&all[next])
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            next += 1;
        }
        all
    }

    fn look(&self) -> Answers {
        let roots = Roots {
            proc: self.path("proc"),
            cgroup: self.path("cgroup"),
            host: self.path("host"),
        };
        let mut scanner = Scanner::new(roots).unwrap();
        let options = Options {
            second_look: Duration::ZERO,
            ..Options::default()
        };
        let report = scanner.scan(&options).unwrap();
        let leak = |report: &Report| {
            let leaks = report.leaks.iter();
            leaks
                .clone()
                .find(|leak| leak.holder.id.pid == HOLDER)
                .cloned()
        };
        let leak = leak(&report).expect("the other holder is there");
        let audit = audit::containers(&mut scanner, &[], |_, _| true).unwrap();
        let stop = (audit.exit_signals.iter()).find(|found| found.container.id == ID[0]);
        let mut limits = limits::of_process(&scanner, HOLDER).unwrap().unwrap();
        // How many zombies the node has is a sum over all that can be read.
        for limit in limits.iter_mut().filter(|limit| limit.scope == "node") {
            limit.zombies = None;
        }
        // Nor can one that is not read be told among those that share a limit.
        for limit in &mut limits {
            limit.users.clear();
        }
        Answers {
            of_other: [
                serde_json::to_string(&leak).unwrap(),
                format!("{:?}", facts::gather(&mut scanner, &leak).unwrap()),
                format!("{limits:?}"),
                serde_json::to_string(stop.expect("its container was audited")).unwrap(),
            ],
            report,
        }
    }
}

struct Answers {
    of_other: [String; 4],
    report: Report,
}

impl Answers {
    /// What could not be read is told somewhere.
    fn tells_of(&self, pid: u32) -> bool {
        let leaks = self.report.leaks.iter();
        let notes = leaks.flat_map(|leak| &leak.notes).chain(&self.report.notes);
        let path = format!("proc/{pid}");
        let told = notes.filter(|note| note.contains(&path)).count();
        told > 0 && self.report.scan.unreadable_facts.values().sum::<u64>() > 0
    }
}

/// What every look at the machine reads of a holder.
fn is_always_read(file: &Path) -> bool {
    let names = ["stat", "status", "exe", "cmdline", "cgroup"];
    names
        .iter()
        .any(|name| file.ends_with(format!("proc/{HOSTILE}/{name}")))
}

fn compare(usual: &Answers, now: &Answers, what: &str) {
    for (usual, now) in usual.of_other.iter().zip(&now.of_other) {
        assert_eq!(usual, now, "{what}");
    }
}

#[test]
fn what_the_kernel_refuses_of_one_changes_nothing_of_another() {
    let refusals = [
        Errno::IO,
        Errno::NAMETOOLONG,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOMEM,
        Errno::OVERFLOW,
        Errno::NODEV,
        Errno::SRCH,
    ];
    for counters in [true, false] {
        let machine = Machine::new(counters);
        let usual = machine.look();
        let method = if counters {
            Method::Census
        } else {
            Method::Walk
        };
        assert_eq!(usual.report.scan.method, method);
        assert_eq!(usual.report.zombies, u64::from(2 * ZOMBIES));
        assert!(usual.report.scan.unreadable_facts.is_empty());
        for pid in [HOSTILE, HOSTILE * 100] {
            for path in machine.files_of(pid) {
                let on_open = refusals.into_iter().map(|errno| (errno, false));
                let on_read = [Errno::IO, Errno::SRCH].map(|errno| (errno, true));
                for (errno, on_read) in on_open.chain(on_read) {
                    let fault = Fault {
                        path: path.clone(),
                        errno,
                        on_read,
                    };
                    let what = format!("{fault:?}");
                    let now = fault::with(fault, || machine.look());
                    compare(&usual, &now, &what);
                    if is_always_read(&path) && !on_read && errno != Errno::SRCH {
                        let sees_all = crate::viewer::Viewer::current().sees_all;
                        let denied = matches!(errno, Errno::ACCESS | Errno::PERM);
                        assert!(now.tells_of(HOSTILE) || denied && !sees_all, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_one_writes_changes_nothing_of_another() {
    for counters in [true, false] {
        let machine = Machine::new(counters);
        let usual = machine.look();
        for pid in [HOSTILE, HOSTILE * 100] {
            for path in machine.files_of(pid).iter().filter(|path| path.is_file()) {
                if path.is_symlink() {
                    continue;
                }
                let whole = fs::read(path).unwrap();
                let half = &whole[..whole.len() / 2];
                let large = b"9 ".repeat(1 << 20);
                let numbers = b"-1 99999999999999999999 1e999 nan :::: (((( )))) \n".repeat(40);
                for content in [&b""[..], half, b"\xff\0\xfe(\n", &numbers, &large] {
                    fs::write(path, content).unwrap();
                    let what = format!("{} of {} bytes", path.display(), content.len());
                    compare(&usual, &machine.look(), &what);
                }
                fs::write(path, whole).unwrap();
            }
        }
    }
}

#[test]
fn a_cgroup_that_cannot_be_read_is_no_reason_not_to_look() {
    let machine = Machine::new(true);
    let usual = machine.look();
    let cgroup = machine.path(&format!("cgroup/docker-{}.scope", ID[1]));
    let mut places = vec![cgroup.clone()];
    let files = [
        "cgroup.threads",
        "cgroup.procs",
        "pids.current",
        "cgroup.events",
        "pids.max",
    ];
    places.extend(files.map(|file| cgroup.join(file)));
    for path in places {
        for errno in [Errno::IO, Errno::NODEV, Errno::NAMETOOLONG, Errno::ACCESS] {
            for on_read in [false, true] {
                let fault = Fault {
                    path: path.clone(),
                    errno,
                    on_read,
                };
                let what = format!("{fault:?}");
                compare(&usual, &fault::with(fault, || machine.look()), &what);
            }
        }
    }
}

#[test]
fn what_is_no_proc_is_an_error() {
    let machine = Machine::new(false);
    let open = |proc: &str| {
        Scanner::new(Roots {
            proc: machine.path(proc),
            ..Roots::default()
        })
    };
    assert!(open("proc").is_ok());
    fs::create_dir(machine.path("empty")).unwrap();
    for wrong in ["empty", ".", "proc/20", "proc/loadavg", "nowhere"] {
        assert!(open(wrong).is_err(), "{wrong}");
    }
    let text = open("empty").unwrap_err().to_string();
    assert!(text.contains("is not /proc"), "{text}");
}
