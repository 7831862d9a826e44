//! Finding a thread that may be borrowed, and sending it on errands, one after another.

pub(crate) mod arch;
pub(crate) mod brake;
pub(crate) mod guest;
pub(crate) mod held;
pub(crate) mod pause;
pub(crate) mod socket;
pub(crate) mod tail;
pub(crate) mod threads;
pub(crate) mod trace;
pub(crate) mod visit;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sexton_core::State;
use sexton_core::report::Exit;

use crate::Error;
use crate::borrow::brake::Brake;
use crate::borrow::pause::Pause;
use crate::borrow::threads::Candidate;
use crate::borrow::visit::{Task, Visit, Visitor};
use crate::outcome::End;

/// A visit is made as long as this, as far as the visits before it tell.
pub(crate) const VISIT: Duration = Duration::from_micros(650);
/// How long a thread that may be borrowed is waited for.
const THREAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a thread whose timeout would be lengthened is waited for; see
/// [`threads::await_fresh`].
const FRESH_PATIENCE: Duration = Duration::from_secs(30);
/// How long a thread that was borrowed before may stay away from its call.
pub(crate) const AWAY_PATIENCE: Duration = Duration::from_secs(5);

/// A holder, and which of its threads was borrowed last.
pub(crate) struct Borrower<'a, 'b> {
    pub(crate) visitor: Visitor,
    pub(crate) brake: &'a mut Brake<'b>,
    waiting_since: Instant,
    pause: Pause,
    last: Option<u32>,
    /// The holder has not been seen alive since the last visit.
    pub(crate) unproven: bool,
    /// A thread has been sent.
    pub(crate) has_visited: bool,
    /// The thread whose timeout began anew, and before which moment it had not begun.
    fresh: Option<(u32, Instant)>,
}

/// What came of an errand.
#[derive(Debug)]
pub(crate) enum Lent {
    /// The thread went; from the request to stop until its work was seen done, or `None` where
    /// it was not seen.
    Went { time: Option<Duration> },
    /// Not this time; nothing was changed.
    NotNow,
    /// There will be no more errands.
    Over(End),
}

impl<'a, 'b> Borrower<'a, 'b> {
    pub(crate) fn new(visitor: Visitor, brake: &'a mut Brake<'b>) -> Self {
        Self {
            visitor,
            brake,
            waiting_since: Instant::now(),
            pause: Pause::new(),
            last: None,
            unproven: false,
            has_visited: false,
            fresh: None,
        }
    }

    /// Waits for a thread that may be borrowed now; or why there will be none.
    pub(crate) fn await_thread(&mut self) -> Result<ControlFlow<End, Candidate>, Error> {
        const BUSY: &str = "they run, or sleep in calls that an interruption would disturb";
        loop {
            if self.brake.is_on() {
                return Ok(ControlFlow::Break(End::CalledOff));
            }
            if self.visitor.held.has_ended() {
                return Ok(ControlFlow::Break(self.ended()));
            }
            if self.waiting_since.elapsed() > FRESH_PATIENCE {
                return Ok(self.no_thread(BUSY));
            }
            let Some(candidate) = self.choose()? else {
                if let Some(end) = self.held_up()? {
                    return Ok(ControlFlow::Break(end));
                }
                if self.waiting_since.elapsed() > THREAD_PATIENCE {
                    return Ok(self.no_thread(BUSY));
                }
                self.pause.take();
                continue;
            };
            if self.is_fresh(&candidate)? {
                return Ok(ControlFlow::Continue(candidate));
            }
            if self.waiting_since.elapsed() > FRESH_PATIENCE {
                return Ok(self.no_thread(&format!(
                    "thread {} waits with a timeout that would start again from the beginning",
                    candidate.thread
                )));
            }
        }
    }

    /// Sends the thread of `candidate`.
    pub(crate) fn lend(
        &mut self,
        candidate: &Candidate,
        mut task: Task<'_>,
    ) -> Result<Lent, Error> {
        let end = match self.visitor.visit(candidate, &mut task, self.brake)? {
            Visit::Borrowed { time } => {
                self.has_visited = true;
                self.unproven = true;
                if self.visitor.held.has_ended() {
                    return Ok(Lent::Over(self.ended()));
                }
                // Seen back in its call, and alive after that.
                self.unproven = self.visitor.guest().is_some();
                self.last = Some(candidate.thread);
                self.waiting_since = Instant::now();
                self.pause = Pause::new();
                return Ok(Lent::Went { time });
            }
            Visit::NotNow | Visit::ThreadGone => {
                self.last = None;
                if self.visitor.guest().is_some()
                    && self
                        .visitor
                        .await_empty(AWAY_PATIENCE, self.brake)?
                        .is_some()
                    && let Some(thread) = self.visitor.guest()
                {
                    End::ThreadAway { thread }
                } else {
                    self.pause.take();
                    return Ok(Lent::NotNow);
                }
            }
            Visit::Replaced => End::HolderReplaced,
            Visit::GroupStopped => End::HolderStopped,
            Visit::SigchldChanged => End::SigchldChanged,
            Visit::Refused(refusal) => End::Refused {
                refusal: Box::new(refusal),
            },
            Visit::Denied => End::Denied,
            Visit::Stuck => End::ThreadStuck {
                thread: candidate.thread,
            },
        };
        Ok(Lent::Over(end))
    }

    /// The thread of the visit before if it will do again, else the best.
    fn choose(&mut self) -> Result<Option<Candidate>, Error> {
        let held = &self.visitor.held;
        if let Some(thread) = self.last
            && let Some(candidate) = threads::look(held, thread)?
        {
            return Ok(Some(candidate));
        }
        Ok(threads::candidates(held, self.brake)?.into_iter().next())
    }

    /// Whether a visit to this thread now would lengthen its timeout by little; waits for that.
    fn is_fresh(&mut self, candidate: &Candidate) -> Result<bool, Error> {
        let Some(timeout) = candidate.timeout else {
            return Ok(true);
        };
        let budget = threads::stretch(timeout);
        if let Some((thread, since)) = self.fresh
            && thread == candidate.thread
            && since.elapsed().saturating_add(VISIT) < budget
        {
            return Ok(true);
        }
        let patience =
            Duration::from_secs(1).min(timeout.saturating_add(Duration::from_millis(100)));
        let held = &self.visitor.held;
        let fresh = threads::await_fresh(held, candidate, timeout, patience, self.brake)?;
        self.fresh = fresh.map(|since| (candidate.thread, since));
        Ok(self.fresh.is_some())
    }

    /// The holder cannot go on by itself.
    fn held_up(&self) -> Result<Option<End>, Error> {
        let held = &self.visitor.held;
        if self.has_visited
            && let Some(dumping) = held.status_line(held.id.pid, b"CoreDumping:")?
            && dumping == "1"
        {
            return Ok(Some(End::HolderDied {
                exit: None,
                dumps_core: true,
            }));
        }
        let stat = held.process.stat()?;
        Ok(stat.and_then(|stat| match stat.state {
            State::Stopped => Some(End::HolderStopped),
            State::Traced => Some(End::Denied),
            _ => None,
        }))
    }

    /// How the holder ended, now that it has.
    ///
    /// What our code, or a call of it, can bring is one of these signals. Everything else comes
    /// from the program or from others.
    pub(crate) fn ended(&self) -> End {
        const OURS: [libc::c_int; 5] = [
            libc::SIGSYS,
            libc::SIGSEGV,
            libc::SIGILL,
            libc::SIGBUS,
            libc::SIGTRAP,
        ];
        let exit = self.visitor.held.exit();
        let may_be_ours = match exit {
            Some(Exit::Signal(signal)) => OURS.contains(&signal.into()) && self.has_visited,
            Some(Exit::Code(_)) => false,
            None => self.unproven,
        };
        if may_be_ours {
            End::HolderDied {
                exit,
                dumps_core: false,
            }
        } else {
            End::HolderEnded
        }
    }

    /// What is to be told in the end: `end`, unless the holder has ended since the last visit.
    pub(crate) fn last_word(&self, end: End) -> End {
        if self.unproven && end.holder_death().is_none() && self.visitor.held.has_ended() {
            return self.ended();
        }
        end
    }

    fn no_thread(&self, why: &str) -> ControlFlow<End, Candidate> {
        ControlFlow::Break(End::NoThread {
            seconds: self.waiting_since.elapsed().as_secs(),
            why: why.to_owned(),
        })
    }
}
