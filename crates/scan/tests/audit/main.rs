//! Real containers: the verdict first, then the signal, and what then really happened.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
// Whatever is not as it was made here fails the test.
#![allow(clippy::unwrap_used)]

mod inits;
mod languages;
mod masks;
mod programs;
mod shells;
mod situation;
mod stop_signals;
mod table;
mod variants;
