//! What happened in a span of time that ends now.

use std::time::Duration;

/// What happened in a span of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LookBack {
    pub(super) seconds: f64,
    /// Zombies more at its end than at its beginning.
    pub(super) total: f64,
    /// Variance of `total`, were the same span to be lived through again.
    pub(super) variance: f64,
    /// Into how many steps the samples divide it.
    pub(super) steps: usize,
    /// Seconds at its end in which nothing changed.
    pub(super) quiet_seconds: f64,
    /// How often the count fell.
    pub(super) falls: usize,
    /// Sum of all rises and of all falls.
    pub(super) risen: f64,
    pub(super) fallen: f64,
    /// The zombies tell it, not the samples.
    pub(super) told: bool,
    /// How much of `total` came in its later half.
    pub(super) late: f64,
    /// By how much counts of it scatter more (above 1) or less than those of events that come by
    /// chance: a program that forks by a timer scatters less, so that a change of its rate shows
    /// sooner.
    pub(super) dispersion: f64,
}

/// A rate that is measured over one half of a span and over the other may differ by so many
/// standard deviations by chance.
const RISES: f64 = 0.5;
const FALLS: f64 = 1.0;

impl LookBack {
    /// `None` for less than one step.
    pub(super) fn of_samples(samples: &[(Duration, u64)]) -> Option<Self> {
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
        let middle = begin + (end - begin) / 2;
        let late = last as f64 - count_at(samples, middle);
        // Zombies that come independently scatter at least like this (Poisson).
        let variance = between.max(risen + fallen);
        let last_change = samples.iter().rposition(|&(_, c)| c != last);
        let quiet_since = last_change.map_or(begin, |i| samples[i + 1].0);
        Some(Self {
            seconds,
            total,
            variance,
            steps,
            quiet_seconds: (end - quiet_since).as_secs_f64(),
            falls: changes.filter(|c| *c < 0.0).count(),
            risen,
            fallen,
            late,
            dispersion: if total == 0.0 {
                1.0
            } else {
                variance / total.abs()
            },
            told: false,
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

    /// How many zombies one independent event brings; 1 where they come one by one.
    pub(super) fn scatter(&self) -> f64 {
        self.variance / self.total
    }

    /// Bounds of the mean rate (95%) at which `more` come after a span that grew: those of a
    /// Poisson count, by the approximation of Wilson and Hilferty. What comes scatters as what
    /// came did.
    pub(super) fn rate_range(&self, more: f64) -> (f64, f64) {
        let n = 1.0 / (1.0 / self.events() + self.scatter() / more);
        let bound = |n: f64, z: f64| n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * n.sqrt())).powi(3);
        let low = bound(n, -1.96).max(0.0) / n;
        let high = bound(n + 1.0, 1.96) / n;
        (self.rate() * low, self.rate() * high)
    }

    /// By what share of itself the rate changes a second, as its two halves show it; 0 where they
    /// may differ by chance. A rise counts sooner than a fall: who is warned too early loses less.
    pub(super) fn drift(&self) -> f64 {
        // Threefold from one half to the other: more is no drift but a leak that has begun.
        const MOST: f64 = 1.1;
        let early = self.total - self.late;
        if self.total <= 0.0 || early < 0.0 || self.late < 0.0 {
            return 0.0;
        }
        let variance = self.total * self.dispersion;
        let deviations = (self.late - early) / variance.max(1.0).sqrt();
        if (-FALLS..=RISES).contains(&deviations) {
            return 0.0;
        }
        let ratio = ((self.late + 1.0) / (early + 1.0)).ln();
        let scatter = (self.dispersion * (1.0 / (self.late + 1.0) + 1.0 / (early + 1.0))).sqrt();
        let ratio = ratio + scatter.copysign(ratio);
        ratio.clamp(-MOST, MOST) / (self.seconds / 2.0)
    }

    /// Seconds until `headroom` more have come at `rate`, the mean of this span, where the rate
    /// goes on to change by the share `drift` a second; `None` where it dies away before.
    pub(super) fn reaches(&self, headroom: f64, rate: f64, drift: f64) -> Option<f64> {
        if drift == 0.0 {
            return Some(headroom / rate);
        }
        // The mean is that of the middle.
        let now = rate * (drift * self.seconds / 2.0).exp();
        let growth = 1.0 + headroom * drift / now;
        (growth > 0.0).then(|| growth.ln() / drift)
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

/// The count at a moment between the first sample and the last, on the line from one to the next.
fn count_at(samples: &[(Duration, u64)], at: Duration) -> f64 {
    let after = samples.partition_point(|&(time, _)| time < at);
    let (Some(&(later, count)), Some(&(earlier, before))) =
        (samples.get(after), samples.get(after.saturating_sub(1)))
    else {
        return samples.last().map_or(0.0, |&(_, count)| count as f64);
    };
    if later <= earlier {
        return count as f64;
    }
    let share = (at - earlier).as_secs_f64() / (later - earlier).as_secs_f64();
    before as f64 + (count as f64 - before as f64) * share
}
