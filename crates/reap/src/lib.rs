//! The hands: nudge, reap, [`autoreap`], [`terminate`].
//!
//! Of each a `plan` decides and only reads; an `execute` acts, and can be called off. Between the
//! two stands whoever asked, so that nothing is done that was not shown first.
//!
//! Only a parent can wait for its child. So Sexton borrows a sleeping thread of the parent for
//! less than a millisecond and lets it call `wait4` for those zombies, by name. One atomic
//! write of one register sends it there; see `docs/design.md`, "How reaping works".
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use sexton_reap::{Options, execute, plan};
//! use sexton_scan::{Roots, Scanner};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut scanner = Scanner::new(Roots::default())?;
//! // A process without zombies: there is nothing to do, and nothing is done.
//! let own = scanner.holder(std::process::id())?.expect("this process lives");
//! if let Some(plan) = plan(&mut scanner, own.id, &Options::default())? {
//!     match (&plan.refusal, plan.take.len()) {
//!         (Some(why), _) => println!("refused: {why}"),
//!         (None, 0) => println!("no zombie of it has settled"),
//!         (None, _) => {
//!             let outcome = execute(scanner.proc(), &plan, |_| ControlFlow::Continue(()))?;
//!             println!("{outcome:?}");
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

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
        clippy::cast_possible_wrap,
        clippy::disallowed_methods,
        clippy::indexing_slicing,
        reason = "a test that panics fails"
    )
)]

pub mod autoreap;
mod borrow;
mod bpf;
mod error;
mod execute;
mod exit;
mod mapping;
mod nudge;
mod outcome;
mod plan;
mod ready;
mod refusal;
mod risk;
mod rules;
mod seccomp;
mod settle;
pub mod terminate;

pub use error::Error;
pub use execute::execute;
pub use nudge::Nudge;
pub use outcome::{End, HolderDeath, Left, Progress, ReapOutcome, Status, Trace};
pub use plan::{Options, Plan, plan};
pub use ready::is_ready;
pub use refusal::{LeftBecause, Refusal};
pub use rules::left_alone;
pub use seccomp::Trust;
pub use settle::AgesFrom;

/// Lets go of threads that this thread asked to stop in an earlier call and gave up, since they did
/// not in time (`D`): they stop when that sleep ends, and stand still until this is called. How
/// many are still to come. Who goes on living after a reap calls it now and then, until it is 0.
#[must_use]
pub fn let_go() -> usize {
    borrow::trace::let_go()
}
