//! How long a zombie has been dead, at least.
//!
//! The kernel shows no time of death. The start of a process bounds it from one side: what was
//! started less than the settle time ago has not been dead for that long. From the other side
//! `se.exec_start` of `/proc/PID/sched` helps where the kernel shows it: the moment at which
//! the process last ran, in the clock of the CPU it ran on. Read the same of ourselves on that
//! CPU, and the difference is the time since its death, less what that clock leaves out
//! (interrupts, time stolen by a hypervisor). So it is never too long.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_scan::DeadChild;
use sexton_scan::proc::{Proc, Sched};

/// What was known of the times of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AgesFrom {
    /// Nothing had to be known: the settle time is 0.
    Nothing,
    /// The time of death, from `/proc/PID/sched`: a lower bound of the age.
    Death,
    /// The start of the process: an upper bound of the age, since this kernel shows no more.
    Start,
}

/// Whether a zombie has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Yes,
    /// It is dead for less than the settle time, which will have passed in so long, at the earliest.
    No(Duration),
    /// It was started long enough ago, and may have died at any moment since.
    Unknown,
}

/// Judges each of `dead`; the second value says on what ground.
///
/// While it runs it moves this thread from CPU to CPU, and puts its affinity back in the end.
pub(crate) fn judge(
    proc: &Proc,
    dead: &[DeadChild],
    settle: Duration,
) -> Result<(Vec<Settled>, AgesFrom), crate::Error> {
    if settle.is_zero() {
        return Ok((vec![Settled::Yes; dead.len()], AgesFrom::Nothing));
    }
    let now = since_boot();
    let mut judged = vec![Settled::Unknown; dead.len()];
    let mut by_processor = BTreeMap::<u32, Vec<(u32, &mut Settled)>>::new();
    for (child, judged) in dead.iter().zip(&mut judged) {
        let age = now.saturating_sub(start(child.zombie.id.start_ticks));
        if age < settle {
            *judged = Settled::No(settle.saturating_sub(age));
        } else {
            let of_processor = by_processor.entry(child.processor).or_default();
            of_processor.push((child.zombie.id.pid, judged));
        }
    }
    let mut from = if by_processor.is_empty() {
        AgesFrom::Start
    } else {
        AgesFrom::Death
    };
    let affinity = Affinity::keep();
    for (processor, zombies) in by_processor {
        let clock = affinity.as_ref().and_then(|affinity| {
            affinity.move_to(processor)?;
            own_clock(proc)
        });
        for (pid, judged) in zombies {
            let died = match clock {
                Some(_) => last_ran(proc, pid)?,
                None => None,
            };
            *judged = match (clock, died) {
                (Some(now), Some(died)) => match settle.saturating_sub(now.saturating_sub(died)) {
                    Duration::ZERO => Settled::Yes,
                    more => Settled::No(more),
                },
                _ => {
                    from = AgesFrom::Start;
                    Settled::Unknown
                }
            };
        }
    }
    Ok((judged, from))
}

/// Now, as field 22 of `stat` counts.
fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn start(ticks: u64) -> Duration {
    let per_second = u128::from(rustix::param::clock_ticks_per_second().max(1));
    let nanos = u128::from(ticks).saturating_mul(1_000_000_000);
    Duration::from_nanos_u128(nanos.div_euclid(per_second))
}

/// The clock of the CPU that this thread is bound to, as of a moment ago.
fn own_clock(proc: &Proc) -> Option<Duration> {
    // The kernel brings it up to date when the thread goes off the CPU.
    rustix::thread::sched_yield();
    let sched = Sched::parse(&proc.read("thread-self/sched").ok()??).ok()?;
    Some(Duration::from_nanos(sched.exec_start_ns))
}

fn last_ran(proc: &Proc, pid: u32) -> Result<Option<Duration>, crate::Error> {
    Ok(proc
        .read(&format!("{pid}/sched"))
        .ok()
        .flatten()
        .and_then(|bytes| Sched::parse(&bytes).ok())
        .map(|sched| Duration::from_nanos(sched.exec_start_ns)))
}

/// The CPUs that this thread may run on, put back when dropped.
struct Affinity(CpuSet);

impl Affinity {
    fn keep() -> Option<Self> {
        sched_getaffinity(None).ok().map(Self)
    }

    fn move_to(&self, processor: u32) -> Option<()> {
        let processor = usize::try_from(processor).ok()?;
        if processor >= CpuSet::MAX_CPU {
            return None;
        }
        let mut one = CpuSet::new();
        one.set(processor);
        sched_setaffinity(None, &one).ok()
    }
}

impl Drop for Affinity {
    fn drop(&mut self) {
        // It was allowed a moment ago; a cpuset that shrank since then binds us anyway.
        let _ = sched_setaffinity(None, &self.0);
    }
}

#[cfg(test)]
mod tests;
