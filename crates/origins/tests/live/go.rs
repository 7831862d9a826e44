//! Go: the line is named, in four builds.

use std::process::Command;

use sexton_origins::Place;

const SOURCE: &str = r#"package main

import (
	"os/exec"
	"time"
)

func behaves() {
	exec.Command("/bin/true").Run()
}

func leaks() {
	exec.Command("/bin/true").Start()
}

func leaksSeldom() {
	exec.Command("/bin/true").Start()
}

func main() {
	for i := 0; i < 60; i++ {
		behaves()
		if i%10 == 9 {
			leaksSeldom()
		} else {
			leaks()
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Minute)
}
"#;

fn built(flags: &[&str]) -> Option<Vec<Place>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("go.mod"),
        "module example.test/leak\ngo 1.18\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("leak.go"), SOURCE).unwrap();
    let build = Command::new("go")
        .args(["build", "-p", "1", "-o", "leak"])
        .args(flags)
        .current_dir(dir.path())
        .env("CGO_ENABLED", "0")
        .status();
    let Ok(built) = build else {
        eprintln!("skipped: there is no Go here");
        return None;
    };
    assert!(built.success());
    crate::places(&dir.path().join("leak"))
}

fn check(flags: &[&str], file: &str) {
    let Some(places) = built(flags) else { return };
    let at = |line| {
        let is = |place: &&Place| {
            let source = place.chain.first().and_then(|frame| frame.source.as_ref());
            source.is_some_and(|(path, at)| path.ends_with(file) && *at == line)
        };
        places
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("no line {line}: {places:#?}"))
    };
    let (behaves, leaks, seldom) = (at(9), at(13), at(17));
    assert_eq!(behaves.standing, 0, "it waits: {places:#?}");
    assert!(behaves.started > 0 && behaves.gone() > 0, "{places:#?}");
    assert_eq!(leaks.standing, leaks.started, "{places:#?}");
    assert_eq!(seldom.standing, seldom.started, "{places:#?}");
    assert!(
        seldom.standing > 0 && leaks.standing > seldom.standing,
        "{places:#?}"
    );
    assert_eq!(
        places.first().unwrap(),
        leaks,
        "the place with most zombies is first"
    );
    let known: u64 = places
        .iter()
        .filter(|place| place.is_known())
        .map(|p| p.standing)
        .sum();
    assert_eq!(known, leaks.standing + seldom.standing, "{places:#?}");
}

#[test]
fn plain() {
    check(&[], "leak.go");
}

#[test]
fn stripped() {
    check(&["-ldflags=-s -w"], "leak.go");
}

#[test]
fn stripped_of_its_paths_too() {
    check(
        &["-trimpath", "-ldflags=-s -w"],
        "example.test/leak/leak.go",
    );
}

#[test]
fn loaded_anywhere() {
    check(&["-buildmode=pie", "-ldflags=-s -w"], "leak.go");
}
