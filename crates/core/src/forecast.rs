//! When a limit is reached.
//!
//! One idea carries the judgement: **the longest look back with which everything since agrees**.
//! A leak is looked back upon over several spans that all end now: the samples of a
//! [`History`], whole and cut short, and what the standing zombies themselves tell ([`Starts`]:
//! when each was started), as far back as the oldest of them. A long span gives a precise
//! rate, but only if the leak goes on as it did; so a span counts only when no shorter one
//! contradicts it. A burst that is over, a plateau and a leak that has only begun all fall out
//! of this without rules of their own. What was watched is never overruled by what is told: a
//! span of the zombies' own counts only where it agrees with the samples.
//!
//! How sure a rate is follows from how many *independent* events it rests on: fifty zombies that
//! came one by one are fifty, fifty that came in one jump are one (an overdispersed Poisson
//! process; the dispersion is measured between neighbours, so that a change of rate is not
//! mistaken for noise).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::limit::first_of;
use crate::text::rate as rate_of;
use crate::{Confidence, Limit, LimitKind};

mod growth;
mod history;
mod look_back;
mod starts;

pub use growth::Growth;
pub use history::History;
use look_back::LookBack;
pub use starts::Starts;

/// How a count moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Trend {
    /// It rises; a limit will be reached.
    Growing,
    /// It would rise, and is taken away as fast by the policies in force: no limit is reached.
    Held,
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
    /// Zombies more per second; negative when falling. Of what is held: how fast it would rise.
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
    /// Of what is held: seconds until that limit, if nothing were taken away any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left_unheld: Option<u64>,
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

impl Forecast {
    /// Seconds until a limit is reached, where that is sure enough to tell somebody who did not
    /// ask: not on a first impression.
    #[must_use]
    pub fn warns_of(&self) -> Option<u64> {
        let sure = match self.trend {
            Trend::LimitReached => true,
            Trend::Growing => self.confidence > Confidence::Low,
            Trend::Held | Trend::NotGrowing | Trend::Unknown => false,
        };
        self.seconds_left.filter(|_| sure)
    }

    /// The same leak where what grows is taken away as fast: nothing is reached, and what would be
    /// is said beside it. Only what grows can be held.
    #[must_use]
    pub fn held(self) -> Self {
        if self.trend != Trend::Growing {
            return self;
        }
        Self {
            trend: Trend::Held,
            seconds_left: None,
            seconds_left_range: None,
            seconds_left_unheld: self.seconds_left,
            ..self
        }
    }
}

impl History {
    /// Judges the leak that was watched.
    ///
    /// `limits` are those of the holder: all of them grow by the same zombie, so the one with
    /// the least headroom is reached first. `starts` are those of the last look; empty where
    /// they are unknown, or say nothing: the standing are survivors, since others were taken. A
    /// history without samples is judged by `starts` alone.
    #[must_use]
    pub fn forecast(&self, limits: &[Limit], starts: &Starts) -> Forecast {
        let told_tails = if self.agrees_with(starts) {
            starts.tails()
        } else {
            Vec::new()
        };
        let told = self.told_by(&told_tails);
        // What was watched stands, unless the zombies tell the same, and more of it.
        let watched = self.look_back(&told_tails, told.is_some());
        let longer = told.filter(|t| watched.is_none_or(|w| t.events() >= w.events()));
        let chosen = longer.or(watched);
        let tooth = starts.may_be_a_tooth() && self.span().as_secs_f64() < LONG_WATCH;

        let (trend, mut confidence) = match chosen {
            Some(span) if span.total > 0.0 && span.events() >= MIN_EVENTS => {
                let sure = self.sure_of_growth(&span, longer.is_some(), told.is_some());
                let most = if tooth {
                    Confidence::Medium
                } else {
                    Confidence::High
                };
                (Trend::Growing, sure.min(most))
            }
            Some(span) if stands_still(&span) => {
                (Trend::NotGrowing, self.sure_of_rest(&span, starts))
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
                left = chosen.map(|span| {
                    let tails = if longer.is_some() {
                        told_tails
                    } else {
                        self.tails()
                    };
                    let (at_rate, (earliest, latest)) =
                        time_left(headroom, &span, &tails, watched.as_ref());
                    (at_rate, (earliest, latest.filter(|_| !tooth)))
                });
                trend
            }
            _ => trend,
        };
        let first = first.filter(|_| left.is_some());
        Forecast {
            trend,
            rate_per_second: rate,
            basis: self.basis(starts),
            limit: first.map(|limit| limit.kind),
            scope: first.map(|limit| limit.scope.clone()),
            seconds_left: left.map(|(at_rate, _)| at_rate),
            seconds_left_range: left.map(|(_, range)| range),
            seconds_left_unheld: None,
            confidence,
        }
    }

    /// The same where others grow, too: `beside` tells at what rate a second they take of a limit.
    ///
    /// The limit named is the one that all together reach first. They may end: the latest is that
    /// of this leak alone.
    #[must_use]
    pub fn forecast_beside(
        &self,
        limits: &[Limit],
        starts: &Starts,
        beside: impl Fn(&Limit) -> f64,
    ) -> Forecast {
        let own = self.forecast(limits, starts);
        let rate = own.rate_per_second;
        if own.trend != Trend::Growing || rate <= 0.0 {
            return own;
        }
        let seconds = |limit: &Limit| Some(limit.headroom()? as f64 / (rate + beside(limit)));
        let first = (limits.iter().filter(|limit| limit.counts_zombies()))
            .filter_map(|limit| Some((seconds(limit)?, limit)))
            .min_by(|(a, _), (b, _)| a.total_cmp(b));
        let Some((_, first)) = first else { return own };
        let others = beside(first);
        if others <= 0.0 {
            return own;
        }
        let alone = self.forecast(std::slice::from_ref(first), starts);
        let share = rate / (rate + others);
        let shared = |seconds: u64| whole(seconds as f64 * share);
        Forecast {
            seconds_left: alone.seconds_left.map(shared),
            seconds_left_range: (alone.seconds_left_range)
                .map(|(earliest, latest)| (shared(earliest), latest)),
            basis: format!(
                "{}; others take {} of the same limit",
                alone.basis,
                rate_of(others)
            ),
            ..alone
        }
    }

    /// As many were started while it was watched as came: their starts tell the same, and may be
    /// believed for the time before. They do not where children live long, and the standing are
    /// survivors where the holder does wait.
    fn agrees_with(&self, starts: &Starts) -> bool {
        let (Some((_, first)), Some((_, last))) = (self.first(), self.last()) else {
            return true;
        };
        let seen = last as f64 - first as f64;
        let told = starts.since(self.span().as_secs_f64() * 100.0);
        let most = seen.max(told);
        !self.saw_reaping() && (seen - told).abs() <= 2.0 * most.max(0.0).sqrt() + 1.0
    }

    /// The longest of the zombies' own spans that neither a shorter one nor a sample contradicts.
    fn told_by(&self, told: &[LookBack]) -> Option<LookBack> {
        let watched = self.tails();
        (0..told.len())
            .find(|&i| {
                let shorter = told[i + 1..].iter().chain(&watched);
                shorter
                    .filter(|other| other.seconds < told[i].seconds)
                    .all(|other| told[i].goes_on_in(other))
            })
            .map(|i| told[i])
            // Nothing watched and nothing started: nothing is known.
            .filter(|span| span.total > 0.0 || self.last().is_some())
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

    fn sure_of_rest(&self, span: &LookBack, starts: &Starts) -> Confidence {
        let watched = self.span().as_secs_f64();
        let flat = span.total == 0.0 && !span.saws();
        let falls = span.total < 0.0 && span.events() >= SOME_EVENTS && span.steps >= 3;
        let none_lately = starts.within(60) == 0;
        if watched >= LONG_WATCH && (flat || falls || span.falls >= 2) {
            Confidence::High
        } else if falls || span.falls >= 2 || (flat && watched > 0.0 && none_lately) {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    }

    fn basis(&self, starts: &Starts) -> String {
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
        let [last_minute, last_ten_minutes, last_hour] =
            [60, 600, 3_600].map(|span| starts.within(span));
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
        let quiet = starts.quiet_seconds().filter(|quiet| *quiet >= 2.0);
        match (told.is_empty(), quiet) {
            (true, _) => {
                format!("{watched}; none of those standing was started in the last hour")
            }
            (false, Some(quiet)) => format!(
                "{watched}; started of those standing: {}, none in the last {quiet:.0} s",
                told.join(", ")
            ),
            (false, None) => {
                format!("{watched}; started of those standing: {}", told.join(", "))
            }
        }
    }
}

/// The count is known to rest, rather than to be unclear.
fn stands_still(span: &LookBack) -> bool {
    // Of what comes in bursts one may be due; a watch that saw no more than one tells nothing else.
    let bursts = span.told && span.scatter() >= 2.0;
    let quiet = span.quiet_seconds * 2.0 >= span.seconds && !bursts;
    span.total <= 0.0 || quiet || span.saws()
}

/// Seconds until `headroom` is used up: at the rate of `span`, and the range that the
/// observations allow: its number of events (95%), the rate that was watched, and a rate that
/// goes on to change as the `tails` show it.
fn time_left(
    headroom: u64,
    span: &LookBack,
    tails: &[LookBack],
    watched: Option<&LookBack>,
) -> (u64, (u64, Option<u64>)) {
    let headroom = headroom as f64;
    let rate = span.rate();
    let (mut low, mut high) = span.rate_range(headroom);
    if let Some(watched) = watched.filter(|watched| watched.events() >= SOME_EVENTS) {
        low = low.min(watched.rate());
        high = high.max(watched.rate());
    }
    let drifts = (tails.iter().filter(|tail| tail.seconds >= span.seconds)).map(LookBack::drift);
    let (falls, rises) = drifts.fold((0.0, 0.0), |(least, most): (f64, f64), drift| {
        (least.min(drift), most.max(drift))
    });
    let at_rate = headroom / rate;
    // The next event may come at once, and bring as many as one does.
    let least = (headroom - span.scatter()).max(0.0);
    let most = headroom + span.scatter();
    let earliest = span
        .reaches(least, rate, rises)
        .unwrap_or(at_rate)
        .min(least / high);
    let latest = span
        .reaches(most, rate, falls)
        .map(|latest| latest.max(most / low).ceil())
        .filter(|_| span.events() >= SOME_EVENTS);
    (whole(at_rate), (whole(earliest), latest.map(whole)))
}

fn whole(seconds: f64) -> u64 {
    // What is whole but for the last bits of a division stays whole.
    Duration::try_from_secs_f64(seconds + 1e-6).map_or(u64::MAX, |duration| duration.as_secs())
}

#[cfg(test)]
mod tests;
