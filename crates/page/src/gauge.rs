//! A limit as a bar: what lives, what is dead, what is left.

use maud::{Markup, html};
use sexton_core::Limit;
use sexton_core::limit::Nearness;
use sexton_core::text::{count, plural, short_ids};

/// How near a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Far.
    Calm,
    /// [`Nearness::Filling`].
    Warn,
    /// [`Nearness::NearlyFull`].
    Bad,
}

impl Level {
    pub(crate) fn of(limit: &Limit) -> Self {
        limit.nearness().into()
    }

    /// Its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl From<Nearness> for Level {
    fn from(nearness: Nearness) -> Self {
        match nearness {
            Nearness::Far => Self::Calm,
            Nearness::Filling => Self::Warn,
            Nearness::NearlyFull => Self::Bad,
        }
    }
}

/// One limit; `whose` is a name to be put before its scope.
pub(crate) fn gauge(limit: &Limit, whose: Option<&str>) -> Markup {
    let level = Level::of(limit);
    let full = limit.used.zip(limit.limit);
    html! {
        li.gauge.(level.class()) {
            div.line {
                h4 { (limit.kind.name()) }
                span.of { (whose.map_or_else(|| scope(&limit.scope), str::to_owned)) }
                @if limit.first { span.chip.(level.class()) { "reached first" } }
                @if let Some(percent) = limit.used_percent() {
                    span.percent { (percent) "%" }
                }
            }
            @if let Some((used, max)) = full {
                (bar(limit, used, max))
            }
            p.figures { (figures(limit)) }
            @if let Some(note) = &limit.note {
                p.note { (short_ids(note)) }
            }
        }
    }
}

fn figures(limit: &Limit) -> Markup {
    let used = limit.used.map_or_else(|| "?".to_owned(), count);
    html! {
        @match limit.limit {
            Some(max) => { span { (used) " of " (count(max)) } }
            None => { span { (used) " used, no limit" } }
        }
        @match limit.headroom() {
            Some(0) => { span.bad { "none left: fork fails" } }
            Some(left) => { span { (count(left)) " left" } }
            None => {}
        }
        @match limit.zombies {
            Some(0) | None => {}
            Some(zombies) => { span.dead { (plural(zombies, "zombie", "zombies")) } }
        }
    }
}

/// The bar. The zombies come last, where they stand between the living and the limit.
fn bar(limit: &Limit, used: u64, max: u64) -> Markup {
    let share = |n: u64| share(n, max);
    let zombies = limit.zombies.unwrap_or(0).min(used);
    let living = share(used - zombies);
    let dead = share(zombies).min(100.0 - living);
    let description = format!(
        "{} of {} taken, {} of them by zombies",
        count(used),
        count(max),
        count(zombies)
    );
    html! {
        svg.bar role="img" aria-label=(description) {
            title { (description) }
            rect.track width="100%" height="100%" {}
            rect.living width=(pct(living)) height="100%" {}
            @if zombies > 0 {
                rect.zombies x=(pct(living)) width=(pct(dead)) height="100%" {}
                // Stripes, for those who do not tell the colours apart.
                rect.stripes x=(pct(living)) width=(pct(dead)) height="100%" fill="url(#stripes)" {}
            }
        }
    }
}

/// What the bars' colours mean, and the stripes that they draw with. Once a page.
pub(crate) fn legend() -> Markup {
    html! {
        p.legend {
            span { svg.swatch aria-hidden="true" { rect.living width="100%" height="100%" {} } "living" }
            span {
                svg.swatch aria-hidden="true" {
                    defs {
                        pattern id="stripes" width="5" height="5" patternUnits="userSpaceOnUse"
                            patternTransform="rotate(45)" {
                            rect.stripe width="1.6" height="5" {}
                        }
                    }
                    rect.zombies width="100%" height="100%" {}
                    rect.stripes width="100%" height="100%" fill="url(#stripes)" {}
                }
                "zombies"
            }
            span { svg.swatch aria-hidden="true" { rect.track width="100%" height="100%" {} } "left" }
        }
    }
}

/// A scope without what makes it long: of a cgroup path the last two parts tell it from others.
fn scope(scope: &str) -> String {
    let short = short_ids(scope);
    let Some(path) = short.strip_prefix("cgroup ") else {
        return short;
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [.., one, other] if parts.len() > 2 => format!("cgroup …/{one}/{other}"),
        _ => short,
    }
}

/// `n` of `max` in percent.
pub(crate) fn share(n: u64, max: u64) -> f64 {
    if max == 0 {
        100.0
    } else {
        (n as f64 / max as f64 * 100.0).min(100.0)
    }
}

/// `12.34%`, as SVG takes it.
pub(crate) fn pct(share: f64) -> String {
    format!("{share:.2}%")
}
