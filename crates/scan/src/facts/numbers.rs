//! What the numbers of processes tell of where zombies came from.
//!
//! A PID namespace gives its numbers out one after another (kernel/pid.c, `idr_alloc_cyclic`),
//! to threads as well. A process that has ended and was waited for leaves a gap. The parent of
//! an orphan has ended; so where no number is missing between the zombies, no parent of theirs
//! came and went between them.

use std::collections::HashSet;

use sexton_core::SigchldAction;

use super::namespace::Member;
use crate::notes::Notes;
use crate::proc::Process;
use crate::{Error, Scanner};

/// So few in a row may be chance.
const IN_A_ROW: usize = 3;
/// Threads of the namespace whose numbers are read.
const MAX_THREADS: usize = 1_024;

/// Pids, as the zombies' own namespace counts them, of those of `zombies` that are the last in
/// an unbroken row: the newest and those before it, down to the first missing number.
pub(super) fn unbroken(mut zombies: Vec<u32>, others: &HashSet<u32>) -> HashSet<u32> {
    zombies.sort_unstable_by(|a, b| b.cmp(a));
    let mut row = HashSet::new();
    let mut expected = zombies.first().copied().unwrap_or(0);
    for number in zombies {
        while expected > number && others.contains(&expected) {
            expected = expected.saturating_sub(1);
        }
        if expected != number {
            break;
        }
        row.insert(number);
        expected = expected.saturating_sub(1);
    }
    if row.len() < IN_A_ROW {
        row.clear();
    }
    row
}

/// Those of `zombies` below which no number is missing: all that the namespace ever had by then
/// is there to be seen, so the parent of each is as well.
pub(super) fn complete(mut zombies: Vec<u32>, others: &HashSet<u32>) -> HashSet<u32> {
    zombies.sort_unstable();
    let mut expected = 1_u32;
    let mut whole = HashSet::new();
    for number in zombies {
        while expected < number && others.contains(&expected) {
            expected = expected.saturating_add(1);
        }
        if expected != number {
            break;
        }
        whole.insert(number);
        expected = expected.saturating_add(1);
    }
    whole
}

/// The numbers of all processes and threads of the namespace that are there to be seen.
pub(super) fn taken(
    scanner: &Scanner,
    members: &[Member],
    notes: &mut Notes,
) -> Result<HashSet<u32>, Error> {
    let mut taken: HashSet<u32> = members.iter().map(|member| member.inner_pid).collect();
    let mut left = MAX_THREADS;
    for member in members.iter().filter(|member| member.threads > 1) {
        let Some(process) = notes.take(scanner.proc().process(member.pid)) else {
            continue;
        };
        for tid in notes.take(process.tasks()).unwrap_or_default() {
            if left == 0 {
                return Ok(taken);
            }
            left = left.saturating_sub(1);
            taken.extend(number_of_thread(&process, tid, notes));
        }
    }
    Ok(taken)
}

/// `NSpid` of a thread is its own number, not that of its process.
fn number_of_thread(process: &Process, tid: u32, notes: &mut Notes) -> Option<u32> {
    super::task_status(process, tid, notes)?
        .ns_pids
        .last()
        .copied()
}

/// A live process may be an ancestor of orphans only if a child of its own has ended and is
/// gone: it has waited for one, or has the kernel do it.
pub(super) fn may_have_left_orphans(member: &Member) -> bool {
    !member.ended && (member.waited_faults > 0 || member.sigchld == SigchldAction::Ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_ends_the_row() {
        let row = |zombies: &[u32], others: &[u32]| {
            let others = others.iter().copied().collect();
            let mut row: Vec<u32> = unbroken(zombies.to_vec(), &others).into_iter().collect();
            row.sort_unstable();
            row
        };
        assert_eq!(row(&[4, 5, 6], &[1]), [4, 5, 6]);
        // Threads and live children stand between.
        assert_eq!(row(&[4, 5, 8], &[1, 6, 7, 9]), [4, 5, 8]);
        // mkdir of the entry point was 2; 3 is older than the gap at 4.
        assert_eq!(row(&[3, 5, 6, 7], &[1]), [5, 6, 7]);
        // Each orphan's parent is missing.
        assert!(row(&[3, 5, 7, 9], &[1]).is_empty());
        assert!(row(&[3, 4], &[1]).is_empty());
        assert!(row(&[], &[1]).is_empty());
    }

    #[test]
    fn what_stands_below_a_gap_is_complete() {
        let whole = |zombies: &[u32], others: &[u32]| {
            let others = others.iter().copied().collect();
            complete(zombies.to_vec(), &others).len()
        };
        assert_eq!(whole(&[2], &[1]), 1);
        assert_eq!(whole(&[2, 4, 5], &[1, 3]), 3);
        assert_eq!(whole(&[2, 4, 5], &[1]), 1);
        // mkdir of the entry point was 2.
        assert_eq!(whole(&[3, 4, 5], &[1]), 0);
        assert_eq!(whole(&[], &[]), 0);
    }
}
