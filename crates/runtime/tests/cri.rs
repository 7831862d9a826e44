//! The CRI, against Debian's containerd and pods made as the kubelet makes them.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sexton_core::{RestartPolicy, Workload};
use sexton_lab::{Containerd, Program, Running, require, wait_until};
use sexton_runtime::{Cri, Error, Runtime, Runtimes, Then};

/// A shell that says what reaches it, and ends on no signal.
fn stubborn() -> Program {
    shell("trap 'echo term' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done")
}

/// A shell that ends on SIGTERM and SIGUSR1.
fn polite() -> Program {
    shell("trap 'echo bye; exit 0' TERM USR1; echo ready; while :; do sleep 0.05; done")
}

fn shell(script: &str) -> Program {
    Program::system(["/bin/sh", "-c", script])
}

/// Long enough for a machine under load; no test of what works waits for it.
const PATIENT: Duration = Duration::from_secs(60);

fn cri(containerd: &Containerd) -> Cri {
    Cri::new(containerd.socket()).deadline(PATIENT)
}

fn named<'a>(workloads: &'a [Workload], name: &str) -> &'a Workload {
    let found = workloads.iter().find(|w| w.name.as_deref() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {workloads:?}"))
}

#[test]
fn a_pod_is_told_with_its_labels_graces_signals_and_pids() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd
        .pod("crawler-0")
        .namespace("shop")
        .label("app", "crawler")
        .label("pod-template-hash", "7d9f8c6b5")
        .annotation("sexton.dev/pause", "true")
        .start();
    let usr1 = containerd.image_with_stop_signal("SIGUSR1");
    let main = pod.container("main").grace_seconds(7).start(&polite());
    let side = pod
        .container("side")
        .image(&usr1)
        .pre_stop("sleep 1")
        .start(&polite());
    let mut cri = cri(&containerd);

    let workloads = cri.workloads().expect("containerd runs");
    assert_eq!(workloads.len(), 2, "{workloads:?}");
    let told = named(&workloads, "main");
    assert_eq!(told.id, main.id());
    assert_eq!(told.pid, Some(main.pid()));
    assert_eq!(told.grace_seconds, Some(7));
    assert_eq!(told.stop_signal.as_deref(), Some("SIGTERM"));
    assert_eq!(told.restarts, Some(0));
    assert_eq!(told.restart, RestartPolicy::Always);
    assert_eq!(told.image.as_deref(), Some("localhost/sexton-test:1"));
    let of = told.pod.as_ref().expect("it is in a pod");
    assert_eq!(of.name.as_deref(), Some("crawler-0"));
    assert_eq!(of.namespace.as_deref(), Some("shop"));
    assert_eq!(of.uid.as_deref(), Some(pod.uid()));
    let labels: Vec<_> = told
        .labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        labels,
        [("app", "crawler"), ("pod-template-hash", "7d9f8c6b5")]
    );
    let annotation = told.annotations.get("sexton.dev/pause");
    assert_eq!(annotation.map(String::as_str), Some("true"));

    let told = named(&workloads, "side");
    assert_eq!(told.pid, Some(side.pid()));
    assert_eq!(told.grace_seconds, Some(30));
    assert!(told.pre_stop && !named(&workloads, "main").pre_stop);
    assert_eq!(told.stop_signal.as_deref(), Some("SIGUSR1"));
    assert_eq!(told.image.as_deref(), Some(usr1.as_str()));

    // What is remembered is no staler than what is asked anew.
    assert_eq!(
        cri.workload(main.id()).expect("it runs").as_ref(),
        Some(named(&workloads, "main"))
    );
    // The sandbox is no container that anybody may end.
    assert_eq!(cri.workload(pod.id()).expect("it runs"), None);
    // A pod that nobody vouches for.
    let lone = containerd.pod("lone").start();
    let _job = lone.container("job").start(&polite());
    let workloads = cri.workloads().expect("containerd runs");
    assert_eq!(named(&workloads, "job").restart, RestartPolicy::Unknown);
    assert_eq!(workloads.len(), 3);
}

#[test]
fn stop_sends_the_signal_waits_for_the_grace_and_kills() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("stops").start();
    let usr1 = containerd.image_with_stop_signal("SIGUSR1");
    let polite = pod.container("polite").start(&polite());
    let stubborn = pod.container("stubborn").image(&usr1).start(&stubborn());
    let bystander = pod.container("bystander").start(&self::stubborn());
    for container in [&polite, &stubborn, &bystander] {
        container.wait_for_line(0, |line| line == "ready");
    }
    let untouched = bystander.identity();
    let mut cri = cri(&containerd);

    // The grace is far longer than anybody waits here.
    cri.stop(polite.id(), Duration::from_secs(600))
        .expect("it ends on SIGTERM");
    assert!(!polite.is_running());
    polite.wait_for_line(0, |line| line == "bye");

    let start = Instant::now();
    let mut ending = cri
        .end(stubborn.id(), Duration::from_secs(2), Then::StartAgain)
        .expect("containerd runs");
    // Nobody stands still for it.
    assert!(ending.poll(Duration::ZERO).is_none());
    wait_until("the image's signal has come", || {
        assert!(
            ending.poll(Duration::from_millis(1)).is_none() || stubborn.output().contains("usr1")
        );
        stubborn.output().contains("usr1").then_some(())
    });
    assert!(stubborn.is_running());
    ending.wait().expect("SIGKILL ends it");
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(stubborn.identity(), None);
    assert!(!stubborn.output().contains("term"));

    // Once more, of one that has ended, and of one that never was.
    cri.stop(polite.id(), Duration::ZERO).expect("idempotent");
    cri.stop(&"0".repeat(64), Duration::ZERO)
        .expect("it does not run");
    // The beginning of an id, which containerd would take for the whole, a pod's own, a name.
    for id in [&bystander.id()[..12], "", "bystander"] {
        let refused = cri.stop(id, Duration::ZERO);
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    cri.stop(pod.id(), Duration::ZERO)
        .expect("no container has this id");
    assert!(bystander.is_running());
    assert_eq!(bystander.identity(), untouched);
    assert_eq!(cri.workloads().expect("it runs").len(), 1);

    let again = stubborn.start_again();
    let workloads = cri.workloads().expect("it runs");
    assert_eq!(named(&workloads, "stubborn").id, again.id());
    assert_eq!(named(&workloads, "stubborn").restarts, Some(1));
    assert_ne!(again.id(), stubborn.id());
}

#[test]
fn one_that_is_killed_is_away_and_is_met_again_when_it_is_back() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("survivor").start();
    let main = pod.container("main").start(&polite());
    let socket = containerd.socket().to_owned();
    let mut runtimes = Runtimes::find(Path::new("/nowhere"), &[socket]).deadline(PATIENT);
    runtimes.refresh();
    assert_eq!(runtimes.notes().count(), 0);
    let before = runtimes.by_id(main.id()).expect("it runs").clone();

    containerd.kill();
    runtimes.refresh();
    let notes: Vec<_> = runtimes.notes().collect();
    assert!(
        matches!(notes[..], [("containerd", Error::Away { .. })]),
        "{notes:?}"
    );
    assert!(notes[0].1.to_string().contains("refused"), "{}", notes[0].1);
    // What was known stays known; nothing can be asked of it.
    assert_eq!(runtimes.by_id(main.id()), Some(&before));
    let ending = runtimes.end(main.id(), Duration::ZERO, Then::Stay);
    assert!(matches!(ending, Err(Error::Away { .. })), "{ending:?}");

    containerd.restart();
    runtimes.refresh();
    assert_eq!(runtimes.notes().count(), 0);
    assert_eq!(runtimes.by_id(main.id()), Some(&before));
    assert!(main.is_running());

    // Killed in the middle of a stop.
    main.wait_for_line(0, |line| line == "ready");
    let stubborn = pod.container("stubborn").start(&stubborn());
    stubborn.wait_for_line(0, |line| line == "ready");
    runtimes.refresh();
    let mut ending = runtimes
        .end(stubborn.id(), Duration::from_secs(600), Then::StartAgain)
        .expect("containerd runs");
    wait_until("the signal has come", || {
        assert!(ending.poll(Duration::from_millis(1)).is_none());
        stubborn.output().contains("term").then_some(())
    });
    containerd.kill();
    let result = ending.wait();
    assert!(matches!(result, Err(Error::Away { .. })), "{result:?}");
    containerd.restart();
    runtimes.refresh();
    assert!(runtimes.by_id(stubborn.id()).is_some());
    let unknown = runtimes.end(&"0".repeat(64), Duration::ZERO, Then::Stay);
    assert!(matches!(unknown, Err(Error::Unknown { .. })), "{unknown:?}");
}

#[test]
fn one_that_hangs_costs_its_deadline_once_and_names_stay() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let pod = containerd.pod("patient").start();
    let main = pod.container("main").start(&polite());
    let socket = containerd.socket().to_owned();
    // Short, since it will be waited for; the first look has as many tries as it needs.
    let short = Duration::from_millis(500);
    let mut runtimes = Runtimes::find(Path::new("/nowhere"), std::slice::from_ref(&socket));
    let mut alone = Cri::new(&socket).deadline(short);
    wait_until("it has answered", || {
        runtimes.refresh();
        alone.workloads().ok()?;
        runtimes.by_id(main.id()).map(|_| ())
    });

    containerd.freeze();
    let hung = alone.workloads();
    assert!(
        matches!(hung, Err(Error::TimedOut { after, .. }) if after == short),
        "{hung:?}"
    );
    runtimes.refresh();
    let timed_out = |runtimes: &Runtimes| {
        let notes: Vec<_> = runtimes.notes().collect();
        matches!(notes[..], [(_, Error::TimedOut { .. })])
    };
    assert!(timed_out(&runtimes));
    assert!(runtimes.by_id(main.id()).is_some());
    containerd.thaw();
    // It is left alone for a while, though it would answer now.
    runtimes.refresh();
    assert!(timed_out(&runtimes));
    assert!(runtimes.by_id(main.id()).is_some());
    wait_until("it answers", || alone.workloads().ok());
}

#[test]
fn a_socket_is_no_promise() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("containerd.sock");
    let mut cri = Cri::new(&socket).deadline(Duration::from_millis(200));
    let away = cri.workloads();
    assert!(matches!(away, Err(Error::Away { .. })), "{away:?}");

    // It takes connections and says nothing.
    let mute = UnixListener::bind(&socket).expect("it can be bound");
    let hung = cri.workloads();
    assert!(matches!(hung, Err(Error::TimedOut { .. })), "{hung:?}");
    // A stop has more time, and nobody needs to wait for it.
    let mut ending = cri
        .end(&"0".repeat(64), Duration::ZERO, Then::Stay)
        .expect("it takes connections");
    assert!(ending.poll(Duration::from_millis(50)).is_none());
    drop(mute);
    let away = ending.wait();
    assert!(matches!(away, Err(Error::Away { .. })), "{away:?}");
    let away = cri.workloads();
    assert!(matches!(away, Err(Error::Away { .. })), "{away:?}");

    // It speaks, but nothing that anybody understands.
    std::fs::remove_file(&socket).expect("it was there");
    let babbler = UnixListener::bind(&socket).expect("it can be bound");
    let talk = std::thread::spawn(move || {
        let (mut stream, _) = babbler.accept().expect("it is asked");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let mut cri = Cri::new(&socket).deadline(PATIENT);
    let nonsense = cri.workloads();
    assert!(matches!(nonsense, Err(Error::Away { .. })), "{nonsense:?}");
    talk.join().expect("it only talks");
}

#[test]
fn sockets_are_found_below_the_hosts_root_when_they_come() {
    let host = tempfile::tempdir().expect("a temporary directory");
    let mut runtimes = Runtimes::find(host.path(), &[]).deadline(Duration::from_millis(50));
    runtimes.refresh();
    assert_eq!(runtimes.names().count(), 0);

    // `/run -> /var/run` is the host's, whatever is there on this machine.
    std::fs::create_dir_all(host.path().join("var/run/crio")).expect("it is writable");
    std::os::unix::fs::symlink("/var/run", host.path().join("run")).expect("it is writable");
    let socket = host.path().join("var/run/crio/crio.sock");
    let listener = UnixListener::bind(&socket).expect("it can be bound");
    runtimes.refresh();
    runtimes.refresh();
    assert_eq!(runtimes.names().collect::<Vec<_>>(), ["crio"]);
    assert!(matches!(
        runtimes.notes().next(),
        Some((_, Error::TimedOut { .. }))
    ));
    drop(listener);

    // Where sockets are given no others are looked for.
    let given = host.path().join("elsewhere.sock");
    let mut runtimes = Runtimes::find(host.path(), &[given]);
    runtimes.refresh();
    assert_eq!(runtimes.names().collect::<Vec<_>>(), ["elsewhere"]);
    assert!(matches!(
        runtimes.notes().next(),
        Some((_, Error::Away { .. }))
    ));
}

/// As Docker's packages of containerd come.
#[test]
fn a_containerd_without_the_cri_is_no_trouble_unless_it_was_asked_for() {
    let Some(containerd) = require(Containerd::start()) else {
        return;
    };
    let host = tempfile::tempdir().expect("a temporary directory");
    let dir = host.path().join("run/containerd");
    std::fs::create_dir_all(&dir).expect("it is writable");
    let (socket, dir) = (dir.join("containerd.sock"), dir.display());
    let config = format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{dir}/containerd.sock"
[ttrpc]
address = "{dir}/containerd.sock.ttrpc"
"#
    );
    let file = host.path().join("config.toml");
    std::fs::write(&file, config).expect("it is writable");
    let mut command = containerd.command("containerd");
    command.arg("--config").arg(&file);
    let _plain = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("it listens", || UnixStream::connect(&socket).ok());

    let mut found = Runtimes::find(host.path(), &[]).deadline(PATIENT);
    found.refresh();
    assert_eq!(found.names().collect::<Vec<_>>(), ["containerd"]);
    assert_eq!(found.notes().count(), 0);
    let mut given = Runtimes::find(host.path(), &[socket]).deadline(PATIENT);
    given.refresh();
    let note = given.notes().next();
    assert!(matches!(note, Some((_, Error::NoCri { .. }))), "{note:?}");
}
