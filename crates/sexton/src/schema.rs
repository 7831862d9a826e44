//! `sexton schema`: JSON Schemas of what `-o json` prints, and of what is read.

use std::process::ExitCode;

use schemars::{Schema, schema_for};

use crate::cli::{self, Document};
use crate::error::Error;
use crate::output;

/// Runs the command.
pub fn run(args: &cli::Schema) -> Result<ExitCode, Error> {
    let cli::Schema { document } = *args;
    output::json(&of(document))?;
    Ok(ExitCode::SUCCESS)
}

fn of(document: Document) -> Schema {
    match document {
        Document::Report => schema_for!(sexton_core::Report),
        Document::Limits => schema_for!(crate::limits::Document),
        Document::Proof => schema_for!(crate::audit::Proof),
        Document::Resume => schema_for!(crate::resume::Document),
        Document::Doctor => schema_for!(sexton_core::check::Document),
        Document::Reap => schema_for!(crate::reap::Document),
        Document::Policy => schema_for!(sexton_core::policy::Policy),
        Document::PolicyCheck => schema_for!(crate::policy::CheckDocument),
        Document::PolicyExplain => schema_for!(crate::policy::ExplainDocument),
    }
}
