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

/// Kills that process if `SEXTON_FAULT` is `kill-NAME:PID`.
#[cfg(debug_assertions)]
pub fn kill_at(name: &str, pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    if is_wanted(&format!("kill-{name}:{pid}"))
        && let Some(pid) = Pid::from_raw(pid.cast_signed())
    {
        let _ = kill_process(pid, Signal::SEGV);
    }
}

/// Whether a test wants looks as often as they were asked for, though this build takes many times
/// the processor time of a released one.
#[cfg(debug_assertions)]
pub fn is_unbraked() -> bool {
    std::env::var_os("SEXTON_UNBRAKED").is_some()
}

/// Takes a fifth of a second of processor time if `SEXTON_FAULT` is `burn-NAME`.
#[cfg(debug_assertions)]
pub fn burn_at(name: &str) {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    if is_wanted(&format!("burn-{name}")) {
        let nanos = |t: Timespec| t.tv_sec * 1_000_000_000 + t.tv_nsec;
        let now = || nanos(clock_gettime(ClockId::ThreadCPUTime));
        let until = now() + 200_000_000;
        while now() < until {}
    }
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

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn kill_at(_: &str, _: u32) {}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub fn burn_at(_: &str) {}

/// No.
#[cfg(not(debug_assertions))]
#[inline]
pub fn is_unbraked() -> bool {
    false
}
