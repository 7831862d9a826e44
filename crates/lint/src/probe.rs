//! Commands that run by a clock: exec probes, health checks. What is wrong with them, the audit says.

use sexton_core::audit::{Probe, script_of};
use sexton_policyfile::Place;

use crate::{Around, Finding};

/// A probe as a file gives it.
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) timeout: u64,
}

/// What is wrong with it.
pub(crate) fn findings(around: &Around<'_>, at: Place, given: &Given) -> Vec<Finding> {
    let script = script_of(&given.command).and_then(|path| around.script(path));
    let probe = Probe {
        name: given.name.to_owned(),
        container: String::new(),
        command: given.command.clone(),
        timeout_seconds: given.timeout,
        script: script.map(str::to_owned),
    };
    let found = probe.findings().into_iter();
    found
        .map(|found| around.finding("SX110", at, format!("{}: {}", found.probe, found.finding)))
        .collect()
}

/// Seconds from `30s`, `1m30s`; compose and Docker write them so.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let figure = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..figure].parse().ok()?;
        let after = &rest[figure..];
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let seconds = match &after[..end] {
            "s" => number,
            "m" => number.checked_mul(60)?,
            "h" => number.checked_mul(3600)?,
            "ms" => number.div_ceil(1000),
            _ => return None,
        };
        total = total.checked_add(seconds)?;
        rest = &after[end..];
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_read_as_docker_writes_them() {
        for (text, expected) in [
            ("30s", Some(30)),
            ("1m30s", Some(90)),
            ("500ms", Some(1)),
            ("30", None),
            ("", None),
            ("99999999999999999999s", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
