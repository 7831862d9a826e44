//! `sexton resume`: allows a node to act again after a program died of a step.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use crate::agent::halt;
use crate::cli::{self, Output};
use crate::error::Error;
use crate::output::{self, text};

/// Exit status where there was nothing to allow.
const NOT_HALTED: u8 = 1;

/// What `-o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Where the agent keeps its state.
    pub state_dir: PathBuf,
    /// Why the node was halted; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The node was halted, and may act again from now on.
    pub resumed: bool,
}

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Resume) -> Result<ExitCode, Error> {
    let cli::Resume { state_dir, output } = args;
    let reason = halt::release(&state_dir).map_err(|cause| Error::File {
        path: halt::path(&state_dir),
        cause,
    })?;
    let document = Document {
        resumed: reason.is_some(),
        state_dir,
        reason,
    };
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => {
            let mut out = output::stdout();
            match &document.reason {
                Some(why) => {
                    writeln!(out, "This node was halted: {}", text::safe(why))?;
                    writeln!(out, "Its agent acts again from its next look on.")?;
                }
                None => {
                    let path = document.state_dir.display().to_string();
                    writeln!(out, "This node is not halted ({}).", text::safe(&path))?;
                }
            }
            out.flush()?;
        }
    }
    Ok(if document.resumed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_HALTED)
    })
}
