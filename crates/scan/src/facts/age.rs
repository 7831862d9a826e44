//! How long zombies have been dead, at least.

use crate::Scanner;
use crate::notes::Notes;
use crate::proc::Stat;

/// Zombies looked at: the first of the list are the first that came.
const LOOKED_AT: usize = 16;
/// The clocks of two CPUs are not the same: each leaves out its own interrupts.
const CLOCKS_DIFFER: u64 = 5;
const NANOS: u64 = 1_000_000_000;

/// Seconds for which the one that died first has been dead, by the clock of the scheduler: our
/// own last turn is now, or a moment before. `None` where the kernel shows no such times.
///
/// That clock leaves out stolen time as well, so the age since the start bounds the answer.
pub(super) fn dead_for(scanner: &Scanner, zombies: &[Stat], notes: &mut Notes) -> Option<u64> {
    let zombies = zombies.iter().take(LOOKED_AT);
    let dead = zombies.filter_map(|zombie| idle_for(scanner, zombie, CLOCKS_DIFFER, notes));
    dead.max()
}

/// Seconds for which a process has not run, less what the clocks of two CPUs may differ by;
/// [`dead_for`] says how well that is known.
pub(crate) fn idle_for(
    scanner: &Scanner,
    stat: &Stat,
    clocks_differ: u64,
    notes: &mut Notes,
) -> Option<u64> {
    let hertz = rustix::param::clock_ticks_per_second();
    let uptime = scanner.now_ticks(notes)?;
    let own = notes.take(scanner.proc().process(scanner.proc().own_pid()?))?;
    let now = notes.take(own.sched())?.exec_start_ns;
    let process = notes.take(scanner.proc().process(stat.pid))?;
    let ran = notes.take(process.sched())?.exec_start_ns;
    let since_start = uptime.saturating_sub(stat.start_ticks).checked_div(hertz)?;
    let by_clock = now.saturating_sub(ran).checked_div(NANOS)?;
    Some(by_clock.saturating_sub(clocks_differ).min(since_start))
}
