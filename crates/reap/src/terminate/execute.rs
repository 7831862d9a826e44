//! Carrying out the end of a holder.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::{ProcessId, State, Zombie};
use sexton_scan::Scanner;
use sexton_scan::proc::Proc;

use super::{Options, Plan};
use crate::borrow::brake::Brake;
use crate::borrow::held;
use crate::execute::micros;
use crate::outcome::add_one;
use crate::{Error, Refusal};

/// Between two looks.
const SLICE: Duration = Duration::from_millis(20);
/// How long a process may take to end after SIGKILL; only an uninterruptible sleep, or much
/// memory to give back, takes longer than moments.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long the adopter may take to wait for what it was given.
const ADOPTION_PATIENCE: Duration = Duration::from_secs(3);

/// What came of a termination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TerminateOutcome")]
pub struct TerminateOutcome {
    /// Whose end it was.
    pub holder: ProcessId,
    /// What became of it.
    pub end: End,
    /// Its parent has waited for it; else it is a zombie itself now.
    pub waited_for: bool,
    /// Zombies that it held.
    pub zombies: u64,
    /// Of those, the ones that are gone.
    pub gone: u64,
    /// Who holds the others now.
    pub held: Vec<HeldBy>,
    /// Wall time in microseconds.
    pub micros: u64,
}

/// Zombies that another process holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldBy {
    /// Its pid.
    pub pid: u32,
    /// Its name; empty if it is gone.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// What became of the holder.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error,
)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "how")]
#[schemars(rename = "TerminateEnd")]
pub enum End {
    /// Before anything was done.
    #[error("it ended by itself")]
    ByItself,
    /// It ended on SIGTERM.
    #[error("it ended on SIGTERM")]
    Terminated,
    /// It did not end on SIGTERM in the time that it had, and was killed.
    #[error("it did not end within {seconds} s of SIGTERM and was killed")]
    Killed {
        /// The time that it had.
        seconds: u64,
    },
    /// Not even SIGKILL has ended it yet.
    #[error("it has been killed and has not ended yet (uninterruptible sleep)")]
    Survives,
    /// Whoever asked for it said that it is enough. Nothing has been sent if `signalled` is not
    /// set; else SIGTERM has, and it may yet end on it.
    #[error("it was called off in the middle")]
    CalledOff {
        /// SIGTERM was sent.
        signalled: bool,
    },
}

/// Does what `plan` says: SIGTERM, up to `grace` for it to end, SIGKILL.
///
/// With a pidfd of the holder in hand all that the plan rests on is asked once more. Starts no
/// process and no thread. `go_on` is asked some fifty times a second; when it breaks, nothing
/// more is sent.
///
/// # Errors
/// [`Error::Refused`] for a plan with a refusal, or where there is a reason for one by now; other
/// errors where the kernel answered as it never should.
pub fn execute(
    scanner: &mut Scanner,
    plan: &Plan,
    grace: Duration,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<TerminateOutcome, Error> {
    if let Some(refusal) = &plan.refusal {
        return Err(Error::Refused(refusal.clone()));
    }
    let holder = plan.holder.id;
    let options = Options {
        allow_host: plan.allow_host,
    };
    let began = Instant::now();
    let mut outcome = TerminateOutcome {
        holder,
        end: End::ByItself,
        waited_for: true,
        zombies: 0,
        gone: 0,
        held: Vec::new(),
        micros: 0,
    };
    let Ok(pidfd) = held::open_pidfd(holder.pid) else {
        return Ok(outcome);
    };
    let Some((now, zombies)) = super::look(scanner, holder, options)? else {
        return Ok(outcome);
    };
    match now.refusal {
        // It ended between the two.
        Some(Refusal::Gone | Refusal::HolderIsZombie) => {}
        Some(refusal) => return Err(Error::Refused(refusal)),
        None => {
            let mut brake = Brake::new(&mut go_on);
            outcome.end = end(&pidfd, holder, grace, &mut brake)?;
            outcome.zombies = zombies.len() as u64;
            await_adoption(scanner.proc(), &pidfd, zombies, &mut outcome, &mut brake)?;
        }
    }
    outcome.waited_for = held::is_gone(&pidfd);
    outcome.micros = micros(began.elapsed());
    Ok(outcome)
}

fn end(
    pidfd: &OwnedFd,
    holder: ProcessId,
    grace: Duration,
    brake: &mut Brake<'_>,
) -> Result<End, Error> {
    if brake.is_on() {
        return Ok(End::CalledOff { signalled: false });
    }
    if !send(pidfd, holder, Signal::TERM)? {
        return Ok(End::ByItself);
    }
    if await_end(pidfd, grace, brake) {
        return Ok(End::Terminated);
    }
    if brake.is_on() {
        return Ok(End::CalledOff { signalled: true });
    }
    if !send(pidfd, holder, Signal::KILL)? {
        return Ok(End::Terminated);
    }
    Ok(if await_end(pidfd, KILL_PATIENCE, brake) {
        End::Killed {
            seconds: grace.as_secs(),
        }
    } else {
        End::Survives
    })
}

/// False if it has ended.
fn send(pidfd: &OwnedFd, holder: ProcessId, signal: Signal) -> Result<bool, Error> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(rustix::io::Errno::PERM) => Err(Error::Refused(Refusal::MayNotSignal)),
        Err(error) => Err(Error::system("signal", holder.pid)(error.into())),
    }
}

fn await_end(pidfd: &OwnedFd, patience: Duration, brake: &mut Brake<'_>) -> bool {
    let began = Instant::now();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        if held::has_ended(pidfd, left.min(SLICE)) {
            return true;
        }
        if left.is_zero() || brake.is_on() {
            return false;
        }
    }
}

/// Waits until the zombies are gone, and the holder too, and says who has those that stay.
fn await_adoption(
    proc: &Proc,
    pidfd: &OwnedFd,
    mut zombies: Vec<Zombie>,
    outcome: &mut TerminateOutcome,
    brake: &mut Brake<'_>,
) -> Result<(), Error> {
    let began = Instant::now();
    let mut buffer = Vec::new();
    loop {
        let mut parents = BTreeMap::<u32, u64>::new();
        let mut left = Vec::with_capacity(zombies.len());
        for zombie in zombies {
            let stat = proc.stat(zombie.id.pid, &mut buffer)?;
            if let Some(stat) = stat
                && stat.id() == zombie.id
                && stat.state == State::Zombie
            {
                add_one(parents.entry(stat.parent).or_default());
                left.push(zombie);
            }
        }
        zombies = left;
        let has_ended = !matches!(outcome.end, End::Survives | End::CalledOff { .. });
        let all_done = zombies.is_empty() && held::is_gone(pidfd);
        if all_done || !has_ended || began.elapsed() > ADOPTION_PATIENCE || brake.is_on() {
            outcome.gone = outcome.zombies.saturating_sub(zombies.len() as u64);
            for (pid, count) in parents {
                let stat = proc.stat(pid, &mut buffer)?;
                outcome.held.push(HeldBy {
                    pid,
                    name: stat.map(|stat| stat.comm.to_lossy()).unwrap_or_default(),
                    count,
                });
            }
            return Ok(());
        }
        std::thread::sleep(SLICE);
    }
}
