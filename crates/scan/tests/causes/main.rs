//! Each cause of the knowledge base (`crates/core/knowledge`), made for real: programs that
//! leak, in PID namespaces and containers of their own. The first cause given has to be the
//! right one, and its facts have to be true.
//!
//! Where the program of a cause is not here (redis, Chrome, dockerd…), another one bears its
//! name: that tests the signature and the way in which the zombies come about, not the program.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
// Whatever is not as it was made here fails the test.
#![allow(clippy::unwrap_used)]

mod adopted;
mod direct;
mod reported;
mod signatures;
mod situation;
mod state;
