//! What is read, and what is said of what is wrong.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::yaml::read;

/// A directory that goes away with the test.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("sexton-test-")
            .tempdir()
            .unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What is wrong with all of them, without the directory.
    fn problems(&self) -> Vec<String> {
        let prefix = format!("{}/", self.0.path().display());
        let problems = load(&[self.0.path()]).expect_err("something is wrong");
        problems
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""))
            .collect()
    }
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata:\n  name: {name}\nspec:\n{spec}"
    )
}

#[track_caller]
fn wrong(spec: &str, expected: &[&str]) {
    let files = Files::new(&[("p.yaml", &policy("p", spec))]);
    assert_eq!(files.problems(), expected);
}

#[test]
fn what_is_written_is_read() {
    let spec = "  mode: enforce\n  settle: 90s\n  selector: {namespaces: [ci, 'ci-*']}\n";
    let files = Files::new(&[("p.yaml", &policy("p", spec))]);
    let loaded = load(&[files.path("p.yaml")]).unwrap();
    assert_eq!(loaded.len(), 1);
    let Loaded { policy, file, line } = &loaded[0];
    assert_eq!((policy.name(), *line), ("p", 1));
    assert_eq!(file, &files.path("p.yaml"));
    assert_eq!(policy.spec.settle.get().as_secs(), 90);
    assert_eq!(policy.spec.selector.namespaces.len(), 2);
    assert_eq!(policy.spec.max_rung.to_string(), "reap");
}

#[test]
fn a_directory_is_its_yaml_files_in_order() {
    let files = Files::new(&[
        ("b.yml", &policy("b", "  selector: {containers: [b]}\n")),
        (
            "a.yaml",
            &format!(
                "# first\n---\n{}---\n---\n{}",
                policy("a2", "  selector: {containers: [a2]}\n"),
                policy("a1", "  selector: {containers: [a1]}\n")
            ),
        ),
        ("notes.txt", "no policy at all: ["),
        (".hidden.yaml", "neither: ["),
    ]);
    fs::create_dir(files.path("deeper.yaml")).unwrap();
    let loaded = load(&[files.0.path()]).unwrap();
    let names: Vec<(&str, u64)> = loaded.iter().map(|l| (l.policy.name(), l.line)).collect();
    assert_eq!(names, [("a2", 3), ("a1", 11), ("b", 1)]);
}

#[test]
fn a_mounted_config_map_is_read_through_its_links() {
    let files = Files::new(&[]);
    fs::create_dir(files.path("..2026")).unwrap();
    fs::write(files.path("..2026/p.yaml"), policy("p", "  paused: true\n")).unwrap();
    std::os::unix::fs::symlink("..2026", files.path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/p.yaml", files.path("p.yaml")).unwrap();
    assert_eq!(load(&[files.0.path()]).unwrap().len(), 1);
}

#[test]
fn an_empty_directory_holds_no_policies() {
    let files = Files::new(&[("only-comments.yaml", "# nothing\n---\n")]);
    assert_eq!(load(&[files.0.path()]), Ok(vec![]));
}

#[test]
fn unknown_fields_are_told_with_what_was_meant() {
    wrong(
        "  selektor: {}\n  settel: 3s\n",
        &[
            "p.yaml:6:3: spec.selektor: there is no field `selektor`; did you mean `selector`?",
            "p.yaml:7:3: spec.settel: there is no field `settel`; did you mean `settle`?",
        ],
    );
}

#[test]
fn values_of_the_wrong_kind_are_told_where_they_stand() {
    wrong(
        "  settle: 30\n  mode: force\n  paused: sometimes\n  selector: [x]\n  maxRung:\n    - reap\n",
        &[
            "p.yaml:6:11: spec.settle: it is the number 30; expected a span of time with its \
             unit, like 30s or 5m",
            "p.yaml:7:9: spec.mode: `force` is none of dryRun, enforce",
            "p.yaml:8:11: spec.paused: it is the text `sometimes`; expected true or false",
            "p.yaml:9:13: spec.selector: it is a list; expected fields",
            "p.yaml:11:5: spec.maxRung: it is a list; expected one of observe, nudge, reap, \
             autoreap, terminate, restart, evict",
        ],
    );
}

#[test]
fn units_and_times_are_checked_in_place() {
    wrong(
        "  settle: 5 minutes\n  windows:\n    - {from: '25:00', to: '06:00', utcOffset: UTC}\n",
        &[
            "p.yaml:6:11: spec.settle: `5 minutes` is not a span of time: write numbers with \
             units h, m, s or ms, like 30s or 1h30m",
            "p.yaml:8:14: spec.windows[0].from: `25:00` is not a time of day: write HH:MM, 00:00 \
             to 24:00, in quotes",
            "p.yaml:8:47: spec.windows[0].utcOffset: `UTC` is not an offset from UTC: write Z, \
             +HH:MM or -HH:MM, up to 14 hours, in quotes",
        ],
    );
}

#[test]
fn a_field_without_a_value_and_an_empty_list_do_not_widen_a_selector() {
    wrong(
        "  selector:\n    namespaces:\n    containers: []\n",
        &[
            "p.yaml:7:5: spec.selector.namespaces: it has no value: leave it out, or give it one",
            "p.yaml:8:5: spec.selector.containers: the list is empty: leave it out, or name \
             something",
        ],
    );
}

#[test]
fn contradictions_are_told_at_the_field() {
    wrong(
        "  maxRung: restart\n  selector:\n    hostProcesses:\n      - cron\n  rateLimits:\n    \
         perNode: {count: 0, per: 1h}\n",
        &[
            "p.yaml:6:12: spec.maxRung: restart is above reap, the highest rung for processes of \
             the host",
            "p.yaml:11:22: spec.rateLimits.perNode.count: it must be 1 to 100; to stop \
             everything, set paused",
        ],
    );
}

#[test]
fn what_is_missing_is_told_where_it_ought_to_be() {
    wrong(
        "  windows:\n    - {from: '22:00'}\n  rateLimits:\n    perNode: {count: 1}\n",
        &[
            "p.yaml:7:7: spec.windows[0].to: it is missing",
            "p.yaml:9:14: spec.rateLimits.perNode.per: it is missing",
        ],
    );
    let files = Files::new(&[(
        "p.yaml",
        "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\n",
    )]);
    assert_eq!(files.problems(), ["p.yaml:1:1: metadata: it is missing"]);
}

#[test]
fn another_kind_is_told_once() {
    let files = Files::new(&[("p.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n")]);
    assert_eq!(
        files.problems(),
        ["p.yaml:2:7: kind: `ConfigMap` is not ReapPolicy"]
    );
    for text in ["just text", "- a\n- b\n", "42"] {
        let files = Files::new(&[("p.yaml", text)]);
        let problems = files.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("p.yaml:1:1:"), "{problems:?}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, place) in [
        ("a: [1\n", "p.yaml:1:4: "),
        ("a: 1\n  b: 2\n", "p.yaml:2:4: "),
        ("a:\n\tb: 1\n", "p.yaml:2:2: "),
        ("a: 1\na: 2\n", "p.yaml:2:1: "),
        ("a: *nothing\n", "p.yaml:1:4: "),
    ] {
        let files = Files::new(&[("p.yaml", text)]);
        let problems = files.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(place), "{problems:?}");
        assert_eq!(problems[0].matches("line").count(), 0, "{problems:?}");
    }
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let last = i - 1;
        let many = vec![format!("*a{last}"); 9].join(", ");
        text += &format!("a{i}: &a{i} [{many}]\n");
    }
    let files = Files::new(&[("p.yaml", &text)]);
    assert_eq!(files.problems().len(), 1);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let files = Files::new(&[]);
    fs::write(files.path("latin.yaml"), b"a: \xe9\n").unwrap();
    fs::write(files.path("large.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let problems = load(&[files.0.path().to_owned(), files.path("nosuch.yaml")]).unwrap_err();
    let messages: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(
        messages[0].contains("large.yaml: it is larger than 1 MiB"),
        "{messages:?}"
    );
    assert!(
        messages[1].contains("latin.yaml: it is not UTF-8 (byte 3)"),
        "{messages:?}"
    );
    assert!(
        messages[2].contains("nosuch.yaml: No such file"),
        "{messages:?}"
    );
    assert!(problems.iter().all(Problem::is_unreadable));
}

#[test]
fn names_and_selectors_are_compared_across_files() {
    let files = Files::new(&[
        ("a.yaml", &policy("one", "  selector: {containers: [x]}\n")),
        ("b.yaml", &policy("one", "  selector: {containers: [z]}\n")),
        (
            "c.yaml",
            &policy("three", "  selector: {containers: [x]}\n"),
        ),
    ]);
    assert_eq!(
        files.problems(),
        [
            "b.yaml:4:9: metadata.name: another policy is called one too (a.yaml:1)",
            "c.yaml:6:13: spec.selector: it says the same as that of policy one, so neither \
             would hold (a.yaml:1)",
        ]
    );
}

#[test]
fn one_wrong_file_keeps_all_of_them_from_being_followed() {
    let files = Files::new(&[
        ("a.yaml", &policy("a", "  paused: true\n")),
        ("b.yaml", &policy("b", "  pause: true\n")),
    ]);
    assert_eq!(files.problems().len(), 1);
}

/// Nothing that is nearly a policy makes the loader do worse than complain, and every complaint
/// has its place.
#[test]
fn broken_files_are_told_and_never_worse() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/policies");
    let file = Path::new("p.yaml");
    let check = |text: &str| {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        documents(
            file,
            text,
            &mut MOST_NODES.clone(),
            &mut found,
            &mut problems,
        );
        for problem in problems {
            assert!(
                problem.line >= Some(1) && problem.column >= Some(1),
                "{problem}\n{text}"
            );
        }
    };
    for example in files(Path::new(examples)).unwrap() {
        let text = read(&example).unwrap();
        for (cut, _) in text.char_indices() {
            check(&text[..cut]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for left_out in 0..lines.len() {
            let mut lines = lines.clone();
            lines.remove(left_out);
            check(&lines.join("\n"));
        }
        for (from, to) in [
            (":", ""),
            ("[", "{"),
            ("\"", ""),
            ("  ", " "),
            ("s", "ß"),
            ("- ", ""),
        ] {
            for (at, _) in text.match_indices(from) {
                check(&format!("{}{to}{}", &text[..at], &text[at + from.len()..]));
            }
        }
    }
}
