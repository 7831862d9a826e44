//! `sexton completions` and `sexton man`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::Resettable;
use clap_mangen::roff::{Roff, roman};

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
        None => render(command, &mut io::stdout().lock())?,
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
    render(command, &mut page)?;
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, page))
        .map_err(|cause| Error::File { path, cause })
}

/// The page, with what stands below the options in sections of the usual names: by itself
/// `clap_mangen` calls all of that EXTRA, and fills its lines.
fn render(command: clap::Command, out: &mut dyn Write) -> io::Result<()> {
    let below = command.get_after_help().map(ToString::to_string);
    let command = command.after_help(Resettable::Reset);
    clap_mangen::Man::new(command).render(out)?;
    let mut roff = Roff::new();
    for (title, lines) in sections(below.as_deref().unwrap_or_default()) {
        if lines.is_empty() {
            continue;
        }
        roff.control("SH", [title]);
        roff.control("nf", []);
        roff.text([roman(lines.join("\n"))]);
        roff.control("fi", []);
    }
    roff.to_writer(out)
}

/// A paragraph belongs to the section that its first words name, else to the notes.
fn sections(below: &str) -> [(&'static str, Vec<&str>); 3] {
    let [mut notes, mut status, mut examples] = [vec![], vec![], vec![]];
    for paragraph in below.split("\n\n") {
        if let Some(rest) = paragraph.strip_prefix("Exit status: ") {
            status.extend(rest.lines());
        } else if let Some(rest) = paragraph.strip_prefix("Examples:\n") {
            examples.extend(rest.lines());
        } else {
            notes.extend(paragraph.lines());
        }
    }
    [
        ("EXIT STATUS", status),
        ("EXAMPLES", examples),
        ("NOTES", notes),
    ]
}
