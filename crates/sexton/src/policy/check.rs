//! `sexton policy check`: whether policies can be followed.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::Style;
use schemars::JsonSchema;
use serde::Serialize;

use super::Summary;
use super::load::{Problem, load};
use crate::ERROR;
use crate::cli::{self, Output};
use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::{self, BAD, GOOD, text};

/// What `-o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Always `sexton.dev/v1alpha1`.
    api_version: &'static str,
    /// Always `PolicyCheck`.
    kind: &'static str,
    /// The policies, when nothing is wrong.
    policies: Vec<Summary>,
    /// What is wrong.
    problems: Vec<Problem>,
}

/// Runs the command.
pub fn run(args: &cli::PolicyCheck) -> Result<ExitCode, Error> {
    let cli::PolicyCheck { files, output } = args;
    let (policies, problems) = match load(files) {
        Ok(loaded) => (loaded.iter().map(Summary::from).collect(), Vec::new()),
        Err(problems) => (Vec::new(), problems),
    };
    let document = Document {
        api_version: sexton_core::policy::API_VERSION,
        kind: "PolicyCheck",
        policies,
        problems,
    };
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document)?,
    }
    Ok(if document.problems.iter().any(Problem::is_unreadable) {
        ExitCode::from(ERROR)
    } else {
        ExitCode::from(u8::from(!document.problems.is_empty()))
    })
}

fn draw(document: &Document) -> io::Result<()> {
    let mut out = output::stdout();
    // One line each and never wrapped: editors and CI read FILE:LINE:COLUMN.
    for problem in &document.problems {
        writeln!(out, "{}", text::safe(&problem.to_string()))?;
    }
    let mut lines = Lines::new(out);
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    if document.problems.is_empty() {
        for policy in &document.policies {
            lines.line(Style::new(), &policy.to_string())?;
        }
        let policies = text::plural(count(document.policies.len()), "policy", "policies");
        lines.line(GOOD, &format!("{policies}, nothing wrong."))?;
    } else {
        let problems = text::plural(count(document.problems.len()), "problem", "problems");
        lines.line(
            BAD,
            &format!("{problems}. None of these policies would be followed."),
        )?;
    }
    lines.out.flush()
}
