//! Making the kernel wait for a holder's future children.
//!
//! `sigaction(2)`: a process whose action for SIGCHLD has `SA_NOCLDWAIT` leaves no zombies. One
//! `rt_sigaction` call sets it, made by a borrowed thread in the same way, and as safely, as the
//! `wait4` calls of a reap. The action stays the default one, and is not "ignore": that would be
//! inherited across `execve`, where programs that wait for children of their own do not expect
//! it, and the flag is not. A child that is forked, and does not exec, has the flag, too.
//!
//! The zombies that are there already stay: a reap takes them. A program that waits for its
//! children gets `ECHILD` from then on, once the last has ended, so only those that have never
//! waited are set without being insisted on.
//!
//! The flag shows nowhere in `/proc`. The call can fail only for a bad address or a bad number,
//! or by a seccomp filter (`do_sigaction`, `kernel/signal.c`), so it has been made when the
//! thread has been through the code, and that is seen from outside.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sexton_core::cause::{First, kind_of_first};
use sexton_core::{Container, Holder, ProcessId, SigchldAction};
use sexton_scan::Scanner;
use sexton_scan::proc::{Proc, Process, Status};

use crate::borrow::arch::Errand;
use crate::borrow::brake::Brake;
use crate::borrow::pause::Punctual;
use crate::borrow::threads::{Sleep, sigwaits_for_sigchld};
use crate::borrow::visit::{self, Task, Unfit, Visitor};
use crate::borrow::{AWAY_PATIENCE, Borrower, Lent};
use crate::execute::micros;
use crate::outcome::{End, Trace};
use crate::rules::Who;
use crate::{Error, Refusal, Trust};

/// `SA_NOCLDWAIT`, where the kernel keeps it.
const NO_CHILD_WAIT: u64 = libc::SA_NOCLDWAIT as u64;
/// A program that starts another blocks all signals for a moment (`posix_spawn(3)`); one that
/// blocks or awaits SIGCHLD in so many looks means it.
const LOOKS: u32 = 12;
/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(4);
/// Bytes of the kernel's `struct sigaction`, which goes where a reap has its pids.
const ACTION: usize = 32;

/// Who waits for the children of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Waiter {
    /// The kernel: no zombies any more.
    #[default]
    Kernel,
    /// The process itself, as usual: undoes it.
    Process,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who is to wait from now on.
    pub waiter: Waiter,
    /// Also a process outside any container.
    pub allow_host: bool,
    /// Also where a seccomp filter of the program's own may forbid the call.
    pub ignore_seccomp: bool,
    /// Also a program that has waited for children, whose later waits will fail.
    pub though_it_waits: bool,
}

/// What would be done to one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AutoreapPlan")]
pub struct Plan {
    /// Whose children are meant.
    pub holder: Holder,
    /// Its container; absent for a process of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Why nothing is done; absent where something may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What its seccomp filters are trusted with.
    pub seccomp: Trust,
    /// Who is to wait from now on.
    pub waiter: Waiter,
    /// A command that only keeps its container alive (`sleep infinity`): it never waits.
    pub keep_alive: bool,
    /// It has waited for a child at least once, or a reap has made it.
    pub has_waited: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AutoreapOutcome")]
pub struct AutoreapOutcome {
    /// Whose children are meant.
    pub holder: ProcessId,
    /// Who waits for them from now on; absent where nothing was changed, or where it could not
    /// be seen that the thread has been through with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiter: Option<Waiter>,
    /// How the work ended.
    pub end: End,
    /// For how long a thread was borrowed, in microseconds.
    pub borrowed_micros: u64,
    /// Wall time in microseconds.
    pub micros: u64,
    /// What became of the tail of the holder's vdso.
    pub trace: Trace,
}

/// Plans it for `holder`; `None` if there is no such process. Reads only.
///
/// # Errors
/// Where something that is there could not be read.
pub fn plan(
    scanner: &mut Scanner,
    holder: ProcessId,
    options: &Options,
) -> Result<Option<Plan>, Error> {
    let Some(found) = scanner
        .holder(holder.pid)?
        .filter(|found| found.id == holder)
    else {
        return Ok(None);
    };
    let container = scanner.container_of(holder.pid)?;
    let proc = scanner.proc();
    let Some(process) = proc.process(holder.pid)? else {
        return Ok(None);
    };
    let keep_alive =
        kind_of_first(found.executable.as_deref(), &found.command_line) == First::KeepAlive;
    let has_waited = process
        .stat()?
        .is_some_and(|stat| stat.children_minor_faults > 0);
    let who = Who {
        proc,
        holder: &found,
        container: container.as_ref(),
    };
    let judged = match who.untouchable(options.allow_host) {
        Some(refusal) => Err(refusal),
        None => match by_habit(&process, &found, options, has_waited && !keep_alive)? {
            Some(refusal) => Err(refusal),
            None => who.borrowable(scanner, options.ignore_seccomp)?,
        },
    };
    let (refusal, seccomp) = match judged {
        Ok(trust) => (None, trust),
        Err(refusal) => (Some(refusal), Trust::Asked),
    };
    Ok(Some(Plan {
        holder: found,
        container,
        refusal,
        seccomp,
        waiter: options.waiter,
        keep_alive,
        has_waited,
    }))
}

/// What the program does about its children by itself.
fn by_habit(
    process: &Process,
    holder: &Holder,
    options: &Options,
    has_waited: bool,
) -> Result<Option<Refusal>, Error> {
    match holder.sigchld {
        SigchldAction::Caught => return Ok(Some(Refusal::HandlesSigchld)),
        SigchldAction::Ignored => return Ok(Some(Refusal::IgnoresSigchld)),
        SigchldAction::Default => {}
    }
    let mut waits = has_waited;
    let memory = process.open_file("mem").ok().flatten();
    let mut blocking: Option<BTreeSet<u32>> = None;
    for look in 1..=LOOKS {
        let mut now = BTreeSet::new();
        for thread in process.tasks()?.unwrap_or_default() {
            let status = process.read(&format!("task/{thread}/status"))?;
            let status = status.as_deref().map(Status::parse);
            let mut takes = matches!(status, Some(Ok(status)) if status.blocks_sigchld());
            // What may not be read is found out by whether the thread may be borrowed.
            let sleep = process.read(&format!("task/{thread}/syscall"));
            if let Some(sleep) = sleep.ok().flatten().as_deref().and_then(Sleep::parse) {
                let call = sleep.call.cast_signed();
                waits |= matches!(call, libc::SYS_wait4 | libc::SYS_waitid);
                takes |= memory
                    .as_ref()
                    .and_then(|memory| sigwaits_for_sigchld(&sleep, memory))
                    .unwrap_or(call == libc::SYS_rt_sigtimedwait);
            }
            if takes {
                now.insert(thread);
            }
        }
        let lasting = match blocking {
            Some(before) => &before & &now,
            None => now,
        };
        if lasting.is_empty() {
            break;
        }
        if look == LOOKS {
            return Ok(Some(Refusal::BlocksSigchld));
        }
        blocking = Some(lasting);
        thread::sleep(BETWEEN);
    }
    let matters = waits && options.waiter == Waiter::Kernel && !options.though_it_waits;
    Ok(matters.then_some(Refusal::Waits))
}

/// Does what `plan` says.
///
/// Starts no process and no thread. `go_on` is asked some fifty times a second; when it breaks,
/// the work ends as [`End::CalledOff`].
///
/// # Errors
/// [`Error::Refused`] for a plan with a refusal; other errors where the kernel answered as it
/// never should. A holder that ends, stops or replaces its program is an [`End`].
pub fn execute(
    proc: &Proc,
    plan: &Plan,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<AutoreapOutcome, Error> {
    if let Some(refusal) = &plan.refusal {
        return Err(Error::Refused(refusal.clone()));
    }
    let began = Instant::now();
    let _punctual = Punctual::begin();
    let visitor = match visit::prepare(proc, plan.holder.id, plan.seccomp) {
        Ok(visitor) => room_in(visitor)?,
        Err(Unfit::Refused(refusal)) => return Err(Error::Refused(refusal)),
        Err(Unfit::Failed(error)) => return Err(error),
    };
    let mut brake = Brake::new(&mut go_on);
    let mut borrower = Borrower::new(visitor, &mut brake);
    let errand = Errand::DefaultSigchld {
        flags: match plan.waiter {
            Waiter::Kernel => NO_CHILD_WAIT,
            Waiter::Process => 0,
        },
    };
    let mut borrowed_micros = 0;
    let end = loop {
        let candidate = match borrower.await_thread()? {
            ControlFlow::Continue(candidate) => candidate,
            ControlFlow::Break(end) => break end,
        };
        let task = Task {
            errand,
            last: None,
            still_right: &mut || true,
        };
        match borrower.lend(&candidate, task)? {
            Lent::NotNow => {}
            Lent::Over(end) => break end,
            Lent::Went { time } => {
                borrowed_micros = time.map_or(0, micros);
                // It did not come back to its call: a signal, or the call returned. Then it is
                // looked for elsewhere.
                let brake = &mut *borrower.brake;
                break match borrower.visitor.await_empty(AWAY_PATIENCE, brake)? {
                    None if borrower.visitor.held.has_ended() => borrower.ended(),
                    None => End::Complete,
                    Some(_) => End::ThreadAway {
                        thread: candidate.thread,
                    },
                };
            }
        }
    };
    let trace = borrower.visitor.leave(borrower.brake)?;
    let end = borrower.last_word(end);
    if let End::Refused { refusal } = end {
        return Err(Error::Refused(*refusal));
    }
    Ok(AutoreapOutcome {
        holder: plan.holder.id,
        waiter: (end == End::Complete).then_some(plan.waiter),
        end,
        borrowed_micros,
        micros: micros(began.elapsed()),
        trace,
    })
}

fn room_in(visitor: Visitor) -> Result<Visitor, Error> {
    if visitor.tail.capacity().saturating_mul(size_of::<u32>()) < ACTION {
        let bytes = visitor.tail.room;
        return Err(Error::Refused(Refusal::NoRoom { bytes }));
    }
    Ok(visitor)
}
