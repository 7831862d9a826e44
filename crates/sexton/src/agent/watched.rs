//! A leak as the looks so far have shown it, and whether it is held.

use std::time::Duration;

use sexton_core::forecast::{Forecast, History, Starts, Trend};
use sexton_core::{Confidence, Leak, Limit};

use super::record::BeforeAndAfter;

/// A leak as the looks so far have shown it.
#[derive(Default)]
pub struct Watched {
    counts: History,
    /// The limits that bind the holder.
    pub limits: Vec<Limit>,
    /// Taken away by ourselves: added to what stands, so that the rate is the leak's own.
    pub taken: u64,
    /// How fast it grows, or would.
    pub rate_per_second: f64,
    /// When it was last dealt with, since boot, and how many zombies it had made by then.
    pub dealt_with: Option<(Duration, u64)>,
    /// How many stood before each step that took away what it was to; empty where the last one
    /// did not, or nothing is done any more.
    peaks: History,
    /// The highest of them.
    peak: u64,
}

impl Watched {
    /// A look has shown it: when is a limit reached?
    pub fn looked(
        &mut self,
        leak: &Leak,
        limits: Vec<Limit>,
        at: Duration,
        acting: bool,
    ) -> Forecast {
        self.counts.push(at, leak.zombies + self.taken);
        let survivors = Starts::default();
        let starts = match self.taken {
            0 => &leak.ages.starts,
            // The others were taken by us.
            _ => &survivors,
        };
        let own = self.counts.forecast(&limits, starts);
        self.rate_per_second = own.rate_per_second;
        let forecast = match self.is_held(leak.zombies, acting) {
            false => own,
            // What is left standing each time may climb for all that is taken.
            true => match self.peaks.forecast(&limits, &survivors) {
                climbs
                    if climbs.trend == Trend::Growing
                        && climbs.confidence >= Confidence::Medium =>
                {
                    climbs
                }
                _ => own.held(),
            },
        };
        self.limits = limits;
        forecast
    }

    /// It is taken away as it comes: the last step worked, and no more stand than before it, but
    /// for what comes while the next is due.
    fn is_held(&self, standing: u64, acting: bool) -> bool {
        acting && !self.peaks.is_empty() && standing <= self.peak + self.peak / 2 + 8
    }

    /// A gentle step was taken in earnest, with so many zombies standing.
    pub fn took(
        &mut self,
        at: Duration,
        standing: u64,
        zombies: Option<BeforeAndAfter>,
        well: bool,
    ) {
        if let Some(zombies) = zombies {
            self.taken += zombies.before.saturating_sub(zombies.left);
        }
        if well {
            self.peaks.push(at, standing);
            self.peak = self.peak.max(standing);
        } else {
            self.let_go();
        }
    }

    /// Nothing is known to be done about it any more.
    pub fn let_go(&mut self) {
        self.peaks = History::new();
        self.peak = 0;
    }
}
