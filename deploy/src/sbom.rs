//! SPDX documents that are the same wherever they are made.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Puts the time of the release, and a namespace that follows from the content, in the place of
/// this moment and of a random number, which `cargo sbom` takes.
///
/// # Errors
/// The document is no JSON.
pub fn settle(document: &str, created: &str) -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(document)?;
    document["creationInfo"]["created"] = json!(created);
    document["documentNamespace"] = Value::Null;
    // Maps come in order from serde_json, lists in the order of the tool's hash maps.
    for list in ["packages", "files", "relationships"] {
        if let Some(entries) = document[list].as_array_mut() {
            entries.sort_by_key(Value::to_string);
        }
    }
    let sum = Sha256::digest(document.to_string());
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    document["documentNamespace"] = json!(format!("https://sexton.dev/spdx/{sum}"));
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_runs_is_settled() {
        let one = r#"{"documentNamespace":"https://a/1","creationInfo":{"created":"now"},
            "packages":[{"name":"b"},{"name":"a"}]}"#;
        let other = r#"{"documentNamespace":"https://a/2","creationInfo":{"created":"later"},
            "packages":[{"name":"a"},{"name":"b"}]}"#;
        let settled = |text| settle(text, "2026-12-01T00:00:00Z").unwrap();
        assert_eq!(settled(one), settled(other));
        assert_eq!(
            settled(one)["creationInfo"]["created"],
            "2026-12-01T00:00:00Z"
        );
        let changed = one.replace("\"a\"", "\"c\"");
        assert_ne!(
            settled(one)["documentNamespace"],
            settled(&changed)["documentNamespace"]
        );
    }
}
