//! Whom a check is made on.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a check found: nothing, or what is wrong.
pub(crate) type Verdict = Result<(), String>;

/// Fails the check with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// Our program, called by a name.
pub(crate) fn ours(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_sexton-init"));
    if name == "sexton-init" {
        return program.to_owned();
    }
    let links = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names");
    std::fs::create_dir_all(&links).unwrap();
    let link = links.join(name);
    if std::fs::read_link(&link).ok().as_deref() != Some(program) {
        // Renamed into place, since tests run side by side.
        let fresh = links.join(format!("{name}.{:?}", std::thread::current().id()));
        let _ = std::fs::remove_file(&fresh);
        symlink(program, &fresh).unwrap();
        std::fs::rename(&fresh, &link).unwrap();
    }
    link
}

/// The rival of that name, if it is installed.
pub(crate) fn rival(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/sbin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        println!("SKIP: {name} is not installed");
    }
    found
}

/// The check holds for ours under its own name and all three others.
pub(crate) fn every_name(check: impl Fn(&Path) -> Verdict) {
    for name in ["sexton-init", "tini", "dumb-init", "catatonit"] {
        check(&ours(name)).unwrap_or_else(|wrong| panic!("sexton-init as {name}: {wrong}"));
    }
}

/// The check holds for ours under these names, and for the rivals.
pub(crate) fn both(names: &[&str], check: impl Fn(&Path) -> Verdict) {
    for name in names {
        check(&ours(name)).unwrap_or_else(|wrong| panic!("sexton-init as {name}: {wrong}"));
        if let Some(rival) = rival(name) {
            check(&rival).unwrap_or_else(|wrong| panic!("the real {name}: {wrong}"));
        }
    }
}

/// The check holds for ours under these names, and the rivals fail it.
pub(crate) fn only_ours(names: &[&str], check: impl Fn(&Path) -> Verdict) {
    for name in names {
        check(&ours(name)).unwrap_or_else(|wrong| panic!("sexton-init as {name}: {wrong}"));
        if let Some(rival) = rival(name) {
            match check(&rival) {
                Err(wrong) => println!("as expected, the real {name}: {wrong}"),
                Ok(()) => panic!("the real {name} does this too: let the test say so"),
            }
        }
    }
}
