//! `sexton doctor`: what of Sexton works on this node, what does not, and what to do about it.

mod node;
pub mod trial;

use std::io;
use std::process::ExitCode;

use anstyle::Style;
use sexton_core::check::{Check, Document, Status};

use crate::cli::{self, Output};
use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::{self, BAD, GOOD, WARN};

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
    let document = Document::new("Doctor", env!("CARGO_PKG_VERSION"), checks);
    match args.output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document)?,
    }
    Ok(ExitCode::from(document.status.exit()))
}

fn draw(document: &Document) -> io::Result<()> {
    use std::io::Write;
    let mut lines = Lines::new(output::stdout());
    for check in &document.checks {
        let style = match check.status {
            Status::Ok => Style::new(),
            Status::Warning => WARN,
            Status::Failed => BAD,
        };
        let text = format!("{}: {}", check.name, check.found);
        lines.hanging(9, check.status.mark(), style, &text)?;
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
