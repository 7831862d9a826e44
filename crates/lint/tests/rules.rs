//! Each rule has a chapter in `docs/lint.md`, and its examples there are what it says they are.

use std::path::PathBuf;

use sexton_lint::{RULES, Source, lint};

const PAGE: &str = include_str!("../../../docs/lint.md");

/// The files of a chapter that are marked so.
fn files(chapter: &str, mark: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut blocks = chapter.split("```");
    // Text and code take turns.
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (head, text) = block.split_once('\n').expect("a block has lines");
        let (language, marked) = head.split_once(' ').unwrap_or((head, ""));
        if marked != mark {
            continue;
        }
        let name = match language {
            "dockerfile" => "Dockerfile",
            "yaml" => "compose.yaml",
            "sh" => "run.sh",
            other => panic!("no file of {other}"),
        };
        found.push(Source {
            path: PathBuf::from(name),
            text: text.to_owned(),
        });
    }
    found
}

#[test]
fn the_page_has_each_rule_with_examples_that_are_true() {
    let chapters: Vec<&str> = PAGE.split("\n## ").skip(1).collect();
    let ids: Vec<&str> = chapters
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    let expected: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids, expected);
    for (rule, chapter) in RULES.iter().zip(chapters) {
        assert!(chapter.contains(rule.title), "{}", rule.id);
        let found = |mark| -> Vec<&'static str> {
            let sources = files(chapter, mark);
            assert!(!sources.is_empty(), "{} has no {mark} example", rule.id);
            let document = lint(&sources);
            assert!(document.unread.is_empty(), "{:?}", document.unread);
            document.findings.iter().map(|found| found.rule).collect()
        };
        assert_eq!(found("bad"), [rule.id], "bad example of {}", rule.id);
        assert_eq!(found("good"), [""; 0], "good example of {}", rule.id);
    }
}
