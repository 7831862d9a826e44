//! Where children were started, in words. Nothing here is made safe for a terminal.

use crate::birthplace::Birthplace;

use super::{count, duration, plural};

/// Callers that a person reads; `-o json` has more.
const CALLERS: usize = 4;

/// The place and the calls that led to it: `crawl.py:83 in fetch ← crawl.py:91 in loop`.
#[must_use]
pub fn place(place: &Birthplace) -> String {
    let mut calls: Vec<String> = place.calls.iter().map(ToString::to_string).collect();
    if calls.len() > CALLERS + 1 {
        calls.truncate(CALLERS + 1);
        calls.push("…".to_owned());
    }
    let calls = calls.join(" ← ");
    match (place.known, calls.is_empty()) {
        (true, _) => calls,
        (false, true) => "a place that is not known".to_owned(),
        (false, false) => format!("a place that is not known; seen were: {calls}"),
    }
}

/// What became of its children: `started 9 children: 7 are zombies, 2 were waited for`.
#[must_use]
pub fn outcome(place: &Birthplace) -> String {
    let Birthplace {
        known: _,
        calls: _,
        started,
        standing,
        running,
        gone,
        oldest_seconds,
    } = place;
    let mut parts = Vec::new();
    if *standing > 0 {
        let since = oldest_seconds.map_or_else(String::new, |oldest| {
            format!(" (the first was started {} ago)", duration(oldest))
        });
        let are = if *standing == 1 {
            "is a zombie"
        } else {
            "are zombies"
        };
        parts.push(format!("{} {are}{since}", count(*standing)));
    }
    if *gone > 0 {
        let were = if *gone == 1 { "was" } else { "were" };
        parts.push(format!("{} {were} waited for", count(*gone)));
    }
    if *running > 0 {
        let run = if *running == 1 { "runs" } else { "run" };
        parts.push(format!(
            "{} still {run} or ended too lately to tell",
            count(*running)
        ));
    }
    let children = plural(*started, "child", "children");
    format!("started {children}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::birthplace::Frame;

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: Some(function.to_owned()),
            file: Some("crawl.py".to_owned()),
            line: Some(line),
            module: "/usr/bin/python3.11".to_owned(),
            offset: 16,
        }
    }

    fn leaking() -> Birthplace {
        Birthplace {
            known: true,
            calls: vec![frame("fetch", 83), frame("loop", 91)],
            started: 2_000,
            standing: 1,
            running: 2,
            gone: 1_997,
            oldest_seconds: Some(25),
        }
    }

    #[test]
    fn the_place_comes_first_and_then_its_callers() {
        let mut leaking = leaking();
        assert_eq!(
            place(&leaking),
            "crawl.py:83 in fetch ← crawl.py:91 in loop"
        );
        leaking.calls = (1..=9).map(|line| frame("f", line)).collect();
        assert!(place(&leaking).ends_with("crawl.py:5 in f ← …"));
    }

    #[test]
    fn what_is_not_certain_is_not_named_as_the_place() {
        let mut leaking = leaking();
        leaking.known = false;
        assert_eq!(
            place(&leaking),
            "a place that is not known; seen were: crawl.py:83 in fetch ← crawl.py:91 in loop"
        );
        leaking.calls.clear();
        assert_eq!(place(&leaking), "a place that is not known");
    }

    #[test]
    fn what_became_of_the_children() {
        assert_eq!(
            outcome(&leaking()),
            "started 2,000 children: 1 is a zombie (the first was started 25s ago), \
             1,997 were waited for, 2 still run or ended too lately to tell"
        );
    }
}
