//! What `sexton doctor` says of a node, and `kubectl sexton check` of a cluster: a line a check,
//! and what to do about each that is not as it should be.

use schemars::JsonSchema;
use serde::Serialize;

/// What both print for programs (`-o json`).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Version of the schema.
    pub api_version: &'static str,
    /// `Doctor` for a node, `ClusterCheck` for a cluster.
    pub kind: &'static str,
    /// The version of the program that checked.
    pub version: &'static str,
    /// The worst status of all checks.
    pub status: Status,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Document {
    /// What these checks come to.
    #[must_use]
    pub fn new(kind: &'static str, version: &'static str, checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.status).max();
        Self {
            api_version: crate::report::API_VERSION,
            kind,
            version,
            status: worst.unwrap_or(Status::Ok),
            checks,
        }
    }
}

/// One check.
#[derive(Serialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do about it; absent where nothing has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check went; the worst is the last.
#[derive(Serialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Sexton works, with less than it could do.
    Warning,
    /// Something that Sexton needs does not work.
    Failed,
}

impl Status {
    /// The exit status of the command whose worst check this is.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Failed => 2,
        }
    }

    /// The mark before its line.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
        }
    }
}

impl Check {
    /// All is as it should be.
    #[must_use]
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// Sexton works, with less than it could do.
    #[must_use]
    pub fn warning(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            advice: Some(advice.into()),
            ..Self::ok(name, found)
        }
    }

    /// Something that Sexton needs does not work.
    #[must_use]
    pub fn failed(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            ..Self::warning(name, found, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides() {
        let of = |checks| Document::new("Doctor", "0", checks).status.exit();
        let (fine, poor) = (Check::ok("a", ""), Check::warning("b", "", ""));
        let bad = Check::failed("c", "", "");
        assert_eq!(of(vec![]), 0);
        assert_eq!(of(vec![fine.clone()]), 0);
        assert_eq!(of(vec![fine.clone(), poor.clone(), fine.clone()]), 1);
        assert_eq!(of(vec![poor, bad, fine]), 2);
    }
}
