use proptest::prelude::*;

use super::*;
use crate::limit::fixture;

/// Long ago.
const NEVER: Told = Told([0, 0, 0]);

/// How many were started in the last minute, ten minutes, hour.
#[derive(Clone, Copy, Debug)]
struct Told([u64; 3]);

fn started(last_minute: u64, last_ten_minutes: u64, last_hour: u64) -> Told {
    Told([last_minute, last_ten_minutes, last_hour])
}

impl Told {
    /// Evenly within each of these spans; where there is none at all, one of two hours ago.
    fn starts(self) -> Starts {
        let [minute, ten, hour] = self.0;
        let even = |from: u64, to: u64, count: u64| {
            (0..count).map(move |i| (from * 100) + (to - from) * (100 * i + 50) / count)
        };
        let old = (hour == 0).then_some(720_000);
        let ages: Vec<u64> = even(0, 60, minute)
            .chain(even(60, 600, ten - minute))
            .chain(even(600, 3_600, hour - ten))
            .chain(old)
            .collect();
        let zombies = ages.len() as u64;
        Starts::new(ages, zombies, None)
    }
}

trait Judged {
    fn judged(&self, limits: &[Limit], told: &Told) -> Forecast;
}

impl Judged for History {
    fn judged(&self, limits: &[Limit], told: &Told) -> Forecast {
        self.forecast(limits, &told.starts())
    }
}

/// One sample a second.
fn every_second(counts: impl IntoIterator<Item = u64>) -> History {
    every(Duration::from_secs(1), counts)
}

fn every(step: Duration, counts: impl IntoIterator<Item = u64>) -> History {
    let mut history = History::new();
    for (i, count) in (0..).zip(counts) {
        history.push(step * i, count);
    }
    history
}

fn limits(headroom: u64) -> Vec<Limit> {
    vec![fixture(LimitKind::CgroupPids, 10_000 + headroom, 10_000)]
}

fn near(value: f64, wanted: f64, tolerance: f64) -> bool {
    (value - wanted).abs() <= tolerance * wanted.abs()
}

#[test]
fn nothing_seen_is_unknown() {
    let forecast = History::new().judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::Unknown);
    assert_eq!(forecast.seconds_left, None);
    assert_eq!(forecast.limit, None);
    assert_eq!(forecast.confidence, Confidence::Low);
}

#[test]
fn without_samples_the_zombies_tell_their_own_story() {
    let forecast = History::new().judged(&limits(6_000), &started(60, 600, 3_600));
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 1.0, 0.01));
    assert_eq!(forecast.seconds_left, Some(6_000));
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn one_sample_of_old_zombies_is_not_growing() {
    let forecast = every_second([500]).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::NotGrowing);
    assert_eq!(forecast.confidence, Confidence::Low);
}

#[test]
fn two_samples_say_little_alone() {
    let forecast = every_second([100, 110]).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert_eq!(forecast.seconds_left, Some(10));
    assert_eq!(forecast.confidence, Confidence::Low);
}

#[test]
fn two_samples_and_a_history_that_agrees_say_more() {
    let forecast = every_second([100, 110]).judged(&limits(6_000), &started(600, 6_000, 9_000));
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 10.0, 0.01));
    assert_eq!(forecast.confidence, Confidence::High);
}

#[test]
fn fast_leak_watched_for_five_seconds() {
    let history = every(Duration::from_millis(500), (0..=10).map(|i| 1_000 + i * 50));
    let forecast = history.judged(&limits(1_000), &started(1_500, 1_500, 1_500));
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 100.0, 0.01));
    assert_eq!(forecast.seconds_left, Some(10));
    let (earliest, latest) = forecast.seconds_left_range.unwrap();
    assert!(earliest <= 10 && latest.unwrap() >= 10);
    assert_eq!(forecast.limit, Some(LimitKind::CgroupPids));
    // A leak that began 15 seconds ago: the minute does not confirm it.
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn fast_leak_that_has_lasted_is_certain() {
    let history = every(Duration::from_millis(500), (0..=10).map(|i| 9_000 + i * 50));
    let forecast = history.judged(&limits(1_000), &started(6_000, 9_500, 9_500));
    assert_eq!(forecast.confidence, Confidence::High);
    assert!(near(forecast.rate_per_second, 100.0, 0.01));
}

#[test]
fn slow_leak_is_invisible_in_five_seconds_but_the_zombies_tell() {
    for counts in [[600; 6], [600, 600, 601, 601, 601, 601]] {
        let forecast = every_second(counts).judged(&limits(60), &started(1, 10, 60));
        assert_eq!(forecast.trend, Trend::Growing);
        assert!(near(forecast.rate_per_second, 1.0 / 60.0, 0.01));
        assert_eq!(forecast.seconds_left, Some(3_600));
        assert_eq!(forecast.confidence, Confidence::Medium);
    }
}

#[test]
fn children_that_lived_long_are_missing_in_the_last_minute() {
    // Browsers that live half an hour: none of the dead was started lately.
    let history = every_second((0..=30).map(|i| 1_000 + i));
    let forecast = history.judged(&limits(100), &started(0, 0, 900));
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 1.0, 0.01));
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn burst_then_flat() {
    let history = every_second([0, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50]);
    let forecast = history.judged(&limits(100), &started(50, 50, 50));
    assert_eq!(forecast.trend, Trend::NotGrowing);
    assert_eq!(forecast.confidence, Confidence::Low);
    assert_eq!(forecast.seconds_left, None);
}

#[test]
fn burst_in_two_steps_then_flat() {
    let history = every_second([0, 50, 100, 100, 100, 100, 100, 100, 100, 100, 100]);
    let forecast = history.judged(&limits(100), &started(100, 100, 100));
    assert_eq!(forecast.trend, Trend::NotGrowing);
}

#[test]
fn burst_just_now_is_unclear() {
    let counts = std::iter::repeat_n(10, 20).chain([60]);
    let forecast = every_second(counts).judged(&limits(100), &started(50, 50, 50));
    assert_eq!(forecast.trend, Trend::Unknown);
    assert_eq!(forecast.seconds_left, None);
}

#[test]
fn burst_of_minutes_ago_has_ended() {
    let forecast = every_second([500; 6]).judged(&limits(100), &started(0, 500, 500));
    assert_eq!(forecast.trend, Trend::NotGrowing);
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn bursts_that_come_again_are_growth() {
    let counts = (0..=120).map(|second| second / 10 * 20);
    let forecast = every_second(counts).judged(&limits(2_000), &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 2.0, 0.1), "{forecast:?}");
    // Twelve jumps are few events, though they brought 240 zombies.
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn plateau_after_growth() {
    let counts = (0..30).map(|i| i * 10).chain(std::iter::repeat_n(300, 30));
    let forecast = every_second(counts).judged(&limits(100), &started(300, 300, 300));
    assert_eq!(forecast.trend, Trend::NotGrowing);
}

#[test]
fn plateau_within_five_seconds() {
    let counts = [0, 50, 100, 150, 200, 250, 300, 300, 300, 300, 300];
    let history = every(Duration::from_millis(500), counts);
    let forecast = history.judged(&limits(100), &started(300, 300, 300));
    assert_eq!(forecast.trend, Trend::NotGrowing);
}

#[test]
fn growth_that_began_late_in_the_watch_has_its_own_rate() {
    let counts = std::iter::repeat_n(5, 60).chain((0..60).map(|i| 5 + i * 10));
    let forecast = every_second(counts).judged(&limits(1_000), &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 10.0, 0.1), "{forecast:?}");
}

#[test]
fn sawtooth_of_a_holder_that_reaps_in_batches() {
    let counts = (0..90).map(|i| i % 15 * 4);
    let forecast = every_second(counts).judged(&limits(100), &started(56, 56, 56));
    assert_eq!(forecast.trend, Trend::NotGrowing);
    assert_eq!(forecast.confidence, Confidence::High);
}

#[test]
fn sawtooth_that_is_met_on_its_way_up() {
    let counts = [40, 44, 48, 52, 0, 4, 8, 12, 16, 20, 24];
    let forecast = every_second(counts).judged(&limits(100), &started(24, 24, 24));
    assert_eq!(forecast.trend, Trend::NotGrowing);
}

#[test]
fn sawtooth_whose_teeth_climb() {
    // Nine more, then five reaped, over and over: four more each ten seconds.
    let counts = (0..120).map(|i| 100 + i / 10 * 4 + i % 10);
    let forecast = every_second(counts).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 0.4, 0.3), "{forecast:?}");
}

#[test]
fn falling() {
    let forecast = every_second((0..=20).map(|i| 500 - i * 5)).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::NotGrowing);
    assert!(near(forecast.rate_per_second, -5.0, 0.01));
    assert_eq!(forecast.confidence, Confidence::Medium);
}

#[test]
fn standing_still_only_because_fork_fails() {
    let forecast = every_second([90; 10]).judged(&limits(0), &started(0, 90, 90));
    assert_eq!(forecast.trend, Trend::LimitReached);
    assert_eq!(forecast.seconds_left, Some(0));
    assert_eq!(forecast.seconds_left_range, Some((0, Some(0))));
    assert_eq!(forecast.scope.as_deref(), Some("node"));
    assert_eq!(forecast.confidence, Confidence::High);
}

#[test]
fn transients_are_no_growth() {
    let counts = (0..60).map(|i| 100 + i * 7 % 5);
    let forecast = every_second(counts).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::NotGrowing, "{forecast:?}");
}

#[test]
fn growth_beneath_transients() {
    let counts = (0..60).map(|i| 100 + i * 2 + i * 7 % 5);
    let forecast = every_second(counts).judged(&limits(100), &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert!(near(forecast.rate_per_second, 2.0, 0.1), "{forecast:?}");
}

#[test]
fn growth_without_any_limit_has_a_rate_and_no_end() {
    let mut unlimited = limits(5);
    unlimited[0].limit = None;
    let forecast = every_second((0..30).map(|i| i * 10)).judged(&unlimited, &NEVER);
    assert_eq!(forecast.trend, Trend::Growing);
    assert_eq!(forecast.seconds_left, None);
    assert_eq!(forecast.limit, None);
}

#[test]
fn the_limit_with_least_headroom_is_named() {
    let mut all = vec![
        fixture(LimitKind::ThreadsMax, 100_000, 1_000),
        fixture(LimitKind::PidMax, 32_768, 1_000),
        fixture(LimitKind::CgroupPids, 1_200, 1_000),
        fixture(LimitKind::MaxMapCount, 65_530, 65_500),
    ];
    all[2].scope = "cgroup /crawler".to_owned();
    let forecast = every_second((0..30).map(|i| i * 10)).judged(&all, &NEVER);
    assert_eq!(forecast.limit, Some(LimitKind::CgroupPids));
    assert_eq!(forecast.scope.as_deref(), Some("cgroup /crawler"));
    assert_eq!(forecast.seconds_left, Some(20));
}

#[test]
fn a_watch_of_days_stays_small_and_keeps_its_start() {
    let history = every_second(0..100_000);
    assert!(history.len() <= History::CAPACITY);
    assert_eq!(history.first(), Some((Duration::ZERO, 0)));
    assert_eq!(history.last().unwrap().1, 99_999);
    let forecast = history.judged(&limits(1_000), &NEVER);
    assert!(near(forecast.rate_per_second, 1.0, 0.01));
}

#[test]
fn json_of_a_forecast_reads_back() {
    let forecast = every_second(0..30).judged(&limits(100), &NEVER);
    let text = serde_json::to_string(&forecast).unwrap();
    assert_eq!(serde_json::from_str::<Forecast>(&text).unwrap(), forecast);
}

/// Steady, three a second, half a minute old: nothing was there before, so that the minute and
/// the ten are no longer than that.
#[test]
fn a_young_leak_is_not_divided_by_a_span_that_is_older_than_it() {
    let ages = (0..87).map(|i| i * 100 / 3);
    let starts = Starts::new(ages, 87, Some(2_905));
    let history = every(Duration::from_millis(250), (0..=20).map(|i| 72 + i * 3 / 4));
    let forecast = history.forecast(&limits(52), &starts);
    assert!(near(forecast.rate_per_second, 3.0, 0.05), "{forecast:?}");
    assert_eq!(forecast.confidence, Confidence::High);
    let (earliest, latest) = forecast.seconds_left_range.unwrap();
    assert!(earliest <= 17 && latest.unwrap() >= 17, "{forecast:?}");
    assert!(latest.unwrap() < 34, "{forecast:?}");
}

#[test]
fn one_burst_at_the_start_is_no_growth() {
    for (count, seconds) in [(60, 8), (24, 11), (12, 4), (12, 400), (2, 30)] {
        let starts = Starts::new(
            vec![seconds * 100; count],
            count as u64,
            Some(seconds * 100 + 3),
        );
        let standing = count as u64;
        let unwatched = every_second([standing]).forecast(&limits(100), &starts);
        let watched = every_second([standing; 3]).forecast(&limits(100), &starts);
        for forecast in [unwatched, watched] {
            assert_eq!(forecast.trend, Trend::NotGrowing, "{count}: {forecast:?}");
            assert_eq!(forecast.seconds_left, None);
        }
    }
}

/// A look after a step of ours, or of the holder's: what stands is no history.
#[test]
fn a_holder_that_is_much_older_may_wait_again() {
    let ages: Vec<u64> = (0..60).map(|i| i * 50).collect();
    let history = every(Duration::from_millis(500), 50..=60);
    let as_old = history.forecast(&limits(200), &Starts::new(ages.clone(), 60, Some(3_010)));
    let older = history.forecast(&limits(200), &Starts::new(ages, 60, Some(360_000)));
    assert!(
        matches!(as_old.seconds_left_range, Some((_, Some(_)))),
        "{as_old:?}"
    );
    assert!(
        matches!(older.seconds_left_range, Some((_, None))),
        "{older:?}"
    );
    assert!(older.confidence < Confidence::High);
}

#[test]
fn acceleration_that_the_watch_shows_belongs_in_the_range() {
    // One a second at first, one more a second each five seconds.
    let counts = (0..=40u64).map(|i| i + i * i / 10);
    let forecast = every_second(counts).forecast(&limits(300), &Starts::default());
    // 300 more than 200: at i + i²/10 = 500, 26 seconds from now.
    let (earliest, latest) = forecast.seconds_left_range.unwrap();
    assert!(
        earliest <= 26 && latest.is_none_or(|l| l >= 26),
        "{forecast:?}"
    );
}

/// A program that forks by a timer: 24 children in 19 s, the pauses between them ever shorter. By
/// chance alone, so many would tell nothing of a change.
#[test]
fn a_change_of_an_even_leak_shows_early() {
    let at = |n: u64| 40.0 * (n as f64 / 40.0).ln_1p();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let age = |n: u64| ((at(24) - at(n)) * 100.0) as u64;
    let starts = Starts::new((0..=24).map(age), 25, Some(2_000));
    let forecast = History::new().forecast(&limits(114), &starts);
    // At a steady rate it would take 86 s.
    let real = at(24 + 114) - at(24);
    let (earliest, latest) = forecast.seconds_left_range.unwrap();
    assert!((earliest as f64) < real, "{real}: {forecast:?}");
    assert!(latest.is_none_or(|l| l as f64 > real), "{forecast:?}");
    // And one that does not change is not said to.
    let even = Starts::new((0..25).map(|n| n * 75), 25, Some(2_000));
    let forecast = History::new().forecast(&limits(114), &even);
    assert!(forecast.seconds_left_range.unwrap().0 > 45, "{forecast:?}");
}

#[test]
fn what_others_take_of_a_limit_brings_its_end_nearer() {
    let history = every_second((0..=60).map(|i| i * 2));
    let cgroup = fixture(LimitKind::CgroupPids, 1_000, 800);
    let node = fixture(LimitKind::PidMax, 32_768, 32_368);
    let limits = [cgroup, node];
    let judged = |others: [f64; 2]| {
        let beside = |limit: &Limit| others[usize::from(limit.kind == LimitKind::PidMax)];
        history.forecast_beside(&limits, &Starts::default(), beside)
    };
    let alone = judged([0.0, 0.0]);
    assert_eq!(alone, history.forecast(&limits, &Starts::default()));
    assert_eq!(alone.seconds_left, Some(100));
    // Two alike in one container.
    let shared = judged([2.0, 2.0]);
    assert_eq!(shared.seconds_left, Some(50));
    assert_eq!(shared.rate_per_second, 2.0);
    let (earliest, latest) = shared.seconds_left_range.unwrap();
    let (alone_earliest, alone_latest) = alone.seconds_left_range.unwrap();
    assert_eq!((earliest, latest), (alone_earliest / 2, alone_latest));
    assert!(
        shared.basis.contains("+2/s of the same limit"),
        "{}",
        shared.basis
    );
    // Of the node others take so much that it is reached first.
    let crowd = judged([0.0, 6.0]);
    assert_eq!(
        (crowd.limit, crowd.seconds_left),
        (Some(LimitKind::PidMax), Some(50))
    );
    // What does not grow is not made to by others.
    let still = every_second([12; 60]).forecast_beside(&limits, &NEVER.starts(), |_| 5.0);
    assert_eq!((still.trend, still.seconds_left), (Trend::NotGrowing, None));
}

#[test]
fn what_is_held_says_what_would_be() {
    let growing = every_second((0..30).map(|i| i * 10)).forecast(&limits(100), &Starts::default());
    assert_eq!(growing.warns_of(), Some(10));
    let held = growing.clone().held();
    assert_eq!(held.trend, Trend::Held);
    assert_eq!(
        (held.warns_of(), held.seconds_left_unheld),
        (None, Some(10))
    );
    let words = crate::text::leak::outlook(&held);
    assert!(words.starts_with("held: +10/s"), "{words}");
    let still = every_second([5; 9]).forecast(&limits(100), &NEVER.starts());
    assert_eq!(still.clone().held(), still, "only what grows is held");
}

#[test]
fn starts_are_thinned_evenly_and_stay_a_count() {
    let starts = Starts::new((0..10_000).map(|i| i * 30), 10_000, None);
    for (seconds, within) in [(60, 200), (600, 2_000), (3_000, 10_000)] {
        let told = starts.within(seconds);
        assert!(told.abs_diff(within) <= 1, "{told} in {seconds} s");
    }
    assert_eq!(Starts::default().within(60), 0);
}

/// How often the 95% range of a leak that comes at random holds its true rate.
#[test]
fn the_range_holds_the_true_rate_of_a_random_leak() {
    // A fixed sequence (xorshift), so that this test says the same thing every day.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let (mut growing, mut held) = (0, 0);
    for _ in 0..400 {
        // Two a second on the average: chances of 1 in 50 in each of 100 slots.
        let mut count = 0;
        let history = every_second((0..=60).map(|_| {
            count += (0..100).filter(|_| random() < 0.02).count() as u64;
            count
        }));
        let forecast = history.judged(&limits(1_000), &NEVER);
        growing += usize::from(forecast.trend == Trend::Growing);
        let (earliest, latest) = forecast.seconds_left_range.unwrap_or((1, Some(0)));
        held += usize::from(earliest <= 500 && latest.is_none_or(|l| l >= 500));
    }
    assert!(growing >= 396, "seen as growing in {growing} of 400");
    assert!(held >= 360, "true rate within the range in {held} of 400");
}

fn any_history() -> impl Strategy<Value = History> {
    let sample = (0..100_000u64, 0..50_000u64);
    prop::collection::vec(sample, 0..200).prop_map(|samples| {
        let mut at = Duration::ZERO;
        let mut history = History::new();
        for (wait, count) in samples {
            at += Duration::from_millis(wait);
            history.push(at, count);
        }
        history
    })
}

fn any_started() -> impl Strategy<Value = Told> {
    (0..5_000u64, 0..5_000u64, 0..5_000u64).prop_map(|(a, b, c)| started(a, a + b, a + b + c))
}

proptest! {
    #[test]
    fn a_forecast_is_coherent(
        history in any_history(), started in any_started(), headroom in 0..100_000u64,
    ) {
        let forecast = history.judged(&limits(headroom), &started);
        prop_assert!(forecast.rate_per_second.is_finite());
        prop_assert_eq!(forecast.seconds_left.is_some(), forecast.limit.is_some());
        prop_assert_eq!(forecast.seconds_left.is_some(), forecast.seconds_left_range.is_some());
        prop_assert_eq!(headroom == 0, forecast.trend == Trend::LimitReached);
        match forecast.trend {
            Trend::Growing => prop_assert!(forecast.rate_per_second > 0.0),
            Trend::Held => prop_assert!(false, "nothing is taken away here"),
            Trend::LimitReached => prop_assert_eq!(forecast.seconds_left, Some(0)),
            Trend::NotGrowing | Trend::Unknown => prop_assert_eq!(forecast.seconds_left, None),
        }
        if let (Some(left), Some((earliest, latest))) =
            (forecast.seconds_left, forecast.seconds_left_range)
        {
            prop_assert!(earliest <= left);
            prop_assert!(latest.is_none_or(|latest| left <= latest));
        }
    }

    #[test]
    fn a_steady_leak_has_its_rate(
        rate in 1..1_000u64, base in 0..30_000u64, seconds in 5..300u64, headroom in 1..30_000u64,
    ) {
        let history = every_second((0..=seconds).map(|i| base + i * rate));
        let forecast = history.judged(&limits(headroom), &NEVER);
        prop_assert_eq!(forecast.trend, Trend::Growing);
        prop_assert!(near(forecast.rate_per_second, rate as f64, 1e-9));
        prop_assert_eq!(forecast.seconds_left, Some(headroom / rate));
        let (earliest, latest) = forecast.seconds_left_range.unwrap();
        prop_assert!(earliest <= headroom / rate && latest.is_none_or(|l| l >= headroom / rate));
    }

    #[test]
    fn a_count_that_never_rises_is_not_growing(
        falls in prop::collection::vec(0..50u64, 1..100), base in 5_000..9_000u64,
    ) {
        let mut count = base;
        let history = every_second(falls.iter().map(|fall| { count -= fall; count }));
        let forecast = history.judged(&limits(100), &NEVER);
        prop_assert_eq!(forecast.trend, Trend::NotGrowing);
        prop_assert!(forecast.rate_per_second <= 0.0);
    }

    /// Only differences count: neither the clock's zero nor the zombies of old matter, as long
    /// as nothing is reaped (what a fall means depends on how many there were).
    #[test]
    fn shifts_change_nothing(
        rises in prop::collection::vec(0..20u64, 1..100),
        later in 0..1_000_000u64, more in 0..30_000u64,
        started in any_started(),
    ) {
        let (mut plain, mut shifted) = (History::new(), History::new());
        let mut count = 0;
        for (second, rise) in (0..).zip(&rises) {
            count += rise;
            plain.push(Duration::from_secs(second), count);
            shifted.push(Duration::from_secs(second + later), count + more);
        }
        prop_assert_eq!(
            plain.judged(&limits(100), &started),
            shifted.judged(&limits(100), &started)
        );
    }

    #[test]
    fn memory_is_bounded(counts in prop::collection::vec(0..9u64, 0..2_000)) {
        let history = every_second(counts.iter().copied());
        prop_assert!(history.len() <= History::CAPACITY);
        prop_assert_eq!(history.last().map(|(_, c)| c), counts.last().copied());
    }
}
