//! C without frame pointers: the function that starts the child is named, never one that calls it.

use std::path::Path;
use std::process::Command;

use sexton_origins::Place;

const SOURCE: &str = r#"
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>
extern char **environ;
#define OWN __attribute__((noinline)) void
OWN forks(void) { if (!fork()) _exit(0); __asm__(""); }
OWN vforks(void) { if (!vfork()) _exit(0); __asm__(""); }
OWN spawns(void) { pid_t p; char *a[] = {"true", 0}; posix_spawn(&p, "/bin/true", 0, 0, a, environ); __asm__(""); }
OWN behaves(void) { if (system("exit 0")) abort(); __asm__(""); }
OWN calls(void) { forks(); vforks(); spawns(); behaves(); __asm__(""); }
int main(void) {
    for (int n = 0; n < 60; n++) { calls(); usleep(50000); }
    sleep(60);
}
"#;

/// The places of the program above, built with these flags.
fn built(flags: &[&str]) -> Option<Vec<Place>> {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("v.c"), dir.path().join("v"));
    std::fs::write(&source, SOURCE).unwrap();
    build("gcc", flags, &source, &program)?;
    crate::places(&program)
}

/// `None` where there is no such compiler.
pub(crate) fn build(compiler: &str, flags: &[&str], source: &Path, program: &Path) -> Option<()> {
    let build = Command::new(compiler)
        .args(flags)
        .arg("-o")
        .args([program, source])
        .status();
    let Ok(built) = build else {
        eprintln!("skipped: there is no {compiler} here");
        return None;
    };
    assert!(built.success());
    Some(())
}

fn check(flags: &[&str], has_lines: bool) {
    let Some(places) = built(flags) else { return };
    for (function, line) in [("forks", 7), ("vforks", 8), ("spawns", 9), ("behaves", 10)] {
        let is = |place: &&Place| {
            let first = place.chain.first().filter(|_| place.is_known());
            first.is_some_and(|first| first.function.as_deref() == Some(function))
        };
        let place = places.iter().find(is);
        let place = place.unwrap_or_else(|| panic!("no {function}: {places:#?}"));
        if function == "behaves" {
            assert!(place.gone() > 0 && place.standing == 0, "{places:#?}");
        } else {
            assert!(place.gone() == 0 && place.standing > 0, "{places:#?}");
        }
        let source = place.chain[0].source.clone();
        assert_eq!(source.map(|(_, line)| line), has_lines.then_some(line));
        assert_eq!(place.chain[1].function.as_deref(), Some("calls"));
        let last = place.chain.last().unwrap();
        assert_eq!(last.function.as_deref(), Some("main"), "{places:#?}");
    }
    assert_eq!(places.len(), 4, "{places:#?}");
}

#[test]
fn with_lines() {
    check(&["-O2", "-g", "-fomit-frame-pointer"], true);
}

#[test]
fn with_symbols() {
    check(&["-O2", "-fomit-frame-pointer"], false);
}

#[test]
fn linked_statically() {
    check(&["-O2", "-static", "-g"], true);
}

#[test]
fn stripped() {
    let Some(places) = built(&["-O2", "-s"]) else {
        return;
    };
    assert_eq!(places.len(), 4, "{places:#?}");
    for place in &places {
        let first = &place.chain[0];
        assert!(place.is_known() && first.function.is_none(), "{places:#?}");
        assert!(first.module.0.ends_with("/v"), "{places:#?}");
    }
    let behave: Vec<_> = places.iter().filter(|place| place.standing == 0).collect();
    assert!(behave.len() == 1 && behave[0].gone() > 0, "{places:#?}");
}

/// `vfork` has no frame of its own: frame pointers alone would go past it.
#[test]
fn a_caller_is_not_blamed() {
    let flags = ["-O1", "-fno-omit-frame-pointer"];
    let Some(places) = built(&flags) else { return };
    assert!(places.iter().any(|place| place.standing > 0), "{places:#?}");
    let blamed = |place: &Place| {
        let first = place.chain.first().filter(|_| place.is_known());
        first.is_some_and(|first| matches!(first.function.as_deref(), Some("calls" | "main")))
    };
    assert!(!places.iter().any(blamed), "{places:#?}");
}

/// Where the program has no tables, its callers are not known; what calls the C library is.
#[test]
fn without_tables_no_caller_is_told() {
    let flags = [
        "-O2",
        "-fno-asynchronous-unwind-tables",
        "-fomit-frame-pointer",
    ];
    let Some(places) = built(&flags) else { return };
    assert!(places.iter().any(|place| place.standing > 0), "{places:#?}");
    for place in places.iter().filter(|place| place.is_known()) {
        assert_eq!(place.chain.len(), 1, "{places:#?}");
        let function = place.chain[0].function.as_deref();
        let own = ["forks", "vforks", "spawns", "behaves"];
        assert!(
            function.is_some_and(|name| own.contains(&name)),
            "{places:#?}"
        );
    }
}
