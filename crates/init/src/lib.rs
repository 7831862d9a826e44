//! A container's PID 1: it passes signals on, reaps orphans, and when the main process ends,
//! ends in time what that left behind.
//!
//! Freestanding: no std, no C library, no allocator, no threads, no signal handlers. All
//! signals are blocked from the first instruction on and taken one by one with
//! rt_sigtimedwait(2), so that none is lost between fork and exec, and nothing ever runs on
//! top of anything else. At rest it sleeps in that one call without a timeout.
//!
//! The crate is a library only so that its logic can be tested; the program is all there is
//! to use.

#![cfg_attr(not(test), no_std)]

#[macro_use]
mod sys;

mod args;
mod child;
mod config;
mod death;
mod ending;
mod errno;
mod forward;
mod line;
mod names;
mod oom;
mod orphans;
mod proc;
mod report;
mod signal;
mod status;
mod supervise;
mod terminal;
mod text;
mod told;
mod voice;

use args::Strings;
use config::Config;
use names::Parsed;

/// The program. Starts from the stack as the kernel lays it out: argc, argv, null, envp, null.
///
/// # Safety
/// `stack` is what the kernel left in the stack pointer at the start of the process.
pub unsafe extern "C" fn main(stack: *const usize) -> ! {
    // Before all else: PID 1 has no default actions, so a signal that came earlier is lost.
    let mask = sys::set_mask(sys::ALL_SIGNALS);
    // SAFETY: the kernel's layout; these arrays are never freed, and only a child that is
    // about to exec changes them.
    let (words, environment) = unsafe {
        let count = stack.read();
        let words = stack.add(1).cast::<*const u8>();
        (
            Strings::new(words, count),
            Strings::until_null(words.add(count + 1)),
        )
    };
    let path = words.get(0).unwrap_or_default().to_bytes();
    let mut config = Config::new(names::of(path));
    let code = match names::parse(&mut config, words, environment) {
        Parsed::Run => supervise::run(&config, words, environment, mask),
        Parsed::Report => report::run(),
        Parsed::Said => 0,
        Parsed::Refused(code) => code,
    };
    sys::exit(code)
}

/// Where a panic ends: a defect, since nothing here panics on purpose.
pub fn panicked() -> ! {
    let _ = line::write_all(
        line::STDERR,
        b"sexton-init: a defect in init itself; it cannot go on\n",
    );
    sys::exit(125)
}
