//! Completion: scripts for a shell, and kubectl's own way for its plugins; and the manual.
//!
//! For `kubectl sexton …` kubectl runs an executable `kubectl_complete-sexton` from the PATH with
//! the words after `sexton`, the last of them being the one that is completed, and reads one
//! candidate a line, with a description after a tab, and at the end `:` and a directive (k8s.io/kubectl,
//! `plugin_completion.go`; Cobra's protocol). This binary is that executable too, under that name.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::{self, Cli};
use crate::error::Error;

/// The name under which kubectl asks for completions.
pub const NAME: &str = "kubectl_complete-sexton";

/// Cobra's `ShellCompDirectiveDefault`: the shell may add file names.
const FILES: u8 = 0;
/// Cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: u8 = 4;

/// Answers kubectl.
pub fn answer(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (candidates, directive) = complete(&Cli::command(), &words);
    let mut out = io::stdout().lock();
    for (candidate, about) in candidates {
        // kubectl has gone where this cannot be written.
        let _ = writeln!(out, "{candidate}\t{about}");
    }
    let _ = writeln!(out, ":{directive}");
    ExitCode::SUCCESS
}

/// Writes a script for a shell that completes the binary under its own name.
pub fn script(args: &cli::Completion) -> Result<ExitCode, Error> {
    let cli::Completion { shell } = args;
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command, "kubectl-sexton", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages.
pub fn man(args: &cli::Man) -> Result<ExitCode, Error> {
    let cli::Man { directory } = args;
    let pages = sexton_man::pages(Cli::command())?;
    match (directory, pages.first()) {
        (Some(directory), _) => {
            sexton_man::write(directory, &pages)
                .map_err(|error| Error::Usage(error.to_string()))?;
        }
        (None, Some(page)) => io::stdout().lock().write_all(&page.text)?,
        (None, None) => {}
    }
    Ok(ExitCode::SUCCESS)
}

type Candidates = Vec<(String, String)>;

/// What may stand in the place of the last of `words`.
fn complete(root: &Command, words: &[String]) -> (Candidates, u8) {
    let Some((current, before)) = words.split_last() else {
        return (Vec::new(), NO_FILES);
    };
    let mut root = root.clone();
    root.build();
    let mut command = &root;
    let mut value_of = None;
    let mut positional = 0;
    for word in before {
        if value_of.take().is_some() {
            continue;
        }
        if word == "--" {
            return (Vec::new(), FILES);
        } else if let Some(flag) = flag(command, word) {
            value_of = takes_value(flag, word).then_some(flag);
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub;
        } else {
            positional += 1;
        }
    }
    if let Some(flag) = value_of {
        return values(flag, "", current);
    }
    if let Some((name, value)) = current.split_once('=') {
        return match flag(command, name) {
            Some(flag) => values(flag, &format!("{name}="), value),
            None => (Vec::new(), NO_FILES),
        };
    }
    if current.starts_with('-') {
        return (flags(command, current), NO_FILES);
    }
    let subcommands: Candidates = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name().starts_with(current.as_str()))
        .map(|sub| (sub.get_name().to_owned(), about(sub.get_about())))
        .collect();
    if !subcommands.is_empty() {
        return (subcommands, NO_FILES);
    }
    let positionals = command.get_positionals().filter(|arg| !arg.is_last_set());
    let positionals: Vec<&Arg> = positionals.collect();
    // The last may be repeated.
    let argument = positionals.get(positional).or(positionals.last());
    argument.map_or((Vec::new(), NO_FILES), |argument| {
        values(argument, "", current)
    })
}

fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    command.get_arguments().find(|arg| {
        let long = name.strip_prefix("--");
        let short = name.strip_prefix('-').and_then(|rest| rest.chars().next());
        match long {
            Some(long) => arg.get_long() == Some(long),
            None => short.is_some() && arg.get_short() == short,
        }
    })
}

/// The next word is its value: it takes one, and `word` does not hold it.
fn takes_value(flag: &Arg, word: &str) -> bool {
    let held = word.contains('=') || (!word.starts_with("--") && word.len() > 2);
    matches!(flag.get_action(), ArgAction::Set | ArgAction::Append) && !held
}

fn values(arg: &Arg, prefix: &str, current: &str) -> (Candidates, u8) {
    let possible = arg.get_possible_values();
    let candidates: Candidates = possible
        .iter()
        .filter(|value| value.get_name().starts_with(current))
        .map(|value| {
            (
                format!("{prefix}{}", value.get_name()),
                about(value.get_help()),
            )
        })
        .collect();
    let is_path = arg
        .get_value_names()
        .is_some_and(|names| names.iter().any(|n| n == "FILE"));
    (candidates, if is_path { FILES } else { NO_FILES })
}

fn flags(command: &Command, current: &str) -> Candidates {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| {
            let name = format!("--{}", arg.get_long()?);
            name.starts_with(current)
                .then(|| (name, about(arg.get_help())))
        })
        .collect()
}

fn about(help: Option<&clap::builder::StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> (Vec<String>, u8) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (candidates, directive) = complete(&Cli::command(), &words);
        (
            candidates.into_iter().map(|(name, _)| name).collect(),
            directive,
        )
    }

    #[test]
    fn as_kubectl_asks() {
        assert_eq!(names(&["le"]), (vec!["leaks".to_owned()], NO_FILES));
        let (all, _) = names(&[""]);
        assert!(all.contains(&"status".to_owned()) && all.contains(&"reap".to_owned()));
        assert_eq!(names(&["policy", "ch"]).0, ["check"]);
        assert_eq!(names(&["-n", "leaks", "no"]).0, ["nodes"]);
        assert_eq!(names(&["nodes", "-o", "y"]).0, ["yaml"]);
        assert_eq!(names(&["nodes", "--output=w"]).0, ["--output=wide"]);
        assert_eq!(names(&["nodes", "--no-h"]).0, ["--no-headers"]);
        assert!(
            names(&["leaks", "--cont"])
                .0
                .contains(&"--context".to_owned())
        );
        assert_eq!(names(&["policy", "check", ""]), (vec![], FILES));
        assert_eq!(names(&["leaks", "--kubeconfig", ""]), (vec![], FILES));
        assert_eq!(names(&["reap", "web", "--", ""]).1, FILES);
        assert_eq!(names(&["completion", "z"]).0, ["zsh"]);
        assert_eq!(names(&[]).0, [""; 0]);
    }

    /// Each page says when it ends how, and shows how it is used.
    #[test]
    fn the_manual_has_the_usual_sections() {
        let pages = sexton_man::pages(Cli::command()).unwrap();
        for page in &pages {
            let text = String::from_utf8_lossy(&page.text);
            assert!(!text.contains("EXTRA"), "{}", page.name);
            let group = page.name == "kubectl-sexton-policy";
            assert!(group || text.contains(".SH EXAMPLES"), "{}", page.name);
        }
        let explain = pages
            .iter()
            .find(|page| page.name == "kubectl-sexton-explain");
        let explain = String::from_utf8_lossy(&explain.unwrap().text).into_owned();
        assert!(
            explain.contains(".SH \"EXIT STATUS\"\n.nf\n0 explained"),
            "{explain}"
        );
    }
}
