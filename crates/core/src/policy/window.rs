//! Time windows: pure functions over a given time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// The most windows in one list.
pub const MOST_WINDOWS: usize = 32;

/// Days and hours at which something may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Days on which it opens. Without it: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Vec<Day>,
    /// When it opens, `HH:MM`.
    pub from: TimeOfDay,
    /// When it closes, `HH:MM`; `24:00` is the end of the day. At or before `from`, it closes
    /// on the day after.
    pub to: TimeOfDay,
    /// The clock that is meant: `Z` for UTC, or a fixed offset like `+08:00`. Zones with summer
    /// time are not known.
    #[serde(default)]
    pub utc_offset: UtcOffset,
}

impl Window {
    /// The stretch of time, in Unix seconds, that begins on day `day` after 1970-01-01 of the
    /// window's own clock.
    fn on(&self, day: i64) -> Option<std::ops::Range<i64>> {
        let weekday = Day::of(day);
        if !self.days.is_empty() && !self.days.contains(&weekday) {
            return None;
        }
        let midnight = day * DAY - i64::from(self.utc_offset.0) * MINUTE;
        let from = midnight + i64::from(self.from.0) * MINUTE;
        let mut to = midnight + i64::from(self.to.0) * MINUTE;
        if to <= from {
            to += DAY;
        }
        Some(from..to)
    }

    /// Seconds until it is open: 0 while it is.
    fn opens_in(&self, unix: i64) -> Option<i64> {
        let today = (unix + i64::from(self.utc_offset.0) * MINUTE).div_euclid(DAY);
        // Yesterday's may reach into today; next week's same day is the latest that can be next.
        (today - 1..=today + 7)
            .filter_map(|day| self.on(day))
            .find(|open| unix < open.end)
            .map(|open| (open.start - unix).max(0))
    }
}

/// Seconds from `unix` (seconds since 1970-01-01 UTC) until one of `windows` is open: 0 while
/// one is, or where there is none. `None` would be never, which no window says.
#[must_use]
pub fn next_open(windows: &[Window], unix: i64) -> Option<u64> {
    if windows.is_empty() {
        return Some(0);
    }
    let next = windows
        .iter()
        .filter_map(|window| window.opens_in(unix))
        .min()?;
    u64::try_from(next).ok()
}

/// A day of the week.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// The weekday of the day that is `days` after 1970-01-01, a Thursday.
    fn of(days: i64) -> Self {
        const WEEK: [Day; 7] = [
            Day::Thu,
            Day::Fri,
            Day::Sat,
            Day::Sun,
            Day::Mon,
            Day::Tue,
            Day::Wed,
        ];
        let index = usize::try_from(days.rem_euclid(7)).unwrap_or(0);
        WEEK[index]
    }
}

/// The text is no time of day, or no offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadTime {
    #[error("`{0}` is not a time of day: write HH:MM, 00:00 to 24:00, in quotes")]
    TimeOfDay(String),
    #[error(
        "`{0}` is not an offset from UTC: write Z, +HH:MM or -HH:MM, up to 14 hours, in quotes"
    )]
    UtcOffset(String),
}

/// `HH:MM`; minutes since midnight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

/// An offset from UTC in minutes, east positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcOffset(i16);

fn hours_minutes(text: &str) -> Option<u16> {
    let bytes = text.as_bytes();
    let digit = |i: usize| {
        bytes
            .get(i)
            .filter(|b| b.is_ascii_digit())
            .map(|b| u16::from(b - b'0'))
    };
    if bytes.len() != 5 || bytes[2] != b':' {
        return None;
    }
    let (hours, minutes) = (digit(0)? * 10 + digit(1)?, digit(3)? * 10 + digit(4)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

impl FromStr for TimeOfDay {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        hours_minutes(text)
            .filter(|minutes| *minutes <= 24 * 60)
            .map(Self)
            .ok_or_else(|| BadTime::TimeOfDay(text.to_owned()))
    }
}

impl FromStr for UtcOffset {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let offset = match text.as_bytes() {
            b"Z" => Some(0),
            [sign @ (b'+' | b'-'), ..] => hours_minutes(&text[1..])
                .filter(|minutes| *minutes <= 14 * 60)
                .and_then(|minutes| i16::try_from(minutes).ok())
                .map(|minutes| if *sign == b'-' { -minutes } else { minutes }),
            _ => None,
        };
        offset
            .map(Self)
            .ok_or_else(|| BadTime::UtcOffset(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            0 => return f.write_str("Z"),
            ..0 => '-',
            _ => '+',
        };
        let minutes = self.0.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Text on the outside, checked on the way in.
macro_rules! as_text {
    ($type:ident, $pattern:expr, $longest:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "maxLength": $longest})
            }
        }
    };
}

as_text!(TimeOfDay, "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 5);
as_text!(UtcOffset, "^(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))$", 6);
