//! `sexton completions` and `sexton man`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{self, Cli};
use crate::error::Error;

/// Prints completions.
pub fn completions(args: &cli::Completions) -> Result<ExitCode, Error> {
    let cli::Completions { shell } = *args;
    // Into memory first: clap_complete panics where its writer fails, as a closed pipe does.
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "sexton", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages.
pub fn man(args: &cli::Man) -> Result<ExitCode, Error> {
    let cli::Man { directory } = args;
    let pages = sexton_man::pages(Cli::command())?;
    let Some(directory) = directory else {
        if let Some(page) = pages.first() {
            io::stdout().lock().write_all(&page.text)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    sexton_man::write(directory, &pages).map_err(|error| Error::File {
        path: error.path,
        cause: error.cause,
    })?;
    Ok(ExitCode::SUCCESS)
}
