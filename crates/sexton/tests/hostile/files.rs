//! Files that decide what the agent does are nobody else's to open, and what is no file is not
//! waited for.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sexton_lab::{Running, require, require_root, wait_until};

use crate::agent::{Agent, Place};

/// A user that owns nothing here.
const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn fifo(path: &Path) -> PathBuf {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    assert!(fs::metadata(path).unwrap().file_type().is_fifo());
    path.to_owned()
}

/// All files below the place of an agent, without its policies.
fn made_by_the_agent(place: &Place) -> Vec<PathBuf> {
    let folders = ["run", "log"].map(|name| place.path().join(name));
    let inside = folders.iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    inside.collect()
}

/// The folders as the kubelet makes them: `DirectoryOrCreate` is mode 0755.
fn as_the_kubelet_makes_them(place: &Place) {
    for name in ["run", "log"] {
        let folder = place.path().join(name);
        fs::create_dir(&folder).unwrap();
        set_mode(&folder, 0o755);
    }
}

fn ready(agent: &Agent) {
    wait_until("the agent acts", || {
        (agent.get("/readyz").0 == 200).then_some(())
    });
}

#[test]
fn nobody_else_can_open_what_the_agent_relies_on() {
    let place = Place::new();
    set_mode(place.path(), 0o755);
    as_the_kubelet_makes_them(&place);
    let agent = place.agent();
    ready(&agent);
    assert_eq!(mode(&place.path().join("run")), 0o700);
    assert_eq!(mode(&place.path().join("log")), 0o700);
    let files = made_by_the_agent(&place);
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file) & 0o007, 0, "{}", file.display());
        if file.extension().is_some_and(|end| end == "lock") {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        if require(require_root()).is_some() {
            let read = Command::new("cat").arg(&file).uid(NOBODY).output().unwrap();
            assert!(!read.status.success(), "{}", file.display());
        }
    }
}

#[test]
fn who_holds_the_lock_of_a_former_version_keeps_no_agent_out() {
    if require(require_root()).is_none() {
        return;
    }
    let place = Place::new();
    set_mode(place.path(), 0o755);
    as_the_kubelet_makes_them(&place);
    let locks = ["run/agent.lock", "log/audit.jsonl.lock"].map(|name| place.path().join(name));
    let mut holders = vec![];
    for lock in &locks {
        fs::write(lock, "").unwrap();
        set_mode(lock, 0o644);
        // It opens the file to read, which is enough.
        let mut holder = Command::new("sh");
        holder
            .args([
                "-c",
                "exec 9< \"$1\"; flock -n 9 || exit 1; echo held; exec sleep 600",
                "sh",
            ])
            .arg(lock)
            .uid(NOBODY)
            .gid(NOBODY)
            .stdout(Stdio::piped());
        let mut holder = Running::start(&mut holder);
        let mut said = String::new();
        let stdout = holder.child().stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        holders.push(holder);
    }
    let agent = place.agent();
    ready(&agent);
    for lock in &locks {
        assert_eq!(mode(lock), 0o600);
    }
    // And it is a lock still.
    let second = place.agent();
    second.says("another agent acts on this node");
    assert_eq!(second.get("/readyz").0, 503);
}

#[test]
fn a_folder_that_is_not_ours_alone_to_write_is_refused() {
    for loose in [0o777, 0o1777, 0o775] {
        let place = Place::new();
        let run = place.path().join("run");
        fs::create_dir(&run).unwrap();
        set_mode(&run, loose);
        let agent = place.agent();
        agent.says("can be written by others");
        assert_eq!(agent.ends().code(), Some(2), "{loose:o}");
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    }

    // Without a log that can be relied on it looks, and says why it does no more.
    let place = Place::new();
    let log = place.path().join("log");
    fs::create_dir(&log).unwrap();
    set_mode(&log, 0o777);
    let agent = place.agent();
    agent.looks(1);
    let (status, why) = agent.get("/readyz");
    assert!(
        status == 503 && why.contains("can be written by others"),
        "{why}"
    );
    // It goes on by itself when that is mended.
    set_mode(&log, 0o755);
    ready(&agent);
}

#[test]
fn a_link_is_not_followed() {
    let place = Place::new();
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place.path().join("run")).unwrap();
    let agent = place.agent();
    agent.says("is a link");
    assert_eq!(agent.ends().code(), Some(2));

    fs::remove_file(place.path().join("run")).unwrap();
    let victim = place.path().join("victim");
    fs::write(&victim, "before").unwrap();
    set_mode(&victim, 0o644);
    for name in ["audit.jsonl", "audit.jsonl.lock"] {
        let log = place.path().join("log");
        fs::create_dir_all(&log).unwrap();
        symlink(&victim, log.join(name)).unwrap();
        let agent = place.agent();
        agent.looks(1);
        let (status, why) = agent.get("/readyz");
        assert!(status == 503 && why.contains("is a link"), "{name}: {why}");
        drop(agent);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "before");
        assert_eq!(mode(&victim), 0o644);
        fs::remove_dir_all(log).unwrap();
    }
}

/// Sends SIGTERM and waits for the end; a test that hangs here is one that fails.
fn ends_on_sigterm(what: &str, mut agent: Running) {
    let pid = Pid::from_raw(agent.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = wait_until(what, || agent.child().try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{what}");
}

/// Waits until the process has the stop signals blocked, as the agent has them from its start on.
fn has_begun(agent: &Running) {
    wait_until("the agent has begun", || {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).ok()?;
        let blocked = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:"))?;
        let blocked = u64::from_str_radix(blocked.trim(), 16).ok()?;
        (blocked & 1 << (15 - 1) != 0).then_some(())
    });
}

/// Puts something in the way of an agent.
type Prepare<'a> = dyn Fn(&Place, &mut Command) + 'a;

#[test]
fn a_stop_is_heard_whatever_the_agent_waits_for() {
    let silent = Place::new();
    let socket = silent.path().join("runtime.sock");
    // Takes connections into its backlog, and never answers.
    let _runtime = UnixListener::bind(&socket).unwrap();
    let cases: [(&str, &Prepare<'_>); 6] = [
        ("a FIFO as policy", &|place, command| {
            command.arg("--policy").arg(fifo(&place.path().join("p")));
        }),
        ("a FIFO in the folder of policies", &|place, _| {
            fifo(&place.policies().join("p.yaml"));
        }),
        ("a FIFO as audit log", &|place, _| {
            fs::create_dir(place.path().join("log")).unwrap();
            fifo(&place.audit_log());
        }),
        ("a FIFO as lock of the audit log", &|place, _| {
            fs::create_dir(place.path().join("log")).unwrap();
            fifo(&place.path().join("log/audit.jsonl.lock"));
        }),
        ("a FIFO as credentials of the cluster", &|place, command| {
            let credentials = fifo(&place.path().join("kubeconfig"));
            command.arg("--cluster").env("KUBECONFIG", credentials);
        }),
        ("a runtime that never answers", &|_, command| {
            command.arg("--runtime").arg(&socket);
        }),
    ];
    for (what, prepare) in cases {
        let place = Place::new();
        let mut command = place.command();
        prepare(&place, &mut command);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Running::start(&mut command);
        has_begun(&agent);
        // As far as it comes by itself.
        std::thread::sleep(std::time::Duration::from_millis(700));
        ends_on_sigterm(what, agent);
    }
}

/// The one call that no care can keep from blocking is one into a file system that hangs. A full
/// pipe as standard error is as deaf.
#[test]
fn a_stop_is_heard_though_the_main_thread_never_comes_back() {
    let place = Place::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    // What a pipe holds (pipe(7)).
    writer.write_all(&[b'x'; 65_536]).unwrap();
    let mut command = place.command();
    command
        .env("SEXTON_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(writer);
    let agent = Running::start(&mut command);
    drop(command);
    has_begun(&agent);
    wait_until("it is blocked in write(2)", || {
        let call = fs::read_to_string(format!("/proc/{}/syscall", agent.pid())).ok()?;
        // write(2, …
        call.starts_with("1 0x2 ").then_some(())
    });
    ends_on_sigterm("standard error that nobody reads", agent);
    drop(reader);
}

#[test]
fn a_stop_is_heard_while_the_api_server_never_answers() {
    let place = Place::new();
    // Takes connections into its backlog, and never answers.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubeconfig = place.path().join("kubeconfig");
    let address = server.local_addr().unwrap();
    fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n"
        ),
    )
    .unwrap();
    let mut command = place.command();
    command
        .arg("--cluster")
        .env("KUBECONFIG", &kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let agent = Running::start(&mut command);
    server.set_nonblocking(true).unwrap();
    let _connection = wait_until("it connects", || server.accept().ok());
    ends_on_sigterm("an API server that never answers", agent);
}

#[test]
fn settings_are_read_from_regular_files_only() {
    let place = Place::new();
    let config = fifo(&place.path().join("agent.yaml"));
    for what in [config, PathBuf::from("/dev/zero")] {
        let mut command = place.command();
        command.arg("--config").arg(&what);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", what.display());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("not a regular file"), "{said}");
    }
    // The state directory cannot be one either.
    fifo(&place.path().join("run"));
    let output = place.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
