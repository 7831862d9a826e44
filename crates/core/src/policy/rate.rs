//! How often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// The greatest count of a rate. The history keeps as many steps of each holder as this asks
/// for, so that no limit is undercounted; `200 per 2h` is written `100 per 1h`.
pub const MOST_COUNTED: u32 = 100;

/// How often steps may be taken on one holder, in one container, on the whole node. All that
/// are given must have room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RateLimits {
    /// For one process that holds zombies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_holder: Option<Rate>,
    /// For one container; one that was restarted in its pod is still the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_container: Option<Rate>,
    /// For all of the node, whatever policy a step was taken by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_node: Option<Rate>,
}

/// So many within such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// How many, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub count: u32,
    /// Within how long: any window of this length holds at most `count`.
    pub per: Span,
}

impl Rate {
    /// `count` within `per`.
    #[must_use]
    pub const fn new(count: u32, per: Span) -> Self {
        Self { count, per }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} per {}", self.count, self.per)
    }
}
