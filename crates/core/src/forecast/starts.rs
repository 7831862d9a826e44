//! What the standing zombies themselves tell: when each was started.

use super::LookBack;

/// When the zombies of one look were started, and since when their holder is there.
///
/// One look tells the history of a leak by it, as long as the holder has waited for none of them.
/// It belongs to that look alone and is not written into the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starts {
    /// Hundredths of a second since the start, the oldest first.
    ages: Vec<u32>,
    /// How many zombies these stand for.
    zombies: u64,
    /// Hundredths of a second since the start of the holder; `None` where it is not known.
    holder: Option<u32>,
}

/// A holder that is so much older than its oldest zombie may have waited for others before.
const OLDER: f64 = 4.0;
/// Who has held zombies for so long does not wait from time to time.
const LONG: f64 = 600.0;
/// No span is shorter: starts are known to a hundredth of a second, deaths are later.
const SHORTEST: f64 = 1.0;

impl Starts {
    /// The most starts that are kept of one look.
    pub const CAPACITY: usize = 256;

    /// Of `zombies` zombies, an even part of which was started so many hundredths of a second
    /// ago, in any order. `holder`: the age of the holder, in the same unit.
    #[must_use]
    pub fn new(ages: impl IntoIterator<Item = u64>, zombies: u64, holder: Option<u64>) -> Self {
        let short = |age: u64| u32::try_from(age).unwrap_or(u32::MAX);
        let holder = holder.map(short);
        // What is older than its holder has come to it, and not before the holder was there.
        let most = holder.unwrap_or(u32::MAX);
        let mut ages: Vec<u32> = ages.into_iter().map(|age| short(age).min(most)).collect();
        ages.sort_unstable_by(|a, b| b.cmp(a));
        if ages.len() > Self::CAPACITY {
            let last = ages.len() - 1;
            ages = (0..Self::CAPACITY)
                .map(|i| ages[i * last / (Self::CAPACITY - 1)])
                .collect();
        }
        Self {
            ages,
            zombies,
            holder,
        }
    }

    /// How many were started in the last so many seconds.
    #[must_use]
    #[expect(clippy::cast_sign_loss, reason = "a count is not negative")]
    pub fn within(&self, seconds: u32) -> u64 {
        let bound = seconds.saturating_mul(100);
        let older = self.ages.partition_point(|age| *age >= bound);
        if self.zombies == self.ages.len() as u64 {
            self.zombies - older as u64
        } else {
            self.since(f64::from(bound)).round() as u64
        }
    }

    /// Seconds since the last start; `None` where nothing is known.
    pub(super) fn quiet_seconds(&self) -> Option<f64> {
        self.ages.last().map(|age| f64::from(*age) / 100.0)
    }

    /// The holder is much older than what it holds, and holds nothing for long: it may wait from
    /// time to time, and this may be one tooth of a saw.
    pub(super) fn may_be_a_tooth(&self) -> bool {
        let (Some(oldest), Some(holder)) = (self.ages.first(), self.holder) else {
            return false;
        };
        let (oldest, holder) = (f64::from(*oldest) / 100.0, f64::from(holder) / 100.0);
        oldest < LONG && holder > OLDER * oldest + 5.0
    }

    /// Spans that end now, longest first: of the time since the oldest was started, which nothing
    /// that is told here can be older than, its halves, and the time since the last start.
    ///
    /// The first twentieth is left out: what came as the leak began, at once with its first one,
    /// is no rate.
    pub(super) fn tails(&self) -> Vec<LookBack> {
        let (Some(oldest), Some(quiet)) = (self.ages.first(), self.quiet_seconds()) else {
            return Vec::new();
        };
        let whole = f64::from(*oldest) / 100.0 * 0.95;
        let mut spans: Vec<f64> = std::iter::successors(Some(whole), |span| Some(span / 2.0))
            .take_while(|span| *span >= SHORTEST)
            .collect();
        if quiet >= SHORTEST {
            // Without the last start itself.
            spans.push(quiet - 0.01);
        }
        spans.sort_by(|a, b| b.total_cmp(a));
        spans.into_iter().map(|span| self.look_back(span)).collect()
    }

    fn look_back(&self, seconds: f64) -> LookBack {
        let bound = seconds * 100.0;
        let within = &self.ages[self.ages.partition_point(|age| f64::from(*age) > bound)..];
        let total = self.since(bound);
        let each = self.zombies as f64 / self.ages.len() as f64;
        let dispersion = dispersion(within, each);
        LookBack {
            seconds,
            total,
            // Nothing is surer than if it came by chance: how even it was may not last.
            variance: total * dispersion.max(1.0),
            steps: 1,
            quiet_seconds: self.quiet_seconds().unwrap_or(0.0).min(seconds),
            falls: 0,
            risen: total,
            fallen: 0.0,
            told: true,
            late: self.since(bound / 2.0).min(total),
            dispersion,
        }
    }

    /// How many came in the last `bound` hundredths of a second, which lies between two of them: on the line from the middle
    /// of one step of the count to that of the next.
    pub(super) fn since(&self, bound: f64) -> f64 {
        let next = self.ages.partition_point(|age| f64::from(*age) > bound);
        let Some(after) = self.ages.get(next).map(|age| f64::from(*age)) else {
            return 0.0;
        };
        let Some(before) = next.checked_sub(1) else {
            return self.zombies as f64;
        };
        let age = f64::from(self.ages[before]);
        let step = self.rank(next) - self.rank(before);
        self.zombies as f64 - self.rank(before) - 0.5 - step * (age - bound) / (age - after)
    }

    /// How many are older than the start at `index`: those that are kept are an even part.
    fn rank(&self, index: usize) -> f64 {
        let last = self.ages.len().saturating_sub(1).max(1);
        index as f64 * self.zombies.saturating_sub(1) as f64 / last as f64
    }
}

/// Nothing counts as more even than this: one that comes or not at the edge of a span is chance.
const EVENLY: f64 = 0.25;

/// By how much a count of these scatters more than one of events that come by chance (1): the
/// squared coefficient of variation of the times between them. Twenty that come at once, again
/// and again, give about twenty: they are one event. Each of `ages` stands for `each` starts.
///
/// Measured between neighbours, so that a rate that changes is not mistaken for scatter; the time
/// since the last one is left out, since it may be the end.
fn dispersion(ages: &[u32], each: f64) -> f64 {
    let gaps: Vec<f64> = ages
        .windows(2)
        .map(|pair| f64::from(pair[0] - pair[1]))
        .collect();
    let whole: f64 = gaps.iter().sum();
    if gaps.len() < 2 || whole == 0.0 {
        return 1.0;
    }
    let squares: f64 = gaps
        .windows(2)
        .map(|gap| (gap[1] - gap[0]).powi(2) / 2.0)
        .sum();
    let count = gaps.len() as f64;
    let variance = squares / (count - 1.0);
    // The time that so many take scatters by so much less.
    (each * variance / (whole / count).powi(2)).max(EVENLY)
}
