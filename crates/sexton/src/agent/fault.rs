//! Points at which a test has the agent killed, or fail. There are none in a release build.

/// Ends this process as `kill -9` would, if `SEXTON_FAULT` names this point.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    if is_wanted(name) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Panics if `SEXTON_FAULT` is `panic-NAME:WHOM`.
#[cfg(debug_assertions)]
pub fn panic_at(name: &str, whom: impl std::fmt::Display) {
    assert!(
        !is_wanted(&format!("panic-{name}:{whom}")),
        "a fault that a test asked for, in {name} of {whom}"
    );
}

#[cfg(debug_assertions)]
fn is_wanted(name: &str) -> bool {
    std::env::var_os("SEXTON_FAULT").is_some_and(|wanted| wanted == name)
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn point(_: &str) {}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn panic_at(_: &str, _: impl std::fmt::Display) {}
