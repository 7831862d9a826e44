//! A report is never larger than it may be, whatever names there are.

use serde::Serialize;

use super::{LeakLine, Status};

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
    /// Leaves out one thing more; how many bytes that saves, at least.
    type Cut = fn(&mut Status) -> Option<usize>;
    let cuts: [Cut; 8] = [
        |status| {
            shorten(status, |leak| {
                (leak.step, leak.policy, leak.command) = (None, None, None);
            })
        },
        |status| pop_above(&mut status.exit_signals, KEPT),
        |status| pop_above(&mut status.policies, KEPT),
        |status| shorten(status, |leak| leak.forecast = None),
        |status| shorten(status, |leak| leak.cause = None),
        |status| pop_above(&mut status.leaks, 1),
        |status| pop_above(&mut status.exit_signals, 0),
        |status| pop_above(&mut status.policies, 0),
    ];
    let mut size = bytes(status);
    for cut in cuts {
        while size > LARGEST
            && let Some(saved) = cut(status)
        {
            size -= saved;
        }
    }
}

/// Cuts the last leak on which that has an effect, the first few excepted.
fn shorten(status: &mut Status, cut: impl Fn(&mut LeakLine)) -> Option<usize> {
    let mut lesser = status.leaks.iter_mut().skip(IN_FULL).rev();
    lesser.find_map(|leak| {
        let before = bytes(leak);
        cut(leak);
        let saved = before - bytes(leak);
        (saved > 0).then_some(saved)
    })
}

fn pop_above<T: Serialize>(list: &mut Vec<T>, kept: usize) -> Option<usize> {
    if list.len() <= kept {
        return None;
    }
    list.pop().map(|last| bytes(&last))
}

fn bytes(of: &impl Serialize) -> usize {
    serde_json::to_vec(of).map_or(0, |json| json.len())
}
