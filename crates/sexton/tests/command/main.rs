//! The command as its users run it, on real containers. One file a subcommand or a promise.
//!
//! All tests are one program: each links the same few crates, and one link is enough.

mod at_the_limit;
mod audit;
mod crds;
mod explain;
mod forecast;
mod help;
mod inside_a_container;
mod limits;
mod npd;
mod policy;
mod reap;
mod refusals;
mod scan;
mod schema;
mod sexton;
mod situation;
mod terminal;
mod unprivileged;
mod watch;
