//! `/proc` and cgroups to a [`Report`](sexton_core::Report).
//!
//! [`Scanner`] looks at one node; [`proc`] reads the kernel's files; [`container`] knows what
//! a cgroup path says. Nothing here acts on a process.

pub mod container;
mod error;
mod hierarchy;
mod holder;
pub mod proc;
mod scanner;

pub use error::Error;
pub use hierarchy::Hierarchies;
pub use scanner::{Roots, Scanner};

/// For people: bytes that are not UTF-8 are replaced; control characters are kept, since JSON
/// escapes them and the terminal's writer has to anyway.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
