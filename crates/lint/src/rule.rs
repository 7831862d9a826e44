//! The rules: one place for what each is called and how bad it is. `docs/lint.md` has a chapter of each,
//! with an example; a test holds the two together and runs the examples.

use schemars::JsonSchema;
use serde::Serialize;

/// How bad a finding is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Of use to know.
    Info,
    /// Work is lost, or zombies stay, in usual operation.
    #[default]
    Warning,
    /// It cannot work as it is written.
    Error,
}

impl Severity {
    /// As it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `SX101`
    pub id: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// How bad that is.
    pub severity: Severity,
}

impl Rule {
    /// The place in the documentation that explains it.
    #[must_use]
    pub fn page(&self) -> String {
        format!("docs/lint.md#{}", self.id.to_ascii_lowercase())
    }
}

const fn warn(id: &'static str, title: &'static str) -> Rule {
    Rule {
        id,
        title,
        severity: Severity::Warning,
    }
}

const fn info(id: &'static str, title: &'static str) -> Rule {
    Rule {
        id,
        title,
        severity: Severity::Info,
    }
}

/// All rules, in the order of their ids.
pub const RULES: &[Rule] = &[
    warn(
        "SX101",
        "The entry point is in shell form: the shell is PID 1",
    ),
    warn("SX102", "`sh -c` is PID 1 and does not exec its command"),
    warn(
        "SX103",
        "A script is PID 1 and does not exec its last command",
    ),
    warn(
        "SX104",
        "PID 1 is a command that only keeps the container alive",
    ),
    warn(
        "SX105",
        "PID 1 is a program that keeps its command from the stop signal",
    ),
    warn("SX106", "The command goes around the init of the image"),
    warn("SX107", "PID 1 drops its stop signal"),
    warn(
        "SX108",
        "STOPSIGNAL is not the signal that ends the server well",
    ),
    warn("SX109", "preStop takes the whole grace period"),
    warn("SX110", "A probe leaves processes behind"),
    info("SX111", "HEALTHCHECK is in shell form"),
    warn("SX112", "A browser without an init"),
    warn("SX113", "The init refuses a shared PID namespace"),
    info(
        "SX114",
        "A container that runs browsers has no limit of PIDs",
    ),
];

/// The rule of this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
