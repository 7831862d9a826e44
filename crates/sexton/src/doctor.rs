//! `sexton doctor`: what of Sexton works on this node, what does not, and what to do about it.

mod node;
pub mod trial;

use std::io;
use std::process::ExitCode;

use anstyle::Style;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{self, Output};
use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::{self, BAD, GOOD, WARN};

/// What `sexton doctor -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the schema.
    pub api_version: &'static str,
    /// Always `Doctor`.
    pub kind: &'static str,
    /// The version of Sexton.
    pub version: &'static str,
    /// The worst status of all checks.
    pub status: Status,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do about it; absent where nothing has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check went; the worst is the last.
#[derive(Serialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Sexton works, with less than it could do.
    Warning,
    /// Something that Sexton needs does not work.
    Failed,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            advice: Some(advice.into()),
            ..Self::ok(name, found)
        }
    }

    fn failed(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            ..Self::warning(name, found, advice)
        }
    }
}

/// What to do where /proc does not show what it should.
const MOUNT_PROC: &str = "Mount the node's /proc without the options hidepid and subset, and say \
                          where it is: --path-procfs DIR.";

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: &cli::Doctor, paths: Roots) -> Result<ExitCode, Error> {
    let (host, cgroup) = (paths.path_rootfs.clone(), paths.path_cgroupfs.clone());
    let checks = match scanner(paths) {
        Ok(mut scanner) => {
            let mut checks = node::checks(&scanner, &host, &cgroup, &args.audit_log);
            // Last: it is what all the others are for.
            checks.push(trial::check(&mut scanner));
            checks
        }
        // Nothing can be looked at.
        Err(error) => vec![Check::failed("/proc", error.to_string(), MOUNT_PROC)],
    };
    let worst = checks.iter().map(|check| check.status).max();
    let document = Document {
        api_version: sexton_core::report::API_VERSION,
        kind: "Doctor",
        version: env!("CARGO_PKG_VERSION"),
        status: worst.unwrap_or(Status::Ok),
        checks,
    };
    match args.output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document)?,
    }
    Ok(ExitCode::from(match document.status {
        Status::Ok => 0,
        Status::Warning => 1,
        Status::Failed => 2,
    }))
}

fn draw(document: &Document) -> io::Result<()> {
    use std::io::Write;
    let mut lines = Lines::new(output::stdout());
    for check in &document.checks {
        let (mark, style) = match check.status {
            Status::Ok => ("ok", Style::new()),
            Status::Warning => ("warning", WARN),
            Status::Failed => ("FAILED", BAD),
        };
        let text = format!("{}: {}", check.name, check.found);
        lines.hanging(9, mark, style, &text)?;
        if let Some(advice) = &check.advice {
            lines.hanging(11, "         →", Style::new(), advice)?;
        }
    }
    lines.gap()?;
    let (style, verdict) = match document.status {
        Status::Ok => (GOOD, "Sexton works on this node."),
        Status::Warning => (
            WARN,
            "What the warnings name does not work on this node, or was not tried; the rest does.",
        ),
        Status::Failed => (BAD, "Sexton does not work on this node as it is."),
    };
    lines.line(style, verdict)?;
    lines.out.flush()
}
