//! Several looks over a second at masks of which one look says nothing: a program may keep a
//! signal blocked and open its mask for a moment in each turn of its loop.

use std::thread::sleep;
use std::time::Duration;

use sexton_core::audit::{Facts, Later, Process, wants_more_looks};

use super::awaited;
use crate::Scanner;
use crate::notes::Notes;
use crate::proc;

/// Looks, and the time between two of them.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// Processes that are looked at again; of any more it is not said what they do.
const MOST: usize = 64;
/// Threads of one that are looked at.
const MAX_THREADS: usize = 64;

/// Looks again at all processes of all containers that block their stop signal. They are looked
/// at together, so that it takes a second whatever their number.
pub(super) fn again(scanner: &Scanner, facts: &mut [Facts]) {
    let mut wanted = Vec::new();
    for facts in facts {
        collect(&mut facts.main, facts.signal.number, &mut wanted);
    }
    if wanted.is_empty() {
        return;
    }
    for process in wanted.iter_mut().skip(MOST) {
        process.signals.later = Some(Later {
            ran: true,
            ..Later::default()
        });
    }
    wanted.truncate(MOST);
    let held: Vec<Option<proc::Process>> = wanted
        .iter()
        .map(|process| hold(scanner, process))
        .collect();
    let mut seen = vec![Later::default(); wanted.len()];
    let mut turns: Vec<Option<u64>> = vec![None; wanted.len()];
    for _ in 0..LOOKS {
        for ((process, seen), turns) in held.iter().zip(&mut seen).zip(&mut turns) {
            look(process.as_ref(), seen, turns);
        }
        sleep(PAUSE);
    }
    for (process, seen) in wanted.into_iter().zip(seen) {
        process.signals.later = Some(seen);
    }
}

fn collect<'a>(process: &'a mut Process, number: u8, found: &mut Vec<&'a mut Process>) {
    if wants_more_looks(process, number) {
        found.push(process);
        return;
    }
    for child in &mut process.children {
        collect(child, number, found);
    }
}

/// The same process as at the first look.
fn hold(scanner: &Scanner, known: &Process) -> Option<proc::Process> {
    let process = scanner.proc.process(known.id.pid).ok()??;
    let id = process.id().ok()??;
    (id == known.id).then_some(process)
}

fn look(process: Option<&proc::Process>, seen: &mut Later, before: &mut Option<u64>) {
    let Some(process) = process else {
        // What cannot be seen may do anything.
        seen.ran = true;
        return;
    };
    let mut switches = 0_u64;
    let tasks = process.tasks().ok().flatten().unwrap_or_default();
    for tid in tasks.into_iter().take(MAX_THREADS) {
        let Ok(Some(status)) = process.read(&format!("task/{tid}/status")) else {
            continue;
        };
        let thread = Thread::parse(&status);
        seen.open |= !thread.blocked;
        switches = switches.wrapping_add(thread.switches);
    }
    seen.awaited |= awaited::in_waits(process, &mut Notes::default());
    seen.ran |= before.is_some_and(|before| before != switches);
    *before = Some(switches);
}

/// What `task/TID/status` tells of a thread.
#[derive(Default)]
struct Thread {
    /// `SigBlk`
    blocked: u64,
    /// How often it was switched away from, of its own will or not: one that sleeps is not.
    switches: u64,
}

impl Thread {
    fn parse(status: &[u8]) -> Self {
        let mut thread = Self {
            blocked: u64::MAX,
            switches: 0,
        };
        for line in status.split(|byte| *byte == b'\n') {
            let Ok(line) = str::from_utf8(line) else {
                continue;
            };
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name {
                "SigBlk" => thread.blocked = u64::from_str_radix(value, 16).unwrap_or(u64::MAX),
                "voluntary_ctxt_switches" | "nonvoluntary_ctxt_switches" => {
                    let count = value.parse::<u64>().unwrap_or(0);
                    thread.switches = thread.switches.wrapping_add(count);
                }
                _ => {}
            }
        }
        thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_tells_its_mask_and_how_often_it_was_switched() {
        let status = b"Name:\tx\nSigBlk:\t0000000000004000\n\
                       voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n";
        let thread = Thread::parse(status);
        assert_eq!((thread.blocked, thread.switches), (0x4000, 9));
        // What does not tell its mask opens nothing.
        assert_eq!(Thread::parse(b"").blocked, u64::MAX);
    }
}
