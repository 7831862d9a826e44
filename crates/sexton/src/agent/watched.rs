//! A leak as the looks so far have shown it, and whether it is held.

use std::time::Duration;

use sexton_core::forecast::{Forecast, Growth, History, Starts, Trend};
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
    /// What it took of its limits a second at the last look; nothing while it is held.
    takes: f64,
    /// When it was last dealt with, since boot, and how many zombies it had made by then.
    pub dealt_with: Option<(Duration, u64)>,
    /// How many stood before each step that took away what it was to; empty where the last one
    /// did not, or nothing is done any more.
    peaks: History,
    /// When the step before the last of these was taken, or else the leak first seen.
    before_last: Option<Duration>,
}

impl Watched {
    /// A look has shown it: when is a limit reached with the policies in force? `acting`: for how
    /// long the agent lets it rest after a step; `None` where it may not act.
    pub fn looked(
        &mut self,
        leak: &Leak,
        limits: Vec<Limit>,
        at: Duration,
        acting: Option<Duration>,
        growth: &Growth,
    ) -> Forecast {
        self.seen(leak.zombies, &leak.ages.starts, limits, at, acting, growth)
    }

    /// Adds what it takes of its limits.
    pub fn add_to(&self, growth: &mut Growth) {
        growth.add(&self.limits, self.takes);
    }

    fn seen(
        &mut self,
        standing: u64,
        starts: &Starts,
        limits: Vec<Limit>,
        at: Duration,
        acting: Option<Duration>,
        growth: &Growth,
    ) -> Forecast {
        self.counts.push(at, standing + self.taken);
        let survivors = Starts::default();
        let starts = match self.taken {
            0 => starts,
            // The others were taken by us.
            _ => &survivors,
        };
        let beside = |limit: &Limit| growth.beside(limit, self.takes);
        let own = self.counts.forecast_beside(&limits, starts, beside);
        self.rate_per_second = own.rate_per_second;
        let forecast = match acting.is_some_and(|pause| self.is_held(at, pause)) {
            false => own,
            // What stands each time may climb for all that is taken.
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
        self.takes = forecast.takes();
        forecast
    }

    /// It is taken away as it comes: the last step worked, and the next is not overdue. How long
    /// the ladder lets it rest depends on the room that is left; what the policy asks for (settle,
    /// threshold) shows in how long it took until now.
    fn is_held(&self, now: Duration, pause: Duration) -> bool {
        const LATE: Duration = Duration::from_secs(10);
        let Some((last, _)) = self.peaks.last() else {
            return false;
        };
        let before = self.before_last.unwrap_or(last);
        let usual = last.saturating_sub(before).max(pause);
        now <= last + 2 * usual + LATE
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
            self.before_last = self.peaks.last().or(self.counts.first()).map(|(at, _)| at);
            self.peaks.push(at, standing);
        } else {
            self.let_go();
        }
    }

    /// Nothing is known to be done about it any more.
    pub fn let_go(&mut self) {
        self.peaks = History::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::LimitKind;

    const REST: Option<Duration> = Some(Duration::from_secs(2));

    fn room(left: u64) -> Vec<Limit> {
        vec![Limit {
            kind: LimitKind::CgroupPids,
            scope: "cgroup /x".to_owned(),
            source: "pids.max".to_owned(),
            used: Some(0),
            limit: Some(left),
            reserved: 0,
            each: 1,
            zombies: None,
            first: true,
            users: vec![],
            note: None,
        }]
    }

    /// Looks once a second at a leak of 3/s, which is taken down to `left(step)` every ten
    /// seconds until `until`; the last forecast.
    fn watched(seconds: u64, until: u64, well: bool, left: impl Fn(u64) -> u64) -> Forecast {
        let mut watched = Watched::default();
        let mut standing = 0;
        let mut last = None;
        for second in 0..=seconds {
            let at = Duration::from_secs(second);
            last = Some(watched.seen(
                standing,
                &Starts::default(),
                room(1_000 - standing),
                at,
                REST,
                &Growth::default(),
            ));
            if second % 10 == 9 && second < until {
                let zombies = BeforeAndAfter {
                    before: standing,
                    left: left(second / 10).min(standing),
                };
                watched.took(at, standing, Some(zombies), well);
                standing = zombies.left;
            }
            standing += 3;
        }
        last.unwrap()
    }

    #[test]
    fn what_is_taken_as_it_comes_is_held() {
        let forecast = watched(65, 100, true, |_| 3);
        assert_eq!(forecast.trend, Trend::Held, "{forecast:?}");
        assert!(
            (2.5..3.5).contains(&forecast.rate_per_second),
            "{forecast:?}"
        );
        assert_eq!(
            (forecast.seconds_left, forecast.seconds_left_range),
            (None, None)
        );
        assert!(forecast.seconds_left_unheld.is_some_and(|left| left > 200));
    }

    #[test]
    fn what_is_no_longer_taken_is_foretold() {
        assert_eq!(watched(60, 30, true, |_| 3).trend, Trend::Growing);
        assert_eq!(
            watched(65, 100, false, |_| 3).trend,
            Trend::Growing,
            "it failed"
        );
    }

    #[test]
    fn what_climbs_for_all_that_is_taken_is_foretold_by_that() {
        let forecast = watched(215, 300, true, |step| 20 * (step + 1));
        assert_eq!(forecast.trend, Trend::Growing, "{forecast:?}");
        // Twenty more each ten seconds are left.
        assert!(
            (1.5..2.5).contains(&forecast.rate_per_second),
            "{forecast:?}"
        );
    }

    #[test]
    fn who_may_not_act_holds_nothing() {
        let mut watched = Watched::default();
        for second in 0..30 {
            let at = Duration::from_secs(second);
            watched.seen(
                3,
                &Starts::default(),
                room(100),
                at,
                REST,
                &Growth::default(),
            );
            let zombies = BeforeAndAfter { before: 3, left: 0 };
            watched.took(at, 3, Some(zombies), true);
        }
        let at = Duration::from_secs(30);
        assert_eq!(
            watched
                .seen(
                    3,
                    &Starts::default(),
                    room(100),
                    at,
                    REST,
                    &Growth::default()
                )
                .trend,
            Trend::Held
        );
        assert_eq!(
            watched
                .seen(
                    3,
                    &Starts::default(),
                    room(100),
                    at,
                    None,
                    &Growth::default()
                )
                .trend,
            Trend::Growing
        );
        watched.let_go();
        assert_eq!(
            watched
                .seen(
                    3,
                    &Starts::default(),
                    room(100),
                    at,
                    REST,
                    &Growth::default()
                )
                .trend,
            Trend::Growing
        );
    }

    #[test]
    fn two_leaks_of_one_container_share_its_room() {
        let (mut one, mut other) = (Watched::default(), Watched::default());
        let mut last = None;
        for second in 0..=70 {
            let at = Duration::from_secs(second);
            let mut growth = Growth::default();
            one.add_to(&mut growth);
            other.add_to(&mut growth);
            let left = room(1_000 - 4 * second);
            other.seen(
                second * 2,
                &Starts::default(),
                left.clone(),
                at,
                None,
                &growth,
            );
            last = Some(one.seen(second * 2, &Starts::default(), left, at, None, &growth));
        }
        // 720 are left: at two a second six minutes, at four three.
        let last = last.unwrap();
        assert_eq!(last.rate_per_second, 2.0);
        assert!(
            (178..=182).contains(&last.seconds_left.unwrap()),
            "{last:?}"
        );
    }
}
