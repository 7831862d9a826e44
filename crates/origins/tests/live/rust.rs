//! Rust: the line is named, and the standard library is not; without lines the function.

const SOURCE: &str = r#"use std::process::{Child, Command};
use std::time::Duration;

#[inline(never)]
fn behaves() -> bool {
    Command::new("/bin/true").status().is_ok()
}

#[inline(never)]
fn leaks(kept: &mut Vec<Child>) {
    let child = Command::new("/bin/true").spawn();
    kept.extend(child);
}

fn main() {
    let mut kept = Vec::new();
    for _ in 0..60 {
        behaves();
        leaks(&mut kept);
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(60));
}
"#;

fn check(flags: &[&str], has_lines: bool) {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("leak.rs"), dir.path().join("leak"));
    std::fs::write(&source, SOURCE).unwrap();
    if crate::c::build("rustc", flags, &source, &program).is_none() {
        return;
    }
    let Some(places) = crate::places(&program) else {
        return;
    };
    let [leaks, behaves] = places.as_slice() else {
        panic!("{places:#?}");
    };
    for (place, name, line) in [(leaks, "leak::leaks", 11), (behaves, "leak::behaves", 6)] {
        let first = place.chain.first().unwrap();
        assert!(place.is_known(), "{places:#?}");
        let function = first.function.as_deref().unwrap();
        assert!(function.starts_with(name), "{places:#?}");
        let seen = first.source.as_ref().map(|(_, line)| *line);
        assert_eq!(seen, has_lines.then_some(line), "{places:#?}");
    }
    assert!(leaks.standing > 0 && leaks.gone() == 0, "{places:#?}");
    assert!(behaves.standing == 0 && behaves.gone() > 0, "{places:#?}");
}

#[test]
fn with_lines() {
    check(&["-g"], true);
}

#[test]
fn with_symbols() {
    check(&["-O", "-Cstrip=debuginfo"], false);
}
