//! The unit of systemd, as it is and with the drop-in of docs/agent.md.

// A test reads files that it made, and those of the repository.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

/// `systemd-analyze` wants a program that is there, so one stands for ours.
const PROGRAM: (&str, &str) = ("/usr/local/bin/sexton", "/bin/true");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn systemd_finds_no_fault_in_the_unit_and_its_drop_in() {
    let page = read("docs/agent.md");
    let (_, drop_in) = page.split_once("```ini\n").expect("the drop-in");
    let (drop_in, _) = drop_in.split_once("```").unwrap();
    let unit = read("deploy/systemd/sexton-agent.service");
    // The line that the unit offers is the one that the page writes.
    let allow = drop_in.lines().find(|l| l.starts_with("IPAddressAllow="));
    assert!(unit.contains(&format!("\n#{}\n", allow.unwrap())), "{unit}");

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("sexton-agent.service");
    let analyze = |what: &str| {
        let said = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output();
        let Ok(output) = said else {
            println!("SKIP: {what}: no systemd-analyze here");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{what}: {said}");
    };
    std::fs::write(&file, unit.replace(PROGRAM.0, PROGRAM.1)).unwrap();
    analyze("the unit");
    let folder = place.path().join("sexton-agent.service.d");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("scrape.conf"),
        drop_in.replace(PROGRAM.0, PROGRAM.1),
    )
    .unwrap();
    analyze("the unit with the drop-in");
}
