//! A preStop hook, whose time counts against the grace period: the kubelet runs it, then sends the
//! signal, and takes both from `terminationGracePeriodSeconds`.

use super::facts::Facts;
use super::{probe, words};
use crate::text;

/// The kubelet gives this much to the signal even when the hook has used all.
const LEAST: u64 = 2;

/// A handler of `lifecycle.preStop`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// `exec.command`; empty where it is no command.
    pub command: Vec<String>,
    /// `sleep.seconds`
    pub sleep: Option<u64>,
    /// What is in the [script](super::script_of) that it runs, where that was read.
    pub script: Option<String>,
}

/// What the hook leaves of the grace period, and a fact that says so.
pub(super) fn grace_left(facts: &Facts) -> (Option<u64>, Option<String>) {
    let grace = facts.grace.as_ref().map(|grace| grace.seconds);
    let Some(hook) = &facts.pre_stop else {
        return (grace, None);
    };
    let Some(grace) = grace else {
        return (None, None);
    };
    let of = text::duration(grace);
    match hook.sleep.unwrap_or_else(|| slept(hook)) {
        0 => (
            Some(grace),
            Some(format!(
                "A preStop hook runs first; how long it takes is taken from the grace period of {of}."
            )),
        ),
        seconds => {
            let left = grace.saturating_sub(seconds).max(LEAST);
            let said = format!(
                "A preStop hook sleeps for {} first: the signal has {} of the grace period of {of}.",
                text::duration(seconds),
                text::duration(left)
            );
            (Some(left), Some(said))
        }
    }
}

fn slept(hook: &Hook) -> u64 {
    let script = hook.script.as_deref().map(probe::as_command);
    let script = script.map_or(0, |command| words::slept(&command));
    words::slept(&hook.command).saturating_add(script)
}
