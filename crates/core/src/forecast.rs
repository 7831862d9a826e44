//! When a limit is reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Confidence, LimitKind};

/// How a count moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Trend {
    /// It rises; a limit will be reached.
    Growing,
    /// It stands still, falls, or saws up and down without rising.
    NotGrowing,
    /// Too little was seen to tell.
    Unknown,
}

/// The rate of a leak and the time until the first limit is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// How the count moves.
    pub trend: Trend,
    /// Zombies more per second; negative when falling.
    pub rate_per_second: f64,
    /// Seconds that the leak was watched for, and what else the rate rests on, in a few words.
    pub basis: String,
    /// The limit that is reached first; absent when not growing or nothing limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitKind>,
    /// Whom that limit counts, as in [`crate::Limit::scope`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds until then at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Earliest and latest of the seconds left that the observations allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left_range: Option<(u64, Option<u64>)>,
    /// How sure this is.
    pub confidence: Confidence,
}
