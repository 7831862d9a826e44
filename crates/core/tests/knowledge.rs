//! Wrong entries of the knowledge base do not build, and the error names file and field.

#[allow(dead_code)]
#[path = "../build/schema.rs"]
mod schema;

use std::path::Path;

const GOOD: &str = r#"
title = "A title"
tier = "runtime"
confidence = "medium"
facts = ["{program}", "{holder} has {zombies}."]
now = ["sexton reap {target} --yes"]
sources = ["wait(2)"]
test = "some_test"
[when]
language = ["go"]
[cure]
text = "Wait."
"#;

fn faults(file: &str, change: &str, to: &str) -> String {
    assert!(GOOD.contains(change), "{change}");
    let text = GOOD.replacen(change, to, 1);
    schema::compile(Path::new(file), &text)
        .expect_err("a fault was put in")
        .join("\n")
}

#[test]
fn a_right_entry_is_compiled() {
    let code = schema::compile(Path::new("knowledge/a-cause.toml"), GOOD).unwrap();
    assert!(code.contains("id: \"a-cause\""), "{code}");
    assert!(
        code.contains("Condition::Language(&[Language::Go])"),
        "{code}"
    );
}

#[test]
fn each_fault_is_named() {
    let file = "knowledge/a-cause.toml";
    for (change, to, says) in [
        // Syntax, fields and words: the parser tells line and column.
        ("title =", "titel =", "unknown field `titel`"),
        (
            "language = [\"go\"]",
            "langauge = [\"go\"]",
            "unknown field `langauge`",
        ),
        ("[\"go\"]", "[\"golang\"]", "unknown variant `golang`"),
        ("\"medium\"", "\"certain\"", "unknown variant `certain`"),
        ("[cure]\ntext = \"Wait.\"\n", "", "missing field `cure`"),
        ("sources = [\"wait(2)\"]\n", "", "missing field `sources`"),
        (
            "title = \"A title\"",
            "title = \"A title\"\ntitle = \"B\"",
            "duplicate key",
        ),
        // What only a look at the whole tells.
        ("\"A title\"", "\" \"", "title: is empty"),
        ("[\"wait(2)\"]", "[]", "sources: is empty"),
        (
            "{program}",
            "{programme}",
            "facts: unknown placeholder {programme}",
        ),
        ("{target}", "{target", "now: `{` is not closed"),
        ("\"some_test\"", "\"Some test\"", "test: is neither"),
        (
            "text = \"Wait.\"",
            "text = \"Wait.\"\nlanguage = \"go\"",
            "cure: `language` and `code`",
        ),
        (
            "[when]",
            "[when]\nzombies = [\"containerd-shim-runc-v2\"]",
            "can match nothing",
        ),
        ("[when]", "[when]\nholder = []", "when: holder is empty"),
    ] {
        let text = faults(file, change, to);
        assert!(text.starts_with(file), "{text}");
        assert!(text.contains(says), "{change} -> {to}: {text}");
    }
    assert!(faults("knowledge/A cause.toml", "A title", "B").contains("file name"));
}
