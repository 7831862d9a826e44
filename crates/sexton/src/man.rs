//! `sexton completions` and `sexton man`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
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
    let mut command = Cli::command();
    command.build();
    match directory {
        None => clap_mangen::Man::new(command).render(&mut io::stdout().lock())?,
        Some(directory) => {
            write(directory, "sexton", command.clone())?;
            for sub in command.get_subcommands() {
                let name = format!("sexton-{}", sub.get_name());
                write(directory, &name, sub.clone().name(name.clone()))?;
                for nested in sub.get_subcommands() {
                    let name = format!("{name}-{}", nested.get_name());
                    write(directory, &name, nested.clone().name(name.clone()))?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(directory: &Path, name: &str, command: clap::Command) -> Result<(), Error> {
    let path = directory.join(format!("{name}.1"));
    let mut page = vec![];
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, page))
        .map_err(|cause| Error::File { path, cause })
}
