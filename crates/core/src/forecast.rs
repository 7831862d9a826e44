//! When a limit is reached.
//!
//! One idea carries the judgement: **the longest look back with which everything since agrees**.
//! A leak is looked back upon over several spans that all end now: the samples of a
//! [`History`], whole and cut short, and what the standing zombies themselves tell ([`Started`]:
//! how many were started in the last minute, ten minutes, hour). A long span gives a precise
//! rate, but only if the leak goes on as it did; so a span counts only when no shorter one
//! contradicts it. A burst that is over, a plateau and a leak that has only begun all fall out
//! of this without rules of their own.
//!
//! How sure a rate is follows from how many *independent* events it rests on: fifty zombies that
//! came one by one are fifty, fifty that came in one jump are one (an overdispersed Poisson
//! process; the dispersion is measured between neighbouring steps, so that a change of rate is
//! not mistaken for noise).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::limit::first_of;
use crate::report::Started;
use crate::{Confidence, Limit, LimitKind};

mod history;

pub use history::History;
use history::LookBack;

/// How a count moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Trend {
    /// It rises; a limit will be reached.
    Growing,
    /// It stands still, falls, or saws up and down without rising.
    NotGrowing,
    /// A limit is reached: the count may stand still only because fork fails.
    LimitReached,
    /// Too little was seen to tell.
    Unknown,
}

/// The rate of a leak and the time until the first limit is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// How the count moves.
    pub trend: Trend,
    /// Zombies more per second; negative when falling.
    pub rate_per_second: f64,
    /// Seconds that the leak was watched for, and what else the rate rests on, in a few words.
    pub basis: String,
    /// The limit that is reached first; absent when not growing or nothing limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitKind>,
    /// Whom that limit counts, as in [`crate::Limit::scope`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds until then at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Earliest and latest of the seconds left that the observations allow; no latest means
    /// that it may never come to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left_range: Option<(u64, Option<u64>)>,
    /// How sure this is.
    pub confidence: Confidence,
}

/// Fewer independent events than this are no trend.
const MIN_EVENTS: f64 = 3.0;
/// From here the rate is known to about a factor of two.
const SOME_EVENTS: f64 = 6.0;
/// From here the rate is known to about one half.
const MANY_EVENTS: f64 = 16.0;
/// A watch of this length speaks for itself.
const LONG_WATCH: f64 = 60.0;

impl History {
    /// Judges the leak that was watched.
    ///
    /// `limits` are those of the holder: all of them grow by the same zombie, so the one with
    /// the least headroom is reached first. `started` is the leak's [`Started`] of the last
    /// look; all zero where unknown. A history without samples is judged by `started` alone.
    #[must_use]
    pub fn forecast(&self, limits: &[Limit], started: &Started) -> Forecast {
        let watched = self.look_back();
        let told = if self.saw_reaping() {
            // The standing are survivors of a holder that does wait: their starts are no rate.
            None
        } else {
            self.told_by(started)
        };
        // What the samples say stands, unless the zombies tell the same over a longer time.
        let longer =
            told.filter(|t| watched.is_none_or(|w| t.events() >= w.events().max(MIN_EVENTS)));
        let chosen = longer.or(watched);

        let (trend, mut confidence) = match chosen {
            Some(span) if span.total > 0.0 && span.events() >= MIN_EVENTS => (
                Trend::Growing,
                self.sure_of_growth(&span, longer.is_some(), told.is_some()),
            ),
            Some(span) if self.stands_still(&span) => {
                (Trend::NotGrowing, self.sure_of_rest(&span, started))
            }
            _ => (Trend::Unknown, Confidence::Low),
        };
        let rate = chosen.map_or(0.0, |span| span.rate());
        let first = first_of(limits);
        let mut left = None;
        let trend = match first.and_then(Limit::headroom) {
            Some(0) => {
                confidence = Confidence::High;
                left = Some((0, (0, Some(0))));
                Trend::LimitReached
            }
            Some(headroom) if trend == Trend::Growing => {
                left = chosen.map(|span| time_left(headroom, &span));
                trend
            }
            _ => trend,
        };
        let first = first.filter(|_| left.is_some());
        Forecast {
            trend,
            rate_per_second: rate,
            basis: self.basis(started),
            limit: first.map(|limit| limit.kind),
            scope: first.map(|limit| limit.scope.clone()),
            seconds_left: left.map(|(at_rate, _)| at_rate),
            seconds_left_range: left.map(|(_, range)| range),
            confidence,
        }
    }

    /// The longest of the spans of `started` that neither a shorter one nor a sample contradicts.
    ///
    /// A child that lived long was started long before it died and is missing in the short
    /// spans; then these contradict the samples, and the samples stand.
    fn told_by(&self, started: &Started) -> Option<LookBack> {
        let spans = [
            (3_600.0, started.last_hour),
            (600.0, started.last_ten_minutes),
            (60.0, started.last_minute),
        ]
        .map(|(seconds, count)| LookBack::of_independent(seconds, count));
        let watched = self.tails();
        (0..spans.len())
            .find(|&i| {
                let shorter = spans[i + 1..].iter().chain(&watched);
                shorter
                    .filter(|other| other.seconds < spans[i].seconds)
                    .all(|other| spans[i].goes_on_in(other))
                    && watched.iter().all(|w| w.seconds < spans[i].seconds)
            })
            .map(|i| spans[i])
            // Nothing watched and nothing started: nothing is known.
            .filter(|span| span.total > 0.0 || self.last().is_some())
    }

    /// The count is known to rest, rather than to be unclear.
    fn stands_still(&self, span: &LookBack) -> bool {
        span.total <= 0.0 || span.quiet_seconds * 2.0 >= span.seconds || span.saws()
    }

    fn sure_of_growth(
        &self,
        span: &LookBack,
        from_zombies: bool,
        zombies_agree: bool,
    ) -> Confidence {
        let by_number = if span.events() >= MANY_EVENTS {
            Confidence::High
        } else if span.events() >= SOME_EVENTS {
            Confidence::Medium
        } else {
            Confidence::Low
        };
        let few_steps = span.steps < 3;
        let cap = match (from_zombies, zombies_agree) {
            // Told by the zombies: a second witness is a watch that could have contradicted.
            (true, _) if self.expected_to_show(span) => Confidence::High,
            (true, _) => Confidence::Medium,
            (false, true) if !few_steps => Confidence::High,
            (false, _) if span.seconds >= LONG_WATCH && !few_steps => Confidence::High,
            (false, _) if few_steps => Confidence::Low,
            (false, false) | (false, true) => Confidence::Medium,
        };
        by_number.min(cap)
    }

    /// At the rate of `span` the watch was long enough for some zombies to be seen.
    fn expected_to_show(&self, span: &LookBack) -> bool {
        span.rate() * self.span().as_secs_f64() >= MIN_EVENTS
    }

    fn sure_of_rest(&self, span: &LookBack, started: &Started) -> Confidence {
        let watched = self.span().as_secs_f64();
        let flat = span.total == 0.0 && !span.saws();
        let falls = span.total < 0.0 && span.events() >= SOME_EVENTS && span.steps >= 3;
        if watched >= LONG_WATCH && (flat || falls || span.falls >= 2) {
            Confidence::High
        } else if falls || span.falls >= 2 || (flat && watched > 0.0 && started.last_minute == 0) {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    }

    fn basis(&self, started: &Started) -> String {
        let watched = match (self.first(), self.last()) {
            (Some((_, first)), Some((_, last))) if self.len() > 1 => {
                let change = i128::from(last) - i128::from(first);
                format!(
                    "{change:+} in {:.0} s of watching",
                    self.span().as_secs_f64()
                )
            }
            _ => "not watched".to_owned(),
        };
        let Started {
            last_minute,
            last_ten_minutes,
            last_hour,
        } = *started;
        // A longer span is named only where it holds more.
        let spans = [
            (last_minute, 0, "the last minute"),
            (last_ten_minutes, last_minute, "ten minutes"),
            (last_hour, last_ten_minutes, "the hour"),
        ];
        let told: Vec<String> = spans
            .iter()
            .filter(|(count, shorter, _)| count > shorter)
            .map(|(count, _, span)| format!("{count} in {span}"))
            .collect();
        if told.is_empty() {
            return format!("{watched}; none of those standing was started in the last hour");
        }
        format!("{watched}; started of those standing: {}", told.join(", "))
    }
}

/// Seconds until `headroom` is used up: at the rate of `span`, and the range that its number of
/// events allows (95%).
fn time_left(headroom: u64, span: &LookBack) -> (u64, (u64, Option<u64>)) {
    let seconds = |rate: f64| headroom as f64 / rate;
    let (low, high) = span.rate_range();
    let latest = (span.events() >= SOME_EVENTS).then(|| whole(seconds(low).ceil()));
    (whole(seconds(span.rate())), (whole(seconds(high)), latest))
}

fn whole(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |duration| duration.as_secs())
}

#[cfg(test)]
mod tests;
