//! The page of a program whose `--help` is a plain text: `sexton-init` stands without std and clap.

use std::io;

use clap_mangen::roff::{Roff, bold, roman};

use crate::{Page, section};

/// Makes the page of `name` from its `--help`: the line `Usage: …`, paragraphs of description, sections
/// that a line without indent and full stop names, `Examples` and a paragraph `The exit code is …`.
///
/// # Errors
/// The text has no usage.
pub fn of_help(name: &str, version: &str, about: &str, help: &str) -> io::Result<Page> {
    let mut paragraphs = help.trim_end().split("\n\n");
    let usage = paragraphs
        .next()
        .and_then(|first| first.strip_prefix("Usage: "))
        .ok_or_else(|| {
            io::Error::other(format!("the help of {name} does not begin with Usage:"))
        })?;

    let [mut description, mut options, mut status, mut examples] = [const { Vec::new() }; 4];
    for paragraph in paragraphs {
        let into = if paragraph.starts_with("The exit code ") {
            &mut status
        } else if let Some(rest) = paragraph.strip_prefix("Examples\n") {
            examples.extend(rest.lines());
            continue;
        } else if paragraph
            .lines()
            .any(|line| line.trim_start().starts_with('-'))
        {
            &mut options
        } else {
            &mut description
        };
        if !into.is_empty() {
            into.push("");
        }
        into.extend(paragraph.lines());
    }

    let mut roff = Roff::new();
    let source = format!("{name} {version}");
    // Two quotes: an argument that is empty, and not none.
    roff.control("TH", [name, "1", "\"\"", source.as_str()]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(usage)]);
    section(&mut roff, "DESCRIPTION", &description);
    section(&mut roff, "OPTIONS", &options);
    section(&mut roff, "EXIT STATUS", &status);
    section(&mut roff, "EXAMPLES", &examples);
    let mut text = Vec::new();
    roff.to_writer(&mut text)?;
    Ok(Page {
        name: name.to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Usage: tool [OPTION...] COMMAND

Runs COMMAND.

Ending
  -g, --grace TIME   How long

TIME is a number.

The exit code is the command's.

Examples
  tool -g 5s true
";

    #[test]
    fn paragraphs_find_their_sections() {
        let page = of_help("tool", "1.2.3", "runs a command", HELP).expect("it is right");
        let text = String::from_utf8_lossy(&page.text);
        for part in [
            ".TH tool 1 \"\" \"tool 1.2.3\"",
            "tool \\- runs a command",
            ".SH DESCRIPTION\n.nf\nRuns COMMAND.\n\nTIME is a number.\n",
            ".SH OPTIONS\n.nf\nEnding\n  \\-g, \\-\\-grace TIME   How long\n",
            ".SH \"EXIT STATUS\"\n.nf\nThe exit code is the command\\*(Aqs.\n",
            ".SH EXAMPLES\n.nf\n  tool \\-g 5s true\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(of_help("tool", "1.2.3", "runs", "no usage").is_err());
    }
}
