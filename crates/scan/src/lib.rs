//! `/proc` and cgroups to a [`Report`](sexton_core::Report).
//!
//! [`Scanner`] looks at one node; [`proc`] reads the kernel's files; [`container`] knows what
//! a cgroup path says. Nothing here acts on a process.
//!
//! ```
//! use sexton_scan::{Options, Roots, Scanner};
//!
//! # fn main() -> Result<(), sexton_scan::Error> {
//! let mut scanner = Scanner::new(Roots::default())?;
//! let report = scanner.scan(&Options::default())?;
//! for leak in &report.leaks {
//!     println!("{} (pid {}): {} zombies", leak.holder.name, leak.holder.id.pid, leak.zombies);
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::disallowed_methods))]
// Numbers and lengths here are those of processes that nobody trusts.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

pub mod audit;
mod blocked;
mod census;
pub mod container;
mod ending;
mod error;
pub mod facts;
mod find;
mod group;
mod hierarchy;
mod holder;
mod identity;
mod leak;
pub mod limits;
mod names;
mod notes;
pub mod proc;
mod scan;
mod scanner;
mod tally;
#[cfg(test)]
mod tests;
mod viewer;

pub use error::Error;
pub use group::Options;
pub use hierarchy::Hierarchies;
pub use identity::Seen;
pub use scanner::{DeadChild, Roots, Scanner};

/// For people: bytes that are not UTF-8 are replaced; control characters are kept, since JSON
/// escapes them and the terminal's writer has to anyway.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
