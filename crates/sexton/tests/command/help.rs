//! Help, completions, manual pages.

use crate::sexton::sexton;

const SUBCOMMANDS: [&str; 13] = [
    "audit",
    "doctor",
    "scan",
    "limits",
    "explain",
    "reap",
    "resume",
    "demo",
    "lint",
    "policy",
    "schema",
    "completions",
    "man",
];

#[test]
fn every_subcommand_has_help_with_examples() {
    for subcommand in SUBCOMMANDS {
        let answer = sexton([subcommand, "--help"]).expect(0);
        assert!(answer.stdout.contains("Examples:"), "{subcommand}");
        assert!(
            answer.stdout.contains(&format!("sexton {subcommand}")),
            "{subcommand}"
        );
    }
    let answer = sexton(["--help"]).expect(0);
    for subcommand in SUBCOMMANDS {
        assert!(answer.stdout.contains(subcommand), "{subcommand}");
    }
}

#[test]
fn exit_statuses_are_documented() {
    for subcommand in [
        "scan", "limits", "explain", "reap", "resume", "audit", "doctor", "lint",
    ] {
        let answer = sexton([subcommand, "--help"]).expect(0);
        assert!(answer.stdout.contains("Exit status:"), "{subcommand}");
    }
    for subcommand in ["check", "explain"] {
        let answer = sexton(["policy", subcommand, "--help"]).expect(0);
        assert!(
            answer.stdout.contains("Exit status:"),
            "policy {subcommand}"
        );
    }
}

#[test]
fn wrong_usage_is_exit_status_2_with_a_message() {
    let wrong: [&[&str]; 6] = [
        &["bury"],
        &["scan", "--min", "many"],
        &["scan", "-o", "xml"],
        &["reap"],
        &["reap", "12345", "--settle", "-1"],
        &["scan", "--interval", "1"],
    ];
    for args in wrong {
        let answer = sexton(args.iter().copied()).expect(2);
        assert!(
            !answer.stderr.is_empty() && answer.stdout.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        let answer = sexton(["completions", shell]).expect(0);
        for subcommand in SUBCOMMANDS {
            assert!(answer.stdout.contains(subcommand), "{shell}: {subcommand}");
        }
    }
}

#[test]
fn manual_pages_are_written_for_every_subcommand() {
    let answer = sexton(["man"]).expect(0);
    assert!(answer.stdout.contains(".TH sexton"), "{answer:?}");

    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    sexton(["man", &dir.path().to_string_lossy()]).expect(0);
    assert!(dir.path().join("sexton.1").exists());
    for subcommand in SUBCOMMANDS {
        let page = dir.path().join(format!("sexton-{subcommand}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{subcommand}: {e}"));
        assert!(page.contains(".SH EXAMPLES"), "{subcommand}");
        assert!(!page.contains("EXTRA"), "{subcommand}");
    }
}

#[test]
fn the_exit_status_has_a_section_of_its_own_in_the_manual() {
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    sexton(["man", &dir.path().to_string_lossy()]).expect(0);
    let page = std::fs::read_to_string(dir.path().join("sexton-scan.1")).expect("it was written");
    let (_, status) = page.split_once(".SH \"EXIT STATUS\"").expect("a section");
    assert!(status.contains("0 no zombies"), "{page}");
    assert!(!page.contains("Exit status:"), "{page}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let answer = sexton(["man", "/proc/nosuch"]).expect(2);
    assert!(answer.stderr.contains("/proc/nosuch"), "{answer:?}");
}

/// `sexton completions bash | head -1`, and its like.
#[test]
fn a_reader_that_goes_away_is_no_defect() {
    let commands: [&[&str]; 8] = [
        &["completions", "bash"],
        &["completions", "zsh"],
        &["man"],
        &["crds"],
        &["schema", "report"],
        &["policy", "schema"],
        &["scan"],
        &["limits", "--all"],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = std::process::Command::new(crate::sexton::SEXTON)
            .args(args)
            .stdout(writer)
            .output()
            .expect("it can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        // 1 is an answer: zombies were found, a limit is reached.
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{args:?}: {output:?}"
        );
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}
