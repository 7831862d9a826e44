//! Findings in the forms that other programs read.

use serde_json::{Value, json};
use sexton_core::text::safe;

use crate::{Document, Finding, RULES, Severity};

/// SARIF 2.1.0.
#[must_use]
pub fn sarif(document: &Document, version: &str) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "help": { "text": format!("See {}.", rule.page()) },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results = document.findings.iter().map(|found| {
        json!({
            "ruleId": found.rule,
            "ruleIndex": RULES.iter().position(|rule| rule.id == found.rule),
            "level": level(found.severity),
            "message": { "text": found.message },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(found) },
                "region": { "startLine": found.line, "startColumn": found.column },
            }}],
            "partialFingerprints": { "sexton/v1": fingerprint(found) },
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "sexton", "version": version, "rules": rules } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// The report of code quality that GitLab reads.
#[must_use]
pub fn gitlab(document: &Document) -> Value {
    let issues = document.findings.iter().map(|found| {
        let severity = match found.severity {
            Severity::Info => "info",
            Severity::Warning => "minor",
            Severity::Error => "major",
        };
        json!({
            "description": found.message,
            "check_name": found.rule,
            "fingerprint": fingerprint(found),
            "severity": severity,
            "location": { "path": found.file, "lines": { "begin": found.line } },
        })
    });
    issues.collect()
}

/// One line a finding, which GitHub makes an annotation of.
#[must_use]
pub fn github(document: &Document) -> String {
    let line = |found: &Finding| {
        let kind = match found.severity {
            Severity::Info => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let value = |text: &str| {
            let text = escaped(text);
            text.replace(':', "%3A").replace(',', "%2C")
        };
        format!(
            "::{kind} file={},line={},col={},title={}::{}\n",
            value(&found.file.to_string_lossy()),
            found.line,
            found.column,
            found.rule,
            escaped(&found.message)
        )
    };
    document.findings.iter().map(line).collect()
}

/// The XML of checkstyle.
#[must_use]
pub fn checkstyle(document: &Document) -> String {
    let mut out =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"4.3\">\n".to_owned();
    for found in &document.findings {
        out.push_str(&format!(
            "<file name=\"{}\"><error line=\"{}\" column=\"{}\" severity=\"{}\" message=\"{}\" \
             source=\"sexton.{}\"/></file>\n",
            xml(&found.file.to_string_lossy()),
            found.line,
            found.column,
            found.severity.name(),
            xml(&found.message),
            found.rule
        ));
    }
    out.push_str("</checkstyle>\n");
    out
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// The same as long as the finding is: a line may move.
fn fingerprint(found: &Finding) -> String {
    // FNV-1a: it has to be steady, not secret.
    let text = format!(
        "{}\0{}\0{}",
        found.rule,
        found.file.display(),
        found.message
    );
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The path as a URI.
fn uri(found: &Finding) -> String {
    let path = found.file.to_string_lossy();
    let mut out = String::new();
    for byte in path.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// As GitHub's commands want it; a name may hold a line break and a command of its own.
fn escaped(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D");
    text.replace('\n', "%0A")
}

fn xml(text: &str) -> String {
    let text = safe(text);
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
