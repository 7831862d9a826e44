//! What `policy check` answers.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::ladder::Rung;
use sexton_core::policy::Mode;
use sexton_core::text::plural;

use crate::load::{Loaded, Problem, Stdin, load_from};

/// Whether policies can be followed; what `-o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Document")]
pub struct Check {
    /// Always `sexton.dev/v1alpha1`.
    api_version: &'static str,
    /// Always `PolicyCheck`.
    kind: &'static str,
    /// The policies, when nothing is wrong.
    pub policies: Vec<Summary>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Reads all of these together, as the agent does; `-` is standard input.
pub fn check<P: AsRef<Path>>(files: &[P]) -> Check {
    let (policies, problems) = match load_from(files, Stdin::IsDash) {
        Ok(loaded) => (loaded.iter().map(Summary::from).collect(), Vec::new()),
        Err(problems) => (Vec::new(), problems),
    };
    Check {
        api_version: sexton_core::policy::API_VERSION,
        kind: "PolicyCheck",
        policies,
        problems,
    }
}

impl Check {
    /// The answer in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        if self.problems.is_empty() {
            let policies = plural(count(self.policies.len()), "policy", "policies");
            format!("{policies}, nothing wrong.")
        } else {
            let problems = plural(count(self.problems.len()), "problem", "problems");
            format!("{problems}. None of these policies would be followed.")
        }
    }
}

/// A policy in a few words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The file that it was read from.
    pub file: PathBuf,
    /// The line on which it begins.
    pub line: u64,
    /// Whether its decisions are carried out.
    pub mode: Mode,
    /// The highest rung that it allows.
    pub max_rung: Rung,
}

impl From<&Loaded> for Summary {
    fn from(loaded: &Loaded) -> Self {
        let Loaded { policy, file, line } = loaded;
        Self {
            name: policy.name().to_owned(),
            file: file.clone(),
            line: *line,
            mode: policy.spec.mode,
            max_rung: policy.spec.max_rung,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            file,
            line,
            mode,
            max_rung,
        } = self;
        let mode = match mode {
            Mode::DryRun => "dry run",
            Mode::Enforce => "enforce",
        };
        let file = file.display();
        write!(f, "{name} ({mode}, up to {max_rung}), {file}:{line}")
    }
}
