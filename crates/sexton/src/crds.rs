//! `sexton crds`: the custom resources, for `kubectl apply`.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::{self, Manifest};
use crate::error::Error;
use crate::output;

/// Runs the command.
pub fn run(args: &cli::Crds) -> Result<ExitCode, Error> {
    let cli::Crds { output } = *args;
    let definitions = sexton_cluster::crd::all();
    match output {
        Manifest::Json => output::json(&json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": definitions,
        }))?,
        Manifest::Yaml => {
            let text = serde_saphyr::to_string_multiple(&definitions)
                .map_err(|error| io::Error::other(error.to_string()))?;
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
