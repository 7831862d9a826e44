//! How narrowly a policy covers a leak, or why it does not.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How narrowly a policy covers one leak; the greater wins.
///
/// First the number of things asked for: each list of the selector that fits otherwise than by
/// `*`, and each label. Among equals, how many of these name exactly, without a wildcard.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Specificity {
    /// Things asked for.
    pub asked: u32,
    /// Those of them that name exactly.
    pub exact: u32,
}

impl Specificity {
    /// Counts so many more.
    pub(super) fn add(&mut self, asked: u32, exact: u32) {
        self.asked += asked;
        self.exact += exact;
    }
}

impl fmt::Display for Specificity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.asked, self.exact) {
            (0, _) => f.write_str("asks for nothing in particular"),
            (1, 0) => f.write_str("asks for 1 thing, by pattern"),
            (1, _) => f.write_str("asks for 1 thing, by its exact name"),
            (asked, 0) => write!(f, "asks for {asked} things, by pattern"),
            (asked, exact) => write!(f, "asks for {asked} things, {exact} by exact name"),
        }
    }
}

/// Why a policy does not cover a leak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "miss"
)]
pub enum Miss {
    /// A process of the host, and the policy does not name it.
    #[error("it is a process of the host, and hostProcesses does not name it")]
    HostProcess,
    /// A container, and the policy is about processes of the host.
    #[error("it is in a container, and the policy is for processes of the host")]
    NotHostProcess,
    /// None of the patterns of a list fits.
    #[error("{field}: `{is}` does not fit")]
    Differs {
        /// Field of the selector.
        field: String,
        /// What it is.
        is: String,
    },
    /// The selector asks for something that is not known here.
    #[error("{field}: not known of this container (no runtime or API server told)")]
    NotKnown {
        /// Field of the selector.
        field: String,
    },
    /// A label is not as asked for.
    #[error("podSelector: the pod's labels do not meet `{requirement}`")]
    Label {
        /// The first that is not met.
        requirement: String,
    },
}

impl std::ops::AddAssign for Specificity {
    fn add_assign(&mut self, other: Self) {
        self.add(other.asked, other.exact);
    }
}
