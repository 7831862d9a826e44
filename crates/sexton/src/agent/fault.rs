//! Points at which a test has the agent killed. There are none in a release build.

/// Ends this process as `kill -9` would, if `SEXTON_FAULT` names this point.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    if std::env::var_os("SEXTON_FAULT").is_some_and(|wanted| wanted == name) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn point(_: &str) {}
