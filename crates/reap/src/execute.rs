//! Carrying out a plan.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sexton_core::{State, Zombie};
use sexton_scan::proc::Proc;

use crate::borrow::arch::Errand;
use crate::borrow::brake::Brake;
use crate::borrow::held::open_pidfd;
use crate::borrow::pause::Punctual;
use crate::borrow::visit::{self, Task, Unfit};
use crate::borrow::{Borrower, Lent, VISIT};
use crate::outcome::{End, Left, Progress, Trace, left, statuses};
use crate::risk::Risk;
use crate::{Error, LeftBecause, Nudge, Plan, ReapOutcome, nudge};

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
) -> Result<ReapOutcome, Error> {
    if let Some(refusal) = &plan.refusal {
        return Err(Error::Refused(refusal.clone()));
    }
    let began = Instant::now();
    let _punctual = Punctual::begin();
    let visitor = match visit::prepare(proc, plan.holder.id, plan.seccomp) {
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
        unverified: 0,
        before_last: (0, 0),
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
    let trace = borrower.visitor.leave(borrower.brake)?;
    let end = borrower.last_word(end);
    match end {
        // Nothing has been done.
        End::Refused { refusal } if !borrower.has_visited && work.nudged == 0 => {
            Err(Error::Refused(*refusal))
        }
        end => {
            if end.holder_death().is_some() && borrower.unproven {
                work.take_back();
            }
            Ok(work.outcome(end, trace, began.elapsed()))
        }
    }
}

/// Zombies, with their pids as their holder knows them.
type Batch<'a> = Vec<(&'a Zombie, u32)>;

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
    /// See [`ReapOutcome::unverified`].
    unverified: u64,
    /// How many were taken, and how many of these unverified, before the last visit.
    before_last: (usize, u64),
    times: Vec<Duration>,
    batch: usize,
    /// How long one wait takes.
    each: Duration,
    buffer: Vec<u8>,
}

impl<'a> Work<'a> {
    fn run(&mut self, borrower: &mut Borrower<'_, '_>) -> Result<End, Error> {
        let mut risk = Risk::of(&borrower.visitor.held)?;
        while !self.pending.is_empty() {
            let candidate = match borrower.await_thread()? {
                ControlFlow::Continue(candidate) => candidate,
                ControlFlow::Break(end) => return Ok(end),
            };
            risk.waits |= self.gone > 0;
            risk.look_again(&borrower.visitor.held)?;
            let most = borrower.visitor.tail.capacity().min(risk.batch(self.batch));
            // Before the looks: what is created after them is the question.
            let created = risk.created(self.proc);
            let batch = self.next_batch(most)?;
            let Some(&(newest, _)) = batch.last() else {
                continue;
            };
            let Ok(last) = open_pidfd(newest.id.pid) else {
                self.give_back(batch);
                continue;
            };
            // With the pidfd in hand, one more look at the one it is for.
            if !self.is_ours(newest)? {
                self.give_back(batch);
                continue;
            }
            let pids: Vec<u32> = batch.iter().map(|(_, number)| *number).collect();
            let task = Task {
                errand: Errand::WaitFor(&pids),
                last: Some(&last),
                still_right: &mut || {
                    !risk.is_high()
                        || batch
                            .iter()
                            .all(|(zombie, _)| self.is_ours(zombie).unwrap_or(false))
                },
            };
            match borrower.lend(&candidate, task)? {
                Lent::Went { time } => {
                    self.before_last = (self.taken.len(), self.unverified);
                    let before = self.taken.len();
                    self.borrowed(batch, time)?;
                    if risk.exists() && (created.is_none() || created != risk.created(self.proc)) {
                        let taken = self.taken.len().saturating_sub(before);
                        self.unverified = self.unverified.saturating_add(taken as u64);
                    }
                    let at = self.at.get();
                    self.at.set(Progress {
                        done: at.total.saturating_sub(self.pending.len() as u64),
                        visits: self.times.len() as u64,
                        ..at
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
    fn give_back(&mut self, batch: Batch<'a>) {
        self.pending
            .extend(batch.into_iter().rev().map(|(zombie, _)| zombie));
    }

    /// The holder died of the last visit, or in it: the kernel has taken its zombies away then.
    fn take_back(&mut self) {
        let (taken, unverified) = self.before_last;
        self.pending.extend(self.taken.drain(taken..).rev());
        self.unverified = unverified;
    }

    /// The next zombies to take, each looked at once more, with their pids as the holder knows
    /// them. A child may live in a namespace below the holder's, so it is the holder's depth that
    /// counts.
    fn next_batch(&mut self, most: usize) -> Result<Batch<'a>, Error> {
        let column = self.plan.holder.ns_pids.len().saturating_sub(1);
        let mut batch = Vec::with_capacity(most);
        while batch.len() < most {
            let Some(zombie) = self.pending.pop() else {
                break;
            };
            if !self.is_ours(zombie)? {
                self.gone = self.gone.saturating_add(1);
            } else if let Some(number) = zombie.ns_pids.get(column) {
                batch.push((zombie, *number));
            } else {
                self.not_taken = self.not_taken.saturating_add(1);
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

    fn borrowed(&mut self, batch: Batch<'a>, time: Option<Duration>) -> Result<(), Error> {
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        if let Some(time) = time {
            self.times.push(time);
            let each = time.checked_div(count).unwrap_or(time);
            // The least that was seen, forgotten slowly: on a busy machine a visit is long
            // because the thread was off the CPU, and smaller visits would only mean more.
            let forgotten = self.each.checked_div(64).unwrap_or_default();
            self.each = each.min(self.each.saturating_add(forgotten));
            let fits = VISIT.as_nanos().div_euclid(self.each.as_nanos().max(1));
            self.batch = usize::try_from(fits).unwrap_or(usize::MAX).max(8);
        }
        for (zombie, _) in batch {
            if self.is_ours(zombie)? {
                self.not_taken = self.not_taken.saturating_add(1);
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
        self.nudged = before.saturating_sub(self.pending.len()) as u64;
        Ok(())
    }

    fn outcome(mut self, end: End, trace: Trace, wall: Duration) -> ReapOutcome {
        self.times.sort_unstable();
        let percentile = self
            .times
            .len()
            .saturating_sub(1)
            .saturating_mul(99)
            .div_euclid(100);
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
        ReapOutcome {
            holder: self.plan.holder.id,
            taken: self.taken.len() as u64,
            nudged: self.nudged,
            gone: self.gone,
            left: rest,
            statuses: statuses(self.taken.iter().copied()),
            unverified: self.unverified,
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
