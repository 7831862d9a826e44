//! From the zombies of one holder to what a report says of them.

use std::collections::{BTreeMap, HashMap};

use sexton_core::Holder;
use sexton_core::forecast::Starts;
use sexton_core::report::{Ages, CommandCount, Started};

use crate::proc::{Comm, Stat};

/// Zombies of a leak that are read one by one unless all are asked for. A command with a share
/// of 1 % is seen all but for certain, a share is right to about 3 %, and the time (2 to 5 µs
/// each) stays below that of counting a large leak.
pub(crate) const INSPECTED: usize = 1_024;
/// Zombies of a leak that the report shows.
pub(crate) const SHOWN: usize = 8;

/// Up to `wanted` of `items`, spread evenly, the first and the last among them.
pub(crate) fn spread<T: Copy>(items: &[T], wanted: usize) -> Vec<T> {
    if items.len() <= wanted {
        return items.to_vec();
    }
    let last = items.len().saturating_sub(1);
    let step = wanted.saturating_sub(1).max(1);
    let place = |i: usize| i.saturating_mul(last).checked_div(step);
    (0..wanted)
        .filter_map(|i| items.get(place(i)?).copied())
        .collect()
}

/// Names with their counts, most frequent first. When `zombies` is more than was inspected the
/// counts are scaled, so that they add up to it.
pub(crate) fn commands(inspected: &[Stat], zombies: u64) -> Vec<CommandCount> {
    let mut counts: HashMap<Comm, u64> = HashMap::new();
    for stat in inspected {
        let count = counts.entry(stat.comm).or_default();
        *count = count.saturating_add(1);
    }
    // Names that differ in bytes that are not UTF-8 look the same to people.
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    for (comm, count) in counts {
        let sum = named.entry(comm.to_lossy()).or_default();
        *sum = sum.saturating_add(count);
    }
    let mut commands: Vec<CommandCount> = named
        .into_iter()
        .map(|(name, count)| CommandCount { name, count })
        .collect();
    commands.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    let total = inspected.len() as u64;
    if total != 0 && total != zombies {
        // Rounding the running sum, not each count, keeps the whole exact.
        let (mut seen, mut given) = (0_u64, 0);
        for command in &mut commands {
            seen = seen.saturating_add(command.count);
            let upto = scale(seen, zombies, total);
            command.count = upto.saturating_sub(given);
            given = upto;
        }
    }
    commands
}

/// Ages from start times. `now_ticks` is the time since boot in clock ticks of `hertz`;
/// `holder_start` that of the holder.
pub(crate) fn ages(
    inspected: &[Stat],
    zombies: u64,
    holder_start: u64,
    (now_ticks, hertz): (u64, u64),
) -> Ages {
    let ticks = |start: u64| now_ticks.saturating_sub(start);
    let hundredths = |start: u64| in_seconds(ticks(start).saturating_mul(100), hertz);
    let seconds = |stat: &Stat| in_seconds(ticks(stat.start_ticks), hertz);
    let within = |limit| {
        let count = inspected
            .iter()
            .filter(|stat| seconds(stat) < limit)
            .count() as u64;
        scale(count, zombies, inspected.len() as u64)
    };
    Ages {
        oldest_seconds: inspected.iter().map(seconds).max(),
        youngest_seconds: inspected.iter().map(seconds).min(),
        started: Started {
            last_minute: within(60),
            last_ten_minutes: within(600),
            last_hour: within(3_600),
        },
        starts: Starts::new(
            inspected.iter().map(|stat| hundredths(stat.start_ticks)),
            zombies,
            Some(hundredths(holder_start)),
        ),
    }
}

/// The holder has taken in children that it did not fork, though it is not PID 1: it is a
/// subreaper (`PR_SET_CHILD_SUBREAPER`), which the kernel shows nowhere.
///
/// A child is born into its parent's session, and leaves it only for one of its own. So a child
/// whose session is neither the holder's nor its own was forked by another. A holder that leads
/// its session may have entered it after the fork, so nothing is said of one. Session 0 is one
/// led from outside the reader's PID namespace (`docker exec` gives it), inherited like any.
pub(crate) fn is_subreaper(holder: &Holder, holder_stat: &Stat, inspected: &[Stat]) -> bool {
    let session = holder_stat.session;
    if holder.namespace_init || session == holder.id.pid {
        return false;
    }
    inspected.iter().any(|zombie| {
        zombie.session != 0 && zombie.session != session && zombie.session != zombie.pid
    })
}

/// Clock ticks in whole seconds.
pub(crate) fn in_seconds(ticks: u64, hertz: u64) -> u64 {
    ticks.checked_div(hertz).unwrap_or(ticks)
}

/// `part` of `inspected` as a part of `zombies`, rounded.
fn scale(part: u64, zombies: u64, inspected: u64) -> u64 {
    let (part, zombies, inspected) = (part.into(), zombies.into(), u128::from(inspected));
    // The product of two numbers of 64 bits has 128.
    let scaled = u128::saturating_mul(part, zombies)
        .saturating_add(inspected / 2)
        .checked_div(inspected);
    u64::try_from(scaled.unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
