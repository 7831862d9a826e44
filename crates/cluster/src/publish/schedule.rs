//! When a report is written. Pure: all times are given, counted from any one moment.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Least time between two writes.
const BETWEEN: Duration = Duration::from_secs(60);
/// So many writes in a row may be as close as that.
const IN_A_ROW: u32 = 10;
/// In the long run there is one in this time.
const IN_THE_LONG_RUN: Duration = Duration::from_secs(300);
/// A change waits for others, and for its turn among all nodes: a policy that is changed changes
/// the reports of all of them.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(35));
/// The first write after a start waits for up to this: all agents may have started at once.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// What stands in the cluster is compared with what ought to at least so often, and at most.
const COMPARE: (Duration, Duration) = (Duration::from_secs(1_800), Duration::from_secs(2_700));
/// The pause after a failure: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(300));

/// Decides when one node's report is written.
#[derive(Clone, Debug)]
pub struct Schedule {
    random: u64,
    /// When the change that waits is to be written.
    change: Option<Duration>,
    last_write: Option<Duration>,
    /// When all writes so far would have been made, had they been spread evenly.
    paid: Duration,
    /// When what stands is compared next, if nothing changes.
    compare: Duration,
    not_before: Duration,
    failures: u32,
}

impl Schedule {
    /// For a node of this name: each has its own place among all.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        node.hash(&mut hasher);
        Self {
            random: hasher.finish(),
            change: None,
            last_write: None,
            paid: Duration::ZERO,
            compare: Duration::MAX,
            not_before: Duration::ZERO,
            failures: 0,
        }
    }

    /// There is something else to be told than what was written. `turn`: a condition has turned,
    /// which does not wait for the long run.
    pub fn changed(&mut self, now: Duration, turn: bool) {
        let wait = match self.last_write {
            _ if self.change.is_some() => Duration::ZERO,
            None if self.compare == Duration::MAX => self.between(Duration::ZERO, FIRST_WAIT),
            _ => self.between(WAIT.0, WAIT.1),
        };
        let waits = self.change.unwrap_or(now + wait);
        let minute = self
            .last_write
            .map_or(Duration::ZERO, |last| last + BETWEEN);
        let in_a_row = IN_THE_LONG_RUN * (IN_A_ROW - 1);
        let long_run = self.paid.saturating_sub(in_a_row);
        self.change = Some(if turn {
            // What waits for the long run waits no longer.
            waits
                .min(now.max(minute) + self.between(Duration::ZERO, WAIT.0))
                .max(minute)
        } else {
            waits.max(minute).max(long_run)
        });
    }

    /// What was written is what is to be told.
    pub fn unchanged(&mut self) {
        self.change = None;
    }

    /// When something is to be done; never where nothing was ever to be told.
    #[must_use]
    pub fn due(&self) -> Duration {
        let next = self.change.unwrap_or(Duration::MAX).min(self.compare);
        next.max(self.not_before)
    }

    /// Whether it is time to look at what stands in the cluster.
    #[must_use]
    pub fn compares(&self, now: Duration) -> bool {
        self.compare <= now
    }

    /// It has been written.
    pub fn wrote(&mut self, now: Duration) {
        self.last_write = Some(now);
        self.paid = self.paid.max(now) + IN_THE_LONG_RUN;
        self.stands(now);
    }

    /// What stands in the cluster has been seen to be what is to be told.
    pub fn stands(&mut self, now: Duration) {
        self.change = None;
        self.failures = 0;
        self.not_before = Duration::ZERO;
        self.compare = now + self.between(COMPARE.0, COMPARE.1);
    }

    /// It could not be done; the server may have said how long to leave it in peace.
    pub fn failed(&mut self, now: Duration, retry_after: Option<Duration>) {
        let doubled = PAUSE.0 * 2_u32.saturating_pow(self.failures.min(10));
        let pause = doubled.min(PAUSE.1).max(retry_after.unwrap_or_default());
        self.failures = self.failures.saturating_add(1);
        let jitter = self.between(Duration::ZERO, pause.max(PAUSE.0));
        // What is to be told stays to be told.
        self.change.get_or_insert(now);
        self.not_before = now + pause + jitter;
    }

    /// Something between the two (splitmix64: evenly spread is all that is asked for).
    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (z >> 40) as f64 / (1_u64 << 24) as f64;
        least + most.saturating_sub(least).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Runs a node for so many seconds; `changes` says when there is something new to tell.
    fn writes(node: &str, until: u64, changes: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut schedule = Schedule::new(node);
        let mut writes = vec![];
        for second in 0..until {
            let now = seconds(second);
            if changes(second) {
                schedule.changed(now, false);
            }
            if schedule.due() <= now {
                if schedule.change.is_some() {
                    writes.push(second);
                    schedule.wrote(now);
                } else {
                    schedule.stands(now);
                }
            }
        }
        writes
    }

    #[test]
    fn nothing_is_written_where_nothing_changes() {
        assert_eq!(Schedule::new("n").due(), Duration::MAX);
        assert_eq!(writes("n", 86_400, |second| second == 0).len(), 1);
    }

    #[test]
    fn what_changes_all_the_time_is_written_once_a_minute_and_then_less_often() {
        for node in ["a", "b", "c", "d"] {
            let writes = writes(node, 7_200, |_| true);
            assert!(writes[0] <= FIRST_WAIT.as_secs());
            let gaps: Vec<u64> = writes.windows(2).map(|two| two[1] - two[0]).collect();
            assert!(gaps.iter().all(|gap| *gap >= 60), "{gaps:?}");
            assert!(gaps[..9].iter().all(|gap| *gap <= 100), "{gaps:?}");
            let late = &gaps[gaps.len() - 5..];
            assert!(late.iter().all(|gap| (290..=340).contains(gap)), "{gaps:?}");
        }
    }

    #[test]
    fn a_change_after_a_rest_waits_a_little_and_not_the_minute() {
        let writes = writes("n", 4_000, |second| second == 0 || second == 3_000);
        assert_eq!(writes.len(), 2);
        assert!((3_005..=3_035).contains(&writes[1]), "{writes:?}");
    }

    #[test]
    fn a_condition_that_turns_waits_a_minute_at_most() {
        let mut schedule = Schedule::new("n");
        for n in 0..30 {
            schedule.wrote(seconds(n * 60));
        }
        let now = seconds(30 * 60);
        schedule.changed(now, false);
        assert!(schedule.due() > now + seconds(600));
        schedule.changed(now, true);
        assert!(schedule.due() <= now + seconds(10), "{:?}", schedule.due());
        schedule.wrote(now);
        schedule.changed(now + seconds(1), true);
        assert!(schedule.due() >= now + BETWEEN);
    }

    #[test]
    fn what_was_taken_back_is_not_written() {
        let mut schedule = Schedule::new("n");
        schedule.wrote(seconds(1));
        schedule.changed(seconds(100), false);
        schedule.unchanged();
        assert!(schedule.due() >= seconds(1) + COMPARE.0);
    }

    #[test]
    fn failures_are_spread_ever_further_and_forgotten_on_success() {
        let mut schedule = Schedule::new("n");
        schedule.changed(seconds(0), false);
        let mut now = schedule.due();
        let mut pauses = vec![];
        for _ in 0..12 {
            schedule.failed(now, None);
            pauses.push((schedule.due() - now).as_secs());
            now = schedule.due();
        }
        assert!(
            pauses[0] <= 8 && pauses[11] >= 300 && pauses[11] <= 600,
            "{pauses:?}"
        );
        schedule.failed(now, Some(seconds(1_000)));
        assert!(
            schedule.due() >= now + seconds(1_000),
            "Retry-After is obeyed"
        );
        schedule.wrote(now);
        assert!(schedule.due() >= now + COMPARE.0);
    }

    #[test]
    fn nodes_that_start_at_once_do_not_write_at_once() {
        let mut first: Vec<u64> = (0..1_000)
            .map(|n| writes(&format!("node-{n}"), 61, |second| second == 0)[0])
            .collect();
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 25, "{first:?}");
    }
}
