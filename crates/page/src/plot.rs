//! Counts over time.
//!
//! The drawing is as wide as the page while its text keeps its size: positions are percentages,
//! and only the lines live in a box that is stretched.

use maud::{Markup, PreEscaped, html};
use sexton_core::text::count;
use sexton_core::text::time::Moment;

use crate::gauge::{pct, share};

/// A plot; it needs two points of one line at least.
pub(crate) struct Plot<'a> {
    /// Heading.
    pub(crate) title: &'a str,
    /// The same in a sentence, for those who do not see it.
    pub(crate) description: String,
    /// First to last moment, seconds since 1970.
    pub(crate) span: (u64, u64),
    /// Most important first.
    pub(crate) lines: Vec<Line>,
    /// Moments at which something was done, and what.
    pub(crate) marks: Vec<(u64, String)>,
}

/// One line of a plot.
pub(crate) struct Line {
    /// What it counts.
    pub(crate) label: String,
    /// Moments, and what was counted.
    pub(crate) points: Vec<(u64, u64)>,
    /// Its look: `total`, `room`, or `l0`…; colours and dashes are the style sheet's.
    pub(crate) class: String,
    /// The surface below it is filled.
    pub(crate) filled: bool,
}

/// Units of the stretched box: finer than any screen.
const BOX: u64 = 10_000;

impl Plot<'_> {
    pub(crate) fn draw(&self) -> Markup {
        let (from, to) = self.span;
        let most = self.lines.iter().flat_map(|line| &line.points);
        let rows = ticks_of(most.map(|(_, n)| *n).max().unwrap_or(0));
        let top = rows.last().copied().unwrap_or(1);
        let x = |at: u64| share(at.saturating_sub(from), (to - from).max(1));
        let y = |n: u64| 100.0 - share(n, top);
        html! {
            figure.plot {
                figcaption {
                    h3 { (self.title) }
                    span.span { (clock(from, to, from)) " to " (clock(from, to, to)) " UTC" }
                }
                svg.canvas role="img" aria-label=(self.description) {
                    title { (self.title) }
                    desc { (self.description) }
                    @for row in &rows {
                        line.grid x1="0" x2="100%" y1=(pct(y(*row))) y2=(pct(y(*row))) {}
                        text.y x="-8" y=(pct(y(*row))) dy="0.32em" { (short(*row)) }
                    }
                    @for at in moments(from, to) {
                        line.tick x1=(pct(x(at))) x2=(pct(x(at))) y1="100%" y2="100%" {}
                        text.x x=(pct(x(at))) y="100%" dy="1.6em" { (clock(from, to, at)) }
                    }
                    svg viewBox=(format!("0 0 {BOX} {BOX}")) preserveAspectRatio="none"
                        width="100%" height="100%" {
                        @for line in self.lines.iter().rev() {
                            (line.draw(from, to, top))
                        }
                    }
                    @for (at, what) in &self.marks {
                        g.action {
                            title { (what) }
                            line x1=(pct(x(*at))) x2=(pct(x(*at))) y1="0" y2="100%" {}
                            circle cx=(pct(x(*at))) cy="0" r="3.5" {}
                        }
                    }
                    @for line in self.lines.iter().rev() {
                        @if let Some((at, n)) = line.points.last() {
                            circle.(line.class) cx=(pct(x(*at))) cy=(pct(y(*n))) r="3.5" {}
                        }
                    }
                }
                (self.legend())
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend {
                @for line in &self.lines {
                    li {
                        svg.swatch aria-hidden="true" {
                            line.(line.class) x1="0" x2="100%" y1="50%" y2="50%" {}
                        }
                        span.name { (line.label) }
                        @if let Some((_, n)) = line.points.last() { b { (count(*n)) } }
                    }
                }
                @if !self.marks.is_empty() {
                    li {
                        svg.swatch aria-hidden="true" { g.action { circle cx="50%" cy="50%" r="3.5" {} } }
                        span.name { "action" }
                    }
                }
            }
        }
    }
}

impl Line {
    fn draw(&self, from: u64, to: u64, top: u64) -> Markup {
        let mut points = String::new();
        for (at, n) in &self.points {
            let x = scale(at.saturating_sub(from), to - from);
            let y = BOX - scale(*n, top);
            points.push_str(&format!("{x},{y} "));
        }
        let points = points.trim_end();
        // Nothing but digits, commas and spaces.
        html! {
            @if let (true, Some((first, _)), Some((last, _))) =
                (self.filled, self.points.first(), self.points.last()) {
                @let (first, last) = (scale(first.saturating_sub(from), to - from), scale(last.saturating_sub(from), to - from));
                polygon.(self.class) points=(PreEscaped(format!("{first},{BOX} {points} {last},{BOX}"))) {}
            }
            polyline.(self.class) points=(PreEscaped(points)) {}
        }
    }
}

/// `n` of `max` in units of the box.
fn scale(n: u64, max: u64) -> u64 {
    let scaled = u128::from(n.min(max)) * u128::from(BOX) / u128::from(max.max(1));
    u64::try_from(scaled).unwrap_or(BOX)
}

/// Round figures from 0 to at least `most`, three to six of them.
fn ticks_of(most: u64) -> Vec<u64> {
    let mut step = 1u64;
    // 1, 2, 5, 10, 20, 50…
    for factor in [2, 5, 10].into_iter().cycle() {
        let decade = 10u64.saturating_pow(step.ilog10());
        if most / step < 4 || step > u64::MAX / 20 {
            break;
        }
        step = decade * factor;
    }
    let rows = most.div_ceil(step).max(1);
    (0..=rows).map(|row| row * step).collect()
}

/// Round moments within a span, at most five.
fn moments(from: u64, to: u64) -> Vec<u64> {
    const STEPS: [u64; 19] = [
        1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
        172_800, 604_800, 2_592_000,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| (to - from) / step < 5)
        .unwrap_or((to - from) / 4);
    let first = from.div_ceil(step) * step;
    (0..5)
        .map(|i| first + i * step)
        .take_while(|at| *at <= to)
        .collect()
}

/// A moment as exactly as the span asks for.
fn clock(from: u64, to: u64, at: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Moment {
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = Moment::of(at);
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12];
    match to - from {
        ..300 => format!("{hour:02}:{minute:02}:{second:02}"),
        300..172_800 => format!("{hour:02}:{minute:02}"),
        172_800.. => format!("{month} {day}"),
    }
}

/// A count for an axis: exact as long as that is short.
fn short(n: u64) -> String {
    match n {
        ..100_000 => count(n),
        100_000..1_000_000 => format!("{}k", n / 1_000),
        // Ticks are round, so that one digit is exact.
        1_000_000..1_000_000_000 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{:.1}G", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        for most in (0..3_000).chain([32_768, 4_194_304, u64::from(u32::MAX), 1 << 50]) {
            let ticks = ticks_of(most);
            let top = *ticks.last().expect("never empty");
            assert!(top >= most, "{most}: {ticks:?}");
            assert!((2..=7).contains(&ticks.len()), "{most}: {ticks:?}");
            assert_eq!(ticks[0], 0);
        }
        assert_eq!(ticks_of(0), [0, 1]);
        assert_eq!(ticks_of(32_768), [0, 10_000, 20_000, 30_000, 40_000]);
    }

    #[test]
    fn moments_are_round_and_few() {
        for span in [
            0,
            1,
            59,
            300,
            3_600,
            7_201,
            86_400,
            40 * 86_400,
            9_000_000_000,
        ] {
            let from = 1_795_517_538;
            let found = moments(from, from + span);
            assert!(found.len() <= 5, "{span}: {found:?}");
            assert!(found.iter().all(|at| (from..=from + span).contains(at)));
        }
        // 10:52:18 to 11:52:18
        let hour: Vec<String> = moments(1_795_517_538, 1_795_521_138)
            .into_iter()
            .map(|at| clock(1_795_517_538, 1_795_521_138, at))
            .collect();
        assert_eq!(hour, ["11:00", "11:15", "11:30", "11:45"]);
    }

    #[test]
    fn a_line_stays_in_its_box() {
        assert_eq!(scale(0, 0), 0);
        assert_eq!(scale(u64::MAX, 5), BOX);
        assert_eq!(scale(1, 2), BOX / 2);
    }
}
