use std::path::PathBuf;

use super::*;
use crate::load;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn problem(text: &str) -> String {
    let (_dir, path) = file(text);
    let problems = load(&[path]).expect_err("it is refused");
    assert!(problems.len() <= 60, "{}", problems.len());
    problems[0].to_string()
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.yaml");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let socket = dir.path().join("socket.yaml");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = dir.path().join("link.yaml");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for path in [&fifo, &socket, &link] {
        let why = read(path).unwrap_err().to_string();
        assert!(why.contains("not a regular file"), "{why}");
        let problems = load(&[path]).expect_err("it is refused");
        assert!(problems[0].is_unreadable());
    }
    // In a folder, too, whoever gave them the name of a policy is told.
    let problems = load(&[dir.path()]).expect_err("they are refused");
    let files: Vec<_> = problems.iter().map(|problem| &problem.file).collect();
    assert_eq!(files, [&fifo, &link, &socket].map(|path| path));
}

#[test]
fn a_large_file_is_read_to_its_bound_only() {
    let (_dir, path) = file("");
    let sparse = File::options().write(true).open(&path).unwrap();
    sparse.set_len(100 << 30).unwrap();
    let why = read(&path).unwrap_err().to_string();
    assert!(why.contains("larger than 1 MiB"), "{why}");
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 9].join(", "));
    }
    let said = problem(&bomb);
    assert!(
        said.contains("p.yaml:") && said.contains(TOO_MUCH),
        "{said}"
    );
    // One level, many times.
    let wide = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(4_000),
        "*a, ".repeat(99)
    );
    assert!(problem(&wide).contains(TOO_MUCH), "{}", problem(&wide));
    // One long text, many times.
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(500_000),
        "*a, ".repeat(99)
    );
    let said = problem(&long);
    assert!(said.contains("p.yaml:"), "{said}");
}

#[test]
fn what_is_deep_or_of_many_parts_is_refused() {
    for deep in [
        format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a: {}{}", "{b: ".repeat(60), "}".repeat(60)),
        (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
        "- ".repeat(10_000),
    ] {
        let said = problem(&deep);
        assert!(said.contains(TOO_MUCH), "{said}");
    }
    for many in ["a: 1\n---\n".repeat(100_000), "- a\n".repeat(200_000)] {
        let said = problem(&many);
        assert!(said.contains(TOO_MUCH), "{said}");
    }
}

#[test]
fn an_alias_that_spares_writing_is_fine() {
    let text = "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {name: p}\nspec:\n  \
                settle: &time 90s\n  disruption: {gracePeriod: *time}\n  \
                selector: {namespaces: [ci]}\n";
    let (_dir, path) = file(text);
    assert_eq!(load(&[path]).map(|loaded| loaded.len()), Ok(1));
}
