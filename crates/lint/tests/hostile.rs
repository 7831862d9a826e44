//! Files that are made to hurt cost a word at most.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use sexton_lint::{Document, Source, lint, read};

fn of(name: &str, text: &str) -> Document {
    lint(&[Source {
        path: PathBuf::from(name),
        text: text.to_owned(),
    }])
}

#[test]
fn deep_trees_and_bombs_of_anchors_are_not_read() {
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let last = n - 1;
        let nine = vec![format!("*a{last}"); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{nine}]\n"));
    }
    for text in [&deep, &bomb, "a: [", "\u{1}"] {
        let document = of("x.yaml", text);
        assert!(document.findings.is_empty());
        assert_eq!(document.unread.len(), 1, "{text:.20}");
    }
}

#[test]
fn templates_say_how_they_are_read() {
    let document = of(
        "x.yaml",
        "a: {{ .Values.x }}\n{{- if .y }}\nb: 1\n{{ end }}\n",
    );
    assert!(
        document.unread[0].message.contains("helm template"),
        "{document:?}"
    );
}

#[test]
fn strange_dockerfiles_are_read_to_their_end() {
    for text in [
        "",
        "\\",
        "FROM",
        "CMD x",
        "FROM a\nCMD",
        "FROM a\nCMD [",
        "FROM a\nRUN <<EOF\n",
        "FROM a AS\nFROM a AS a\nFROM a\nENTRYPOINT []",
        "FROM a\nHEALTHCHECK CMD",
        "FROM a\nHEALTHCHECK --timeout=é CMD é",
        "FROM a\nSTOPSIGNAL \u{202e}",
        "FROM a\nCMD \\\n\n#\n\\\n",
    ] {
        of("Dockerfile", text);
    }
    let long = format!("FROM a\nCMD sh -c '{}'\n", "a && ".repeat(100_000));
    of("Dockerfile", &long);
}

#[test]
fn a_folder_with_fifos_loops_and_binaries_is_read() {
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    let made = Command::new("mkfifo").arg(path("pipe.yaml")).status();
    assert!(made.expect("mkfifo is there").success());
    symlink(dir.path(), path("loop")).expect("a link");
    symlink("/dev/zero", path("zero.yaml")).expect("a link");
    fs::write(path("binary.yaml"), [0xff_u8, 0xfe, 0]).expect("a file");
    fs::write(path("large.yml"), vec![b'#'; (1 << 20) + 1]).expect("a file");
    fs::write(path("Dockerfile"), "FROM a\nCMD a && b\n").expect("a file");
    let (sources, unread) = read(&[dir.path()]);
    assert_eq!(sources.len(), 1, "{sources:?}");
    let mut names: Vec<_> = unread
        .iter()
        .filter_map(|one| one.file.file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["binary.yaml", "large.yml"]);
    assert_eq!(lint(&sources).findings[0].rule, "SX101");
    // A FIFO that was named is not waited for.
    let (_, unread) = read(&[path("pipe.yaml")]);
    assert!(
        unread[0].message.contains("not a regular file"),
        "{unread:?}"
    );
}

#[test]
fn a_finding_is_left_out_where_the_file_says_so() {
    let count = |text: &str| of("Dockerfile", text).findings.len();
    assert_eq!(count("FROM a\nCMD a && b\n"), 1);
    assert_eq!(
        count("FROM a\n# sexton ignore=SX101 it is short\nCMD a && b\n"),
        0
    );
    assert_eq!(
        count("FROM a\n# sexton ignore=SX103,SX101 why\nCMD a && b\n"),
        0
    );
    assert_eq!(count("FROM a\n# sexton ignore=SX102 why\nCMD a && b\n"), 1);
}

#[test]
fn an_empty_entry_point_is_none() {
    let document = of("Dockerfile", "FROM debian\nENTRYPOINT []\nCMD server\n");
    let found: Vec<_> = document
        .findings
        .iter()
        .map(|one| (one.rule, one.line))
        .collect();
    assert_eq!(found, [("SX101", 3)]);
}

#[test]
fn lists_and_every_kind_of_template_are_looked_into() {
    let pod = "{containers: [{name: a, image: a, command: [sleep, infinity]}]}";
    let template = format!("{{template: {{spec: {pod}}}}}");
    for (kind, spec, expected) in [
        ("Pod", pod.to_owned(), 1),
        ("Deployment", template.clone(), 1),
        ("Rollout", template.clone(), 1),
        ("Job", template.clone(), 0),
        (
            "CronJob",
            format!("{{jobTemplate: {{spec: {template}}}}}"),
            0,
        ),
    ] {
        let object = format!("{{apiVersion: v1, kind: {kind}, spec: {spec}}}");
        assert_eq!(of("a.yaml", &object).findings.len(), expected, "{kind}");
        let list = format!("---\n---\napiVersion: v1\nkind: List\nitems: [{object}, 1, null]\n");
        assert_eq!(
            of("a.yaml", &list).findings.len(),
            expected,
            "{kind} in a list"
        );
    }
    for odd in [
        "1",
        "[]",
        "services: 1",
        "services: {a: 1}",
        "spec: {template: 1}",
    ] {
        assert!(of("a.yaml", odd).findings.is_empty(), "{odd}");
    }
}
