//! Manual pages, from the same text as `--help`.

#![forbid(unsafe_code)]

mod help;

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Command;
use clap::builder::Resettable;
use clap_mangen::roff::{Roff, roman};

pub use help::of_help;

/// A page of section 1.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its name, to be followed by `.1` in a file's name.
    pub name: String,
    /// roff.
    pub text: Vec<u8>,
}

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct Unwritten {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// Writes each page to a file of its name in `directory`, which is made where it is missing.
///
/// # Errors
/// The first page that could not be written.
pub fn write(directory: &Path, pages: &[Page]) -> Result<(), Unwritten> {
    for page in pages {
        let path = directory.join(format!("{}.1", page.name));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, &page.text))
            .map_err(|cause| Unwritten { path, cause })?;
    }
    Ok(())
}

/// The page of a program, then one for each of its subcommands at any depth, `PROGRAM-SUBCOMMAND`.
///
/// # Errors
/// What `clap_mangen` says.
pub fn pages(mut command: Command) -> io::Result<Vec<Page>> {
    command.build();
    let mut pages = Vec::new();
    let name = command.get_name().to_owned();
    add(&mut pages, name, command)?;
    Ok(pages)
}

fn add(pages: &mut Vec<Page>, name: String, command: Command) -> io::Result<()> {
    // The subcommand `help` that clap adds prints what the pages say.
    let nested = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help");
    let nested: Vec<Command> = nested.cloned().collect();
    let text = render(command.name(name.clone()))?;
    pages.push(Page {
        name: name.clone(),
        text,
    });
    for sub in nested {
        let name = format!("{name}-{}", sub.get_name());
        add(pages, name, sub)?;
    }
    Ok(())
}

/// The page, with what stands below the options in sections of the usual names: by itself
/// `clap_mangen` calls all of that EXTRA, and fills its lines.
fn render(command: Command) -> io::Result<Vec<u8>> {
    let below = command.get_after_help().map(ToString::to_string);
    let command = command.after_help(Resettable::Reset);
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    let mut roff = Roff::new();
    for (title, lines) in sections(below.as_deref().unwrap_or_default()) {
        section(&mut roff, title, &lines);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// A section whose lines stand as they are; none where there are no lines.
fn section(roff: &mut Roff, title: &str, lines: &[&str]) {
    if lines.is_empty() {
        return;
    }
    roff.control("SH", [title]);
    roff.control("nf", []);
    roff.text([roman(lines.join("\n"))]);
    roff.control("fi", []);
}

/// A paragraph belongs to the section that its first words name, else to the notes.
fn sections(below: &str) -> [(&'static str, Vec<&str>); 3] {
    let [mut notes, mut status, mut examples] = [vec![], vec![], vec![]];
    for paragraph in below.split("\n\n") {
        if let Some(rest) = paragraph.strip_prefix("Exit status") {
            let rest = rest.strip_prefix(": ").unwrap_or(rest);
            status.extend(rest.trim_start().lines());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_with_the_usual_sections() {
        let below = "A note.\n\nExit status: 0 all, 1 some.\n\nExamples:\n  tool one  # first";
        let command = Command::new("tool")
            .about("Does it")
            .subcommand(Command::new("policy").subcommand(Command::new("check").after_help(below)));
        let pages = pages(command).expect("memory can be written");
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names, ["tool", "tool-policy", "tool-policy-check"]);
        let page = String::from_utf8_lossy(&pages[2].text);
        for part in [
            ".TH tool-policy-check 1",
            ".SH \"EXIT STATUS\"\n.nf\n0 all, 1 some.\n.fi",
            ".SH EXAMPLES\n.nf\n  tool one  # first\n.fi",
            ".SH NOTES\n.nf\nA note.\n.fi",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(!page.contains("EXTRA"), "{page}");
    }
}
