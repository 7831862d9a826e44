//! Without root it does what it can, and says what it could not see.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use sexton_lab::{Container, Layout, Leak, Skip, program::find, require, zombies_of};

use crate::sexton::{Answer, SEXTON, answer};
use crate::situation::{leaking, runtime};

/// `sexton` where everybody can read it, run as nobody.
struct Nobody(tempfile::TempDir);

impl Nobody {
    fn new() -> Option<Self> {
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

    fn runs<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Answer {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
            ])
            .args(["--bounding-set=-all", "--"])
            .arg(self.path())
            .args(args);
        answer(&mut command)
    }
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
    nobody.runs(["explain", &pid, "--sample", "0"]).expect(0);
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
