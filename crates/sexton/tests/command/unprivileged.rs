//! Without root it does what it can, and says what it could not see.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sexton_lab::{
    Container, Layout, Leak, Running, Skip, program::find, require, wait_until, zombies_of,
};

use crate::sexton::{Answer, SEXTON, answer};
use crate::situation::{leaking, runtime};

/// `sexton` where everybody can read it, run as nobody.
pub(crate) struct Nobody(tempfile::TempDir);

impl Nobody {
    pub(crate) fn new() -> Option<Self> {
        let setpriv = find("setpriv").ok_or_else(|| Skip("there is no setpriv(1)".to_owned()));
        require(setpriv)?;
        let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
        let dir = dir.expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::copy(SEXTON, dir.path().join("sexton")).expect("a copy");
        Some(Self(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("sexton")
    }

    pub(crate) fn runs<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Answer {
        answer(as_nobody(self.path()).args(args))
    }
}

/// A command that runs as nobody; where the tests are not root's, as whoever runs them.
fn as_nobody(program: impl AsRef<OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=-all", "--bounding-set=-all", "--"])
        .arg(program);
    command
}

#[test]
fn a_users_own_leak_is_found_and_reaped_without_any_privilege() {
    let Some(nobody) = Nobody::new() else { return };
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    if yama.is_ok_and(|scope| scope.trim() != "0") {
        require::<()>(Err(Skip("Yama lets nobody trace but a parent".to_owned())));
        return;
    }
    let leak = Leak::new().count(6).then_sleep().program();
    let copy = nobody.0.path().join("sexton-test-leak");
    fs::copy(&leak.argv[0], &copy).expect("a copy");
    let mut command = as_nobody(copy);
    let holder = Running::start(command.args(&leak.argv[1..]).stdout(Stdio::null()));
    wait_until("all children have ended", || {
        (zombies_of(holder.pid()).len() == 6).then_some(())
    });
    let pid = holder.pid().to_string();

    let answer = nobody.runs(["scan", "--pid", &pid]).expect(1);
    assert!(answer.stdout.contains("host"), "{answer:?}");
    let reap = ["reap", &pid, "--yes", "--settle", "0", "--allow-host"];
    nobody.runs(reap).expect(0);

    assert_eq!(zombies_of(holder.pid()), [0_u32; 0]);
    assert!(sexton_lab::identity(holder.pid()).is_some());
}

#[test]
fn a_scan_finds_what_is_readable_and_notes_the_rest() {
    let Some(runtime) = runtime() else { return };
    let Some(nobody) = Nobody::new() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Kubepods);
    let container = leaking(builder, Leak::new().name("chrome"), 8);

    let answer = nobody.runs(["scan", "-o", "json", "--container", container.id()]);
    let report = answer.expect(1).json();

    let leak = crate::sexton::leak_of(&report, container.pid());
    assert_eq!(leak["zombies"], 8);
    assert_eq!(
        leak["container"]["pod"]["uid"].as_str(),
        container.pod_uid()
    );
    let notes = report["notes"].as_array().map_or(0, Vec::len);
    assert!(
        notes > 0,
        "it does not say what it could not see: {report:#}"
    );
}

#[test]
fn limits_and_explain_answer_too() {
    let Some(runtime) = runtime() else { return };
    let Some(nobody) = Nobody::new() else { return };
    let container = leaking(Container::builder(&runtime).pids_limit(100), Leak::new(), 8);
    let pid = container.pid().to_string();

    let answer = nobody.runs(["limits", "--pid", &pid]).expect(0);
    assert!(answer.stdout.contains("100"), "{answer:?}");
    let answer = nobody.runs(["explain", &pid, "--sample", "0"]).expect(0);
    // What comes after is for root, and no guess is made of what the program is written in.
    assert!(answer.stdout.contains("1. Become root first"), "{answer:?}");
    assert!(!answer.stdout.contains("rust-child-dropped"), "{answer:?}");
}

#[test]
fn a_reap_that_is_not_permitted_says_so_and_does_nothing() {
    let Some(runtime) = runtime() else { return };
    let Some(nobody) = Nobody::new() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 8);

    let pid = container.pid().to_string();
    let answer = nobody.runs(["reap", &pid, "--yes", "--settle", "0"]);

    assert_ne!(answer.status, 0, "{answer:?}");
    let said = format!("{}{}", answer.stdout, answer.stderr).to_lowercase();
    assert!(
        ["permi", "root", "cap_sys_ptrace"]
            .iter()
            .any(|word| said.contains(word)),
        "{answer:?}"
    );
    assert_eq!(zombies_of(container.pid()).len(), 8);
}
