//! Who names its cgroup, or its program, like another is not taken for that other.

use std::fs;
use std::process::{Command, Stdio};

use sexton_lab::program::{find, init_binary};
use sexton_lab::{
    Cgroup, Container, Layout, Leak, Program, Running, Runtime, Skip, live_children_of, require,
    wait_until, zombies_of,
};

use crate::agent::Place;
use crate::sexton::{leak_of, sexton};

const POD: &str = "kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice";
/// A user's own part of the tree, as systemd delegates it.
const USERS: &str = "user.slice/user-65534.slice/user@65534.service";

/// A container id that begins so.
fn id(beginning: &str) -> String {
    let unique = sexton_lab::unique("id");
    let digits: String = unique.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{beginning}{digits:0<64}")[..64].to_owned()
}

fn node(label: &str) -> Option<Cgroup> {
    for tool in ["unshare", "setpriv"] {
        require(find(tool).ok_or_else(|| Skip(format!("there is no {tool}(1)"))))?;
    }
    require(Cgroup::new(label))
}

/// A leak in a cgroup of the test's: what was started, and the holder.
struct Leaking {
    _started: Running,
    pid: u32,
}

/// `before` is what is put before the program: `setpriv`, `unshare`.
fn start(
    node: &Cgroup,
    cgroup: &str,
    before: &[&str],
    program: &Program,
    zombies: usize,
) -> Leaking {
    node.make(cgroup);
    let mut command = match before.split_first() {
        Some((first, rest)) => {
            // By its path: the shell of a virtual machine has programs of its own by that name.
            let first = find(first).expect("looked for before");
            let mut command = node.command_in(cgroup, first);
            command.args(rest).arg(&program.argv[0]);
            command
        }
        None => node.command_in(cgroup, &program.argv[0]),
    };
    command.args(&program.argv[1..]).stdout(Stdio::null());
    let started = Running::start(&mut command);
    let forks = before.contains(&"--fork");
    let pid = wait_until("the program has leaked", || {
        let pid = if forks {
            *live_children_of(started.pid()).first()?
        } else {
            started.pid()
        };
        (zombies_of(pid).len() == zombies).then_some(pid)
    });
    Leaking {
        _started: started,
        pid,
    }
}

fn leak(zombies: u32) -> Program {
    Leak::new().count(zombies).then_sleep().program()
}

/// As PID 1 of a PID namespace.
const APART: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--"];
/// As a user of the host.
const USER: [&str; 5] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--",
];

/// The id of the container that `pid` is said to be in.
fn told(pid: u32) -> Option<String> {
    let report = sexton(["scan", "-o", "json", "--pid", &pid.to_string()])
        .expect(1)
        .json();
    let container = &leak_of(&report, pid)["container"];
    container["id"].as_str().map(str::to_owned)
}

#[test]
fn a_user_that_names_its_cgroup_like_a_container_is_not_in_it() {
    let Some(node) = node("forged") else { return };
    let id = id("");
    let mark = format!("{POD}/cri-containerd-{id}.scope");
    let neighbour = start(&node, &mark, &APART, &leak(3), 3);
    let forged = format!("{USERS}/{mark}");
    node.make(&forged);
    node.give(USERS, 65534);
    // From here on only the user could have made it.
    let forger = start(&node, &forged, &USER, &leak(4), 4);
    let apart = start(&node, &forged, &[&APART[..], &USER].concat(), &leak(5), 5);

    assert_eq!(told(neighbour.pid), Some(id.clone()));
    assert_eq!(told(forger.pid), None);
    // In a PID namespace of its own it is a container of that user.
    let own = told(apart.pid).expect("a container");
    assert!(own.starts_with("user:65534:"), "{own}");

    // What is done to the container is not done to the forgers, and the rule for processes of the
    // host holds.
    let target = format!("container/{id}");
    sexton(["reap", &target, "--yes", "--settle", "0"]).expect(0);
    assert_eq!(zombies_of(neighbour.pid).len(), 0);
    assert_eq!(
        (zombies_of(forger.pid).len(), zombies_of(apart.pid).len()),
        (4, 5)
    );
    let refused = sexton(["reap", &forger.pid.to_string(), "--yes", "--settle", "0"]).expect(2);
    assert!(refused.stdout.contains("--allow-host"), "{refused:?}");
}

#[test]
fn root_in_a_container_is_not_the_neighbour_that_the_runtime_knows() {
    let Some(node) = node("nested") else { return };
    let (own, neighbours, inner) = (id("a"), id("b"), id("c"));
    let neighbour = start(&node, &format!("docker/{neighbours}"), &APART, &leak(1), 1);
    let mark = format!("docker/{own}/docker/{neighbours}");
    let forger = start(&node, &mark, &APART, &leak(2), 2);
    let mark = format!("docker/{own}/docker/{inner}");
    let nested = start(&node, &mark, &APART, &leak(3), 3);
    // A node whose Docker began the neighbour.
    let host = tempfile::tempdir().unwrap();
    let state = host
        .path()
        .join("var/lib/docker/containers")
        .join(&neighbours);
    fs::create_dir_all(&state).unwrap();
    let config = format!(
        r#"{{"Name":"/victim","State":{{"Running":true,"Pid":{}}}}}"#,
        neighbour.pid
    );
    fs::write(state.join("config.v2.json"), config).unwrap();
    let root = host.path().to_str().unwrap();

    let told = |pid: u32| {
        let pid_text = pid.to_string();
        let args = [
            "scan",
            "-o",
            "json",
            "--pid",
            &pid_text,
            "--path-rootfs",
            root,
        ];
        leak_of(&sexton(args).expect(1).json(), pid)["container"].clone()
    };
    assert_eq!(told(neighbour.pid)["id"], neighbours);
    assert_eq!(told(neighbour.pid)["name"], "victim");
    assert_eq!(told(forger.pid)["id"], own);
    assert!(told(forger.pid).get("name").is_none());
    // A container that no runtime of the node knows is one of its own, inside the other.
    assert_eq!(told(nested.pid)["id"], inner);

    // And all that is in a container is shown as the container's.
    let target = format!("container/{own}");
    let report = sexton(["scan", &target, "-o", "json", "--path-rootfs", root])
        .expect(1)
        .json();
    assert_eq!(report["zombies"], 5, "{report:#}");
}

#[test]
fn a_container_that_calls_its_program_kubelet_is_not_immune() {
    let Some(node) = node("kubelet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut program = leak(3);
    for name in ["kubelet", "containerd-shim", "sexton"] {
        let path = dir.path().join(name);
        fs::copy(&program.argv[0], &path).unwrap();
        program.argv[0] = path.to_str().unwrap().to_owned();
        let container = start(&node, &format!("docker/{}", id("")), &APART, &program, 3);
        let pid = container.pid.to_string();

        let said = sexton(["explain", &pid, "--sample", "0"]).expect(0).stdout;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            said.contains(name) && said.contains("a name protects nothing"),
            "{said}"
        );
        assert!(!said.contains("never touches it"), "{said}");
        sexton(["reap", &pid, "--yes", "--settle", "0"]).expect(0);
        assert_eq!(zombies_of(container.pid), [0_u32; 0], "{name}");
    }
}

#[test]
fn a_name_that_fits_several_things_touches_none() {
    let Some(node) = node("several") else { return };
    // No other test's id begins so.
    let (one, other) = (id("c0ffee01"), id("c0ffee02"));
    let first = start(&node, &format!("docker/{one}"), &APART, &leak(3), 3);
    let second = start(&node, &format!("docker/{other}"), &APART, &leak(4), 4);

    for command in ["reap", "explain"] {
        for target in ["c0ffee0", "container/c0ffee0"] {
            let answer = sexton([command, target]).expect(2);
            for id in [&one, &other] {
                let typed = format!("container/{}", &id[..12]);
                assert!(answer.stderr.contains(&typed), "{answer:?}");
            }
        }
    }
    sexton(["reap", "c0ffee0", "--yes", "--settle", "0"]).expect(2);
    assert_eq!(
        (zombies_of(first.pid).len(), zombies_of(second.pid).len()),
        (3, 4)
    );
    // What was offered is taken.
    let typed = format!("container/{}", &one[..12]);
    sexton(["reap", &typed, "--yes", "--settle", "0"]).expect(0);
    assert_eq!(
        (zombies_of(first.pid).len(), zombies_of(second.pid).len()),
        (0, 4)
    );
}

/// Leaks three children under a seccomp filter of its own: it cannot be made to wait.
const UNREAPABLE: &str = "
import ctypes, subprocess, time, struct
kept = [subprocess.Popen(['/bin/true']) for _ in range(3)]
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(allow)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
print('leaked', flush=True)
time.sleep(3000)
";

#[test]
fn no_program_is_ended_whose_container_no_runtime_vouches_for() {
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    let python = "/usr/bin/python3";
    let there = fs::exists(python).unwrap_or(false).then_some(());
    if require(there.ok_or_else(|| Skip(format!("no {python}")))).is_none() {
        return;
    }
    let server = format!(
        "import subprocess, time\nworker = subprocess.Popen(['{python}', '-c', '''{UNREAPABLE}'''])\n\
         worker.wait()\nprint('ended', flush=True)\ntime.sleep(3000)\n"
    );
    let init = init_binary();
    let program = Program {
        argv: [init.to_str().unwrap(), "--", python, "-c", &server]
            .map(str::to_owned)
            .to_vec(),
        binds: vec![init.parent().unwrap().to_owned()],
    };
    let container = Container::builder(&runtime)
        .layout(Layout::Docker)
        .start(&program);
    container.wait_for_line(0, |line| line == "leaked");
    let place = Place::new();
    let spec = "  mode: enforce\n  settle: 100ms\n  maxRung: terminate\n  \
                disruption: {threshold: {minZombies: 1}, escalateAfter: 1s}\n";
    place.covers("end", &container, spec);
    let _agent = place.agent();
    let outcome = wait_until("it was refused", || place.outcomes("refused").pop());
    let detail = outcome["detail"].as_str().unwrap();
    assert!(
        detail.contains("no container runtime of this node"),
        "{outcome}"
    );
    let output = container.output();
    assert!(!output.contains("ended"), "{output}");
}

#[test]
fn names_in_a_list_cannot_move_the_cursor() {
    let Some(node) = node("escapes") else { return };
    let id = id("");
    let _container = start(&node, &format!("docker/{id}"), &APART, &leak(1), 1);
    let name = "evil\u{1b}[2J\nx";
    let mut program = Command::new("/bin/sh");
    program.args([
        "-c",
        r#"printf %s "$1" > /proc/self/comm; exec 3<&0; read _ < "$2""#,
        "sh",
        name,
    ]);
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    program.arg(&fifo);
    let running = Running::start(&mut program);
    wait_until("it has its name", || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", running.pid())).ok()?;
        comm.starts_with("evil").then_some(())
    });
    let answer = sexton(["explain", "evil"]).expect(2);
    assert!(answer.stderr.contains("evil"), "{answer:?}");
    assert!(!answer.stderr.contains('\u{1b}'), "{answer:?}");
}
