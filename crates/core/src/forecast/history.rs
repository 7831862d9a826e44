//! What was seen of one leak, and the looks back that are taken upon it.

use std::time::Duration;

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

/// What happened in a span of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LookBack {
    pub(super) seconds: f64,
    /// Zombies more at its end than at its beginning.
    pub(super) total: f64,
    /// Variance of `total`, were the same span to be lived through again.
    variance: f64,
    /// Into how many steps the samples divide it.
    pub(super) steps: usize,
    /// Seconds at its end in which nothing changed.
    pub(super) quiet_seconds: f64,
    /// How often the count fell.
    pub(super) falls: usize,
    /// Sum of all rises and of all falls.
    risen: f64,
    fallen: f64,
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

    /// The longest span of the samples that is not contradicted by what came at its end.
    pub(super) fn look_back(&self) -> Option<LookBack> {
        let tails = self.tails();
        let candidate = |tail: &LookBack| tail.steps >= Self::MIN_STEPS;
        (0..tails.len())
            .take_while(|&i| i == 0 || candidate(&tails[i]))
            .find(|&i| {
                tails[i + 1..]
                    .iter()
                    .all(|shorter| tails[i].goes_on_in(shorter))
            })
            .or_else(|| tails.iter().rposition(candidate))
            .or(if tails.is_empty() { None } else { Some(0) })
            .map(|i| tails[i])
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

impl LookBack {
    /// `count` zombies that came one by one in the last `seconds`.
    pub(super) fn of_independent(seconds: f64, count: u64) -> Self {
        let total = count as f64;
        Self {
            seconds,
            total,
            variance: total,
            steps: 1,
            quiet_seconds: 0.0,
            falls: 0,
            risen: total,
            fallen: 0.0,
        }
    }

    /// `None` for less than one step.
    fn of_samples(samples: &[(Duration, u64)]) -> Option<Self> {
        let [(begin, first), .., (end, last)] = *samples else {
            return None;
        };
        let seconds = (end - begin).as_secs_f64();
        let total = last as f64 - first as f64;
        let rate = total / seconds;
        // What each step brought, beyond what the mean rate explains; only uneven steps need it.
        let excess: Vec<f64> = samples
            .windows(2)
            .map(|pair| {
                let change = pair[1].1 as f64 - pair[0].1 as f64;
                change - rate * (pair[1].0 - pair[0].0).as_secs_f64()
            })
            .collect();
        let changes = samples
            .windows(2)
            .map(|pair| pair[1].1 as f64 - pair[0].1 as f64);
        let risen: f64 = changes.clone().filter(|c| *c > 0.0).sum();
        let fallen: f64 = changes.clone().filter(|c| *c < 0.0).map(|c| -c).sum();
        let steps = excess.len();
        // Differences of neighbours (Rice's estimator) measure noise and jumps, but not a rate
        // that changed once: a plateau must not pass for noise.
        let between: f64 = excess.windows(2).map(|e| (e[1] - e[0]).powi(2) / 2.0).sum();
        let between = if steps > 1 {
            between * steps as f64 / (steps - 1) as f64
        } else {
            0.0
        };
        let last_change = samples.iter().rposition(|&(_, c)| c != last);
        let quiet_since = last_change.map_or(begin, |i| samples[i + 1].0);
        Some(Self {
            seconds,
            total,
            // Zombies that come independently scatter at least like this (Poisson).
            variance: between.max(risen + fallen),
            steps,
            quiet_seconds: (end - quiet_since).as_secs_f64(),
            falls: changes.filter(|c| *c < 0.0).count(),
            risen,
            fallen,
        })
    }

    /// Zombies a second.
    pub(super) fn rate(&self) -> f64 {
        self.total / self.seconds
    }

    /// How many independent events `total` is worth; 0 when nothing changed.
    pub(super) fn events(&self) -> f64 {
        if self.variance > 0.0 {
            self.total * self.total / self.variance
        } else {
            0.0
        }
    }

    /// Bounds of the rate (95%), for a span that grew: those of a Poisson count of `events`,
    /// by the approximation of Wilson and Hilferty.
    pub(super) fn rate_range(&self) -> (f64, f64) {
        let n = self.events();
        let bound = |n: f64, z: f64| n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * n.sqrt())).powi(3);
        let low = bound(n, -1.96).max(0.0) / n;
        let high = bound(n + 1.0, 1.96) / n;
        (self.rate() * low, self.rate() * high)
    }

    /// Up and down, with no more than a third of the way down left out.
    pub(super) fn saws(&self) -> bool {
        self.fallen > 0.0 && self.fallen * 3.0 >= self.risen
    }

    /// The shorter span, which ends this one, shows what one would expect from this one.
    ///
    /// The lower side is the stricter: to see nothing where four events were due is rare (2%),
    /// to see one where a tenth was due is not.
    pub(super) fn goes_on_in(&self, shorter: &LookBack) -> bool {
        let share = shorter.seconds / self.seconds;
        let expected = self.total * share;
        let deviation = (self.variance * share).sqrt();
        let more = shorter.total - expected;
        let (toward_zero, away) = (2.0 * deviation, 3.0 * deviation + 1.0);
        if self.total >= 0.0 {
            -toward_zero <= more && more <= away
        } else {
            -away <= more && more <= toward_zero
        }
    }
}
