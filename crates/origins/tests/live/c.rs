//! C: `vfork` has no frame of its own, so the chain goes past `leaks` to the function that calls it.

use std::process::Command;

const SOURCE: &str = r#"
#include <unistd.h>
__attribute__((noinline)) void leaks(void) { if (!vfork()) _exit(0); __asm__(""); }
__attribute__((noinline)) void calls(void) { leaks(); __asm__(""); }
int main(void) {
    for (int n = 0; n < 60; n++) { calls(); usleep(50000); }
    sleep(60);
}
"#;

#[test]
fn a_caller_is_not_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("v.c"), dir.path().join("v"));
    std::fs::write(&source, SOURCE).unwrap();
    let build = Command::new("gcc")
        .args(["-O1", "-fno-omit-frame-pointer", "-o"])
        .args([&program, &source])
        .status();
    let Ok(built) = build else {
        eprintln!("skipped: there is no gcc here");
        return;
    };
    assert!(built.success());
    let Some(places) = crate::places(&program) else {
        return;
    };
    assert!(places.iter().any(|place| place.standing > 0), "{places:#?}");
    assert!(places.iter().all(|place| !place.is_known()), "{places:#?}");
}
