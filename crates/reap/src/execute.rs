//! Carrying out a plan.

use std::{
    cell::Cell,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use sexton_core::{State, Zombie};
use sexton_scan::proc::Proc;

use crate::{
    Error, LeftBecause, Nudge, Outcome, Plan,
    arch::Errand,
    borrow::{Borrower, Lent, VISIT},
    brake::Brake,
    held::open_pidfd,
    nudge,
    outcome::{End, Left, Progress, Trace, left, statuses},
    trace::Punctual,
    visit::{self, Unfit},
};

/// The first visit finds out how long a wait takes.
const FIRST_BATCH: usize = 32;

/// Does what `plan` says.
///
/// Starts no process and no thread, and opens what it needs before a thread of the holder
/// stands still. `progress` is called after each visit, and some fifty times a second while
/// something is waited for. When it breaks, the work ends as [`End::CalledOff`], in less than
/// half a second.
///
/// # Errors
/// [`Error::Refused`] for a plan with a refusal; other errors where the kernel answered as it
/// never should. A holder that ends, stops or replaces its program is an [`End`].
pub fn execute(
    proc: &Proc,
    plan: &Plan,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    if let Some(refusal) = &plan.refusal {
        return Err(Error::Refused(refusal.clone()));
    }
    let began = Instant::now();
    let _punctual = Punctual::begin();
    let visitor = match visit::prepare(proc, plan.holder.id) {
        Ok(visitor) => visitor,
        Err(Unfit::Refused(refusal)) => return Err(Error::Refused(refusal)),
        Err(Unfit::Failed(error)) => return Err(error),
    };
    let at = Cell::new(Progress {
        done: 0,
        total: plan.take.len() as u64,
        visits: 0,
    });
    let mut ask = || progress(at.get());
    let mut brake = Brake::new(&mut ask);
    let mut work = Work {
        proc,
        plan,
        at: &at,
        pending: plan.take.iter().collect(),
        taken: Vec::with_capacity(plan.take.len()),
        not_taken: 0,
        gone: 0,
        nudged: 0,
        times: Vec::new(),
        batch: FIRST_BATCH,
        each: Duration::from_millis(1),
        buffer: Vec::new(),
    };
    // Taken from the end, so that the oldest, which are first in the list, go first.
    work.pending.reverse();
    if plan.nudge == Nudge::MayHelp {
        nudge::nudge(&visitor.held, &mut brake)?;
        work.count_nudged()?;
    }
    let mut borrower = Borrower::new(visitor, &mut brake);
    let end = work.run(&mut borrower)?;
    let trace = borrower.visitor.leave(&mut brake)?;
    Ok(work.outcome(end, trace, began.elapsed()))
}

/// The state of a reap.
struct Work<'a> {
    proc: &'a Proc,
    plan: &'a Plan,
    /// How far it has come.
    at: &'a Cell<Progress>,
    /// Still to do, the next one last.
    pending: Vec<&'a Zombie>,
    taken: Vec<&'a Zombie>,
    not_taken: u64,
    gone: u64,
    nudged: u64,
    times: Vec<Duration>,
    batch: usize,
    /// How long one wait takes.
    each: Duration,
    buffer: Vec<u8>,
}

impl<'a> Work<'a> {
    fn run(&mut self, borrower: &mut Borrower<'_, '_>) -> Result<End, Error> {
        while !self.pending.is_empty() {
            let candidate = match borrower.await_thread()? {
                ControlFlow::Continue(candidate) => candidate,
                ControlFlow::Break(end) => return Ok(end),
            };
            let batch = self.next_batch(borrower.visitor.tail.capacity())?;
            let Some(last) = batch.last() else {
                continue;
            };
            let Ok(last) = open_pidfd(last.id.pid) else {
                self.give_back(batch);
                continue;
            };
            // With the pidfd in hand, one more look at the one it is for.
            if !self.is_ours(batch[batch.len() - 1])? {
                self.give_back(batch);
                continue;
            }
            let pids = self.numbers(&batch);
            match borrower.lend(&candidate, Errand::WaitFor(&pids), Some(&last))? {
                Lent::Went { time } => {
                    self.borrowed(batch, time)?;
                    self.at.set(Progress {
                        done: self.at.get().total - self.pending.len() as u64,
                        visits: self.times.len() as u64,
                        ..self.at.get()
                    });
                    borrower.brake.ask();
                }
                Lent::NotNow => self.give_back(batch),
                Lent::Over(end) => {
                    self.give_back(batch);
                    return Ok(end);
                }
            }
        }
        Ok(End::Complete)
    }

    /// Puts zombies back that were not taken, in the order in which they came.
    fn give_back(&mut self, batch: Vec<&'a Zombie>) {
        self.pending.extend(batch.into_iter().rev());
    }

    /// The next zombies to take, each looked at once more.
    fn next_batch(&mut self, capacity: usize) -> Result<Vec<&'a Zombie>, Error> {
        let mut batch = Vec::with_capacity(self.batch.min(capacity));
        while batch.len() < self.batch.min(capacity) {
            let Some(zombie) = self.pending.pop() else {
                break;
            };
            if self.is_ours(zombie)? {
                batch.push(zombie);
            } else {
                self.gone += 1;
            }
        }
        Ok(batch)
    }

    /// Whether this is still the zombie of the plan, and still the holder's.
    fn is_ours(&mut self, zombie: &Zombie) -> Result<bool, Error> {
        let stat = self.proc.stat(zombie.id.pid, &mut self.buffer)?;
        Ok(stat.is_some_and(|stat| {
            stat.id() == zombie.id
                && stat.state == State::Zombie
                && stat.parent == self.plan.holder.id.pid
        }))
    }

    /// Their pids as the holder knows them. A child may live in a namespace below the holder's,
    /// so it is the holder's depth that counts.
    fn numbers(&self, batch: &[&Zombie]) -> Vec<u32> {
        let column = self.plan.holder.ns_pids.len() - 1;
        batch.iter().map(|zombie| zombie.ns_pids[column]).collect()
    }

    fn borrowed(&mut self, batch: Vec<&'a Zombie>, time: Option<Duration>) -> Result<(), Error> {
        let count = batch.len();
        if let Some(time) = time {
            self.times.push(time);
            let each = time / u32::try_from(count).unwrap_or(1).max(1);
            // The least that was seen, forgotten slowly: on a busy machine a visit is long
            // because the thread was off the CPU, and smaller visits would only mean more.
            self.each = each.min(self.each + self.each / 64);
            let fits = VISIT.as_nanos() / self.each.as_nanos().max(1);
            self.batch = usize::try_from(fits).unwrap_or(usize::MAX).max(8);
        }
        for zombie in batch {
            if self.is_ours(zombie)? {
                self.not_taken += 1;
            } else {
                self.taken.push(zombie);
            }
        }
        Ok(())
    }

    fn count_nudged(&mut self) -> Result<(), Error> {
        let before = self.pending.len();
        let mut kept = Vec::with_capacity(before);
        for zombie in std::mem::take(&mut self.pending) {
            if self.is_ours(zombie)? {
                kept.push(zombie);
            }
        }
        self.pending = kept;
        self.nudged = (before - self.pending.len()) as u64;
        Ok(())
    }

    fn outcome(mut self, end: End, trace: Trace, wall: Duration) -> Outcome {
        self.times.sort_unstable();
        let percentile = self.times.len().saturating_sub(1) * 99 / 100;
        let mut rest = self.plan.left.clone();
        let reasons = (0..self.not_taken).map(|_| LeftBecause::NotTaken);
        rest.extend(left(reasons));
        if !self.pending.is_empty() {
            rest.push(Left {
                because: LeftBecause::NotReached {
                    end: end.to_string(),
                },
                count: self.pending.len() as u64,
            });
        }
        Outcome {
            holder: self.plan.holder.id,
            taken: self.taken.len() as u64,
            nudged: self.nudged,
            gone: self.gone,
            left: rest,
            statuses: statuses(self.taken.iter().copied()),
            visits: self.times.len() as u64,
            end,
            longest_borrowing_micros: micros(self.times.last().copied().unwrap_or_default()),
            p99_borrowing_micros: micros(self.times.get(percentile).copied().unwrap_or_default()),
            borrowed_micros: micros(self.times.iter().sum()),
            micros: micros(wall),
            trace,
        }
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
