//! A bounded memory of what was counted.

use crate::Sample;

/// Samples of hours or days in bounded memory: the more distant, the coarser.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    samples: Vec<Sample>,
}

impl Timeline {
    /// The most samples that are kept; about as many as a plot can show.
    pub const CAPACITY: usize = 480;

    /// An empty one, with its memory in hand: at the limit there may be none to be had.
    #[must_use]
    pub fn new() -> Self {
        Self {
            samples: Vec::with_capacity(Self::CAPACITY + 1),
        }
    }

    /// Adds a sample. One that is not later than the last takes its place, so that a clock that
    /// was set back leaves no loop in a plot.
    pub fn push(&mut self, sample: Sample) {
        while self.samples.last().is_some_and(|last| sample.at <= last.at) {
            self.samples.pop();
        }
        self.samples.push(sample);
        if self.samples.len() > Self::CAPACITY {
            self.thin();
        }
    }

    /// Oldest first.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Of each two neighbours in the older half the one with more zombies stays: a peak is what
    /// people look for. The very first stays too, for it says how far back all this goes.
    fn thin(&mut self) {
        let older = self.samples.len() / 2;
        let mut kept: Vec<Sample> = Vec::with_capacity(Self::CAPACITY + 1);
        for (i, sample) in self.samples.drain(..).enumerate() {
            match kept.last_mut() {
                Some(before) if i > 1 && i <= older && i % 2 == 0 => {
                    if sample.zombies > before.zombies {
                        *before = sample;
                    }
                }
                _ => kept.push(sample),
            }
        }
        self.samples = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, zombies: u64) -> Sample {
        Sample {
            at,
            zombies,
            ..Sample::default()
        }
    }

    #[test]
    fn days_fit_and_the_peak_stays() {
        let mut timeline = Timeline::new();
        for at in 0..100_000 {
            timeline.push(sample(at, if at == 5_000 { 900 } else { at % 7 }));
        }
        let samples = timeline.samples();
        assert!(samples.len() <= Timeline::CAPACITY);
        assert!(samples.len() >= Timeline::CAPACITY / 2);
        assert!(samples.is_sorted_by(|a, b| a.at < b.at));
        assert!(samples.iter().any(|s| s.zombies == 900));
        assert_eq!(samples.last().map(|s| s.at), Some(99_999));
        assert!(samples[0].at == 0, "the beginning stays: {}", samples[0].at);
    }

    #[test]
    fn a_clock_set_back_takes_the_place_of_what_was_later() {
        let mut timeline = Timeline::new();
        for at in [10, 20, 30, 15] {
            timeline.push(sample(at, at));
        }
        let moments: Vec<u64> = timeline.samples().iter().map(|s| s.at).collect();
        assert_eq!(moments, [10, 15]);
    }
}
