//! What became of the children of each place in the code.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sexton_core::ProcessId;
use sexton_scan::proc::Proc;

use crate::{Birth, Chain, Error, Frame, Symbolizer};

/// Most children that are remembered; those that follow are counted as missed.
const CHILDREN: usize = 65_536;
/// Most different chains of addresses.
const CHAINS: usize = 4096;

/// One place in the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the first frame outside the standard library to the last, as it was seen first. Where
    /// that is not certain, all.
    pub chain: Vec<Frame>,
    /// How many children it started.
    pub started: u64,
    /// How many of them were zombies at the last look already, and still are.
    pub standing: u64,
    /// How long ago the first of those that stand was started.
    pub oldest: Option<Duration>,
    /// How many still run, or ended so late that their parent had no time to wait for them.
    pub running: u64,
}

impl Place {
    /// Whether the place is certain: each call from it inwards is.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.chain
            .first()
            .is_some_and(|frame| !frame.library && frame.certain)
    }

    /// How many are gone: they were waited for, or the kernel removed them at once because the
    /// parent ignores SIGCHLD.
    #[must_use]
    pub fn gone(&self) -> u64 {
        self.started
            .saturating_sub(self.standing)
            .saturating_sub(self.running)
    }
}

struct Child {
    pid: u32,
    born: Instant,
    /// When it started; `None` where it was gone before we looked.
    start_ticks: Option<u64>,
    chain: usize,
    /// Whether it was a zombie at the last [`Places::look`].
    was_zombie: bool,
}

/// Remembers children, and says in the end what became of them.
#[derive(Default)]
pub struct Places {
    chains: HashMap<Chain, usize>,
    children: Vec<Child>,
    missed: u64,
}

impl Places {
    /// Takes a child. To be called soon after its birth: a pid alone does not tell who it is.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn add(&mut self, proc: &Proc, birth: Birth) -> Result<(), Error> {
        let known = self.chains.get(&birth.chain).copied();
        if self.children.len() >= CHILDREN || (known.is_none() && self.chains.len() >= CHAINS) {
            self.missed = self.missed.saturating_add(1);
            return Ok(());
        }
        let next = self.chains.len();
        let chain = *self.chains.entry(birth.chain).or_insert(next);
        let stat = match proc.process(birth.child)? {
            Some(process) => process.stat()?,
            None => None,
        };
        let start_ticks = stat.map(|stat| stat.start_ticks);
        self.children.push(Child {
            pid: birth.child,
            born: Instant::now(),
            start_ticks,
            chain,
            was_zombie: false,
        });
        Ok(())
    }

    /// The children that are remembered, and were still there when they were taken.
    pub fn children(&self) -> impl Iterator<Item = ProcessId> {
        self.children.iter().filter_map(|child| {
            Some(ProcessId {
                pid: child.pid,
                start_ticks: child.start_ticks?,
            })
        })
    }

    /// Children that were not remembered, because there were too many.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Looks which children are zombies. Some time has to pass between this and
    /// [`Places::sum`]: every child is a zombie for a moment, also of a parent that waits.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn look(&mut self, proc: &Proc) -> Result<(), Error> {
        for child in &mut self.children {
            child.was_zombie = state(proc, child)? == Some(true);
        }
        Ok(())
    }

    /// The places, those with the most zombies first; of those with zombies, what is known first.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn sum(&self, proc: &Proc, names: &mut Symbolizer<'_>) -> Result<Vec<Place>, Error> {
        let mut places: Vec<Place> = Vec::new();
        let mut of_chain = HashMap::new();
        let mut chains: Vec<_> = self.chains.iter().collect();
        chains.sort_by_key(|(_, chain)| **chain);
        for (calls, chain) in chains {
            let frames = from_program(match calls {
                Chain::Addresses(addresses) => names.chain(addresses, false),
                Chain::Unwound(addresses) => names.chain(addresses, true),
                Chain::Calls(frames) => frames.clone(),
            });
            let found = places.iter().position(|place| is_at(place, &frames));
            let index = found.unwrap_or(places.len());
            if found.is_none() {
                places.push(Place {
                    chain: frames,
                    started: 0,
                    standing: 0,
                    oldest: None,
                    running: 0,
                });
            }
            of_chain.insert(*chain, index);
        }
        for child in &self.children {
            let place = of_chain
                .get(&child.chain)
                .and_then(|index| places.get_mut(*index));
            let Some(place) = place else { continue };
            place.started = place.started.saturating_add(1);
            match state(proc, child)? {
                Some(true) if child.was_zombie => {
                    place.standing = place.standing.saturating_add(1);
                    place.oldest = place.oldest.max(Some(child.born.elapsed()));
                }
                Some(_) => place.running = place.running.saturating_add(1),
                None => {}
            }
        }
        let leaks = |place: &Place| place.standing > 0;
        places.sort_by_key(|place| {
            let named = leaks(place) && place.is_known();
            std::cmp::Reverse((named, place.standing, place.started))
        });
        Ok(places)
    }
}

/// Whether a child is a zombie; `None` for one that is gone.
fn state(proc: &Proc, child: &Child) -> Result<Option<bool>, Error> {
    let Some(start) = child.start_ticks else {
        return Ok(None);
    };
    let stat = match proc.process(child.pid)? {
        Some(process) => process.stat()?,
        None => None,
    };
    let same = stat.filter(|stat| stat.start_ticks == start);
    Ok(same.map(|stat| stat.is_reapable_zombie()))
}

/// Whether a chain begins where the place is. Callers may differ, unless one of them is the place.
fn is_at(place: &Place, frames: &[Frame]) -> bool {
    match (place.chain.first(), frames.first()) {
        (Some(known), Some(new)) if place.is_known() => new.certain && known.same_place(new),
        _ => {
            let same = |(a, b): (&Frame, &Frame)| a.same_place(b) && a.certain == b.certain;
            place.chain.len() == frames.len() && place.chain.iter().zip(frames).all(same)
        }
    }
}

fn from_program(mut frames: Vec<Frame>) -> Vec<Frame> {
    let unsure = |frame: &Frame| !frame.library || !frame.certain;
    let first = frames.iter().position(unsure);
    if let Some(first) = first.filter(|first| frames.get(*first).is_some_and(|f| f.certain)) {
        frames.drain(..first);
        // What calls the program's first function tells nothing.
        let last = frames.iter().rposition(|frame| !frame.library);
        frames.truncate(last.map_or(0, |last| last.saturating_add(1)));
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(library: bool, line: Option<u32>) -> Frame {
        Frame {
            function: None,
            source: line.map(|line| ("a.go".to_owned(), line)),
            module: ("a".to_owned(), 0),
            library,
            certain: line.is_some(),
        }
    }

    fn place(frames: Vec<Frame>) -> Place {
        Place {
            chain: from_program(frames),
            started: 1,
            standing: 1,
            oldest: None,
            running: 0,
        }
    }

    #[test]
    fn the_first_frame_of_the_program_is_the_place() {
        let place = place(vec![
            frame(true, Some(1)),
            frame(false, Some(2)),
            frame(true, Some(1)),
            frame(false, Some(3)),
            frame(true, Some(4)),
        ]);
        assert!(place.is_known());
        assert_eq!(place.chain.len(), 3);
        assert_eq!(place.chain.first(), Some(&frame(false, Some(2))));
    }

    #[test]
    fn behind_a_frame_without_a_line_nothing_is_certain() {
        for first in [frame(true, None), frame(false, None)] {
            let place = place(vec![first, frame(false, Some(2))]);
            assert!(!place.is_known());
            assert_eq!(place.chain.len(), 2);
        }
        assert!(!place(Vec::new()).is_known());
        assert!(!place(vec![frame(true, Some(1))]).is_known());
    }
}
