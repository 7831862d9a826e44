//! Why a leak stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sure a judgement is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Confidence {
    /// One explanation among others.
    Low,
    /// The facts fit and nothing speaks against it.
    Medium,
    /// The facts leave no other explanation.
    High,
}

/// A cause with the facts that say so, and the cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Id of the entry of the knowledge base, stable: runbooks and alerts are named by it.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// How sure.
    pub confidence: Confidence,
    /// The facts, each one sentence with the place it was read from.
    pub facts: Vec<String>,
    /// What to do now, one step each.
    pub now: Vec<String>,
    /// The cure in the program's own language: text, then code.
    pub cure: Cure,
    /// Where others met it.
    pub sources: Vec<String>,
}

/// How to end a leak for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cure {
    /// What to change.
    pub text: String,
    /// Language of `code` as a Markdown fence names it: `go`, `python`, `dockerfile`, `yaml`…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// An example that can be pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
