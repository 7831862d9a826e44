//! Containers that cannot end: what keeps them, and the part of the cure that is safe to carry out.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use sexton_core::ending::{Ending, Holdup};
use sexton_reap::{Options, execute};
use sexton_scan::Scanner;

use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::{BAD, DIM, HEADING, WARN, text};
use crate::reap::why_refused;

/// One line for each.
pub fn brief<W: Write>(lines: &mut Lines<W>, endings: &[Ending]) -> io::Result<()> {
    for ending in endings {
        lines.line(BAD, &ending.title())?;
        let pid = ending.first.id.pid;
        lines.line(
            DIM,
            &format!("Why, and what frees it: sexton explain {pid}"),
        )?;
    }
    Ok(())
}

/// All that is known of one.
pub fn draw<W: Write>(lines: &mut Lines<W>, ending: &Ending) -> io::Result<()> {
    lines.line(HEADING, &ending.title())?;
    lines.gap()?;
    lines.line(HEADING, "Why")?;
    for holdup in &ending.held_by {
        lines.item("-", &holdup.fact())?;
    }
    if ending.more > 0 {
        let more = text::plural(ending.more, "more process", "more processes");
        lines.item("-", &format!("{more} of its PID namespace."))?;
    }
    lines.gap()?;
    lines.line(HEADING, "Now")?;
    let mut cures: Vec<String> = ending.held_by.iter().map(Holdup::cure).collect();
    cures.dedup();
    for (i, cure) in cures.iter().enumerate() {
        lines.item(&format!("{}.", i + 1), cure)?;
    }
    lines.gap()?;
    lines.line(DIM, ending.in_vain())?;
    lines.gap()
}

/// How far to go.
pub struct How {
    /// As for `sexton reap`.
    pub settle: Duration,
    /// As for `sexton reap`.
    pub allow_host: bool,
    /// Do it, and not only say what would be done.
    pub yes: bool,
}

/// What was done for a container that cannot end, or would be.
pub struct Step {
    /// `take zombie 812 (sh) from docker (pid 700)`
    what: String,
    /// What came of it; what stands against it.
    came: Result<String, String>,
}

/// Takes zombies from parents outside, by the same rules as `sexton reap`; nothing without `yes`.
///
/// # Errors
/// Something failed in the middle.
pub fn free(scanner: &mut Scanner, endings: &[Ending], how: &How) -> Result<Vec<Step>, Error> {
    let How {
        settle,
        allow_host,
        yes,
    } = *how;
    let mut steps = Vec::new();
    for ending in endings {
        for holdup in &ending.held_by {
            let Some(parent) = holdup.parent_to_reap() else {
                continue;
            };
            let zombie = &holdup.process;
            let what = format!(
                "take zombie {} ({}) from {} (pid {})",
                zombie.id.pid, zombie.name, parent.name, parent.id.pid
            );
            let options = Options {
                settle,
                allow_host,
                only: Some(zombie.id.pid),
                ..Options::default()
            };
            let Some(plan) = sexton_reap::plan(scanner, parent.id, &options)? else {
                continue;
            };
            let came = match (&plan.refusal, plan.take.len()) {
                (Some(refusal), _) => Err(why_refused(refusal)),
                (None, 0) => Err(format!(
                    "it ended less than {} ago: its parent may yet wait for it",
                    text::duration(settle.as_secs())
                )),
                (None, _) if !yes => Ok("would be done: --yes".to_owned()),
                (None, _) => {
                    match execute(scanner.proc(), &plan, |_| ControlFlow::Continue(())) {
                        Ok(outcome) if outcome.taken + outcome.nudged > 0 => Ok("done".to_owned()),
                        Ok(_) => Err("it was not taken".to_owned()),
                        // Things changed between the plan and the deed.
                        Err(sexton_reap::Error::Refused(refusal)) => Err(why_refused(&refusal)),
                        Err(error) => return Err(error.into()),
                    }
                }
            };
            steps.push(Step { what, came });
        }
    }
    Ok(steps)
}

/// The plan, and what came of it.
pub fn draw_steps<W: Write>(lines: &mut Lines<W>, steps: &[Step]) -> io::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    lines.line(HEADING, "What Sexton can do")?;
    for Step { what, came } in steps {
        let (style, came) = match came {
            Ok(done) => (DIM, done),
            Err(why) => (WARN, why),
        };
        lines.hanging(6, "-", style, &format!("{what}: {came}"))?;
    }
    lines.gap()
}
