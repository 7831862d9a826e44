//! A report is never larger than it may be, whatever names there are.

use super::{Leak, Status};

/// The largest status, in bytes of JSON. What the publisher and the API server add (name, owner,
/// managed fields) is 1,100 bytes for a node's name of 63, so the whole is below 8 KiB.
pub const LARGEST: usize = 7_000;

/// Leaks that are told in full for as long as anything else can be left out.
const IN_FULL: usize = 4;
/// Findings of the audit, and policies that are followed, that are kept so long.
const KEPT: usize = 4;

/// The first `most` characters, with a mark where there were more. Control characters are
/// escaped: a process chooses its own name.
pub(super) fn text(text: &str, most: usize) -> String {
    let safe = sexton_core::text::safe(text);
    match safe.char_indices().nth(most) {
        None => safe.into_owned(),
        Some(_) => {
            let mut cut: String = safe.chars().take(most.saturating_sub(1)).collect();
            cut.push('…');
            cut
        }
    }
}

/// Leaves out what is least missed, until the rest fits. The counts tell what there was.
pub(super) fn fit(status: &mut Status) {
    let steps: [fn(&mut Status) -> bool; 7] = [
        |status| {
            shorten(status, |leak| {
                let more = (leak.step.take(), leak.policy.take(), leak.command.take());
                more != (None, None, None)
            })
        },
        |status| pop_above(&mut status.exit_signals, KEPT),
        |status| pop_above(&mut status.policies, KEPT),
        |status| shorten(status, |leak| leak.forecast.take().is_some()),
        |status| shorten(status, |leak| leak.cause.take().is_some()),
        |status| pop_above(&mut status.leaks, 1),
        |status| status.exit_signals.pop().is_some() || status.policies.pop().is_some(),
    ];
    for step in steps {
        while size(status) > LARGEST && step(status) {}
    }
}

/// Takes something from the last leak that has it, the first few excepted.
fn shorten(status: &mut Status, take: impl FnMut(&mut Leak) -> bool) -> bool {
    status.leaks.iter_mut().skip(IN_FULL).rev().any(take)
}

fn pop_above<T>(list: &mut Vec<T>, kept: usize) -> bool {
    list.len() > kept && list.pop().is_some()
}

fn size(status: &Status) -> usize {
    serde_json::to_vec(status).map_or(0, |json| json.len())
}
