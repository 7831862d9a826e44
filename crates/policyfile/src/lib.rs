//! Policies from files, with the place of everything that is wrong with them.
//!
//! For `sexton policy check`, for the agent of a single machine, and for `kubectl sexton policy
//! check` on a laptop: nothing here is of Linux.

#![forbid(unsafe_code)]

mod check;
mod load;
mod node;
pub mod yaml;

pub use check::{Check, Summary, check};
pub use load::{Loaded, Problem, load};
pub use node::{Node, Place};
