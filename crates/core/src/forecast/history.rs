//! What was seen of one leak, and the looks back that are taken upon it.

use std::time::Duration;

use super::LookBack;

/// How often a leak's zombies were counted, and what the count was.
///
/// Memory is bounded: at [`History::CAPACITY`] samples every second one of the older half is
/// dropped, so that a watch of days keeps its start, ever more coarsely.
///
/// Start a new history after zombies were taken away by one's own hand: a fall that the holder
/// did not make would be taken for its habit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    samples: Vec<(Duration, u64)>,
}

impl History {
    /// The most samples that are kept.
    pub const CAPACITY: usize = 128;
    /// Samples that are fewer steps than this are not cut into shorter spans: a single jump
    /// could not be told from a rate in them.
    const MIN_STEPS: usize = 4;

    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a count that was taken at `at` on any clock that only goes forward. A sample that
    /// is not later than the last one replaces its count; time never runs backward here.
    pub fn push(&mut self, at: Duration, count: u64) {
        match self.samples.last_mut() {
            Some(last) if at <= last.0 => last.1 = count,
            _ => self.samples.push((at, count)),
        }
        if self.samples.len() > Self::CAPACITY {
            let older = self.samples.len() / 2;
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index > older || index % 2 == 1
            });
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The first sample.
    #[must_use]
    pub fn first(&self) -> Option<(Duration, u64)> {
        self.samples.first().copied()
    }

    /// The last sample.
    #[must_use]
    pub fn last(&self) -> Option<(Duration, u64)> {
        self.samples.last().copied()
    }

    /// Time from the first sample to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        match (self.first(), self.last()) {
            (Some((first, _)), Some((last, _))) => last.saturating_sub(first),
            _ => Duration::ZERO,
        }
    }

    /// The holder was seen to take away a good part of its zombies at once.
    pub(super) fn saw_reaping(&self) -> bool {
        self.samples.windows(2).any(|pair| {
            let (before, after) = (pair[0].1, pair[1].1);
            let fall = before.saturating_sub(after);
            fall >= 3 && fall.saturating_mul(10) >= before
        })
    }

    /// The longest span of the samples that is not contradicted by what came at its end, nor by
    /// `others` that are shorter. With `strict` there may be none such.
    pub(super) fn look_back(&self, others: &[LookBack], strict: bool) -> Option<LookBack> {
        let tails = self.tails();
        let candidate = |tail: &LookBack| tail.steps >= Self::MIN_STEPS;
        let agreed = (0..tails.len())
            .take_while(|&i| i == 0 || candidate(&tails[i]))
            .find(|&i| {
                let others = others.iter().filter(|o| o.seconds < tails[i].seconds);
                (tails[i + 1..].iter().chain(others)).all(|shorter| tails[i].goes_on_in(shorter))
            });
        let agreed = match agreed {
            None if !strict => {
                tails
                    .iter()
                    .rposition(candidate)
                    .or(if tails.is_empty() { None } else { Some(0) })
            }
            agreed => agreed,
        };
        agreed.map(|i| tails[i])
    }

    /// Spans of the samples that end now, longest first: the whole, its halves, and the time
    /// since the count last changed.
    pub(super) fn tails(&self) -> Vec<LookBack> {
        let Some((end, count)) = self.last() else {
            return Vec::new();
        };
        let span = self.span();
        let mut begins: Vec<usize> = (0..u32::BITS)
            .map(|halvings| end.saturating_sub(span / (1 << halvings.min(30))))
            .map(|begin| self.samples.partition_point(|&(at, _)| at < begin))
            .collect();
        begins.extend(
            self.samples
                .iter()
                .rposition(|&(_, c)| c != count)
                .map(|i| i + 1),
        );
        begins.sort_unstable();
        begins.dedup();
        begins
            .into_iter()
            .filter_map(|begin| LookBack::of_samples(self.samples.get(begin..)?))
            .collect()
    }
}
