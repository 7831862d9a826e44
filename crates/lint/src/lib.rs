//! Reads Dockerfiles, compose files and manifests of Kubernetes, and finds what will not end on its
//! stop signal or will leave zombies. Text in, findings out.
//!
//! What a program does as PID 1 is asked of [`sexton_core::audit::judge`]: the facts are its own.

#![forbid(unsafe_code)]

mod compose;
mod dockerfile;
mod files;
mod image;
mod manifest;
mod print;
mod probe;
mod rule;
mod start;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use sexton_policyfile::{Node, Place, yaml};

pub use files::read;
pub use print::{checkstyle, github, gitlab, sarif};
pub use rule::{RULES, Rule, Severity, rule};

/// A file and what is in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as it was found.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// The rule's id, `SX101`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, and what to write.
    pub message: String,
}

/// A file that was not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub message: String,
}

/// What `lint` answers; what `-o json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Always `sexton.dev/v1alpha1`.
    pub api_version: &'static str,
    /// Always `Lint`.
    pub kind: &'static str,
    /// How many files were understood.
    pub files: u64,
    /// What is wrong, in the order of files and lines.
    pub findings: Vec<Finding>,
    /// Files that were not read.
    pub unread: Vec<Unread>,
}

/// What is wrong with these files, which are read together: a compose file with the Dockerfile that it
/// builds, a Dockerfile with the script that it starts.
#[must_use]
pub fn lint(sources: &[Source]) -> Document {
    let mut document = Document {
        api_version: sexton_core::policy::API_VERSION,
        kind: "Lint",
        files: 0,
        findings: Vec::new(),
        unread: Vec::new(),
    };
    for source in sources {
        let around = Around { sources, source };
        let found = match kind(source) {
            Kind::Dockerfile => Ok(image::findings(&around)),
            Kind::Yaml => of_yaml(&around),
            Kind::Other => continue,
        };
        match found {
            Ok(found) => {
                document.files += 1;
                let told = found.into_iter().filter(|found| !is_ignored(source, found));
                document.findings.extend(told);
            }
            Err(message) => document.unread.push(Unread {
                file: source.path.clone(),
                message,
            }),
        }
    }
    document.findings.sort();
    document.findings.dedup();
    document
}

/// A file with those that were found beside it.
struct Around<'a> {
    sources: &'a [Source],
    source: &'a Source,
}

impl<'a> Around<'a> {
    /// The text of a script that a container starts as `path`, where exactly one file at hand, at or below
    /// the folder of this one, has its name.
    fn script(&self, path: &str) -> Option<&'a str> {
        let name = path.rsplit('/').next()?;
        let folder = self.source.path.parent()?;
        let mut found = self.sources.iter().filter(|other| {
            other.path.file_name().is_some_and(|other| other == name)
                && other.path.starts_with(folder)
        });
        let text = found.next()?.text.as_str();
        found.next().is_none().then_some(text)
    }

    fn finding(&self, rule: &'static str, at: Place, message: String) -> Finding {
        Finding {
            file: self.source.path.clone(),
            line: at.line.max(1),
            column: at.column.max(1),
            rule,
            severity: rule::rule(rule).map_or(Severity::Warning, |rule| rule.severity),
            message,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dockerfile,
    Yaml,
    Other,
}

/// By its name; what comes without one (standard input), by its text.
fn kind(source: &Source) -> Kind {
    let name = source.path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or("").to_ascii_lowercase();
    let is_docker = |name: &str| name == "dockerfile" || name == "containerfile";
    let first = name.split('.').next().unwrap_or("");
    if is_docker(first) || name.ends_with(".dockerfile") || name.ends_with(".containerfile") {
        Kind::Dockerfile
    } else if name.ends_with(".yaml") || name.ends_with(".yml") {
        Kind::Yaml
    } else if name == "-" {
        let from = |line: &str| {
            line.split_ascii_whitespace()
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("FROM"))
        };
        match source.text.lines().any(from) {
            true => Kind::Dockerfile,
            false => Kind::Yaml,
        }
    } else {
        Kind::Other
    }
}

fn of_yaml(around: &Around<'_>) -> Result<Vec<Finding>, String> {
    let text = around.source.text.as_str();
    if text.contains("{{") && text.contains("}}") && yaml::documents(text).is_err() {
        return Err("it is a template: render it first, `helm template . | sexton lint -`".into());
    }
    let documents = yaml::documents(text)
        .map_err(|(at, message)| format!("line {}: {message}", at.line.max(1)))?;
    let found = |document: &Node| {
        if document.get("services").is_some() && document.get("kind").is_none() {
            compose::findings(around, document)
        } else {
            manifest::findings(around, document)
        }
    };
    Ok(documents.iter().flat_map(found).collect())
}

/// `# sexton ignore=SX101 why` at the end of the line, or on one of its own directly above.
fn is_ignored(source: &Source, found: &Finding) -> bool {
    let says = |line: &str| {
        let said = line.split_once("# sexton ignore=").map(|(_, said)| said);
        said.and_then(|said| said.split_ascii_whitespace().next())
            .is_some_and(|rules| rules.split(',').any(|rule| rule == found.rule))
    };
    let line = |number: u64| {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        source.text.lines().nth(index)
    };
    line(found.line).is_some_and(says)
        || line(found.line - 1)
            .is_some_and(|above| above.trim_start().starts_with('#') && says(above))
}
