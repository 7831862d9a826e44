//! Where `fork` fails now, zombies or not: what a look for zombies alone would not tell.

use std::io::{self, Write};

use sexton_core::Limit;
use sexton_core::text::limit;
use sexton_scan::{Scanner, limits};

use crate::error::Error;
use crate::output::BAD;
use crate::output::lines::Lines;
use crate::target::Meant;

/// Of all processes of a pod or a program, so many are looked at.
const LOOKED_AT: usize = 16;

/// The limits that are reached: those that bind what is meant, or those of all cgroups.
pub fn reached(scanner: &Scanner, meant: &[Meant]) -> Result<Vec<Limit>, Error> {
    if meant.is_empty() {
        return Ok(limits::of_cgroups(scanner, 100));
    }
    let mut all: Vec<Limit> = Vec::new();
    let pids = meant.iter().flat_map(Meant::first_processes);
    for pid in pids.take(LOOKED_AT) {
        // It may have ended since it was found.
        for limit in limits::of_process(scanner, pid)?.unwrap_or_default() {
            let known = |other: &Limit| other.source == limit.source;
            if limit.is_reached() && !all.iter().any(known) {
                all.push(limit);
            }
        }
    }
    Ok(all)
}

/// One sentence for each.
pub fn draw<W: Write>(lines: &mut Lines<W>, reached: &[Limit]) -> io::Result<()> {
    for limit in reached {
        let filled = limit::filled(limit);
        let filled = filled.map_or_else(String::new, |filled| format!(" {filled}."));
        lines.line(BAD, &format!("{}{filled}", limit::reached(limit)))?;
    }
    Ok(())
}
