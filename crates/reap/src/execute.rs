//! Carrying out a plan.

use std::time::{Duration, Instant};

use sexton_core::{State, Zombie};
use sexton_scan::proc::Proc;

use crate::{
    Error, LeftBecause, Nudge, Outcome, Plan,
    held::open_pidfd,
    nudge,
    outcome::{End, Left, Progress, Trace, left, statuses},
    threads::{self, Candidate},
    trace::{Pause, Punctual},
    visit::{self, Unfit, Visit, Visitor},
};

/// A visit is made as long as this, as far as the waits before it tell.
const VISIT: Duration = Duration::from_micros(650);
/// The first visit finds out how long a wait takes.
const FIRST_BATCH: usize = 32;
/// How long a thread that may be borrowed is waited for.
const THREAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a thread whose timeout would be lengthened is waited for; see
/// [`threads::await_fresh`].
const FRESH_PATIENCE: Duration = Duration::from_secs(30);

/// Does what `plan` says.
///
/// Starts no process and no thread, and opens what it needs before a thread of the holder
/// stands still. `progress` is called after each visit.
///
/// # Errors
/// [`Error::Refused`] for a plan with a refusal; other errors where the kernel answered as it
/// never should. A holder that ends, stops or replaces its program is an [`End`].
pub fn execute(
    proc: &Proc,
    plan: &Plan,
    mut progress: impl FnMut(Progress),
) -> Result<Outcome, Error> {
    if let Some(refusal) = &plan.refusal {
        return Err(Error::Refused(refusal.clone()));
    }
    let began = Instant::now();
    let _punctual = Punctual::begin();
    let mut visitor = match visit::prepare(proc, plan.holder.id) {
        Ok(visitor) => visitor,
        Err(Unfit::Refused(refusal)) => return Err(Error::Refused(refusal)),
        Err(Unfit::Failed(error)) => return Err(error),
    };
    let mut work = Work {
        proc,
        plan,
        pending: plan.take.iter().collect(),
        taken: Vec::with_capacity(plan.take.len()),
        not_taken: 0,
        gone: 0,
        nudged: 0,
        times: Vec::new(),
        batch: FIRST_BATCH,
        each: Duration::from_millis(1),
        fresh: None,
        buffer: Vec::new(),
    };
    // Taken from the end, so that the oldest, which are first in the list, go first.
    work.pending.reverse();
    if plan.nudge == Nudge::MayHelp {
        nudge::nudge(&visitor.held)?;
        work.count_nudged()?;
    }
    let end = work.run(&mut visitor, &mut progress)?;
    let trace = visitor.leave()?;
    // What does not stop even now is told by the end; the kernel lets it go when we exit.
    visitor.release_stuck(Duration::from_secs(5));
    Ok(work.outcome(end, trace, began.elapsed()))
}

/// The state of a reap.
struct Work<'a> {
    proc: &'a Proc,
    plan: &'a Plan,
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
    /// The thread whose timeout began anew, and before which moment it had not begun.
    fresh: Option<(u32, Instant)>,
    buffer: Vec<u8>,
}

impl<'a> Work<'a> {
    fn run(
        &mut self,
        visitor: &mut Visitor,
        progress: &mut impl FnMut(Progress),
    ) -> Result<End, Error> {
        let total = self.plan.take.len() as u64;
        let mut waiting_since = Instant::now();
        let mut pause = Pause::new();
        let mut last_thread = None;
        while !self.pending.is_empty() {
            if visitor.held.has_ended() {
                return Ok(End::HolderEnded);
            }
            if waiting_since.elapsed() > FRESH_PATIENCE {
                return Ok(self.no_thread(
                    waiting_since,
                    "they run, or sleep in calls that an \
                    interruption would disturb",
                ));
            }
            let Some(candidate) = self.choose(visitor, last_thread)? else {
                if let Some(end) = held_up(visitor)? {
                    return Ok(end);
                }
                if waiting_since.elapsed() > THREAD_PATIENCE {
                    return Ok(self.no_thread(
                        waiting_since,
                        "they run, or sleep in calls that \
                        an interruption would disturb",
                    ));
                }
                pause.take();
                continue;
            };
            if !self.is_fresh(visitor, &candidate)? {
                let why = format!(
                    "thread {} waits with a timeout that would begin anew",
                    candidate.thread
                );
                if waiting_since.elapsed() > FRESH_PATIENCE {
                    return Ok(self.no_thread(waiting_since, &why));
                }
                continue;
            }
            let batch = self.next_batch(visitor.tail.capacity())?;
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
            let visit = visitor.visit(&candidate, &pids, &last)?;
            match visit {
                Visit::Borrowed { time } => {
                    self.borrowed(batch, time)?;
                    last_thread = Some(candidate.thread);
                    waiting_since = Instant::now();
                    pause = Pause::new();
                    progress(Progress {
                        done: total - self.pending.len() as u64,
                        total,
                        visits: self.times.len() as u64,
                    });
                    continue;
                }
                Visit::NotNow | Visit::ThreadGone => {
                    self.give_back(batch);
                    last_thread = None;
                    if visitor.guest().is_some()
                        && visitor.await_empty(Duration::from_secs(5))?.is_some()
                        && let Some(thread) = visitor.guest()
                    {
                        return Ok(End::ThreadAway { thread });
                    }
                    pause.take();
                }
                Visit::Replaced => {
                    self.give_back(batch);
                    return Ok(End::HolderReplaced);
                }
                Visit::GroupStopped => {
                    self.give_back(batch);
                    return Ok(End::HolderStopped);
                }
                Visit::Denied => {
                    self.give_back(batch);
                    return Ok(End::Denied);
                }
                Visit::Stuck => {
                    self.give_back(batch);
                    return Ok(End::ThreadStuck {
                        thread: candidate.thread,
                    });
                }
            }
        }
        Ok(End::Complete)
    }

    /// Puts zombies back that were not taken, in the order in which they came.
    fn give_back(&mut self, batch: Vec<&'a Zombie>) {
        self.pending.extend(batch.into_iter().rev());
    }

    fn no_thread(&self, since: Instant, why: &str) -> End {
        End::NoThread {
            seconds: since.elapsed().as_secs(),
            why: why.to_owned(),
        }
    }

    /// The thread of the visit before if it will do again, else the best.
    fn choose(&self, visitor: &Visitor, last: Option<u32>) -> Result<Option<Candidate>, Error> {
        if let Some(thread) = last
            && let Some(candidate) = threads::look(&visitor.held, thread)?
        {
            return Ok(Some(candidate));
        }
        Ok(threads::candidates(&visitor.held)?.into_iter().next())
    }

    /// Whether a visit to this thread now would lengthen its timeout by little; waits for that.
    fn is_fresh(&mut self, visitor: &Visitor, candidate: &Candidate) -> Result<bool, Error> {
        let Some(timeout) = candidate.timeout else {
            return Ok(true);
        };
        let budget = threads::stretch(timeout);
        if let Some((thread, since)) = self.fresh
            && thread == candidate.thread
            && since.elapsed() + VISIT < budget
        {
            return Ok(true);
        }
        let patience = Duration::from_secs(1).min(timeout + Duration::from_millis(100));
        let fresh = threads::await_fresh(&visitor.held, candidate, timeout, patience)?;
        self.fresh = fresh.map(|since| (candidate.thread, since));
        Ok(self.fresh.is_some())
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

/// The holder cannot go on by itself.
fn held_up(visitor: &Visitor) -> Result<Option<End>, Error> {
    let stat = visitor.held.process.stat()?;
    Ok(stat.and_then(|stat| match stat.state {
        State::Stopped => Some(End::HolderStopped),
        State::Traced => Some(End::Denied),
        _ => None,
    }))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
