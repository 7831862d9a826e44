//! Which line of a program starts the children that it does not wait for.
//!
//! [`Watch`] records the forks of one process by perf's tracepoint: the program is never
//! stopped, and the watcher starts no process and no thread. [`Places`] says for each place in
//! the code what became of the children that it started.

// Nearly every number here comes from a process that nobody trusts.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test that panics fails"
    )
)]

mod bounded;
mod error;
mod image;
mod lines;
mod maps;
mod memory;
mod pclntab;
mod perf;
mod places;
mod python;
mod record;
mod symbolize;
mod tracefs;
mod unwind;
mod watch;

pub use error::Error;
pub use pclntab::{Line, Pclntab};
pub use places::{Place, Places};
pub use symbolize::{Frame, Symbolizer};
pub use watch::{Birth, Chain, Watch};
