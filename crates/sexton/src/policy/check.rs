//! `sexton policy check`: whether policies can be followed.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::Style;
use sexton_policyfile::{Check, Problem, check};

use crate::ERROR;
use crate::cli::{self, Output};
use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::{self, BAD, GOOD, text};

/// Runs the command.
pub fn run(args: &cli::PolicyCheck) -> Result<ExitCode, Error> {
    let cli::PolicyCheck { files, output } = args;
    let document = check(files);
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

fn draw(document: &Check) -> io::Result<()> {
    let mut out = output::stdout();
    // One line each and never wrapped: editors and CI read FILE:LINE:COLUMN.
    for problem in &document.problems {
        writeln!(out, "{}", text::safe(&problem.to_string()))?;
    }
    let mut lines = Lines::new(out);
    for policy in &document.policies {
        lines.line(Style::new(), &policy.to_string())?;
    }
    let style = if document.problems.is_empty() {
        GOOD
    } else {
        BAD
    };
    lines.line(style, &document.verdict())?;
    lines.out.flush()
}
