//! Figures that stay the same while nothing of note happens.
//!
//! What gets worse is told at once; what gets better, only when it has done so clearly. So a
//! figure that saws about the border of two steps is told as the worse one, for good.

use sexton_core::LimitKind;
use sexton_core::forecast::{Forecast, Trend};

use super::Exhaustion;

/// `n` rounded down to 1, 2, 5, 10, 20, 50…
fn down(n: u64) -> u64 {
    let Some(digits) = n.checked_ilog10() else {
        return 0;
    };
    let unit = 10_u64.pow(digits);
    let leading = match n / unit {
        5.. => 5,
        2..5 => 2,
        _ => 1,
    };
    leading * unit
}

/// A count, as it is told after `before`: rounded down, and lower than before only once it has
/// halved.
pub(super) fn count(before: Option<u64>, n: u64) -> u64 {
    let now = down(n);
    match before {
        Some(before) if now < before && n.saturating_mul(2) >= before => before,
        _ => now,
    }
}

/// Percent in steps of 5, lower than before only by 3 more.
pub(super) fn percent(before: Option<u8>, n: u8) -> u8 {
    let now = n / 5 * 5;
    match before {
        Some(before) if now < before && n.saturating_add(3) >= before => before,
        _ => now,
    }
}

/// Times that are told, the longest that each stands for in seconds, and until when it is kept
/// once it has been told.
const TIMES: [(&str, u64, u64); 6] = [
    ("reached", 0, 60),
    ("10m", 600, 900),
    ("1h", 3_600, 5_400),
    ("6h", 21_600, 32_400),
    ("1d", 86_400, 129_600),
    ("7d", 604_800, 907_200),
];

/// In the place of a time: what grows is taken as it comes.
pub(super) const HELD: &str = "held";

/// How urgent it is: 0 where the limit is reached.
pub(super) fn rank(within: &str) -> usize {
    TIMES
        .iter()
        .position(|(name, ..)| *name == within)
        .unwrap_or(TIMES.len())
}

/// So many seconds, as they are told after `before`; `None` where it is too far off.
fn within(before: Option<&str>, seconds: u64) -> Option<&'static str> {
    let now = TIMES.iter().position(|(_, most, _)| seconds <= *most);
    let kept = before
        .map(rank)
        .filter(|&at| TIMES.get(at).is_some_and(|(.., kept)| seconds <= *kept));
    let at = match (now, kept) {
        (Some(now), Some(kept)) => now.min(kept),
        (now, kept) => now.or(kept)?,
    };
    Some(TIMES[at].0)
}

/// A forecast, as it is told after `before`.
pub(super) fn exhaustion(before: Option<&Exhaustion>, forecast: &Forecast) -> Option<Exhaustion> {
    if forecast.trend == Trend::Held {
        return Some(Exhaustion {
            limit: forecast.limit?,
            within: HELD.to_owned(),
        });
    }
    if forecast.trend == Trend::NotGrowing {
        return None;
    }
    let Some(seconds) = forecast.warns_of() else {
        // It is not clear that it is over.
        return before.cloned();
    };
    let limit: LimitKind = forecast.limit?;
    let same = before.filter(|before| before.limit == limit);
    let within = within(same.map(|before| before.within.as_str()), seconds)?;
    Some(Exhaustion {
        limit,
        within: within.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_down() {
        for (n, told) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (4, 2),
            (5, 5),
            (9, 5),
            (10, 10),
            (49, 20),
            (50, 50),
            (99_999, 50_000),
            (100_000, 100_000),
        ] {
            assert_eq!(down(n), told, "{n}");
        }
        assert_eq!(down(u64::MAX), 10_u64.pow(19));
    }

    #[test]
    fn a_lower_count_is_told_when_it_has_halved() {
        assert_eq!(count(Some(10), 20), 20);
        assert_eq!(count(Some(20), 10), 20);
        assert_eq!(count(Some(20), 9), 5);
        assert_eq!(count(Some(1), 0), 0);
        assert_eq!(count(None, 19), 10);
    }

    #[test]
    fn what_is_held_has_no_time() {
        let mut forecast: Forecast = serde_json::from_value(serde_json::json!({
            "trend": "growing", "ratePerSecond": 1.0, "basis": "", "limit": "cgroupPids",
            "scope": "x", "secondsLeft": 50, "confidence": "high",
        }))
        .unwrap();
        let soon = exhaustion(None, &forecast).unwrap();
        assert_eq!(soon.within, "10m");
        forecast = forecast.held();
        assert_eq!(exhaustion(Some(&soon), &forecast).unwrap().within, HELD);
        // Let go, it is told at once.
        forecast.trend = Trend::Growing;
        forecast.seconds_left = Some(50);
        let held = Exhaustion {
            within: HELD.to_owned(),
            ..soon
        };
        assert_eq!(exhaustion(Some(&held), &forecast).unwrap().within, "10m");
    }

    #[test]
    fn percents_and_times_do_not_flutter() {
        assert_eq!(percent(None, 79), 75);
        assert_eq!(percent(Some(80), 77), 80);
        assert_eq!(percent(Some(80), 76), 75);
        assert_eq!(percent(Some(80), 100), 100);
        assert_eq!(within(None, 3_601), Some("6h"));
        assert_eq!(within(Some("1h"), 3_601), Some("1h"));
        assert_eq!(within(Some("1h"), 5_401), Some("6h"));
        assert_eq!(within(Some("6h"), 3_599), Some("1h"));
        assert_eq!(within(Some("reached"), 61), Some("10m"));
        assert_eq!(within(None, 604_801), None);
        assert_eq!(within(Some("7d"), 604_801), Some("7d"));
    }
}
