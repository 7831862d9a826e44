//! Whose turn it is: one holder of each container, then a second of each, and so on, so that a
//! neighbour waits for one turn of a container, however many holders that has. Within a container
//! those that were left over at the last look come first, then the largest. Last of all come those
//! that could not be borrowed, who has waited longest first.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sexton_core::{Leak, ProcessId};

/// When a holder was waited for so long in all and no thread of it could be borrowed, that is a
/// failure, as the ladder counts it; before it is only busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose holders take their turns as one: those of a container, or of a user on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crowd<'a> {
    /// The id of the container.
    Container(&'a str),
    /// The user's id.
    User(u32),
}

impl<'a> Crowd<'a> {
    /// That of the leak's holder.
    pub fn of(leak: &'a Leak) -> Self {
        match &leak.container {
            Some(container) => Self::Container(&container.id),
            None => Self::User(leak.holder.uid),
        }
    }
}

/// What is remembered of the tries.
#[derive(Default)]
pub struct Turns {
    missed: HashMap<ProcessId, Missed>,
    left_over: HashSet<ProcessId>,
    tries: u64,
}

/// The first comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Which of its crowd it is.
    Place(usize),
    /// With the number of its last try.
    Last(u64),
}

/// A holder no thread of which could be borrowed in its time.
#[derive(Default)]
struct Missed {
    /// How often, without a success between.
    times: u32,
    /// How long it was waited for since that last counted as a failure.
    waited: Duration,
    /// The number of its last try.
    last: u64,
}

impl Turns {
    /// Forgets the holders that hold nothing any more.
    pub fn keep_only(&mut self, leaks: &[Leak]) {
        if self.missed.is_empty() && self.left_over.is_empty() {
            return;
        }
        let there: HashSet<ProcessId> = leaks.iter().map(|leak| leak.holder.id).collect();
        self.missed.retain(|holder, _| there.contains(holder));
        self.left_over.retain(|holder| there.contains(holder));
    }

    /// Puts them, which come by size, into the order in which they are dealt with.
    pub fn in_order<'a, T>(
        &self,
        mut candidates: Vec<T>,
        who: impl Fn(&T) -> (ProcessId, Crowd<'a>),
    ) -> Vec<T> {
        // Stable: by size still.
        candidates.sort_by_key(|candidate| !self.left_over.contains(&who(candidate).0));
        let mut before: HashMap<Crowd<'a>, usize> = HashMap::new();
        let mut with_turns: Vec<_> = candidates
            .into_iter()
            .map(|candidate| {
                let (holder, crowd) = who(&candidate);
                let turn = match self.missed.get(&holder) {
                    Some(missed) => Turn::Last(missed.last),
                    None => {
                        let place = before.entry(crowd).or_default();
                        *place += 1;
                        Turn::Place(*place)
                    }
                };
                (turn, candidate)
            })
            .collect();
        with_turns.sort_by_key(|(turn, _)| *turn);
        with_turns.into_iter().map(|(_, it)| it).collect()
    }

    /// How often it was waited for in vain, where it comes last.
    pub fn misses(&self, holder: ProcessId) -> Option<u32> {
        self.missed.get(&holder).map(|missed| missed.times)
    }

    /// It could not be borrowed at once: it comes last from now on, until it was dealt with.
    pub fn put_last(&mut self, holder: ProcessId) {
        self.tries += 1;
        self.missed.entry(holder).or_default().last = self.tries;
    }

    /// No thread of it could be borrowed for so long. How long it was waited for in all, where
    /// that is a failure by now.
    pub fn missed(&mut self, holder: ProcessId, waited: Duration) -> Option<Duration> {
        self.put_last(holder);
        let missed = self.missed.entry(holder).or_default();
        missed.times += 1;
        missed.waited += waited;
        (missed.waited >= PATIENCE).then(|| std::mem::take(&mut missed.waited))
    }

    /// It was dealt with.
    pub fn met(&mut self, holder: ProcessId) {
        self.missed.remove(&holder);
    }

    /// The time was over before their turn came: they come first at the next look.
    pub fn leave_over(&mut self, holders: impl Iterator<Item = ProcessId>) {
        self.left_over = holders.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pid: u32) -> ProcessId {
        ProcessId {
            pid,
            start_ticks: 1,
        }
    }

    fn sorted(turns: &Turns, pids: Vec<u32>) -> Vec<u32> {
        turns.in_order(pids, |pid| (id(*pid), Crowd::User(*pid)))
    }

    #[test]
    fn a_crowd_costs_a_neighbour_one_turn() {
        let crowd = |pid: &u32| {
            (
                id(*pid),
                Crowd::Container(if *pid < 100 { "a" } else { "b" }),
            )
        };
        let mut turns = Turns::default();
        let pids = vec![10, 11, 12, 100, 13, 101];
        let by_turns = turns.in_order(pids.clone(), crowd);
        assert_eq!(by_turns, [10, 100, 11, 101, 12, 13]);
        turns.leave_over([12, 13, 101].into_iter().map(id));
        let by_turns = turns.in_order(pids, crowd);
        assert_eq!(by_turns, [12, 101, 13, 100, 10, 11]);
    }

    #[test]
    fn left_over_then_by_size_and_the_uncooperative_last() {
        let mut turns = Turns::default();
        assert_eq!(sorted(&turns, vec![9, 8, 7, 6]), [9, 8, 7, 6]);
        let second = Duration::from_secs(1);
        assert_eq!(turns.missed(id(9), second), None);
        assert_eq!(turns.missed(id(8), second), None);
        turns.leave_over([id(6)].into_iter());
        assert_eq!(sorted(&turns, vec![9, 8, 7, 6]), [6, 7, 9, 8]);
        assert_eq!(turns.missed(id(9), second), None);
        assert_eq!(sorted(&turns, vec![9, 8, 7, 6]), [6, 7, 8, 9]);
        turns.met(id(9));
        assert_eq!(turns.misses(id(9)), None);
        turns.put_last(id(7));
        assert_eq!(turns.misses(id(7)), Some(0));
        assert_eq!(sorted(&turns, vec![9, 8, 7, 6]), [6, 9, 8, 7]);
    }

    #[test]
    fn only_a_long_wait_is_a_failure_and_then_another_one() {
        let mut turns = Turns::default();
        for seconds in [1, 2, 4] {
            assert_eq!(turns.missed(id(9), Duration::from_secs(seconds)), None);
        }
        let failed = turns.missed(id(9), Duration::from_secs(5));
        assert_eq!(failed, Some(Duration::from_secs(12)));
        assert_eq!(turns.missed(id(9), Duration::from_secs(9)), None);
        assert_eq!(turns.misses(id(9)), Some(5));
    }
}
