//! `sexton-init`: a container's PID 1. See the library for what it does; this file is the
//! entry that a program without a C library must bring.

#![no_std]
#![no_main]

// A program that unwinds (dev, release) gets its panic handler from std; the one that is shipped
// (`--profile init`) aborts and has no std in it.
#[cfg(panic = "unwind")]
extern crate std;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sexton_init::panicked()
}

sexton_init::entry!(sexton_init::main);
