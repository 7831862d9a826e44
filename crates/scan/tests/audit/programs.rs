//! The programs that people report about, each as a container; what happens to them is the table
//! of docs/exit-signals.md.

mod behind;
mod runtimes;
mod servers;

use std::borrow::Cow;

use crate::situation::{Case, program, source};

/// A program of the system that sees the files beside this test.
fn case(
    name: impl Into<Cow<'static, str>>,
    path: &'static str,
    arguments: &[&str],
) -> Option<Case> {
    let path = program(path)?;
    Some(Case::new(name, &[&[path], arguments].concat()).bind(&source("")))
}

/// A file beside this test, as an argument.
fn file(name: &str) -> String {
    source(name).to_str().unwrap_or_default().to_owned()
}
