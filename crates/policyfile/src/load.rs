//! Policies from files, with the place of everything that is wrong.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sexton_core::policy::{KIND, Policy, validate, validate_all};

use crate::node::{Fault, Node, Place, Segment};
use crate::yaml::{self, MOST_NODES};

/// Files of one folder; a folder with more is no folder of policies.
const MOST_FILES: usize = 1_000;
/// What one folder may hold besides: each member is looked at.
const MOST_MEMBERS: usize = 10_000;
/// Errors of one document that are worth telling.
const MOST_FAULTS: usize = 50;

/// A policy and where it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// Its file.
    pub file: PathBuf,
    /// The line on which its document begins.
    pub line: u64,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which file.
    pub file: PathBuf,
    /// Line, from 1; absent where the file itself is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Path of the field, as in `spec.windows[0].to`; empty where no field is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, and what to write.
    pub message: String,
}

impl Problem {
    fn of_file(file: &Path, message: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            field: String::new(),
            message: sexton_core::text::os(&message),
        }
    }

    fn at(file: &Path, place: Place, field: String, message: String) -> Self {
        Self {
            line: Some(place.line),
            column: Some(place.column),
            field,
            ..Self::of_file(file, message)
        }
    }

    /// The file cannot be read at all.
    pub fn is_unreadable(&self) -> bool {
        self.line.is_none()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            field,
            message,
        } = self;
        write!(f, "{}:", file.display())?;
        if let (Some(line), Some(column)) = (line, column) {
            write!(f, "{line}:{column}:")?;
        }
        if !field.is_empty() {
            write!(f, " {field}:")?;
        }
        write!(f, " {message}")
    }
}

/// The policies of these files, and of the `*.yaml` and `*.yml` in these directories (not in
/// those below them), in the order of their names. A directory without any is none of them.
///
/// # Errors
/// Everything that is wrong with any of them; then none of them is to be followed.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Loaded>, Vec<Problem>> {
    load_from(paths, Stdin::IsAFile)
}

/// What the path `-` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// Standard input, as for every command that reads a file once.
    IsDash,
    /// A file of that name: an agent reads its policies again and again.
    IsAFile,
}

/// As [`load`].
pub(crate) fn load_from<P: AsRef<Path>>(
    paths: &[P],
    stdin: Stdin,
) -> Result<Vec<Loaded>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found: Vec<(Loaded, Node)> = Vec::new();
    // Of all files together: that is what is in memory at once.
    let mut nodes_left = MOST_NODES;
    for path in paths {
        let is_stdin = stdin == Stdin::IsDash && path.as_ref() == Path::new("-");
        let named = if is_stdin {
            Ok(vec![path.as_ref().to_owned()])
        } else {
            files(path.as_ref())
        };
        match named {
            Ok(files) => {
                for file in files {
                    let text = if is_stdin {
                        yaml::read_from(io::stdin().lock())
                    } else {
                        yaml::read(&file)
                    };
                    match text {
                        Ok(text) => {
                            documents(&file, &text, &mut nodes_left, &mut found, &mut problems);
                        }
                        Err(error) => problems.push(Problem::of_file(&file, error)),
                    }
                }
            }
            Err(error) => problems.push(Problem::of_file(path.as_ref(), error)),
        }
    }
    problems.extend(clashes(&found));
    if problems.is_empty() {
        Ok(found.into_iter().map(|(loaded, _)| loaded).collect())
    } else {
        Err(problems)
    }
}

/// The files that `path` stands for.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for (number, entry) in fs::read_dir(path)?.enumerate() {
        if number >= MOST_MEMBERS || files.len() >= MOST_FILES {
            return Err(io::Error::other(format!(
                "the folder holds more than {MOST_FILES} policy files, or {MOST_MEMBERS} files in all"
            )));
        }
        let file = entry?.path();
        let hidden = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = file
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        // A mounted ConfigMap is links to files in a hidden directory. What is neither file nor
        // folder is told when it is read: who gave it the name of a policy meant one.
        if yaml && !hidden && !fs::metadata(&file)?.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Adds the policies of one file, and what is wrong with it.
fn documents(
    file: &Path,
    text: &str,
    nodes_left: &mut usize,
    found: &mut Vec<(Loaded, Node)>,
    problems: &mut Vec<Problem>,
) {
    let documents: Vec<Node> =
        match serde_saphyr::from_multiple_with_options(text, yaml::options(*nodes_left)) {
            Ok(documents) => documents,
            Err(error) => {
                let place = error.location().map_or(START, Place::from);
                let message = match yaml::is_too_much(&error) {
                    true => yaml::TOO_MUCH.to_owned(),
                    false => yaml::said(&error),
                };
                problems.push(Problem::at(file, place, String::new(), message));
                return;
            }
        };
    let nodes: usize = documents.iter().map(Node::count).sum();
    *nodes_left = nodes_left.saturating_sub(nodes);
    for document in documents {
        let mut faults = Vec::new();
        match policy(&document, &mut faults) {
            Some(policy) if faults.is_empty() => {
                let mut wrong: Vec<Problem> = validate(&policy)
                    .into_iter()
                    .map(|problem| {
                        let place = document.find(&problem.field);
                        Problem::at(file, place, problem.field, problem.message)
                    })
                    .collect();
                wrong.sort_by_key(|problem| (problem.line, problem.column));
                problems.append(&mut wrong);
                let loaded = Loaded {
                    policy,
                    file: file.to_owned(),
                    line: document.at.line,
                };
                found.push((loaded, document));
            }
            _ => {
                faults.sort_by_key(|fault| fault.at);
                problems.extend(faults.into_iter().map(|fault| {
                    let place = fault.at.unwrap_or(document.at);
                    Problem::at(file, place, fault.path().to_string(), fault.message)
                }));
            }
        }
    }
}

const START: Place = Place { line: 1, column: 1 };

/// The policy of a document, or everything that is wrong with it.
fn policy(document: &Node, faults: &mut Vec<Fault>) -> Option<Policy> {
    // Another kind has other fields, and all of them would be wrong.
    if let Some(kind) = document.text("kind").filter(|kind| *kind != KIND) {
        let mut fault: Fault = serde::de::Error::custom(format!("`{kind}` is not {KIND}"));
        fault.at = Some(document.find("kind"));
        faults.push(fault.below(Segment::Key("kind".to_owned())));
        return None;
    }
    faults.extend(document.empty_fields());
    let mut rest = document.clone();
    for fault in faults.iter() {
        rest.take_out(&fault.path());
    }
    loop {
        let fault = match Policy::deserialize(&rest) {
            Ok(policy) => break Some(policy),
            Err(fault) => fault,
        };
        let path = fault.path();
        // Of a field that is not there, what lacks it.
        let goes_on =
            rest.take_out(&path) || fault.parent().is_some_and(|parent| rest.take_out(&parent));
        // What is missing because it was taken out has been told.
        let told = faults.iter().any(|earlier| earlier.path() == path);
        if !told {
            faults.push(fault);
        }
        if !goes_on || faults.len() >= MOST_FAULTS {
            break None;
        }
    }
}

/// Policies that cannot stand beside each other.
fn clashes(found: &[(Loaded, Node)]) -> Vec<Problem> {
    let policies: Vec<Policy> = found.iter().map(|(l, _)| l.policy.clone()).collect();
    validate_all(&policies)
        .into_iter()
        .map(|clash| {
            let (loaded, document) = &found[clash.policy];
            let (other, _) = &found[clash.other];
            let place = document.find(&clash.problem.field);
            let message = format!(
                "{} ({}:{})",
                clash.problem.message,
                other.file.display(),
                other.line
            );
            Problem::at(&loaded.file, place, clash.problem.field, message)
        })
        .collect()
}

#[cfg(test)]
mod tests;
